"""A figure as an SVG document of its own, as a notebook shows it: style, legend, n and note are in it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from hsm.report.draw import LETTER, Size, counted, draw, height_of, named, spoken
from hsm.report.figure import Figure
from hsm.report.html import Markup, tag
from hsm.report.style import figure_style
from hsm.report.text import shorten

HEAD = 22
ROW = 18


def standalone(figure: Figure, width: int) -> str:
    """Return the document; a figure with nothing to draw says why."""
    size = Size(width=width, height=height_of(figure, width))
    body = None if figure.is_empty else tag("svg", draw(figure, size), **_box(0, HEAD, width, size.height))
    base = HEAD + (0 if figure.is_empty else size.height)
    rows = [] if figure.is_empty else _wrapped(list(_keys(figure)), width)
    words = f"Nothing to draw: {figure.absent or 'no data'}." if figure.is_empty else figure.note
    legend = [_key_row(row, base + 16 + ROW * place) for place, row in enumerate(rows)]
    notes = [
        tag("text", line, x=6, y=base + 20 + ROW * (len(rows) + place), class_="t")
        for place, line in enumerate(_lines(words, width))
    ]
    height = base + ROW * (len(rows) + len(notes)) + 16
    return tag(
        "svg",
        tag("style", Markup(figure_style())),
        tag("rect", width=width, height=height, class_="ground"),
        tag("text", shorten(figure.title, int(width / LETTER)), x=6, y=16, class_="a"),
        body,
        *legend,
        *notes,
        xmlns="http://www.w3.org/2000/svg",
        width=width,
        height=height,
        viewBox=f"0 0 {width} {height}",
        class_="plot alone",
        role="img",
        aria_label=spoken(figure),
    )


def _box(x: float, y: float, width: float, height: float) -> dict[str, str | float | None]:
    return {"x": x, "y": y, "width": width, "height": height}


def _keys(figure: Figure) -> Iterator[tuple[str, Markup | None]]:
    for name, drawn in named(figure):
        yield shorten(name, 40), drawn
    yield counted(figure), None


def _wrapped(
    keys: Sequence[tuple[str, Markup | None]], width: int
) -> list[list[tuple[float, str, Markup | None]]]:
    rows: list[list[tuple[float, str, Markup | None]]] = []
    x = math.inf
    for name, drawn in keys:
        room = 46 + LETTER * len(name)
        if x + room > width:
            rows.append([])
            x = 6.0
        rows[-1].append((x, name, drawn))
        x += room
    return rows


def _key_row(row: Sequence[tuple[float, str, Markup | None]], base: float) -> Markup:
    parts = []
    for x, name, drawn in row:
        if drawn is not None:
            parts.append(tag("svg", drawn, **_box(x, base - 12, 22, 16)))
        parts.append(tag("text", name, x=x + (28 if drawn is not None else 0), y=base, class_="t"))
    return tag("g", *parts)


def _lines(words: str, width: int) -> list[str]:
    most, lines = max(20, int(width / LETTER)), [""]
    for word in words.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > most:
            lines.append("")
        lines[-1] = f"{lines[-1]} {shorten(word, most)}".strip()
    return [line for line in lines if line]
