"""The one writer of plots: a Figure becomes SVG that can be read without script, in print, by any eye."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from hsm.report.figure import Axis, Figure, Kind, Mark, Series, Tone
from hsm.report.html import Markup, tag
from hsm.report.svg import Plot, Scale, cross, dot, scale, spot, square, steps, tick_label, triangle
from hsm.report.text import shorten, visible

NAMED_POINTS = 400
"""Up to so many points, each tells what it is in a tooltip; beyond, a series is one path."""

TITLE = 60
LETTER = 6.6
"""The width of a letter at the size of the labels, in px: about, for there is no font to ask."""

_SHAPES: Mapping[Mark, Callable[[float, float, float], str]] = MappingProxyType(
    {Mark.DOT: dot, Mark.DIAMOND: square, Mark.TRIANGLE: triangle, Mark.CROSS: cross}
)
HEAT_STEPS = 9
STRAND_NAME = 10
"""The longest name of a value beside an upright axis of parallel coordinates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The size of a drawing in px, before the page scales it; `name` is its class."""

    width: int
    height: int
    name: str = ""


WIDE = Size(width=940, height=340, name="wide")
NARROW = Size(width=420, height=320, name="narrow")
PANEL = Size(width=362, height=240)


def draw(figure: Figure, size: Size) -> Markup:
    """Return the plot as SVG for a page that has the style of figures."""
    if figure.kind is Kind.PARALLEL:
        return _parallel(figure, size)
    plot, marks = _LAYOUTS[figure.kind](figure, size)
    return plot.draw(*marks, label=spoken(figure), class_=size.name)


def height_of(figure: Figure, width: int) -> int:
    """Return the height that suits a figure of this width."""
    if figure.kind is Kind.LANES:
        return 64 + 66 * max(1, len(figure.axes[1].categories)) if len(figure.axes) > 1 else 120
    if figure.kind is Kind.BARS:
        return 62 + 26 * max(1, len(figure.axes[1].categories)) if len(figure.axes) > 1 else 120
    return int(min(360, max(240, 0.42 * width)))


def legend(figure: Figure) -> list[Markup]:
    """Return the keys of the series, for a page's caption."""
    return [
        tag(
            "span", tag("svg", drawn, viewBox="0 0 22 16", class_="key"), shorten(name, 40), class_="key-item"
        )
        for name, drawn in named(figure)
    ]


def named(figure: Figure) -> Iterator[tuple[str, Markup]]:
    """Yield the name of each series with a sample of its mark."""
    if figure.kind is Kind.HEAT:
        return
    for series in figure.series:
        if series.name and series.points:
            yield series.name, _sample(series)


def _sample(series: Series) -> Markup:
    shape = _SHAPES.get(series.mark)
    if shape is not None:
        return tag("path", d=shape(11, 8, 4.5), class_=f"k-{series.tone}")
    if series.mark in (Mark.BLOCK, Mark.AREA):
        return tag("path", d="M2 3H20V13H2Z", class_=f"k-{series.tone}")
    return tag("path", d="M1 8H21", class_=f"l-{series.tone}")


def spoken(figure: Figure) -> str:
    """Return what a screen reader says of a plot."""
    axes = " against ".join(shorten(axis.heading, TITLE) for axis in reversed(figure.axes[:2]))
    return visible(f"{shorten(figure.title, 2 * TITLE)}: {axes}, {counted(figure)}")


def counted(figure: Figure) -> str:
    """Return n with what it counts."""
    return f"n = {figure.n:,} {figure.counted}".rstrip()


def _axis_scale(axis: Axis, values: Sequence[float], *, start: float, end: float) -> Scale:
    if axis.categories:
        return Scale(low=-0.5, high=len(axis.categories) - 0.5, start=start, end=end)
    if axis.low is not None and axis.high is not None and axis.high > axis.low:
        return Scale(low=axis.low, high=axis.high, start=start, end=end, log=bool(axis.log))
    return scale(values or [0.0], start=start, end=end, log=axis.log)


