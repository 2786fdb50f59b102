"""The project: the folder that holds `hsm.yaml`, where results go, and what each source needs there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hsm.config.kinds import text
from hsm.config.reader import read_file
from hsm.config.section import Section
from hsm.config.sources import ENVIRONMENT_KEYS, parse_words, read_environment
from hsm.config.tree import Node, Report
from hsm.core.errors import ConfigError
from hsm.core.spec import SourceSpec

FILE_NAME = "hsm.yaml"
DEFAULT_OUTPUTS = "sweeps/outputs"
KEYS = ("outputs", "sources")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project. `root` and `outputs` are absolute; `sources` maps a source's name to its defaults."""

    root: Path
    outputs: Path
    sources: Mapping[str, SourceSpec] = field(default_factory=dict)


def find_project(start: Path) -> Project:
    """Return the project around a folder: the nearest folder upwards with an `hsm.yaml`, else `start`.

    Raises:
        ConfigError: everything that is wrong with the `hsm.yaml` found.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).exists():
            return _read(folder)
    return Project(root=start, outputs=start / DEFAULT_OUTPUTS)


def _read(root: Path) -> Project:
    _, node = read_file(root / FILE_NAME)
    report = Report()
    section = Section(node, "", report).only(KEYS)
    outputs = section.read("outputs", text, DEFAULT_OUTPUTS)
    sources: dict[str, SourceSpec] = {}
    inner = section.section("sources")
    for name in inner.nodes:
        source = _source(inner, name, root)
        if source is not None:
            sources[source.name] = source
    report.check()
    return Project(root=root, outputs=root / outputs, sources=sources)


def _source(section: Section, name: str, root: Path) -> SourceSpec | None:
    node = section.nodes[name]
    try:
        words = parse_words(name)
    except ConfigError as error:
        section.note(node.key_place, f"{section.name(name)}: {error.message}", error.hint)
        return None
    if words.slots is not None:
        hint = f"write `{words.name}: {{slots: {words.slots}}}`"
        section.note(node.key_place, f"{section.name(name)}: expected a source's name without slots", hint)
    inner = Section(
        node if node.value is not None else Node(node.place, {}), section.below(name), section.report
    )
    return read_environment(inner.only(ENVIRONMENT_KEYS), words, root)
