"""Tables of plain text: columns aligned, numbers to the right, the last column cut to the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from hsm.cli.console import Console, Line, Span, Tone
from hsm.core.cleaning import clean

GAP = "  "


def width_of(text: str) -> int:
    """Return how many places a text takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(ch) else 1 + (unicodedata.east_asian_width(ch) in "WF") for ch in text
    )


def fitted(text: str, width: int, mark: str = "…") -> str:
    """Return text cut so that it takes at most `width` places, with a mark where something is missing."""
    if width_of(text) <= width:
        return text
    return (beginning(text, width - len(mark)) + mark)[: max(0, width)]


def beginning(text: str, width: int) -> str:
    """Return as much of a text as takes at most `width` places."""
    kept, used = 0, 0
    for ch in text:
        used += width_of(ch)
        if used > width:
            break
        kept += 1
    return text[:kept]


def table(
    titles: Sequence[str], rows: Sequence[Sequence[str | Span]], width: int, mark: str = "…"
) -> list[Line]:
    """Return the lines of a table. A title that begins with `>` is of a column of numbers."""
    cells = [[_span(cell) for cell in row] for row in rows]
    names = [title.removeprefix(">") for title in titles]
    widths = [
        max([len(name), *(width_of(row[place][0]) for row in cells)]) for place, name in enumerate(names)
    ]
    left = width - sum(widths[:-1]) - len(GAP) * (len(widths) - 1)
    widths[-1] = max(8, min(widths[-1], left))
    head: list[Span] = [(name, Tone.DIM) for name in names]
    numeric = [title.startswith(">") for title in titles]
    return [_row(row, widths, numeric, mark) for row in [head, *cells]]


def _span(cell: str | Span) -> Span:
    text, tone = cell if isinstance(cell, tuple) else (cell, Tone.PLAIN)
    return clean(text), tone


def _row(cells: Sequence[Span], widths: Sequence[int], numeric: Sequence[bool], mark: str) -> Line:
    spans: list[Span] = []
    last = len(cells) - 1
    for place, ((text, tone), width, right) in enumerate(zip(cells, widths, numeric, strict=True)):
        shown = fitted(text, width, mark)
        blanks = " " * (width - width_of(shown))
        if right:
            spans += [(blanks, Tone.PLAIN), (shown, tone)]
        else:
            spans += [(shown, tone), ("" if place == last else blanks, Tone.PLAIN)]
        spans.append(("" if place == last else GAP, Tone.PLAIN))
    return spans


def write(console: Console, titles: Sequence[str], rows: Sequence[Sequence[str | Span]]) -> None:
    """Write a table as data."""
    for spans in table(titles, rows, console.data_width, console.data_glyphs.more):
        console.data(*spans)
