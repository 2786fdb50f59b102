"""A map of the configuration whose keys are known: typed access that notes every problem and goes on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from hsm.config.kinds import Form, Reader, Unfit, whole
from hsm.config.reader import OPEN_CALL
from hsm.config.tree import Node, Place, Report
from hsm.config.words import did_you_mean, homes_of, key_shown, listed, shown

_CALL = re.compile(r"([a-z][\w.]*)\s*\(.*\)", re.ASCII | re.DOTALL)

T = TypeVar("T")
D = TypeVar("D")


class Section:
    """One map and its dotted path. Absent and wrong values read as the default; wrong ones are noted."""

    def __init__(self, node: Node, path: str, report: Report) -> None:
        self.place = node.key_place
        self.path = path
        self.report = report
        self.nodes: Mapping[str, Node] = {}
        self.is_map = isinstance(node.value, dict)
        if isinstance(node.value, dict):
            self.nodes = node.value
        else:
            message = f"{self.name()} is {shown(node.plain())}; expected a map"
            report.add(node.place, message, "write it as lines of `key: value`")

    def name(self, key: str = "") -> str:
        """Return the dotted path of a key, in backticks."""
        path = ".".join(part for part in (self.path, key) if part)
        return key_shown(path) if path else "the configuration"

    def only(self, known: Iterable[str], homes: Mapping[str, str] | None = None) -> Section:
        """Note every key that is not known; `homes` says where a misplaced one belongs."""
        words = list(known)
        self.report.allow(self.path, words)
        for key, node in self.nodes.items():
            if key not in words and not self.report.is_full:
                hint = (
                    homes_of(key, homes or {}) or did_you_mean(key, words) or f"known: {listed(words, 'and')}"
                )
                self.report.add(node.key_place, f"unknown key {self.name(key)}", hint)
        return self

    def read(self, key: str, reader: Reader[T], default: D) -> T | D:
        """Return the value of a key, or the default."""
        self.report.declare(self.below(key), schema_of(reader), default)
        node = self.nodes.get(key)
        return default if node is None else self.take(node, self.name(key), reader, default)

    def need(self, key: str, reader: Reader[T], default: T, example: str) -> T:
        """Return the value of a key that must be there."""
        self.report.require(self.path, key)
        if key not in self.nodes:
            self.missing(f"{self.name(key)} is missing", f"for example `{example}`")
        return self.read(key, reader, default)

    def missing(self, message: str, hint: str) -> None:
        """Note what is not there, unless the section is no map at all, which has been noted."""
        if self.is_map:
            self.report.add(self.place, message, hint)

    def take(self, node: Node, name: str, reader: Reader[T], default: D) -> T | D:
        """Return the value of a node, or the default after noting what is wrong with it."""
        try:
            return reader(node)
        except Unfit as error:
            message = f"{name} is {shown(node.plain())}; expected {error.expected}"
            self.report.add(node.place, message, error.hint)
            return default

    def section(self, key: str) -> Section:
        """Return the section under a key; an absent one is empty."""
        self.report.declare(self.below(key), {"type": "object"})
        inner = Section(self.nodes.get(key, Node(self.place, {})), self.below(key), self.report)
        inner.is_map &= self.is_map
        return inner

    def below(self, key: str) -> str:
        """Return the dotted path of a key."""
        return f"{self.path}.{key}" if self.path else key

    def items(self, key: str) -> tuple[Node, ...]:
        """Return the nodes of a list; a scalar in its place is noted with the fix."""
        self.report.declare(self.below(key), {"type": "array"})
        node = self.nodes.get(key)
        return () if node is None else self.listed(node, self.name(key))

    def listed(self, node: Node, name: str) -> tuple[Node, ...]:
        """Return the items of a list node."""
        if isinstance(node.value, tuple):
            return node.value
        self.report.add(node.place, f"{name} is {shown(node.plain())}; expected a list", _list_fix(node))
        return ()

    def texts(self, key: str, reader: Reader[str]) -> tuple[str, ...]:
        """Return the texts of a list."""
        self.report.declare(self.below(key), {"type": "array", "items": schema_of(reader)})
        name = self.name(key)
        read = [self.take(item, f"{name}[{i}]", reader, None) for i, item in enumerate(self.items(key))]
        return tuple(text for text in read if text is not None)

    def variables(self, key: str, pattern: re.Pattern[str], form: str, reader: Reader[str]) -> dict[str, str]:
        """Return a map of names of a given form to texts."""
        names = {"pattern": whole(pattern)}
        content = {"type": "object", "propertyNames": names, "additionalProperties": schema_of(reader)}
        self.report.declare(self.below(key), content)
        section = self.section(key)
        read: dict[str, str] = {}
        for name, node in section.nodes.items():
            if not pattern.fullmatch(name):
                self.report.add(node.key_place, f"{section.name(name)}: expected {form}")
            value = section.take(node, section.name(name), reader, None)
            if value is not None:
                read[name] = value
        return read

    def note(self, place: Place, message: str, hint: str = "") -> None:
        """Note a problem."""
        self.report.add(place, message, hint)


def schema_of(reader: Reader[T]) -> Mapping[str, Any]:
    """Return what a reader takes, as JSON schema; nothing where it does not say."""
    return reader.schema if isinstance(reader, Form) else {}


def _list_fix(node: Node) -> str:
    if isinstance(node.value, dict | None):
        return "write its values, such as [1, 2]"
    if isinstance(node.value, str) and OPEN_CALL.fullmatch(node.value):
        return "quote the call: within braces and brackets a comma ends a value"
    if isinstance(node.value, str) and (call := _CALL.fullmatch(node.value)):
        return f"there is no {call[1]}(); there are range(0, 1, 0.25), without its stop, and choice(a, b)"
    return f"write [{node.text or shown(node.value)}]"
