"""Columns of a task table: which parameters and metrics there are, and how their values line up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from hsm.core.model import Task
from hsm.core.spec import Value
from hsm.report.html import Markup, short, tag
from hsm.report.text import column, plain
from hsm.report.view import ReportView, params_of

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


def varying(view: ReportView, tasks: Iterable[Task] | None = None) -> list[str]:
    """Return the names of the parameters that are not constants of the sweep, in the order met."""
    names: dict[str, None] = dict.fromkeys(view.spec.hunt.space) if view.spec.hunt else {}
    for task in view.tasks if tasks is None else tasks:
        names.update(dict.fromkeys(params_of(task)))
    return [name for name in _in_axis_order(view, names) if name not in view.spec.parameters]


def _in_axis_order(view: ReportView, names: Mapping[str, None]) -> list[str]:
    axes = [name for axis in view.spec.grid.axes for name in axis.names] if view.spec.grid else []
    first = [name for name in axes if name in names]
    return [*first, *(name for name in names if name not in first)]


def metric_names(view: ReportView) -> list[str]:
    """Return the names of all metrics, the objective first, the others in alphabetical order."""
    names = {name for task in view.tasks for name in view.metrics(task)}
    objective = view.spec.hunt.objective.metric if view.spec.hunt else None
    return sorted(names, key=lambda name: (name != objective, name))
