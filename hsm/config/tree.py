"""A configuration as a tree of values that know where they were written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from hsm.core.errors import ConfigError, Problem
from hsm.core.spec import Value


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written: a file with line and column (from 1), or `override 'x=y'`."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


Scalar: TypeAlias = "bool | int | float | str | None"
Content: TypeAlias = "Scalar | tuple[Node, ...] | dict[str, Node]"


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place.

    `text` is a plain scalar as written; `key` is the place of the key that holds the value.
    """

    place: Place
    value: Content
    text: str = ""
    key: Place | None = None

    @property
    def kind(self) -> str:
        """What it is, in words."""
        return _KINDS[type(self.value)]

    @property
    def key_place(self) -> Place:
        """The place of its key, else its own."""
        return self.key or self.place

    def plain(self) -> Value:
        """Return the value without places, in lists and dicts of its own."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value


_KINDS = {
    type(None): "nothing (null)",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "text",
    tuple: "a list",
    dict: "a map",
}


def overlaid(top: Node, base: Node) -> Node:
    """Return one tree over another: maps are merged, everything else of the upper one stands."""
    if top.value is None and isinstance(base.value, dict):
        return base
    if not isinstance(top.value, dict) or not isinstance(base.value, dict):
        return top
    merged = dict(top.value)
    for key, node in base.value.items():
        merged[key] = overlaid(merged[key], node) if key in merged else node
    return Node(top.place, merged, top.text, top.key)


def moved(node: Node, place: Place) -> Node:
    """Return a tree all of which stands at one place."""
    value: Content = node.value
    if isinstance(value, dict):
        value = {key: moved(item, place) for key, item in value.items()}
    elif isinstance(value, tuple):
        value = tuple(moved(item, place) for item in value)
    return Node(place, value, node.text, place)


def graft(value: Value, place: Place) -> Node:
    """Return a plain value as a tree that stands at one place."""
    if isinstance(value, Mapping):
        return Node(place, {key: graft(item, place) for key, item in value.items()}, key=place)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return Node(place, tuple(graft(item, place) for item in value), key=place)
    return Node(place, value, key=place)


MAX_PROBLEMS = 100
_WHERE = re.compile(r"(.*):(\d+):(\d+)", re.DOTALL)


class Report:
    """Problems found so far, each once, and no more than a person would read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    @property
    def is_full(self) -> bool:
        """Whether further problems are not noted."""
        return len(self.problems) > MAX_PROBLEMS

    def add(self, place: Place, message: str, hint: str = "") -> None:
        """Note a problem and go on."""
        problem = Problem(where=str(place), message=message, hint=hint)
        if not self.is_full and problem not in self.problems:
            self.problems.append(problem)

    def allow(self, path: str, keys: Sequence[str]) -> None:
        """Hear that a section knows these keys and no others."""

    def declare(self, path: str, schema: Mapping[str, Any], default: object = None) -> None:
        """Hear what a key takes, in JSON schema, and what it is when it is absent."""

    def require(self, path: str, key: str) -> None:
        """Hear that a section must have a key."""

    def check(self) -> None:
        """Raise ConfigError with everything noted, by its place, if anything was."""
        sources = list(dict.fromkeys(_placed(problem)[0] for problem in self.problems))
        self.problems.sort(key=lambda found: (sources.index(_placed(found)[0]), *_placed(found)[1:]))
        if self.is_full:
            rest = Problem(where="", message=f"more than {MAX_PROBLEMS} problems; the others are not shown")
            self.problems[MAX_PROBLEMS:] = [rest]
        if self.problems:
            raise ConfigError(self.problems)


def _placed(problem: Problem) -> tuple[str, int, int]:
    """Return source, line and column of a problem; zeros where there are none."""
    found = _WHERE.fullmatch(problem.where)
    return (found[1], int(found[2]), int(found[3])) if found else (problem.where, 0, 0)
