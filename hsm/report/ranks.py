"""Ranks and groups of values, which importance and shared failures are counted by."""

from __future__ import annotations

from collections.abc import Sequence


def ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, from 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            found[place] = (start + 1 + end) / 2
        start = end
    return found


def groups(
    values: Sequence[float], most: int, *, is_named: bool, ranked: Sequence[float] | None = None
) -> list[int]:
    """Return the group of each value: the value itself where they are few or named, else equal counts.

    `ranked` are the ranks of the values, where they are known already.
    """
    distinct = sorted(set(values))
    if is_named or len(distinct) <= most:
        places = {value: place for place, value in enumerate(distinct)}
        return [places[value] for value in values]
    return [min(most - 1, int(most * (rank - 0.5) / len(values))) for rank in ranked or ranks(values)]
