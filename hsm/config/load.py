"""From a file to a SweepSpec: read, compose, check, freeze."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hsm.config.analyses import read_analysis
from hsm.config.document import config_digest, to_document
from hsm.config.functions import expand_calls
from hsm.config.kinds import text
from hsm.config.project import Project
from hsm.config.reader import read_file
from hsm.config.schema import read_spec
from hsm.config.section import Section
from hsm.config.sources import merged, parse_words
from hsm.config.tree import Node, Place, Report, graft, overlaid
from hsm.core.analyses import spec_of
from hsm.core.errors import ConfigError
from hsm.core.spec import AnalysisSpec, Params, SourceSpec, SweepSpec

MAX_FROZEN_BYTES = 16 << 20


def load_sweep(
    path: Path, overrides: Sequence[str] = (), *, project: Project, sources: Sequence[str] = ()
) -> SweepSpec:
    """Return the sweep that a file describes, with overrides in Hydra's grammar.

    `sources` are words such as `local:4`; if there are any, they stand in place of the file's. Hydra is
    imported only for a file with a defaults list or a sweep function, or when there are overrides.

    Raises:
        ConfigError: everything that is wrong with the file and the overrides.
    """
    return explain_sweep(path, overrides, project=project, sources=sources)[0]


def explain_sweep(
    path: Path, overrides: Sequence[str] = (), *, project: Project, sources: Sequence[str] = ()
) -> tuple[SweepSpec, Node]:
    """Return a sweep as `load_sweep` does, and the tree it was read from, each value with its place.

    Raises:
        ConfigError: everything that is wrong with the file and the overrides.
    """
    text, root = read_file(path)
    report = Report()
    if overrides or (isinstance(root.value, dict) and "defaults" in root.value):
        from hsm.config.composition import Shelf, compose_file  # noqa: PLC0415 - Hydra costs 0.4 s

        shelf = Shelf(path, text, root, [path.parent, project.root])
        root = compose_file(shelf, overrides, report)
    root = overlaid(expand_calls(root, report), project.sweep_settings)
    spec = read_spec(root, project.known, project.root, report)
    chosen = _chosen(sources, project, report)
    report.check()
    return _frozen(replace(spec, sources=chosen) if chosen else spec), root


def build_sweep(
    document: Params,
    *,
    project: Project,
    sources: Sequence[str] = (),
    where: str = "the mapping",
    is_literal: bool = False,
) -> SweepSpec:
    """Return the sweep that a mapping of the shape of a sweep file describes.

    `where` stands for the file's name in what is wrong with it; `sources` are as in `load_sweep`. In a
    literal mapping a text such as `range(0,3)` is that text, and not what the function gives.

    Raises:
        ConfigError: everything that is wrong with it.
    """
    report = Report()
    root = graft(document, Place(where))
    root = overlaid(root if is_literal else expand_calls(root, report), project.sweep_settings)
    spec = read_spec(root, project.known, project.root, report)
    chosen = _chosen(sources, project, report)
    report.check()
    return _frozen(replace(spec, sources=chosen) if chosen else spec)


def load_frozen(path: Path) -> SweepSpec:
    """Return the sweep of a frozen `sweep_config.yaml`: equal to the one that was frozen.

    Raises:
        ConfigError: the file is damaged.
    """
    _, root = read_file(path, limit=MAX_FROZEN_BYTES)
    report = Report()
    if isinstance(root.value, dict) and "analysis" in root.value:
        spec = _of_analysis(Section(root, "", report))
    else:
        spec = read_spec(root, {}, Path("/"), report)
    report.check()
    return _frozen(spec)


def freeze(analysis: AnalysisSpec) -> SweepSpec:
    """Return the sweep that an analysis is, with the document that is frozen of it."""
    return _frozen(spec_of(analysis))


def _of_analysis(top: Section) -> SweepSpec:
    """Return the sweep of a frozen analysis."""
    name = top.need("name", text, "unnamed", "name: quantules")
    return spec_of(read_analysis(top.section("analysis"), name))


def parse_source(text: str, project: Project) -> SourceSpec:
    """Return the source that a word such as `local:4` or `ssh:host:8` names, as the project sets it up.

    Raises:
        ConfigError: it is not a source.
    """
    return merged(parse_words(text), project.known)


def _chosen(words: Sequence[str], project: Project, report: Report) -> tuple[SourceSpec, ...]:
    chosen: dict[str, SourceSpec] = {}
    for word in words:
        try:
            source = parse_source(word, project)
        except ConfigError as error:
            report.problems.extend(replace(problem, where="--source") for problem in error.problems)
            continue
        if source.name in chosen:
            report.add(Place("--source"), f"{source.name} stands twice", "give it once, with all its slots")
        chosen[source.name] = source
    return tuple(chosen.values())


def _frozen(spec: SweepSpec) -> SweepSpec:
    document = to_document(spec)
    return replace(spec, document=document, config_digest=config_digest(document))
