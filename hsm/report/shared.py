"""What failures have in common: in which range of each parameter more of the tasks failed, with counts."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from hsm.report.coordinates import Coordinate
from hsm.report.ranks import groups
from hsm.report.text import number
from hsm.report.view import ReportView

RANGES = 5
PARAMETERS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Some values of a parameter: of `tasks` finished ones that have them, `failed` failed."""

    words: str
    failed: int
    tasks: int

    @property
    def share(self) -> float:
        """The share that failed."""
        return self.failed / self.tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A parameter cut into ranges. `is_telling`: more than chance makes of equal rates in all of them."""

    name: str
    ranges: tuple[Range, ...]
    excess: float

    @property
    def is_telling(self) -> bool:
        """Whether the failures are distributed over the ranges in a way that chance hardly makes."""
        return self.excess > 3.0

    @property
    def worst(self) -> Range:
        """The range with the highest share of failures."""
        return max(self.ranges, key=lambda entry: entry.share)


def shared_ranges(view: ReportView, failed: Collection[int]) -> list[Shared]:
    """Return the parameters that say most about the tasks with these indices, the most telling first.

    They are compared with all tasks that have come to an end. Only what vary can tell anything.
    """
    found = (_shared(view, one, failed) for one in view.coordinates)
    telling = sorted((one for one in found if one), key=lambda one: (-one.excess, one.name))
    return telling[:PARAMETERS]


def _shared(view: ReportView, one: Coordinate, failed: Collection[int]) -> Shared | None:
    known = [
        (value, task.index in failed)
        for task, value in zip(view.tasks, one.values, strict=True)
        if value is not None and task.status.is_final
    ]
    members = groups([value for value, _ in known], RANGES, is_named=bool(one.categories))
    if len(set(members)) < 2:
        return None
    by_group: dict[int, list[tuple[float, bool]]] = {}
    for member, entry in zip(members, known, strict=True):
        by_group.setdefault(member, []).append(entry)
    ranges = tuple(
        Range(
            words=_words(one, [value for value, _ in entries]),
            failed=sum(bad for _, bad in entries),
            tasks=len(entries),
        )
        for _, entries in sorted(by_group.items())
    )
    return Shared(name=one.name, ranges=ranges, excess=_excess(ranges))


def _words(one: Coordinate, values: list[float]) -> str:
    low, high = min(values), max(values)
    if one.categories:
        return one.categories[int(low)]
    return number(low, digits=3) if low == high else f"{number(low, digits=3)} to {number(high, digits=3)}"


def _excess(ranges: tuple[Range, ...]) -> float:
    """Return chi squared of equal rates, less its mean, in its standard deviations."""
    tasks, failed = sum(entry.tasks for entry in ranges), sum(entry.failed for entry in ranges)
    rate = failed / tasks
    if rate in (0.0, 1.0):
        return 0.0
    squares = (
        (entry.failed - rate * entry.tasks) ** 2 / (rate * (1 - rate) * entry.tasks) for entry in ranges
    )
    free = len(ranges) - 1
    return (sum(squares) - free) / math.sqrt(2 * free)