def _xy(figure: Figure, size: Size) -> tuple[Plot, list[Markup]]:
    x_axis, y_axis = figure.axes
    points = [point for series in figure.series for point in series.points]
    has_gutter = any(len(point) == 1 for point in points)
    gutter = 18 if has_gutter else 0
    x = _axis_scale(x_axis, [point[0] for point in points], start=58, end=size.width - 12)
    y = _axis_scale(
        y_axis, [point[1] for point in points if len(point) > 1], start=size.height - 44 - gutter, end=26
    )
    plot = Plot(
        width=size.width,
        height=size.height,
        x=x,
        y=y,
        x_title=_x_title(x_axis, x, _title_room(size)),
        y_title=shorten(y_axis.heading, _title_room(size)),
        x_ticks=_some(x_axis.ticks, size.width),
        gutter=gutter,
        x_names=x_axis.categories,
        y_names=y_axis.categories,
    )
    is_named = len(points) <= NAMED_POINTS
    return plot, [mark for series in figure.series for mark in _points(series, x, y, is_named=is_named)]


def _x_title(axis: Axis, x: Scale, most: int = TITLE) -> str:
    return shorten(axis.heading, most) + (" (log)" if x.log else "")


def _title_room(size: Size) -> int:
    """Return how many letters of a title fit beside a mark such as "(log)"."""
    return min(TITLE, int(size.width / (1.2 * LETTER)) - 6)


def _some(ticks: Sequence[float], width: int) -> tuple[float, ...]:
    stride = max(1, math.ceil(len(ticks) * 46 / width))
    return tuple(ticks[::stride])


def _points(series: Series, x: Scale, y: Scale, *, is_named: bool) -> Iterator[Markup]:
    if not series.points:
        return
    shape = _SHAPES.get(series.mark)
    if series.mark is Mark.AREA:
        tops = [(x.at(point[0]), y.at(point[1])) for point in series.points]
        yield tag(
            "path", d=f"{steps([(tops[0][0], y.at(0)), *tops])}V{y.at(0):g}Z", class_=f"k-{series.tone}"
        )
        return
    if shape is None:
        line = [(x.at(point[0]), y.at(point[1])) for point in series.points]
        path = steps(line) if series.mark is Mark.STEPS else _polyline(line)
        yield tag("path", d=path, class_=f"l-{series.tone}")
        return
    size = 4 if len(series.points) <= NAMED_POINTS else 2.6
    class_ = f"k-{series.tone}"
    if series.mark is Mark.DOT and series.tone is Tone.OTHER and not (series.notes and is_named):
        shape, class_ = spot, "spots" if size < 4 else "spots large"
    paths = [
        shape(x.at(point[0]), y.at(point[1]) if len(point) > 1 else y.start + 10, size)
        for point in series.points
    ]
    yield from _named_paths(paths, series, class_, is_named=is_named)


def _named_paths(paths: Sequence[str], series: Series, class_: str, *, is_named: bool) -> Iterator[Markup]:
    if series.notes and is_named:
        for path, words in zip(paths, series.notes, strict=True):
            yield tag("path", tag("title", words), d=path, class_=class_)
    else:
        yield tag("path", d="".join(paths), class_=class_)


