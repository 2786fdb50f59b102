"""Columns of a task table: which parameters and metrics there are, and how their values line up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from hsm.core.spec import Value
from hsm.report.html import Markup, short, tag
from hsm.report.text import column, plain

CELL = 36
"""Longest value shown in a cell; the tooltip has the rest."""

HEAD = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its title and one cell for each row."""

    title: str
    cells: Sequence[Markup]
    numeric: bool = False

    @property
    def head(self) -> Markup:
        """The head cell."""
        return short(self.title, HEAD, "th", "n" if self.numeric else None)


def is_number(value: Value) -> TypeGuard[int | float]:
    """Tell whether a value is a number; True is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def value_column(title: str, values: Sequence[Value], present: Sequence[bool]) -> Column:
    """Return a column of values; where not `present`, the cell is empty."""
    given = [value for value, there in zip(values, present, strict=True) if there and value is not None]
    if not given or not all(is_number(value) for value in given):
        cells = [_cell(value) if there else tag("td") for value, there in zip(values, present, strict=True)]
        return Column(title=title, cells=cells)
    return _number_column(title, values, present)


def _number_column(title: str, values: Sequence[Value], present: Sequence[bool]) -> Column:
    known = [value for value, there in zip(values, present, strict=True) if there and is_number(value)]
    written = iter(column(known))
    cells = [
        _number_cell(value, next(written)) if there and is_number(value) else _gap(there=there)
        for value, there in zip(values, present, strict=True)
    ]
    return Column(title=title, cells=cells, numeric=True)


def _number_cell(value: float, written: str) -> Markup:
    full = plain(value)
    return tag("td", written, class_="n", title=full if full != written else None)


def _gap(*, there: bool) -> Markup:
    return tag("td", "null", class_="n q", title="could not be computed") if there else tag("td")


def _cell(value: Value) -> Markup:
    return short(plain(value), CELL, "td")
