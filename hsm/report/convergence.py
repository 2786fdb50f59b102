"""How the search went: every scored task and the best so far; for a grid, metrics against parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hsm.core.model import Task
from hsm.report.columns import is_number, metric_names, varying
from hsm.report.html import Markup, join, note, section, tag
from hsm.report.svg import Plot, Scale, cross, dot, extent, scale, square, steps, triangle
from hsm.report.text import count, number
from hsm.report.view import ReportView, has_result, params_of

Mark = Callable[[float, float, float], str]

MARKS: dict[str, tuple[str, Mark]] = {
    "explore": ("k-explore", dot),
    "exploit": ("k-exploit", square),
    "wildcat": ("k-wildcat", triangle),
}
OTHER: tuple[str, Mark] = ("k-other", dot)

NAMED_POINTS = 400
"""Up to so many points, each tells its task in a tooltip; beyond, a label's points are one path."""

PANELS = 3

SIZES = {"wide": (940, 340), "narrow": (420, 320)}
"""The chart is drawn twice, and the page shows the one in which text keeps its size: a phone's, a desk's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A task in the chart: where it stands between the generations, and its score if it has one."""

    task: Task
    x: float
    score: float | None


def convergence(view: ReportView) -> Markup:
    """Return the convergence section."""
    if view.spec.hunt is None:
        return section("convergence", "Metrics against parameters", _panels(view))
    points = list(_points(view))
    scores = [point.score for point in points if point.score is not None]
    if not scores:
        return section(
            "convergence", "Convergence", note("No task has a score yet, so there is nothing to draw.")
        )
    charts = [_chart(view, points, name) for name in SIZES]
    figure = tag("figure", *charts, _legend(view, points, len(scores)), class_="chart")
    return section("convergence", "Convergence", figure)


def _points(view: ReportView) -> Iterator[Point]:
    """Spread the tasks of a generation over most of the width between it and the next, in task order."""
    generations: dict[int, list[Task]] = {}
    for task in view.tasks:
        if task.status.is_final:
            generations.setdefault(task.generation, []).append(task)
    for generation, tasks in sorted(generations.items()):
        for place, task in enumerate(tasks):
            x = generation - 0.4 + 0.8 * (place + 0.5) / len(tasks)
            yield Point(task=task, x=x, score=view.score(task))


def _chart(view: ReportView, points: Sequence[Point], name: str) -> Markup:
    metric = view.spec.hunt.objective.metric if view.spec.hunt else ""
    width, height = SIZES[name]
    scores = [point.score for point in points if point.score is not None]
    last = max(point.task.generation for point in points)
    x = Scale(low=0.5, high=last + 0.5, start=58, end=width - 12)
    y = scale(scores, start=height - 62, end=26)
    plot = Plot(
        width=width,
        height=height,
        x=x,
        y=y,
        x_title="generation",
        y_title=metric[:60],
        x_ticks=_generations(last, width),
        gutter=18,
    )
    label = f"{len(scores)} scores of {last} generations, {extent(scores)}"
    best = tag("path", d=steps(_staircase(view, points, x, y)), class_="best")
    return plot.draw(best, *_marks(points, x, y), label=label, class_=name)


def _generations(last: int, width: int) -> list[float]:
    stride = max(1, math.ceil(last * 46 / width))
    return [float(generation) for generation in range(1, last + 1, stride)]


def _staircase(view: ReportView, points: Sequence[Point], x: Scale, y: Scale) -> list[tuple[float, float]]:
    """Return the best score up to and including each generation, as a level over that generation."""
    best: dict[int, float] = {}
    top: float | None = None
    for point in points:
        if point.score is not None and (top is None or view.better(point.score, top)):
            top = point.score
        if top is not None:
            best[point.task.generation] = top
    levels = [(x.at(generation - 0.5), y.at(level)) for generation, level in sorted(best.items())]
    return [*levels, (x.at(max(best) + 0.5), levels[-1][1])]


def _marks(points: Sequence[Point], x: Scale, y: Scale) -> Iterator[Markup]:
    lines: dict[str, list[str]] = {}
    for point in points:
        class_, path = _mark(point, x, y)
        if len(points) <= NAMED_POINTS:
            score = "no score" if point.score is None else number(point.score)
            yield tag(
                "path",
                tag("title", f"{point.task.task_id}: {score} ({point.task.label[:40]})"),
                d=path,
                class_=class_,
            )
        else:
            lines.setdefault(class_, []).append(path)
    yield from (tag("path", d="".join(paths), class_=class_) for class_, paths in sorted(lines.items()))


def _mark(point: Point, x: Scale, y: Scale) -> tuple[str, str]:
    if point.score is None:
        return "k-none", cross(x.at(point.x), y.start + 10, 3.5)
    class_, mark = MARKS.get(point.task.label, OTHER)
    return class_, mark(x.at(point.x), y.at(point.score), 4)


def _legend(view: ReportView, points: Sequence[Point], scored: int) -> Markup:
    labels = sorted({point.task.label for point in points if point.score is not None})
    keys = [_key(*MARKS.get(label, OTHER), label or "no label") for label in labels]
    without = len(points) - scored
    none = _key("k-none", cross, f"no score ({without:,})") if without else None
    line = tag("svg", tag("path", d="M1 8H21", class_="best"), viewBox="0 0 22 16", class_="key")
    best = tag("span", line, "best so far, by generation", class_="key-item")
    n = tag("span", f"n = {scored:,} scored of {count(len(view.tasks), 'task')}", class_="key-item")
    return tag("figcaption", *keys, none, best, n)


def _key(class_: str, mark: Mark, word: str) -> Markup:
    drawn = tag("path", d=mark(8, 8, 4.5), class_=class_)
    return tag("span", tag("svg", drawn, viewBox="0 0 16 16", class_="key"), word[:40], class_="key-item")


def _panels(view: ReportView) -> Markup:
    names = [name for name in varying(view) if _is_axis(view, name)][:PANELS]
    panels = [
        panel
        for metric in metric_names(view)[:PANELS]
        for name in names
        if (panel := _panel(view, name, metric)) is not None
    ]
    if not panels:
        return note("No metric of this sweep can be drawn against a numeric parameter.")
    more = note("The first metrics against the first numeric parameters; every task is one point.")
    return join(more, tag("div", *panels, class_="panels"))


def _is_axis(view: ReportView, name: str) -> bool:
    values = {value for task in view.tasks if is_number(value := params_of(task).get(name))}
    return len(values) > 1


def _panel(view: ReportView, name: str, metric: str) -> Markup | None:
    found = [
        (value, score)
        for task in view.tasks
        if has_result(task)
        if is_number(value := params_of(task).get(name))
        if (score := view.metrics(task).get(metric)) is not None and math.isfinite(score)
    ]
    if len(found) < 2:
        return None
    x = scale([value for value, _ in found], start=54, end=350)
    y = scale([score for _, score in found], start=196, end=26)
    title = name[:40] + (" (log)" if x.log else "")
    plot = Plot(width=362, height=240, x=x, y=y, x_title=title, y_title=metric[:40])
    path = "".join(dot(x.at(value), y.at(score), 3) for value, score in found)
    drawn = plot.draw(tag("path", d=path, class_="k-other"), label=f"{metric[:40]} against {name[:40]}")
    return tag("figure", drawn, tag("figcaption", f"n = {len(found):,}"))
