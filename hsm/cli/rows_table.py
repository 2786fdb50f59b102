"""Rows as a table that is written while they come: the first of them decide the widths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice

from hsm.cli.console import Console, Line, Tone
from hsm.cli.tables import GAP, fitted, width_of
from hsm.core.cleaning import clean
from hsm.core.spec import Value
from hsm.results.columns import NAMESPACES
from hsm.results.html import shown
from hsm.results.rows import Row

JUDGED_ROWS = 100
MAX_WIDTH = 40
MIN_LAST = 12


class RowsTable:
    """A table with a set of columns that fits the width; those that do not fit are told, not shown."""

    def __init__(self, console: Console, columns: Sequence[str]) -> None:
        self._console = console
        self._columns = list(columns)
        self._titles = short_names(columns)
        self._widths: list[int] = []
        self._numeric: list[bool] = []
        self.left_out: list[str] = []

    def write(self, rows: Iterator[Row]) -> None:
        """Write the head and all rows."""
        first = list(islice(rows, JUDGED_ROWS))
        if not first:
            return
        self._judge(first)
        self._console.data(*self._line([self._titles[name] for name in self._columns], Tone.DIM))
        for number, row in enumerate(chain(first, rows), 1):
            self._console.data(*self._line([clean(shown(row.get(name))) for name in self._columns]))
            if number % JUDGED_ROWS == 1:
                self._console.flush()

    def _judge(self, first: Sequence[Row]) -> None:
        """Choose the columns that fit, and their widths."""
        limit = self._console.data_width
        most = MAX_WIDTH if limit < 1 << 16 else limit
        widths: dict[str, int] = {}
        left = limit
        for name in self._columns:
            cells = [row.get(name) for row in first]
            takes_rest = name == self._columns[-1] and not _is_numeric(cells)
            need = max(width_of(self._titles[name]), *(width_of(clean(shown(cell))) for cell in cells))
            width = max(left, MIN_LAST) if takes_rest else min(need, most)
            if widths and width > left:
                break
            widths[name] = width
            left -= width + len(GAP)
        self.left_out = [name for name in self._columns if name not in widths]
        self._columns = list(widths)
        self._widths = list(widths.values())
        self._numeric = [_is_numeric([row.get(name) for row in first]) for name in self._columns]

    def _line(self, cells: Sequence[str], tone: Tone = Tone.PLAIN) -> Line:
        pieces = []
        for cell, width, right in zip(cells, self._widths, self._numeric, strict=True):
            words = fitted(cell, width)
            blanks = " " * (width - width_of(words))
            pieces.append(blanks + words if right else words + blanks)
        return [(GAP.join(pieces).rstrip(), tone)]


def _is_numeric(cells: Sequence[Value]) -> bool:
    there = [cell for cell in cells if cell is not None]
    return bool(there) and all(isinstance(cell, int | float) for cell in there)


def short_names(columns: Sequence[str]) -> dict[str, str]:
    """Return what stands above each column: its name without `param.` and the like, where that is enough."""
    short = [_short(name) for name in columns]
    return {name: end if short.count(end) == 1 else name for name, end in zip(columns, short, strict=True)}


def _short(name: str) -> str:
    space = next((space for space in NAMESPACES if name.startswith(space)), "")
    return name.removeprefix(space)
