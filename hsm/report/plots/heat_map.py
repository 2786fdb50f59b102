"""The first metric of a grid over its two most telling parameters."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

from hsm.report.coordinates import Coordinate
from hsm.report.figure import Axis, Figure, Kind, Mark, Series, Tone
from hsm.report.plots.importance import influences
from hsm.report.svg import tick_label
from hsm.report.text import number, shorten
from hsm.report.view import ReportView

MOST = 30
"""An axis with more values than these gathers neighbours in about `GATHERED` places."""
GATHERED = 25
NEIGHBOURS = " Neighbouring values share a place, which is named after the middle one."


def heat_map(view: ReportView) -> Figure:
    """Return the mean of the metric for each pair of values of two parameters of a grid."""
    metric = view.target
    title = f"{shorten(metric, 60)}, mean over all other parameters"
    if view.spec.hunt is not None or not metric:
        return Figure(kind=Kind.HEAT, title=title, absent="only a grid with metrics has such a map")
    order = {one.name: place for place, one in enumerate(influences(view, metric))}
    found = [one if one.distinct <= MOST else _gathered(one) for one in view.coordinates]
    chosen = sorted(found, key=lambda one: order.get(one.name, len(order)))[:2]
    if len(chosen) < 2:
        reason = "fewer than two parameters vary"
        return Figure(kind=Kind.HEAT, title=title, absent=reason)
    columns, rows = sorted(chosen, key=lambda one: -one.distinct)
    cells: dict[tuple[float, float], list[float]] = {}
    for x, y, value in zip(columns.values, rows.values, view.target_values, strict=True):
        if x is not None and y is not None and value is not None:
            cells.setdefault((x, y), []).append(value)
    if len(cells) < 2:
        return Figure(kind=Kind.HEAT, title=title, absent="fewer than two cells have a value")
    is_gathered = columns not in view.coordinates or rows not in view.coordinates
    return _figure(title, columns, rows, cells, gathered=NEIGHBOURS if is_gathered else "")


def _gathered(one: Coordinate) -> Coordinate:
    """Return a coordinate of few values: each one becomes the middle one of its neighbours."""
    kinds = sorted({value for value in one.values if value is not None})
    each = -(-len(kinds) // GATHERED)
    middle = {
        kind: kinds[min(place - place % each + each // 2, len(kinds) - 1)] for place, kind in enumerate(kinds)
    }
    values = [None if value is None else middle[value] for value in one.values]
    return replace(one, values=values)


def _figure(
    title: str,
    columns: Coordinate,
    rows: Coordinate,
    cells: dict[tuple[float, float], list[float]],
    *,
    gathered: str,
) -> Figure:
    across = {x: place for place, x in enumerate(sorted({x for x in columns.values if x is not None}))}
    up = {y: place for place, y in enumerate(sorted({y for y in rows.values if y is not None}))}
    across_name, up_name = shorten(columns.name, 40), shorten(rows.name, 40)
    points, notes = [], []
    for (x, y), values in sorted(cells.items()):
        mean = fmean(values)
        points.append((float(across[x]), float(up[y]), mean))
        where = f"{across_name} = {_word(columns, x)}, {up_name} = {_word(rows, y)}"
        notes.append(f"{where} (n = {len(values)}): {number(mean, digits=3)}")
    low, high = (number(end(value for _, _, value in points), digits=3) for end in (min, max))
    return Figure(
        kind=Kind.HEAT,
        title=title,
        axes=(
            Axis(title=columns.name, categories=tuple(_word(columns, x) for x in across)),
            Axis(title=rows.name, categories=tuple(_word(rows, y) for y in up)),
        ),
        series=(Series(name="", mark=Mark.BLOCK, tone=Tone.HEAT, points=tuple(points), notes=tuple(notes)),),
        n=sum(map(len, cells.values())),
        note=f"Dark is low ({low}), bright is high ({high}); an empty place has no value.{gathered}",
    )


def _word(one: Coordinate, value: float) -> str:
    return one.categories[int(value)] if one.categories else tick_label(value)
