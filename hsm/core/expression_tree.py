"""The trees that expressions are, and what they are worth. `hsm.core.expression` makes them from text.

What a value is decides how it compares: numbers with numbers, text with text; values of different kinds are
unequal and in no order, and so are a boolean and a number. A missing value, and what is computed from it,
makes every comparison false, `!=` too.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeAlias, assert_never

from hsm.core.spec import Value


class Missing(Enum):
    """The one value that stands for a value that is not there."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING

Found: TypeAlias = "Value | Missing"
Lookup: TypeAlias = "Callable[[str], Found]"
"""Gives the value of a name: None for null; MISSING, or a KeyError, where there is none."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written out."""

    value: Value


@dataclass(frozen=True, slots=True)
class Name:
    """A value looked up."""

    name: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list written out."""

    items: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two numbers make a third; `sign` is one of `+ - * /`."""

    sign: str
    left: Tree
    right: Tree


@dataclass(frozen=True, slots=True)
class Comparison:
    """A chain of comparisons, each sign between its two neighbours."""

    signs: tuple[str, ...]
    terms: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Logic:
    """Conditions joined by `and` or by `or`, or one under `not`."""

    word: str
    parts: tuple[Tree, ...]


Tree: TypeAlias = "Literal | Name | Items | Arithmetic | Comparison | Logic"


def can_hold(tree: Tree) -> bool:
    """Tell whether a tree can be a boolean: a name may be anything."""
    match tree:
        case Literal(value=value):
            return isinstance(value, bool)
        case Items() | Arithmetic():
            return False
        case Name() | Comparison() | Logic():
            return True
        case _:
            assert_never(tree)


def can_count(tree: Tree) -> bool:
    """Tell whether a tree can be a number."""
    match tree:
        case Literal(value=value):
            return _is_number(value)
        case Items() | Comparison() | Logic():
            return False
        case Name() | Arithmetic():
            return True
        case _:
            assert_never(tree)


def names_in(tree: Tree) -> Iterator[str]:
    """Yield every name that occurs, repeats included."""
    match tree:
        case Name(name=name):
            yield name
        case Literal():
            return
        case Items(items=parts) | Comparison(terms=parts) | Logic(parts=parts):
            for part in parts:
                yield from names_in(part)
        case Arithmetic(left=left, right=right):
            yield from names_in(left)
            yield from names_in(right)
        case _:
            assert_never(tree)


def value_of(tree: Tree, lookup: Lookup) -> Found:
    """Return what a tree is worth; it cannot fail."""
    match tree:
        case Literal(value=value):
            return value
        case Name(name=name):
            return _look_up(name, lookup)
        case Items(items=items):
            values = [value_of(item, lookup) for item in items]
            return [value for value in values if value is not MISSING]
        case Arithmetic(sign=sign, left=left, right=right):
            return _compute(sign, value_of(left, lookup), value_of(right, lookup))
        case Comparison():
            return _compare(tree, lookup)
        case Logic(word=word, parts=parts):
            holds = (value_of(part, lookup) is True for part in parts)
            return any(holds) if word == "or" else all(holds) if word == "and" else not next(holds)
        case _:
            assert_never(tree)


def _look_up(name: str, lookup: Lookup) -> Found:
    try:
        value = lookup(name)
    except KeyError:
        return MISSING
    return MISSING if isinstance(value, float) and not math.isfinite(value) else value


_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def _compute(sign: str, left: Found, right: Found) -> Found:
    """Compute with two numbers; without two, or without a finite result, there is none."""
    if not (_is_number(left) and _is_number(right)):
        return MISSING
    try:
        result = _ARITHMETIC[sign](left, right)  # type: ignore[arg-type]
    except ArithmeticError:  # a division by zero, or an integer beyond every float
        return MISSING
    return result if math.isfinite(result) else MISSING


def _compare(tree: Comparison, lookup: Lookup) -> bool:
    left = value_of(tree.terms[0], lookup)
    for sign, term in zip(tree.signs, tree.terms[1:], strict=True):
        right = value_of(term, lookup)
        if not _COMPARISONS[sign](left, right):
            return False
        left = right
    return True


def _is_equal(left: Found, right: Found) -> bool:
    if left is MISSING or right is MISSING:
        return False
    if _is_number(left) and _is_number(right):
        return left == right
    if isinstance(left, str) or isinstance(right, str):
        return isinstance(left, str) and isinstance(right, str) and str(left) == str(right)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_is_equal(left[key], right[key]) for key in left)
    if isinstance(left, Sequence) and isinstance(right, Sequence):
        return len(left) == len(right) and all(map(_is_equal, left, right))
    return left is right  # true, false, null


def _is_unequal(left: Found, right: Found) -> bool:
    return left is not MISSING and right is not MISSING and not _is_equal(left, right)


def _ordered(holds: Callable[[Any, Any], bool]) -> Callable[[Found, Found], bool]:
    def compare(left: Found, right: Found) -> bool:
        is_fit = (_is_number(left) and _is_number(right)) or (
            isinstance(left, str) and isinstance(right, str)
        )
        return is_fit and holds(left, right)

    return compare


def _is_in(left: Found, right: Found) -> bool:
    if isinstance(right, str):
        return isinstance(left, str) and left in right
    return isinstance(right, Sequence) and any(_is_equal(left, item) for item in right)


def _is_not_in(left: Found, right: Found) -> bool:
    return left is not MISSING and isinstance(right, Sequence) and not _is_in(left, right)


def _is_number(value: Found) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_COMPARISONS: Mapping[str, Callable[[Found, Found], bool]] = {
    "==": _is_equal,
    "!=": _is_unequal,
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "in": _is_in,
    "not in": _is_not_in,
}
