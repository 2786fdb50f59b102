"""The hunt space as a unit cube: every dimension maps to [0, 1] and back, respecting log and int.

A point of the cube is a `Genome`. Real ranges map linearly or in the logarithm; an integer range gives
each integer a cell of equal width (in the logarithm: of its own logarithmic width); the k choices of a
categorical dimension get k cells of equal width, whose order means nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import TypeAlias, TypeVar, assert_never

from hsm.core.spec import Choices, Dimension, FloatRange, IntRange, Params, Value
from hsm.hunt.values import typed_key

Genome: TypeAlias = "tuple[float, ...]"
"""A point of the unit cube, one coordinate for each dimension of the space."""

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The dimensions of a hunt, in the order of the sweep file."""

    dimensions: Mapping[str, Dimension]

    def random(self, rng: Random) -> Genome:
        """Draw a point uniformly from the cube."""
        return tuple(rng.random() for _ in self.dimensions)

    def decode(self, genome: Genome) -> dict[str, Value]:
        """Return the parameters at a point of the cube; always within the bounds."""
        pairs = zip(self.dimensions.items(), genome, strict=True)
        return {name: decode(dimension, unit) for (name, dimension), unit in pairs}

    def encode(self, params: Params) -> Genome | None:
        """Return a point that decodes to `params` (up to rounding), or None where there is none."""
        units = [encode(dimension, params.get(name)) for name, dimension in self.dimensions.items()]
        known = [unit for unit in units if unit is not None]
        return tuple(known) if len(known) == len(units) else None

    @property
    def size(self) -> int | None:
        """Number of different points, or None where a dimension is continuous."""
        count = 1
        for dimension in self.dimensions.values():
            values = _count(dimension)
            if values is None:
                return None
            count *= values
        return count

    def points(self) -> Iterator[dict[str, Value]]:
        """Enumerate a finite space, lazily; the last dimension changes fastest."""
        axes = [_values(dimension) for dimension in self.dimensions.values()]
        return (dict(zip(self.dimensions, point, strict=True)) for point in product(*axes))


def decode(dimension: Dimension, unit: float) -> Value:
    """Return the value at coordinate `unit` of a dimension."""
    match dimension:
        case FloatRange(low=low, high=high, log=True):
            return _clamp(math.exp(_between(math.log(low), math.log(high), unit)), low, high)
        case FloatRange(low=low, high=high):
            return _clamp(_between(low, high, unit), low, high)
        case IntRange(low=low, high=high, log=True):
            exponent = _between(math.log(low - 0.5), math.log(high + 0.5), unit)
            return _clamp(round(math.exp(exponent)), low, high)
        case IntRange(low=low, high=high):
            return _clamp(low + int(unit * (high - low + 1)), low, high)
        case Choices(values=values):
            return values[min(int(unit * len(values)), len(values) - 1)]
        case _:
            assert_never(dimension)


def encode(dimension: Dimension, value: Value) -> float | None:
    """Return the coordinate of a value (the middle of its cell), or None if the dimension lacks it."""
    if isinstance(dimension, Choices):
        keys = [typed_key(choice) for choice in dimension.values]
        key = typed_key(value)
        return (keys.index(key) + 0.5) / len(keys) if key in keys else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not dimension.low <= value <= dimension.high:
        return None
    if isinstance(dimension, FloatRange):
        return _unit(dimension.low, dimension.high, value, log=dimension.log)
    if dimension.log:
        return _unit(dimension.low - 0.5, dimension.high + 0.5, value, log=True)
    return (value - dimension.low + 0.5) / (dimension.high - dimension.low + 1)


def _clamp(value: _Number, low: _Number, high: _Number) -> _Number:
    return max(low, min(high, value))


def _between(low: float, high: float, unit: float) -> float:
    # This form cannot overflow, whatever the bounds; adding 0.0 turns -0.0 into 0.0.
    return low * (1.0 - unit) + high * unit + 0.0


def _unit(low: float, high: float, value: float, *, log: bool) -> float:
    if low == high:
        return 0.5
    if log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return _clamp((value / 2 - low / 2) / (high / 2 - low / 2), 0.0, 1.0)


def _count(dimension: Dimension) -> int | None:
    match dimension:
        case FloatRange(low=low, high=high):
            return 1 if low == high else None
        case IntRange(low=low, high=high):
            return high - low + 1
        case Choices(values=values):
            return len(values)
        case _:
            assert_never(dimension)


def _values(dimension: Dimension) -> tuple[Value, ...]:
    match dimension:
        case FloatRange(low=low):
            return (low,)
        case IntRange(low=low, high=high):
            return tuple(range(low, high + 1))
        case Choices(values=values):
            return values
        case _:
            assert_never(dimension)
