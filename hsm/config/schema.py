"""The whole sweep file: from a tree of values to a SweepSpec, every problem noted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hsm.config import analyses, batches, grid, hunts, program, retries, rules
from hsm.config.kinds import fraction, integer, matching, seconds, size_bytes
from hsm.config.section import Section
from hsm.config.sources import read_source
from hsm.config.tree import Node, Place, Report
from hsm.config.words import key_shown
from hsm.core.spec import (
    Choices,
    GridSpec,
    Growth,
    HuntSpec,
    Resources,
    SourceSpec,
    SweepSpec,
    Value,
)
from hsm.core.states import Cause

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_NAME_FORM = "1 to 64 small letters, digits, '.', '_' and '-', a letter or digit first"
MAX_TASKS = 10_000_000

KEYS = (
    "name",
    "program",
    "sweep",
    "hunt",
    "parameters",
    "resources",
    "timeout",
    "grace",
    "retry",
    "max_failure_rate",
    "sources",
    "analyses",
    "metadata",
)
RESOURCE_KEYS = ("cpus", "memory", "gpus", "walltime")
_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "program": program.KEYS,
    "program.batch": batches.KEYS,
    "sweep": grid.KEYS,
    "hunt": hunts.KEYS,
    "hunt.objective": ("metric", "direction"),
    "hunt.stop": rules.STOP_KEYS,
    "hunt.shares": rules.SHARE_KEYS,
    "resources": RESOURCE_KEYS,
    "retry": retries.KEYS,
}
KNOWN_PATHS = frozenset(KEYS) | {f"{path}.{key}" for path, keys in _SECTIONS.items() for key in keys}
"""Keys that an override may set without `+`, whether the file has them or not."""

_HOMES = {key: path for path, keys in _SECTIONS.items() for key in keys}


def read_spec(root: Node, known: Mapping[str, SourceSpec], folder: Path, report: Report) -> SweepSpec:
    """Return the spec that a tree describes, its document not yet set.

    `known` are the project's sources, `folder` its root. What is wrong is noted in the report, and the
    spec is then of no use.
    """
    top = Section(root, "", report).only(KEYS, _HOMES)
    _check_one_of(top)
    runs = program.read_program(top.section("program"))
    swept = top.section("sweep").only(grid.KEYS)
    hunting = top.section("hunt")
    gridded = grid.read_grid(swept) if "sweep" in top.nodes else None
    hunted = hunts.read_hunt(hunting) if "hunt" in top.nodes else None
    constants = top.section("parameters")
    named = [*grid.swept_names(swept), *hunts.space_names(hunting)]
    _check_names(constants, named)
    examples: dict[str, Value] = dict.fromkeys(name for name, _ in named)  # those with faults too
    examples |= {key: node.plain() for key, node in constants.nodes.items()}
    examples |= _examples(gridded, hunted)
    for section in (swept, hunting):
        rules.check_names(section, list(examples))
    program.check_placeholders(top.section("program"), runs, examples)
    batches.check_batch(top.section("program"), runs, examples)
    limits = read_limits(top)
    known_limits = {Cause.MEMORY: limits.resources.memory_bytes, Cause.TIME: limits.timeout_s}
    retries.check_growth(top.section("retry"), known_limits)
    spec = SweepSpec(
        name=top.need("name", matching(NAME, _NAME_FORM), "unnamed", "name: heat"),
        program=runs,
        grid=gridded,
        hunt=hunted,
        parameters={key: node.plain() for key, node in constants.nodes.items()},
        seeds=(hunting if hunted else swept).read("seeds", integer(1, MAX_TASKS), 1),
        resources=limits.resources,
        timeout_s=limits.timeout_s,
        grace_s=limits.grace_s,
        retry=limits.retry,
        growth=limits.growth,
        max_failure_rate=limits.max_failure_rate,
        sources=_sources(top, known, folder),
        analyses=analyses.read_analyses(top.section("analyses")),
        metadata={key: node.plain() for key, node in top.section("metadata").nodes.items()},
    )
    _check_count(top, spec)
    return spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an attempt may use and how often it may fail: of one sweep, or of every sweep of a project."""

    resources: Resources
    timeout_s: float | None
    grace_s: float
    retry: Mapping[Cause, int]
    growth: Mapping[Cause, Growth]
    max_failure_rate: float


