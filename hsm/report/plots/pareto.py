"""Several objectives against each other: the parameter sets that no other dominates, and the rest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

from hsm.core.pareto import costs, fronts
from hsm.core.spec import Direction, Objective
from hsm.report.choice import even
from hsm.report.figure import Axis, Figure, Kind, Mark, Series, Tone
from hsm.report.text import number, shorten
from hsm.report.view import Ranked, ReportView

POINTS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A parameter set with the mean of each objective over its seeds; `leads` when nothing dominates it."""

    ranked: Ranked
    values: tuple[float, ...]
    leads: bool


def standings(view: ReportView) -> list[Standing]:
    """Return every set that has a value for all objectives, best first by the first of them."""
    if view.spec.hunt is None:
        return []
    objectives = view.spec.hunt.objectives
    scored = [(entry, values) for entry in view.best() if (values := _values(view, entry, objectives))]
    leading = set(next(fronts([costs(values, objectives) for _, values in scored]), []))
    return [
        Standing(ranked=entry, values=values, leads=place in leading)
        for place, (entry, values) in enumerate(scored)
    ]


def _values(view: ReportView, entry: Ranked, objectives: tuple[Objective, ...]) -> tuple[float, ...]:
    found = []
    for objective in objectives:
        own = [view.metrics(task).get(objective.metric) for task in entry.tasks]
        numbers = [value for value in own if value is not None and math.isfinite(value)]
        if len(numbers) != len(own):
            return ()
        found.append(fmean(numbers))
    return tuple(found)


def pareto_front(view: ReportView) -> Figure:
    """Return the first two objectives against each other, with the sets that lead in all objectives."""
    title = "Pareto front"
    objectives = view.spec.hunt.objectives if view.spec.hunt else ()
    if len(objectives) < 2:
        return Figure(kind=Kind.XY, title=title, absent="the sweep has fewer than two objectives")
    found = standings(view)
    if len(found) < 2:
        return Figure(kind=Kind.XY, title=title, absent="fewer than two sets have every objective")
    leading = [entry for entry in found if entry.leads]
    others = [entry for entry in found if not entry.leads]
    shown = even(others, POINTS)
    more = f"; the front is that of all {len(objectives)}" if len(objectives) > 2 else ""
    drawn = f"{len(shown):,} of the others are drawn" if len(shown) < len(others) else ""
    return Figure(
        kind=Kind.XY,
        title=title,
        axes=tuple(Axis(title=_axis(objective)) for objective in objectives[:2]),
        series=(
            _series("dominated", Mark.DOT, Tone.OTHER, shown, len(others)),
            _series("front", Mark.DIAMOND, Tone.BEST, leading, len(leading)),
        ),
        n=len(found),
        counted="sets with " + ("both" if len(objectives) == 2 else f"all {len(objectives)}") + " objectives",
        note=(drawn + more).removeprefix("; "),
    )


def _axis(objective: Objective) -> str:
    better = "higher" if objective.direction is Direction.MAXIMIZE else "lower"
    return f"{shorten(objective.metric, 60)}, {better} is better"


def _series(name: str, mark: Mark, tone: Tone, found: list[Standing], count: int) -> Series:
    return Series(
        name=f"{name} ({count:,})",
        mark=mark,
        tone=tone,
        points=tuple((entry.values[0], entry.values[1]) for entry in found),
        notes=tuple(_note(entry) for entry in found) if len(found) <= 200 else (),
    )


def _note(entry: Standing) -> str:
    return f"{entry.ranked.task.task_id}: {', '.join(number(value) for value in entry.values)}"
