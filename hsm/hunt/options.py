"""The options of a hunter: declared as data, checked all at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hsm.core.errors import ConfigError, Problem
from hsm.core.spec import Params, Value

WHERE = "hunt.options"


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A numeric option, `low <= value <= high`; `integer` ones refuse fractions."""

    default: float
    low: float
    high: float
    integer: bool = False

    def problem(self, value: Value) -> str:
        """Return what is wrong with `value`, or nothing."""
        wanted = "a whole number" if self.integer else "a number"
        fits = isinstance(value, int if self.integer else int | float) and not isinstance(value, bool)
        if not fits or not self.low <= value <= self.high:  # type: ignore[operator]
            return f"expected {wanted} from {self.low:g} to {self.high:g}, found {value!r}"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """An option that is one of some words."""

    default: str
    words: tuple[str, ...]

    def problem(self, value: Value) -> str:
        """Return what is wrong with `value`, or nothing."""
        return "" if value in self.words else f"expected one of {', '.join(self.words)}, found {value!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of one hunter after checking: every declared name has a value of its declared type."""

    values: Mapping[str, Value]

    def number(self, name: str) -> float:
        """Return a numeric option."""
        value = self.values[name]
        if not isinstance(value, int | float):
            raise TypeError(name)
        return float(value)

    def count(self, name: str) -> int:
        """Return an integer option."""
        return int(self.number(name))

    def word(self, name: str) -> str:
        """Return an option that is a word."""
        return str(self.values[name])


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return the hint for a misspelt `word`."""
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known: {', '.join(known)}" if known else ""


def read_options(given: Params, declared: Mapping[str, Number | Word]) -> Settings:
    """Return `given` over the declared defaults.

    Raises:
        ConfigError: with one problem for each unknown option and each bad value.
    """
    problems = [*_unknown(given, declared), *_bad(given, declared)]
    if problems:
        raise ConfigError(problems)
    return Settings(values={name: given.get(name, kind.default) for name, kind in declared.items()})


def _unknown(given: Params, declared: Mapping[str, Number | Word]) -> list[Problem]:
    known = sorted(declared)
    return [
        Problem(
            where=f"{WHERE}.{name}",
            message="unknown option",
            hint=did_you_mean(name, known) or "this hunter takes no options",
        )
        for name in given
        if name not in declared
    ]


def _bad(given: Params, declared: Mapping[str, Number | Word]) -> list[Problem]:
    found = ((name, declared[name].problem(value)) for name, value in given.items() if name in declared)
    return [Problem(where=f"{WHERE}.{name}", message=message) for name, message in found if message]
