"""Typed readers: each takes one node and returns its value, or says what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias, TypeVar

from hsm.config.tree import Node
from hsm.config.units import DURATION_FORM, SIZE_FORM, duration, size
from hsm.config.words import did_you_mean, listed
from hsm.core.errors import ConfigError
from hsm.core.spec import Value

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
Reader: TypeAlias = Callable[[Node], T]

PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
PARAMETER_FORM = "letters, digits, '_' and '-', dots between them"
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Unfit(Exception):
    """A value that is not what was expected."""

    def __init__(self, expected: str, hint: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.hint = hint


def integer(low: int, high: int | None = None) -> Reader[int]:
    """Read an integer within bounds, both included."""
    expected = f"a whole number of at least {low}" if high is None else f"a whole number from {low} to {high}"

    def read(node: Node) -> int:
        value = node.value
        if isinstance(value, float) and value.is_integer():
            raise Unfit(expected, f"write {int(value)}")
        if not isinstance(value, int) or isinstance(value, bool) or value < low or (high and value > high):
            raise Unfit(expected)
        return value

    return read


def number(node: Node) -> float:
    """Read a number; an integer is taken for the number it is."""
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit("a number")
    return float(value)


def fraction(node: Node) -> float:
    """Read a number above 0 and up to 1."""
    value = number(node)
    if not 0 < value <= 1:
        raise Unfit("a number above 0 and up to 1", "half of the tasks is 0.5" if value > 1 else "")
    return value


def text(node: Node) -> str:
    """Read text that is not empty."""
    if isinstance(node.value, str) and node.value:
        return node.value
    quoted = f"quote it: '{node.text}'" if node.text and not isinstance(node.value, str) else ""
    raise Unfit("text", quoted)


def matching(pattern: re.Pattern[str], expected: str) -> Reader[str]:
    """Read text of a given form."""

    def read(node: Node) -> str:
        value = node.value
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        raise Unfit(expected, _tamed(value, pattern))

    return read


def _tamed(value: object, pattern: re.Pattern[str]) -> str:
    tame = re.sub(r"[^a-z0-9._-]+", "-", str(value).lower()).strip("-._")[:64]
    return f"for example `{tame}`" if isinstance(value, str) and pattern.fullmatch(tame) else ""


def word_of(words: type[E]) -> Reader[E]:
    """Read one word of an enumeration."""
    known = [word.value for word in words]

    def read(node: Node) -> E:
        if isinstance(node.value, str) and node.value in known:
            return words(node.value)
        raise Unfit(listed(known), did_you_mean(str(node.value), known))

    return read


def flag(node: Node) -> bool:
    """Read true or false; no other word stands for them."""
    if isinstance(node.value, bool):
        return node.value
    meant = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
    word = meant.get(str(node.value).lower())
    raise Unfit("true or false", f"write {word}" if word else "")


def seconds(node: Node) -> float:
    """Read a duration above zero, in seconds."""
    if not isinstance(node.value, str):
        raise Unfit(DURATION_FORM, f"add the unit: {node.text}s or {node.text}m" if node.text else "")
    try:
        value = duration(node.value)
    except ConfigError as error:
        raise Unfit(DURATION_FORM, error.hint) from None
    if value <= 0:
        raise Unfit(f"{DURATION_FORM}, above zero")
    return value


def size_bytes(node: Node) -> int:
    """Read a size above zero, in bytes."""
    if not isinstance(node.value, str):
        raise Unfit(SIZE_FORM, f"add the unit: {node.text}MiB or {node.text}GiB" if node.text else "")
    try:
        value = size(node.value)
    except ConfigError as error:
        raise Unfit(SIZE_FORM, error.hint) from None
    if value <= 0:
        raise Unfit(f"{SIZE_FORM}, above zero")
    return value


def as_written(node: Node) -> str:
    """Read a word of a command line or of an environment: text, or a number as it was written."""
    if isinstance(node.value, str):
        return node.value
    if isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return node.text or repr(node.value)
    if isinstance(node.value, dict):
        raise Unfit("text or a number", "quote text that begins with '{'")
    raise Unfit("text or a number", f"quote it: '{node.text}'" if node.text else "")


def anything(node: Node) -> Value:
    """Read any value."""
    return node.plain()
