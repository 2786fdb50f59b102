"""Metrics against parameters, one plot for each pair."""

from __future__ import annotations

from collections.abc import Sequence

from hsm.report.choice import even
from hsm.report.coordinates import Coordinate
from hsm.report.figure import Axis, Figure, Kind, Mark, Series, Tone
from hsm.report.text import number, shorten
from hsm.report.view import ReportView

PARAMETERS = 6
METRICS = 3
POINTS = 2_000
CROSSES = 300


def slices(view: ReportView) -> list[Figure]:
    """Return the metrics against the parameters: of a hunt its objective, of a grid the first metrics."""
    wanted = [view.target] if view.spec.hunt else list(view.metric_names[:METRICS])
    found = view.coordinates[:PARAMETERS] if view.metric_names else ()
    values = {metric: view.values_of(metric) for metric in wanted} if found else {}
    figures = [_slice(view, one, metric, values[metric]) for metric in values for one in found]
    return [figure for figure in figures if not figure.is_empty]


def _slice(view: ReportView, one: Coordinate, metric: str, values: Sequence[float | None]) -> Figure:
    points = [
        (place, x, y)
        for place, (x, y) in enumerate(zip(one.values, values, strict=True))
        if x is not None and y is not None
    ]
    # Tasks that are final without a value: their parameter is known, their metric is not.
    missing = [
        (x,)
        for task, x, y in zip(view.tasks, one.values, values, strict=True)
        if x is not None and y is None and task.status.is_final
    ]
    if len(points) < 2:
        return Figure(
            kind=Kind.XY,
            title=f"{shorten(metric, 60)} against {shorten(one.name, 60)}",
            absent="fewer than two values",
        )
    shown, crosses = even(points, POINTS), even(missing, CROSSES)
    drawn = f" ({len(shown):,} are drawn)" if len(shown) < len(points) else ""
    return Figure(
        kind=Kind.XY,
        title=f"{shorten(metric, 60)} against {shorten(one.name, 60)}",
        axes=(
            Axis(
                title=one.name, categories=one.categories, log=True if one.is_log and _positive(one) else None
            ),
            Axis(title=metric),
        ),
        series=(
            Series(
                name="",
                mark=Mark.DOT,
                tone=Tone.OTHER,
                points=tuple((x, y) for _, x, y in shown),
                notes=tuple(f"{view.tasks[place].task_id}: {number(y)}" for place, _, y in shown)
                if len(shown) <= 200
                else (),
            ),
            Series(
                name=f"no value ({len(missing):,})", mark=Mark.CROSS, tone=Tone.NONE, points=tuple(crosses)
            ),
        ),
        n=len(points),
        counted=f"tasks{drawn}",
    )


def _positive(one: Coordinate) -> bool:
    return all(value is None or value > 0 for value in one.values)