def _polyline(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def _bars(figure: Figure, size: Size) -> tuple[Plot, list[Markup]]:
    length, rows = figure.axes
    left = min(0.42 * size.width, 14 + LETTER * max((len(name) for name in rows.categories), default=4))
    values = [point[0] for series in figure.series for point in series.points]
    high = length.high if length.high is not None else max([*values, 0.0]) or 1.0
    x = Scale(low=0.0, high=high, start=round(left, 1), end=size.width - 96)
    y = Scale(low=-0.5, high=len(rows.categories) - 0.5, start=22, end=size.height - 40)
    plot = _named_rows(figure, size, x, y)
    thick = min(9.0, 0.36 * (y.end - y.start) / max(1, len(rows.categories)))
    marks: list[Markup] = []
    for series in figure.series:
        words = series.notes or tuple("" for _ in series.points)
        for (value, row), word in zip(series.points, words, strict=True):
            top, right = y.at(row) - thick, max(x.at(value), x.start + 1)
            shape = f"M{x.start} {top:g}H{right:g}v{2 * thick:g}H{x.start}Z"
            marks.append(tag("path", d=shape, class_=f"k-{series.tone}"))
            marks.append(tag("text", shorten(word, 18), x=right + 6, y=y.at(row) + 4, class_="t"))
    return plot, marks


def _named_rows(figure: Figure, size: Size, x: Scale, y: Scale) -> Plot:
    return Plot(
        width=size.width,
        height=size.height,
        x=x,
        y=y,
        x_title=_x_title(figure.axes[0], x),
        y_title="",
        x_ticks=figure.axes[0].ticks,
        y_names=[shorten(name, int(x.start / LETTER)) for name in figure.axes[1].categories],
    )


def _lanes(figure: Figure, size: Size) -> tuple[Plot, list[Markup]]:
    time, lanes = figure.axes
    left = min(0.34 * size.width, 14 + LETTER * max((len(name) for name in lanes.categories), default=4))
    x = Scale(low=time.low or 0.0, high=time.high or 1.0, start=round(left, 1), end=size.width - 14)
    y = Scale(low=-0.5, high=len(lanes.categories) - 0.5, start=16, end=size.height - 40)
    step = (y.end - y.start) / max(1, len(lanes.categories))
    count = sum(len(series.points) for series in figure.series)
    marks: list[Markup] = []
    for place in range(1, len(lanes.categories)):
        at = round(y.start + step * place, 1)
        marks.append(tag("path", d=f"M{x.start} {at}H{x.end}", class_="rule"))
    for series in figure.series:
        if series.mark is Mark.CROSS:
            paths = [cross(x.at(p[0]), _inside(y, step, p[1], p[2]), 3.5) for p in series.points]
        else:
            paths = [_block(x, y, step, point) for point in series.points]
        marks += _named_paths(paths, series, f"k-{series.tone}", is_named=count <= NAMED_POINTS)
    return _named_rows(figure, size, x, y), marks


def _inside(y: Scale, step: float, lane: float, share: float) -> float:
    """Return the pixel of a share of a lane's height, counted from its bottom."""
    return round(y.at(lane) + 0.42 * step - 0.84 * step * share, 1)


def _block(x: Scale, y: Scale, step: float, point: tuple[float, ...]) -> str:
    begin, end, lane, bottom, top = point
    left, right = x.at(begin), x.at(end)
    low, high = _inside(y, step, lane, bottom), _inside(y, step, lane, top)
    return f"M{left:g} {low:g}V{high:g}H{max(right, left + 0.6):g}V{low:g}Z"


def _parallel(figure: Figure, size: Size) -> Markup:
    top, bottom = 44, size.height - 26
    left = 55.0
    if figure.axes[0].categories:
        left = max(left, 14 + LETTER * max(min(STRAND_NAME, len(name)) for name in figure.axes[0].categories))
    gap = (size.width - 55 - left) / max(1, len(figure.axes) - 1)
    scales = [
        _axis_scale(
            axis,
            [p[place] for s in figure.series for p in s.points if not math.isnan(p[place])],
            start=bottom,
            end=top,
        )
        for place, axis in enumerate(figure.axes)
    ]
    across = [round(left + gap * place, 1) for place in range(len(figure.axes))]
    marks: list[Markup] = []
    for series in figure.series:
        paths = [_strand(point, scales, across) for point in series.points]
        marks += _named_paths(paths, series, f"l-{series.tone}", is_named=len(series.points) <= 100)
        ends = [_stump(point, scales, across) for point in series.points if math.isnan(point[-1])]
        if ends:
            marks.append(tag("path", d="".join(ends), class_="k-none"))
    for place, axis in enumerate(figure.axes):
        is_last = place == len(figure.axes) - 1 and place > 0
        marks += _ticks(axis, scales[place], across[place], is_last=is_last)
        end = {0: ("a", 4.0), len(figure.axes) - 1: ("a e", size.width - 4.0)}
        class_, x = end.get(place, ("a m", across[place]))
        words = axis.heading + (" (log)" if scales[place].log else "")
        title = shorten(words, max(10, int(gap / LETTER) if place in end else int(1.8 * gap / LETTER)))
        marks.append(tag("text", title, x=x, y=28 if place % 2 else 13, class_=class_))
    return tag(
        "svg",
        *marks,
        viewBox=f"0 0 {size.width} {size.height}",
        class_=f"plot {size.name}".strip(),
        role="img",
        aria_label=spoken(figure),
    )


def _strand(point: Sequence[float], scales: Sequence[Scale], across: Sequence[float]) -> str:
    line = [
        (x, axis.at(value))
        for value, axis, x in zip(point, scales, across, strict=True)
        if not math.isnan(value)
    ]
    return _polyline(line) if len(line) > 1 else ""


def _stump(point: Sequence[float], scales: Sequence[Scale], across: Sequence[float]) -> str:
    """Return the cross at the last value that a line has."""
    last = max((place for place, value in enumerate(point) if not math.isnan(value)), default=None)
    return "" if last is None else cross(across[last], scales[last].at(point[last]), 3.5)


def _ticks(axis: Axis, scale_: Scale, at: float, *, is_last: bool) -> list[Markup]:
    """Return an upright axis; its labels stand where no line goes, if there is such a side."""
    marks = [tag("path", d=f"M{at} {scale_.end}V{scale_.start}", class_="axis")]
    names = [(float(place), shorten(name, STRAND_NAME)) for place, name in enumerate(axis.categories)]
    stride = max(1, math.ceil(len(names) / 12))
    x, class_ = (at + 6, "t halo") if is_last else (at - 6, "t e halo")
    for tick, word in names[::stride] or [(tick, tick_label(tick)) for tick in scale_.ticks(4)]:
        y = scale_.at(tick)
        marks.append(tag("path", d=f"M{at - 3:g} {y}h6", class_="axis"))
        marks.append(tag("text", word, x=x, y=y + 4, class_=class_))
    return marks


def _heat(figure: Figure, size: Size) -> tuple[Plot, list[Markup]]:
    columns, rows = figure.axes
    left = min(0.3 * size.width, 14 + LETTER * max((len(name) for name in rows.categories), default=4))
    x = Scale(low=-0.5, high=len(columns.categories) - 0.5, start=round(left, 1), end=size.width - 10)
    y = Scale(low=-0.5, high=len(rows.categories) - 0.5, start=size.height - 42, end=26)
    plot = Plot(
        width=size.width,
        height=size.height,
        x=x,
        y=y,
        x_title=shorten(columns.heading, TITLE),
        y_title=shorten(rows.heading, TITLE),
        x_names=columns.categories,
        y_names=[shorten(name, int(x.start / LETTER)) for name in rows.categories],
    )
    values = [point[2] for series in figure.series for point in series.points]
    low, span = min(values), max(values) - min(values)
    marks: list[Markup] = []
    for series in figure.series:
        words = series.notes or tuple("" for _ in series.points)
        for point, word in zip(series.points, words, strict=True):
            step = min(HEAT_STEPS - 1, int(HEAT_STEPS * (point[2] - low) / span)) if span > 0 else 4
            marks += _cell(x, y, point, word, step)
    return plot, marks


def _cell(x: Scale, y: Scale, point: tuple[float, ...], word: str, step: int) -> list[Markup]:
    column, row, _ = point
    left, right = x.at(column - 0.5), x.at(column + 0.5)
    bottom, top = y.at(row - 0.5), y.at(row + 0.5)
    shape = f"M{left:g} {top:g}H{right - 1:g}V{bottom - 1:g}H{left:g}Z"
    marks = [tag("path", tag("title", word) if word else None, d=shape, class_=f"h{step}")]
    value = word.rpartition(": ")[2]
    if right - left > LETTER * len(value) + 4 and bottom - top > 14:
        class_ = "m onlight" if step > HEAT_STEPS // 2 else "m ondark"
        marks.append(tag("text", value, x=x.at(column), y=y.at(row) + 4, class_=class_))
    return marks


_LAYOUTS: Mapping[Kind, Callable[[Figure, Size], tuple[Plot, list[Markup]]]] = MappingProxyType(
    {Kind.XY: _xy, Kind.BARS: _bars, Kind.LANES: _lanes, Kind.HEAT: _heat}
)
