"""Parameters as coordinates: numbers that can be drawn, ranked and grouped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hsm.core.spec import Params, SweepSpec, Value
from hsm.report.columns import is_number
from hsm.report.text import plain, shorten

CATEGORIES = 24
"""A parameter that is not a number is shown with at most so many different values."""

CATEGORY = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinate:
    """A parameter as a coordinate: a number for each task, None where it has none.

    With `categories`, a number is the place of the value among them.
    """

    name: str
    values: Sequence[float | None]
    categories: tuple[str, ...] = ()
    is_log: bool = False

    @property
    def distinct(self) -> int:
        """How many different values there are."""
        return len({value for value in self.values if value is not None})


def coordinates(spec: SweepSpec, names: Sequence[str], params: Sequence[Params]) -> tuple[Coordinate, ...]:
    """Return the parameters that vary, as coordinates; texts of too many kinds are left out."""
    found = (coordinate(spec, name, [own.get(name) for own in params]) for name in names)
    return tuple(one for one in found if one is not None and one.distinct > 1)


def coordinate(spec: SweepSpec, name: str, values: Sequence[Value]) -> Coordinate | None:
    """Return one parameter as a coordinate, None where it is neither numbers nor a few categories."""
    given = [value for value in values if value is not None]
    if given and all(is_number(value) and _is_finite(value) for value in given):
        dimension = spec.hunt.space.get(name) if spec.hunt else None
        return Coordinate(
            name=name,
            values=[float(value) if is_number(value) else None for value in values],
            is_log=bool(getattr(dimension, "log", False)),
        )
    words = [None if value is None else plain(value) for value in values]
    kinds = sorted({word for word in words if word is not None})
    if not kinds or len(kinds) > CATEGORIES:
        return None
    places = {word: float(place) for place, word in enumerate(kinds)}
    return Coordinate(
        name=name,
        values=[None if word is None else places[word] for word in words],
        categories=tuple(shorten(word, CATEGORY) for word in kinds),
    )


def _is_finite(value: float) -> bool:
    """Tell whether a number is one that a float can hold."""
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
