"""What a single parameter value may be: each rule reads a raw value, or says what it expected.

Text that spells a number is a number here, because YAML 1.1 reads `1e-3` as text and a command line has
nothing else.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol


class UnfitValue(ValueError):
    """One value that does not satisfy its rule."""


class Rule(Protocol):
    """Reads one value.

    `read` raises `UnfitValue` where the value does not fit; `expected` completes the sentence "expected ...".
    """

    @property
    def expected(self) -> str: ...

    def read(self, value: object) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Real:
    """A finite real number within [low, high]."""

    low: float
    high: float

    @property
    def expected(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"

    def read(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise UnfitValue(self.expected)
        try:
            number = float(value)
        except (ValueError, OverflowError) as error:
            raise UnfitValue(self.expected) from error
        if not self.low <= number <= self.high:  # also refuses nan
            raise UnfitValue(self.expected)
        return number + 0.0  # -0.0 becomes 0.0: one spelling per value


@dataclass(frozen=True, slots=True, kw_only=True)
class RealOr:
    """A finite real number within [low, high], or a word that stands for a choice of the program: None."""

    low: float
    high: float
    word: str = "auto"

    @property
    def expected(self) -> str:
        return f"{self.word}, or a number from {self.low:g} to {self.high:g}"

    def read(self, value: object) -> float | None:
        if value is None or value == self.word:
            return None
        try:
            return Real(low=self.low, high=self.high).read(value)
        except UnfitValue as error:
            raise UnfitValue(self.expected) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """An integer within [low, high]; 64, 64.0 and "64" are the same."""

    low: int
    high: int
    multiple_of: int = 1

    @property
    def expected(self) -> str:
        kind = "an integer" if self.multiple_of == 1 else f"a multiple of {self.multiple_of}"
        return f"{kind} from {self.low} to {self.high}"

    def read(self, value: object) -> int:
        number = self._integer(value)
        if not self.low <= number <= self.high or number % self.multiple_of:
            raise UnfitValue(self.expected)
        return number

    def _integer(self, value: object) -> int:
        if isinstance(value, str):
            try:
                return int(value)
            except ValueError as error:
                raise UnfitValue(self.expected) from error
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise UnfitValue(self.expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One value of an enumeration."""

    of: type[enum.Enum]

    @property
    def expected(self) -> str:
        return "one of " + ", ".join(str(member.value) for member in self.of)

    def read(self, value: object) -> enum.Enum:
        try:
            return self.of(value)
        except ValueError as error:
            raise UnfitValue(self.expected) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A list of rows of finite numbers, all of one length; it may be empty."""

    names: str
    least: int
    most: int

    @property
    def expected(self) -> str:
        return f"a list of [{self.names}] rows of numbers"

    def read(self, value: object) -> tuple[tuple[float, ...], ...]:
        if not isinstance(value, list | tuple):
            raise UnfitValue(self.expected)
        rows = tuple(self._row(item) for item in value)
        if len({len(row) for row in rows}) > 1:
            raise UnfitValue(self.expected)
        return rows

    def _row(self, item: object) -> tuple[float, ...]:
        number = Real(low=-1e9, high=1e9)
        if (
            not isinstance(item, Sequence)
            or isinstance(item, str)
            or not self.least <= len(item) <= self.most
        ):
            raise UnfitValue(self.expected)
        try:
            return tuple(number.read(part) for part in item)
        except UnfitValue as error:
            raise UnfitValue(self.expected) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name of lower-case letters, digits and hyphens; what it names is looked up later."""

    @property
    def expected(self) -> str:
        return "a name"

    def read(self, value: object) -> str:
        if not isinstance(value, str) or not value:
            raise UnfitValue(self.expected)
        return value


def parameter(default: object, rule: Rule, about: str) -> Any:
    """Return a dataclass field that users may set: its default, what it may be, and one line of help.

    The return type stands in for a value of any type.
    """
    return field(default=default, metadata={"rule": rule, "about": about})


def rules_of(kind: type) -> Mapping[str, Rule]:
    """Return the rule of every parameter of a dataclass, in order."""
    return {f.name: f.metadata["rule"] for f in fields(kind) if "rule" in f.metadata}
