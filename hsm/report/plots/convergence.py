"""How a hunt got better: every task by generation, and the best so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from hsm.core.model import Task
from hsm.core.spec import Direction, Objective
from hsm.report.choice import even
from hsm.report.figure import Axis, Figure, Kind, Mark, Series, Tone
from hsm.report.text import number, shorten
from hsm.report.view import ReportView

LABELS: Mapping[str, tuple[Mark, Tone]] = MappingProxyType(
    {
        "explore": (Mark.DOT, Tone.EXPLORE),
        "exploit": (Mark.DIAMOND, Tone.EXPLOIT),
        "wildcat": (Mark.TRIANGLE, Tone.WILDCAT),
    }
)
OTHER = (Mark.DOT, Tone.OTHER)
POINTS = 1_500
"""At most so many points are drawn of one label."""


def convergences(view: ReportView) -> list[Figure]:
    """Return the convergence of each objective; of a grid, a figure that says why there is none."""
    count = len(view.spec.hunt.objectives) if view.spec.hunt else 1
    return [convergence(view, place) for place in range(count)]


def convergence(view: ReportView, place: int = 0) -> Figure:
    """Return every scored task of a hunt by generation, those without a score, and the best so far.

    `place` chooses among several objectives.
    """
    hunt = view.spec.hunt
    if hunt is None:
        return Figure(kind=Kind.XY, title="Convergence", absent="a grid has no objective")
    objective = hunt.objectives[place]
    placed = list(_placed(view, objective))
    scored = [(x, task, score) for x, task, score in placed if score is not None]
    if not scored:
        return Figure(kind=Kind.XY, title="Convergence", absent="no task has a score yet")
    last = max(task.generation for _, task, _ in placed)
    series = [*_labels(scored), _unscored(placed), _best(objective, placed)]
    return Figure(
        kind=Kind.XY,
        title="Convergence",
        axes=(
            Axis(
                title="generation",
                low=0.5,
                high=last + 0.5,
                ticks=tuple(float(place) for place in range(1, last + 1)),
            ),
            Axis(title=objective.metric),
        ),
        series=tuple(entry for entry in series if entry.points),
        n=len(scored),
        counted=f"scored of {len(view.tasks):,} task{'s' if len(view.tasks) != 1 else ''}",
        note=_thinned(scored),
    )


def _placed(view: ReportView, objective: Objective) -> Iterator[tuple[float, Task, float | None]]:
    """Spread the tasks of a generation over most of the width between it and the next, in task order."""
    generations: dict[int, list[tuple[Task, float | None]]] = {}
    for task, value in zip(view.tasks, view.values_of(objective.metric), strict=True):
        if task.status.is_final:
            generations.setdefault(task.generation, []).append((task, value))
    for generation, tasks in sorted(generations.items()):
        for place, (task, value) in enumerate(tasks):
            yield generation - 0.4 + 0.8 * (place + 0.5) / len(tasks), task, value


def _labels(scored: list[tuple[float, Task, float]]) -> Iterator[Series]:
    by_label: dict[str, list[tuple[float, Task, float]]] = {}
    for entry in scored:
        by_label.setdefault(entry[1].label, []).append(entry)
    for label, entries in sorted(by_label.items()):
        mark, tone = LABELS.get(label, OTHER)
        shown = even(entries, POINTS)
        yield Series(
            name=label or "no label",
            mark=mark,
            tone=tone,
            points=tuple((x, score) for x, _, score in shown),
            notes=tuple(_note(task, number(score)) for _, task, score in shown),
        )


def _thinned(scored: list[tuple[float, Task, float]]) -> str:
    labels: dict[str, int] = {}
    for _, task, _ in scored:
        labels[task.label] = labels.get(task.label, 0) + 1
    return f"{POINTS:,} tasks of each label are drawn at most." if max(labels.values()) > POINTS else ""


def _note(task: Task, words: str) -> str:
    return f"{task.task_id}: {words} ({shorten(task.label, 40)})"


def _unscored(placed: list[tuple[float, Task, float | None]]) -> Series:
    without = [(x, task) for x, task, score in placed if score is None]
    shown = even(without, POINTS)
    return Series(
        name=f"no score ({len(without):,})",
        mark=Mark.CROSS,
        tone=Tone.NONE,
        points=tuple((x,) for x, _ in shown),
        notes=tuple(_note(task, "no score") for _, task in shown),
    )


def _best(objective: Objective, placed: list[tuple[float, Task, float | None]]) -> Series:
    """Return the best score up to and including each generation, as a level over that generation."""
    best: dict[int, float] = {}
    top: float | None = None
    sign = 1 if objective.direction is Direction.MAXIMIZE else -1
    for _, task, score in placed:
        if score is not None and (top is None or sign * score > sign * top):
            top = score
        if top is not None:
            best[task.generation] = top
    levels = [(generation - 0.5, level) for generation, level in sorted(best.items())]
    points = (*levels, (max(best) + 0.5, levels[-1][1]))
    return Series(name="best so far, by generation", mark=Mark.STEPS, tone=Tone.BEST, points=points)
