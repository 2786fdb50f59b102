"""Parallel coordinates: each task is a line through its parameters to its metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from hsm.core.model import Task
from hsm.core.states import TaskStatus
from hsm.report.choice import even
from hsm.report.coordinates import Coordinate
from hsm.report.figure import Axis, Figure, Kind, Mark, Series, Tone
from hsm.report.plots.importance import influences
from hsm.report.text import number
from hsm.report.view import ReportView

AXES = 8
BEST_SHARE = 0.1
MOST_BEST = 30
MOST_OTHERS = 240
MOST_FAILED = 60
FEWEST_ENDS = 20
Group: TypeAlias = tuple[str, Tone, list[int]]


def parallel_coordinates(view: ReportView) -> Figure:
    """Return lines for the best tasks, for an even choice of the others, and for those that failed."""
    metric = view.target
    title = "Parallel coordinates"
    found = view.coordinates if view.metric_names else ()
    if not found:
        reason = "no task has metrics" if not view.metric_names else "no parameter varies"
        return Figure(kind=Kind.PARALLEL, title=title, absent=reason)
    values = view.target_values
    chosen = _most_telling(view, metric, found)
    known = [place for place, value in enumerate(values) if value is not None]
    ends, others = _split(view, known, values)
    if len(known) < 2:
        return Figure(kind=Kind.PARALLEL, title=title, absent="fewer than two tasks have a value")
    failed = [p for p, task in enumerate(view.tasks) if task.status is TaskStatus.FAILED]
    groups = [
        ("others", Tone.FAINT, even(others, MOST_OTHERS)),
        ("failed (ends in ×)", Tone.NONE, even(failed, MOST_FAILED)),
        *ends,
    ]
    drawn = sum(len(places) for _, _, places in groups)
    every = len(known) + len(failed)
    note = f"{drawn:,} of {every:,} lines are drawn, an even choice." if drawn < every else ""
    return Figure(
        kind=Kind.PARALLEL,
        title=title,
        axes=(*(_axis(one) for one in chosen), Axis(title=metric)),
        series=tuple(
            _lines(name, tone, places, (view.tasks, chosen, values))
            for name, tone, places in groups
            if places
        ),
        n=len(known),
        counted=f"tasks with {metric}" if len(metric) < 40 else "tasks with a value",
        note=note + _left_out(found, chosen),
    )


def _left_out(found: Sequence[Coordinate], chosen: Sequence[Coordinate]) -> str:
    left = len(found) - len(chosen)
    return f" {left} parameters that explain less are left out." if left else ""


def _most_telling(view: ReportView, metric: str, found: Sequence[Coordinate]) -> Sequence[Coordinate]:
    if len(found) <= AXES:
        return found
    order = [one.name for one in influences(view, metric)]
    names = set([*order, *(one.name for one in found)][:AXES])
    return [one for one in found if one.name in names][:AXES]


def _split(
    view: ReportView, known: Sequence[int], values: Sequence[float | None]
) -> tuple[list[Group], list[int]]:
    """Return the tasks to look at, and the others: the best of a hunt, else both ends of the metric."""
    sign = 1 if view.spec.hunt is None or view.better(0.0, 1.0) else -1
    order = sorted(known, key=lambda place: (sign * (values[place] or 0.0), place))
    tenth = max(1, round(BEST_SHARE * len(order)))
    if view.spec.hunt is not None:
        count = min(MOST_BEST, tenth)
        return [(f"the best {count}", Tone.BEST, order[:count])], sorted(order[count:])
    # Without an objective nothing is best: what is told apart is a low metric and a high one.
    if len(order) < FEWEST_ENDS:
        return [], sorted(order)
    ends = [
        ("the lowest tenth", Tone.WILDCAT, even(sorted(order[:tenth]), MOST_BEST)),
        ("the highest tenth", Tone.BEST, even(sorted(order[-tenth:]), MOST_BEST)),
    ]
    return ends, sorted(order[tenth:-tenth])


def _axis(one: Coordinate) -> Axis:
    is_log = one.is_log and all(value is None or value > 0 for value in one.values)
    return Axis(title=one.name, categories=one.categories, log=True if is_log else None)


def _lines(
    name: str,
    tone: Tone,
    places: Sequence[int],
    data: tuple[Sequence[Task], Sequence[Coordinate], Sequence[float | None]],
) -> Series:
    tasks, chosen, values = data
    rows = [
        tuple(
            math.nan if value is None else value
            for value in (*(one.values[place] for one in chosen), values[place])
        )
        for place in places
    ]
    notes = [
        f"{tasks[place].task_id}: {'failed' if (value := values[place]) is None else number(value)}"
        for place in places
    ]
    return Series(name=name, mark=Mark.LINE, tone=tone, points=tuple(rows), notes=tuple(notes))