def read_limits(top: Section) -> Limits:
    """Return the limits that a sweep file or the settings name."""
    resources = _resources(top.section("resources"))
    retry = top.section("retry")
    timeout_s = _smaller(top.read("timeout", seconds, None), resources.walltime_s)
    return Limits(
        resources=resources,
        timeout_s=timeout_s,
        grace_s=top.read("grace", seconds, 10.0),
        retry=retries.read_retry(retry),
        growth=retries.read_growth(retry),
        max_failure_rate=top.read("max_failure_rate", fraction, 0.5),
    )


def _check_one_of(top: Section) -> None:
    if "sweep" in top.nodes and "hunt" in top.nodes:
        place = top.nodes["hunt"].key_place
        top.note(place, "`hunt` and `sweep` exclude each other", "keep one; a hunt has its own generations")
    if "sweep" not in top.nodes and "hunt" not in top.nodes:
        top.missing("neither `sweep` nor `hunt` is there", "for example `sweep: {grid: {k: [0.1, 0.2]}}`")


def _check_names(constants: Section, swept: list[tuple[str, Place]]) -> None:
    """Note names that stand twice, or of which one leads into the other (`a` and `a.b`)."""
    named = [*swept, *((key, node.key_place) for key, node in constants.nodes.items())]
    for key, node in constants.nodes.items():
        grid.check_name(constants, key, node.key_place)
    seen: dict[str, Place] = {}
    inside: dict[str, str] = {}  # the beginnings of every dotted name so far
    for name, place in named:
        heads = _heads(name)
        clash = name if name in seen else next((head for head in heads if head in seen), inside.get(name))
        if clash is not None:
            what = "has two meanings" if clash == name else f"clashes with {key_shown(clash)}"
            constants.note(
                place, f"the parameter {key_shown(name)} {what}; also at {seen[clash]}", "remove one"
            )
        seen.setdefault(name, place)
        inside.update(dict.fromkeys(heads, name))


def _heads(name: str) -> list[str]:
    return [name[:index] for index, character in enumerate(name) if character == "."]


def _examples(gridded: GridSpec | None, hunted: HuntSpec | None) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for axis in gridded.axes if gridded else ():
        found.update(zip(axis.names, axis.points[0], strict=True))
    for name, dimension in (hunted.space if hunted else {}).items():
        found[name] = dimension.values[0] if isinstance(dimension, Choices) else dimension.low
    return found


def _resources(section: Section) -> Resources:
    section.only(RESOURCE_KEYS, {"timeout": "the top of the file"})
    return Resources(
        cpus=section.read("cpus", integer(1), 1),
        memory_bytes=section.read("memory", size_bytes, None),
        gpus=section.read("gpus", integer(0), 0),
        walltime_s=section.read("walltime", seconds, None),
    )


def _smaller(timeout_s: float | None, walltime_s: float | None) -> float | None:
    limits = [limit for limit in (timeout_s, walltime_s) if limit is not None]
    return min(limits) if limits else None


def _sources(top: Section, known: Mapping[str, SourceSpec], folder: Path) -> tuple[SourceSpec, ...]:
    read: dict[str, SourceSpec] = {}
    for index, node in enumerate(top.items("sources")):
        source = read_source(top, node, f"sources[{index}]", known, folder)
        if source is not None and source.name in read:
            top.note(
                node.place,
                f"the source {key_shown(source.name)} stands twice",
                "give it once, with all its slots",
            )
        if source is not None:
            read.setdefault(source.name, source)
    return tuple(read.values())


def count(spec: SweepSpec) -> int:
    """Return the number of tasks before exclusion, without making one of them."""
    if spec.hunt is not None:
        return spec.hunt.generations * spec.hunt.population * spec.seeds
    return (spec.grid.product if spec.grid is not None else 0) * spec.seeds


def _check_count(top: Section, spec: SweepSpec) -> None:
    total = count(spec)
    if total <= MAX_TASKS:
        return
    if spec.hunt is not None:
        factors = [f"generations: {spec.hunt.generations}", f"population: {spec.hunt.population}"]
    else:
        axes = spec.grid.axes if spec.grid else ()
        factors = [f"{'+'.join(axis.names)}: {len(axis.points)}" for axis in axes if len(axis.points) > 1]
    if spec.seeds > 1:
        factors.append(f"seeds: {spec.seeds}")
    message = f"{total:,} tasks ({' × '.join(factors)}); the limit is {MAX_TASKS:,}"
    node = top.nodes.get("hunt", top.nodes.get("sweep"))
    hint = "shorten an axis, or search the space with a hunt"
    top.note(node.key_place if node else top.place, message, hint)
