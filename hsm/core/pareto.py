"""Comparing results under several objectives: fronts that nothing dominates, and crowding. Pure.

Points are costs: one number for each objective, smaller is better (`costs`). Ranks and crowding are those of
NSGA-II (Deb, Pratap, Agarwal and Meyarivan, IEEE Transactions on Evolutionary Computation 6, 2002).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from hsm.core.spec import Direction, Objective

Costs: TypeAlias = "tuple[float, ...]"


def costs(scores: Sequence[float], objectives: Sequence[Objective]) -> Costs:
    """Return scores with the sign of those that are maximised turned."""
    return tuple(
        -score if objective.direction is Direction.MAXIMIZE else score
        for score, objective in zip(scores, objectives, strict=True)
    )


def dominates(one: Costs, other: Costs) -> bool:
    """Tell whether `one` is nowhere worse and somewhere better."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def fronts(points: Sequence[Costs]) -> Iterator[list[int]]:
    """Yield the indices of each front, the undominated one first, each in the order of the points.

    In the order of the costs, nothing is dominated by what comes later: a look at the members suffices.
    """
    left = sorted(range(len(points)), key=points.__getitem__)
    while left:
        members: list[int] = []
        rest: list[int] = []
        for index in left:
            dominated = any(dominates(points[member], points[index]) for member in reversed(members))
            (rest if dominated else members).append(index)
        yield sorted(members)
        left = rest


def by_crowding(front: Sequence[int], points: Sequence[Costs]) -> list[int]:
    """Return a front with its loneliest members first, its extremes before all; ties in their order."""
    lonely = dict.fromkeys(front, 0.0)
    for axis in range(len(points[front[0]]) if front else 0):
        ordered = sorted(front, key=lambda index: points[index][axis])
        span = points[ordered[-1]][axis] - points[ordered[0]][axis]
        lonely[ordered[0]] = lonely[ordered[-1]] = math.inf
        for before, index, after in zip(ordered, ordered[1:], ordered[2:], strict=False):
            lonely[index] += (points[after][axis] - points[before][axis]) / span if span else 0.0
    return sorted(front, key=lambda index: -lonely[index])


def ranking(points: Sequence[Costs], wanted: int | None = None) -> list[int]:
    """Return indices best first: by front, then by crowding; whole fronts until `wanted` are reached."""
    ranked: list[int] = []
    for front in fronts(points):
        ranked += by_crowding(front, points)
        if wanted is not None and len(ranked) >= wanted:
            break
    return ranked
