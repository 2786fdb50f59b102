"""What Hydra's sweep functions mean here: `choice` and `range` are lists, `interval` is a dimension.

A range is computed in decimal arithmetic from the digits as written, so `range(0, 0.5, 0.1)` is
0.0, 0.1, 0.2, 0.3, 0.4 and nothing drifts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from hsm.config.grid import MAX_POINTS
from hsm.config.tree import Node, Place, Report, graft
from hsm.config.words import did_you_mean, key_shown, shown
from hsm.core.spec import Value

_CALL = re.compile(r"(?:choice|range|interval|tag|sort|shuffle|glob|int|float|str|bool)\s*\(.*\)", re.DOTALL)
_TAGS = ("log", "int")


class Misused(Exception):
    """A function or an override that cannot be used as it was."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Points:
    """A list of values, from `choice(...)`, `range(...)` or `a,b,c`."""

    values: Sequence[Value]


@dataclass(frozen=True, slots=True)
class Interval:
    """A dimension, from `interval(low, high)`, tagged or not."""

    low: float
    high: float
    tags: frozenset[str] = frozenset()


Element: TypeAlias = "Value | Points | Interval"
_Turn: TypeAlias = "Callable[[Element, Place], Node]"


def steps(start: float, stop: float, step: float) -> Points:
    """Return `start`, `start + step`, ... before `stop`. All are integers if the three are.

    Raises:
        Misused: the range is empty, endless or too long.
    """
    first, last, by = (Decimal(repr(x)) for x in (start, stop, step))
    if not all(x.is_finite() for x in (first, last, by)) or by == 0:
        raise Misused(
            f"range({start}, {stop}, {step}) has no end", "give a step that leads from start to stop"
        )
    count = max(0, math.ceil((last - first) / by))
    if count == 0:
        raise Misused(f"range({start}, {stop}, {step}) is empty", "the step leads away from the stop")
    if count > MAX_POINTS:
        raise Misused(f"range({start}, {stop}, {step}) has {count} values; the limit is {MAX_POINTS}")
    if all(isinstance(x, int) for x in (start, stop, step)):
        return Points(range(int(start), int(stop), int(step)))
    return Points([float(first + i * by) for i in range(count)])


def as_axis(element: Element, place: Place) -> Node:
    """Return the list node that an element stands for in a grid."""
    match element:
        case Points(values):
            return graft(list(values), place)
        case Interval():
            raise Misused("interval() is for `hunt.space`", "in a grid, list the values or use range()")
        case _:
            return graft(element, place)


def as_dimension(element: Element, place: Place) -> Node:
    """Return the map node that an element stands for in a hunt's space."""
    match element:
        case Points(values):
            return graft({"choices": list(values)}, place)
        case Interval(low, high, tags):
            return graft(_bounds(low, high, tags), place)
        case _:
            return graft(element, place)


def _bounds(low: float, high: float, tags: frozenset[str]) -> dict[str, Value]:
    for tag in sorted(tags):
        if tag not in _TAGS:
            raise Misused(f"unknown tag {key_shown(tag)}", did_you_mean(tag, _TAGS) or "known: log and int")
    bounds: dict[str, Value] = {"low": low, "high": high}
    if "int" in tags or (isinstance(low, int) and isinstance(high, int)):
        if not (float(low).is_integer() and float(high).is_integer()):
            raise Misused(
                f"the bounds {shown(low)} and {shown(high)} are not whole numbers", "drop the tag `int`"
            )
        bounds = {"low": int(low), "high": int(high), "type": "integer"}
    return {**bounds, "log": True} if "log" in tags else bounds


def is_call(value: object) -> bool:
    """Whether a value is the text of a sweep function."""
    return isinstance(value, str) and _CALL.fullmatch(value.strip()) is not None


def expand_calls(root: Node, report: Report) -> Node:
    """Return the tree with `range(...)` and its kin in `sweep` and `hunt.space` spelled out."""
    root = _within(root, ["sweep", "grid"], report, as_axis)
    root = _within(root, ["sweep", "paired"], report, as_axis)
    return _within(root, ["hunt", "space"], report, as_dimension)


def _within(node: Node, path: list[str], report: Report, turn: _Turn) -> Node:
    if not path:
        return _expanded(node, report, turn)
    if not isinstance(node.value, dict) or path[0] not in node.value:
        return node
    inner = _within(node.value[path[0]], path[1:], report, turn)
    return Node(node.place, {**node.value, path[0]: inner}, key=node.key)


def _expanded(node: Node, report: Report, turn: _Turn) -> Node:
    if isinstance(node.value, dict):
        value = {key: _expanded(item, report, turn) for key, item in node.value.items()}
        return Node(node.place, value, key=node.key)
    if isinstance(node.value, tuple) and any(isinstance(item.value, dict) for item in node.value):
        items = tuple(_expanded(item, report, turn) for item in node.value) if turn is as_axis else node.value
        return Node(node.place, items, key=node.key)
    return _called(node, report, turn) if is_call(node.value) else node


def _called(node: Node, report: Report, turn: _Turn) -> Node:
    from hsm.config.hydra_port import read_element  # noqa: PLC0415 - Hydra costs 0.4 s: only for those who use it

    try:
        turned = turn(read_element(str(node.value)), node.place)
    except Misused as error:
        report.add(node.place, f"{shown(node.value)}: {error.message}", error.hint)
        return graft(["?"], node.place) if turn is as_axis else graft({"choices": ["?"]}, node.place)
    return Node(turned.place, turned.value, key=node.key)
