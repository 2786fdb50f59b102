"""The `hunt:` section: hunter, generations, the space it searches, and its objective."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum

from hsm.config.grid import check_name, identity
from hsm.config.kinds import flag, integer, matching, number, word_of
from hsm.config.rules import read_forbid, read_shares, read_stop
from hsm.config.section import Section
from hsm.config.tree import Node, Place
from hsm.config.words import shown
from hsm.core.spec import Choices, Dimension, Direction, FloatRange, HuntSpec, IntRange, Objective, Value

KEYS = (
    "hunter",
    "generations",
    "population",
    "space",
    "objective",
    "seed",
    "seeds",
    "options",
    "shares",
    "forbid",
    "stop",
)
DIMENSION_KEYS = ("low", "high", "log", "type", "choices")
HUNTER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_SPACE_EXAMPLE = "space: {b: {low: 0, high: 3}, mode: {choices: [x, y]}}"
_METRIC = re.compile(r"[^\s\x00-\x1f\x7f]{1,128}")


class NumberType(StrEnum):
    """The type of a bounded dimension."""

    FLOAT = "float"
    INTEGER = "integer"


def read_hunt(section: Section) -> HuntSpec:
    """Return the hunt. That the hunter exists is for the hunters' registry to say."""
    section.only(KEYS, {"metric": "hunt.objective", "direction": "hunt.objective", "grid": "sweep"})
    options = section.section("options")
    first, *further = _objectives(section)
    return HuntSpec(
        hunter=section.need(
            "hunter", matching(HUNTER_NAME, "a hunter's name in small letters"), "random", "hunter: evolution"
        ),
        generations=section.need("generations", integer(1), 1, "generations: 3"),
        population=section.need("population", integer(1), 1, "population: 12"),
        space=_space(section),
        objective=first,
        seed=section.read("seed", integer(0), 0),
        options={key: node.plain() for key, node in options.nodes.items()},
        further=tuple(further),
        forbid=read_forbid(section),
        stop=read_stop(section.section("stop"), (first, *further)),
        shares=read_shares(section),
    )


def _objectives(section: Section) -> list[Objective]:
    node = section.nodes.get("objective")
    if node is None:
        example = "for example `objective: {metric: score, direction: maximize}`"
        section.missing(f"{section.name('objective')} is missing", example)
    elif not isinstance(node.value, tuple):
        return [_objective(section, "objective", node)]
    items = section.items("objective") if node else ()
    if node is not None and not items:
        section.note(node.place, f"{section.name('objective')} is []; expected at least one", "[{metric: a}]")
    read = [_objective(section, f"objective[{index}]", item) for index, item in enumerate(items)]
    if len({objective.metric for objective in read}) < len(read) and node is not None:
        section.note(node.place, f"{section.name('objective')} names a metric twice", "remove one")
    return read or [Objective(metric="?")]


def _objective(section: Section, path: str, node: Node) -> Objective:
    if isinstance(node.value, str):
        message = f"{section.name(path)} is {shown(node.value)}; expected a map"
        section.note(node.place, message, f"write {{metric: {node.value[:40]}, direction: maximize}}")
        return Objective(metric="?")
    inner = Section(node, section.below(path), section.report).only(("metric", "direction"))
    metric = inner.need("metric", matching(_METRIC, "the name of a metric"), "?", "metric: score")
    return Objective(metric=metric, direction=inner.read("direction", word_of(Direction), Direction.MAXIMIZE))


def dimensions(section: Section) -> Iterator[tuple[str, Node]]:
    """Yield the dimensions of a space; maps inside maps make dotted names."""
    for key, node in section.nodes.items():
        inner = node.value if isinstance(node.value, dict) else {}
        if (
            inner
            and not set(inner) & set(DIMENSION_KEYS)
            and all(isinstance(n.value, dict) for n in inner.values())
        ):
            below = Section(node, section.below(key), section.report)
            yield from ((f"{key}.{name}", found) for name, found in dimensions(below))
        else:
            yield key, node


def space_names(section: Section) -> Iterator[tuple[str, Place]]:
    """Yield every name of the hunt's space with its place."""
    return ((name, node.key_place) for name, node in dimensions(section.section("space")))


def _space(section: Section) -> Mapping[str, Dimension]:
    inner = section.section("space")
    if not inner.nodes and section.is_map:
        inner.missing(f"{section.name('space')} names no parameter", f"for example `{_SPACE_EXAMPLE}`")
    read: dict[str, Dimension] = {}
    for name, node in dimensions(inner):
        check_name(inner, name, node.key_place)
        if not isinstance(node.value, dict):
            message = f"{inner.name(name)} is {shown(node.plain())}; expected a map"
            inner.note(node.place, message, _dimension_fix(node))
            continue
        dimension = _dimension(Section(node, inner.below(name), inner.report).only(DIMENSION_KEYS))
        if dimension is not None:
            read[name] = dimension
    return read


def _dimension_fix(node: Node) -> str:
    if isinstance(node.value, tuple):
        return f"write {{choices: {shown(node.plain())}}}, or {{low: ..., high: ...}}"
    return "write {low: 0, high: 3}, or {choices: [x, y]}; a constant belongs in `parameters`"


def _dimension(section: Section) -> Dimension | None:
    if "choices" in section.nodes:
        return _choices(section)
    for key in ("low", "high"):
        if key not in section.nodes:
            section.note(
                section.place, f"{section.name(key)} is missing", "a dimension has low and high, or choices"
            )
    log = section.read("log", flag, default=False)
    kind = section.read("type", word_of(NumberType), NumberType.FLOAT)
    whole = integer(-(1 << 63))
    reader = whole if kind is NumberType.INTEGER else number
    low, high = (section.read(key, reader, None) for key in ("low", "high"))
    if low is None or high is None:
        return None
    _check_bounds(section, low, high, log=log)
    if kind is NumberType.INTEGER:
        return IntRange(low=int(low), high=int(high), log=log)
    return FloatRange(low=float(low), high=float(high), log=log)


def _check_bounds(section: Section, low: float, high: float, *, log: bool) -> None:
    if not low < high:
        hint = "swap them" if low > high else "a constant belongs in `parameters`"
        message = f"{section.name('low')} is {shown(low)} and not below `high`, {shown(high)}"
        section.note(section.nodes["low"].place, message, hint)
    if log and low <= 0:
        message = f"{section.name('low')} is {shown(low)}; with `log: true` it must be above 0"
        section.note(section.nodes["low"].place, message, "give a small number above 0, or drop `log`")


def _choices(section: Section) -> Choices | None:
    for key in set(DIMENSION_KEYS[:4]) & set(section.nodes):
        node = section.nodes[key]
        section.note(
            node.key_place, f"{section.name(key)} cannot stand beside `choices`", "keep one of the two"
        )
    items = section.items("choices")
    values: tuple[Value, ...] = tuple(item.plain() for item in items)
    if len(set(map(identity, values))) < len(values):
        section.note(
            section.nodes["choices"].place, f"{section.name('choices')} holds a value twice", "remove one"
        )
    if section.nodes["choices"].value == ():
        section.note(
            section.nodes["choices"].place,
            f"{section.name('choices')} is []; expected at least one value",
            "give it one, or set `low` and `high`",
        )
    return Choices(values=values) if values else None
