"""The best so far of several hunts on one axis: the number of tasks that each had spent."""

from __future__ import annotations

from collections.abc import Sequence

from hsm.report.figure import Axis, Figure, Kind, Mark, Series, Tone
from hsm.report.text import shorten
from hsm.report.view import ReportView

TONES = (Tone.BEST, Tone.EXPLORE, Tone.EXPLOIT, Tone.WILDCAT, Tone.WAITING, Tone.NONE)
STEPS = 400


def overlay(views: Sequence[ReportView]) -> Figure:
    """Return one staircase for each hunt that has the objective of the first hunt."""
    title = "Best so far against finished tasks"
    hunts = [view for view in views if view.spec.hunt is not None]
    if not hunts or hunts[0].spec.hunt is None:
        return Figure(kind=Kind.XY, title=title, absent="none of these sweeps is a hunt")
    objective = hunts[0].spec.hunt.objective
    same = [view for view in hunts if view.spec.hunt and view.spec.hunt.objective == objective]
    shown = [(view, line) for view in same if (line := _staircase(view))][: len(TONES)]
    if not shown:
        return Figure(kind=Kind.XY, title=title, absent="no task has a score yet")
    left = len(views) - len(shown)
    others = f"Not drawn: {left}, for another objective, for want of a score, or because lines are enough."
    return Figure(
        kind=Kind.XY,
        title=title,
        axes=(Axis(title="finished tasks", log=False), Axis(title=f"best {objective.metric}")),
        series=tuple(
            Series(name=shorten(view.sweep_id, 40), mark=Mark.STEPS, tone=tone, points=line)
            for (view, line), tone in zip(shown, TONES, strict=False)
        ),
        n=len(shown),
        counted="sweeps",
        note=others if left else "",
    )


def _staircase(view: ReportView) -> tuple[tuple[float, float], ...]:
    """Return where the best score changed, in task order, and where the line ends."""
    line: list[tuple[float, float]] = []
    finished = 0
    for task in view.tasks:
        finished += task.status.is_final
        score = view.score(task)
        if score is not None and (not line or view.better(score, line[-1][1])):
            line.append((float(finished), score))
    if not line:
        return ()
    kept = line[-STEPS:]
    return (*kept, (float(max(finished, 1)), line[-1][1]))
