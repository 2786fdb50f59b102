"""Choosing some of many marks to draw: evenly, alike each time, and blind to any order that they stand in.

Every k-th task of a grid would be a choice among few values of its last axes, and show stripes that are not
in the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")
_MASK = (1 << 64) - 1


def even(entries: Sequence[T], most: int) -> list[T]:
    """Return at most so many of the entries, in their order."""
    if len(entries) <= most:
        return list(entries)
    return [entries[place] for place in _places(len(entries), most)]


@lru_cache(maxsize=32)  # many plots choose among the same tasks
def _places(count: int, most: int) -> tuple[int, ...]:
    return tuple(sorted(sorted(range(count), key=_scattered)[:most]))


def _scattered(place: int) -> int:
    """Return a number that says nothing of its place (the finaliser of SplitMix64, Steele et al. 2014)."""
    mixed = (place + 1) * 0x9E3779B97F4A7C15 & _MASK
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _MASK
    return mixed ^ mixed >> 31
