"""Typed readers: each takes one node and returns its value, or says what was expected.

What a reader takes is also said as JSON schema, for editors; the two stand together so that they agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeAlias, TypeVar

from hsm.config.tree import Node
from hsm.config.units import DURATION_FORM, DURATION_PATTERN, SIZE_FORM, SIZE_PATTERN, duration, size
from hsm.config.words import did_you_mean, listed
from hsm.core.errors import ConfigError
from hsm.core.spec import Value

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
Reader: TypeAlias = Callable[[Node], T]

PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
PARAMETER_FORM = "letters, digits, '_' and '-', dots between them"
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """A reader with the JSON schema of what it takes."""

    take: Reader[T]
    schema: Mapping[str, Any]

    def __call__(self, node: Node) -> T:
        return self.take(node)


def form(**schema: Any) -> Callable[[Reader[T]], Form[T]]:
    """Say, as JSON schema, what a reader takes."""
    return lambda take: Form(take, schema)


def whole(pattern: re.Pattern[str]) -> str:
    """Return the pattern of a whole text as JSON schema writes it."""
    return f"^(?:{pattern.pattern})$"


class Unfit(Exception):
    """A value that is not what was expected."""

    def __init__(self, expected: str, hint: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.hint = hint


def integer(low: int, high: int | None = None) -> Form[int]:
    """Read an integer within bounds, both included."""
    expected = f"a whole number of at least {low}" if high is None else f"a whole number from {low} to {high}"

    def read(node: Node) -> int:
        value = node.value
        if isinstance(value, float) and value.is_integer():
            raise Unfit(expected, f"write {int(value)}")
        if not isinstance(value, int) or isinstance(value, bool):
            raise Unfit(expected, f"write a number, for example {max(low, 1)}")
        if value < low:
            raise Unfit(expected, f"write {low} or more")
        if high is not None and value > high:
            raise Unfit(expected, f"write {high} or less")
        return value

    limits = {"minimum": low} if high is None else {"minimum": low, "maximum": high}
    return Form(read, {"type": "integer", **limits})


@form(type="number")
def number(node: Node) -> float:
    """Read a number; an integer is taken for the number it is."""
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit("a number")
    return float(value)


@form(type="number", exclusiveMinimum=0, maximum=1)
def fraction(node: Node) -> float:
    """Read a number above 0 and up to 1."""
    value = number(node)
    if not 0 < value <= 1:
        raise Unfit("a number above 0 and up to 1", "half of the tasks is 0.5")
    return value


@form(type="number", exclusiveMinimum=1, maximum=100)
def factor(node: Node) -> float:
    """Read a number above 1 and up to 100, by which something grows."""
    value = number(node)
    if not 1 < value <= 100:
        raise Unfit("a number above 1 and up to 100", "twice as much is 2")
    return value


@form(type="string", minLength=1)
def text(node: Node) -> str:
    """Read text that is not empty."""
    if isinstance(node.value, str) and node.value:
        return node.value
    quoted = f"quote it: '{node.text}'" if node.text and not isinstance(node.value, str) else ""
    raise Unfit("text that is not empty" if node.value == "" else "text", quoted)


def matching(pattern: re.Pattern[str], expected: str) -> Form[str]:
    """Read text of a given form."""

    def read(node: Node) -> str:
        value = node.value
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        raise Unfit(expected, _tamed(value, pattern))

    return Form(read, {"type": "string", "pattern": whole(pattern)})


def _tamed(value: object, pattern: re.Pattern[str]) -> str:
    tame = re.sub(r"[^a-z0-9._-]+", "-", str(value).lower()).strip("-._")[:64]
    return f"for example `{tame}`" if isinstance(value, str) and pattern.fullmatch(tame) else ""


def word_of(words: type[E]) -> Form[E]:
    """Read one word of an enumeration."""
    known = [word.value for word in words]

    def read(node: Node) -> E:
        if isinstance(node.value, str) and node.value in known:
            return words(node.value)
        raise Unfit(listed(known), _nearest(str(node.value), known))

    return Form(read, {"enum": known})


def _nearest(word: str, known: list[str]) -> str:
    """Return the known word that was meant, the only one that begins so among them."""
    longer = [other for other in known if word and other.startswith(word.lower())]
    return f"did you mean `{longer[0]}`?" if len(longer) == 1 else did_you_mean(word, known)


@form(type="boolean")
def flag(node: Node) -> bool:
    """Read true or false; no other word stands for them."""
    if isinstance(node.value, bool):
        return node.value
    meant = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
    word = meant.get(str(node.value).lower())
    raise Unfit("true or false", f"write {word}" if word else "")


@form(type="string", pattern=DURATION_PATTERN)
def seconds(node: Node) -> float:
    """Read a duration above zero, in seconds."""
    if not isinstance(node.value, str):
        raise Unfit(DURATION_FORM, f"add the unit: {node.text}s or {node.text}m" if node.text else "")
    try:
        value = duration(node.value)
    except ConfigError as error:
        raise Unfit(DURATION_FORM, error.hint) from None
    if value <= 0:
        raise Unfit(f"{DURATION_FORM}, above zero", "write a longer time, or remove the key")
    return value


@form(type="string", pattern=SIZE_PATTERN)
def size_bytes(node: Node) -> int:
    """Read a size above zero, in bytes."""
    if not isinstance(node.value, str):
        raise Unfit(SIZE_FORM, f"add the unit: {node.text}MiB or {node.text}GiB" if node.text else "")
    try:
        value = size(node.value)
    except ConfigError as error:
        raise Unfit(SIZE_FORM, error.hint) from None
    if value <= 0:
        raise Unfit(f"{SIZE_FORM}, above zero", "write a larger size, or remove the key")
    return value


@form(type=["string", "number"])
def as_written(node: Node) -> str:
    """Read a word of a command line or of an environment: text, or a number as it was written."""
    if isinstance(node.value, str):
        return node.value
    if isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return node.text or repr(node.value)
    if isinstance(node.value, dict):
        raise Unfit("text or a number", "quote text that begins with '{'")
    raise Unfit("text or a number", f"quote it: '{node.text}'" if node.text else "")


@form()
def anything(node: Node) -> Value:
    """Read any value."""
    return node.plain()
