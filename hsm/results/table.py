"""`Results`: what came out of a sweep, as columns of equal length. It is never changed, only narrowed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from hsm.core.errors import SweepError
from hsm.core.spec import Direction, Objective, Value
from hsm.results import frames, html
from hsm.results.columns import METRIC, chosen, resolve
from hsm.results.condition import condition
from hsm.results.order import ranked

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class Results(Sequence["dict[str, Value]"]):
    """Rows and columns: `param.*`, `metric.*` and `meta.*`. A cell that is not known is None.

    Wherever a column is named, the part behind `param.`, `metric.` or `meta.` does if it is not ambiguous.
    """

    __slots__ = ("_columns", "_count", "objective")

    def __init__(self, columns: Mapping[str, Sequence[Value]], *, objective: Objective | None = None) -> None:
        lengths = {len(cells) for cells in columns.values()}
        if len(lengths) > 1:
            raise ValueError("columns of different lengths")
        self._columns = dict(columns)
        self._count = lengths.pop() if lengths else 0
        self.objective = objective

    # As a table

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns."""
        return tuple(self._columns)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, Value]]:
        names = self.columns
        for cells in zip(*self._columns.values(), strict=True):
            yield dict(zip(names, cells, strict=True))

    @overload
    def __getitem__(self, key: int) -> dict[str, Value]: ...
    @overload
    def __getitem__(self, key: slice) -> Results: ...
    @overload
    def __getitem__(self, key: str) -> list[Value]: ...

    def __getitem__(self, key: int | slice | str) -> Any:
        """Return a row by its number, a column by its name, or the rows of a slice."""
        if isinstance(key, str):
            return list(self._columns[resolve(key, self.columns)])
        if isinstance(key, slice):
            return self._rows(range(self._count)[key])
        at = range(self._count)[key]
        return {name: cells[at] for name, cells in self._columns.items()}

    def _rows(self, places: Sequence[int]) -> Results:
        columns = {name: [cells[at] for at in places] for name, cells in self._columns.items()}
        return Results(columns, objective=self.objective)

    # Narrowing

    def where(self, text: str) -> Results:
        """Return the rows for which a condition holds: `metric.pcs > 0.8 and status == 'sealed'`.

        Raises:
            ExpressionError: it is not a condition.
            UnknownColumn: it names what is no column.
        """
        holds = condition(text, self.columns)
        return self._rows([at for at, row in enumerate(self) if holds(row)])

    def sort(self, column: str) -> Results:
        """Return the rows by a column, falling where `-` stands before its name. Missing cells come last.

        Raises:
            UnknownColumn: there is no such column.
        """
        name = column.removeprefix("-")
        return self._rows(ranked(self[name], falling=name != column))

    def select(self, *columns: str) -> Results:
        """Return these columns, in this order; `param.*` stands for all parameters.

        Raises:
            UnknownColumn: there is no such column.
        """
        names = chosen(columns, self.columns)
        return Results({name: self._columns[name] for name in names}, objective=self.objective)

    def best(self, count: int = 1, *, by: str = "", minimize: bool | None = None) -> Results:
        """Return the best rows, the best first: by the objective of the hunt, or by the column `by`.

        The largest is best unless the objective, or `minimize`, says otherwise. Rows without a number have
        no rank and are left out.

        Raises:
            SweepError: the sweep has no objective and no column is given.
            UnknownColumn: there is no such column.
        """
        goal = self.objective
        if not by and goal is None:
            metrics = ", ".join(name for name in self.columns if name.startswith(METRIC))
            known = f"the metrics are {metrics}" if metrics else "no task has written a metric"
            raise SweepError("the sweep has no objective", hint=f"say what counts: best(by=...); {known}")
        falling = not minimize
        if minimize is None and not by:
            falling = goal is None or goal.direction is Direction.MAXIMIZE
        cells = self[by or f"{METRIC}{goal.metric if goal else ''}"]
        places = [at for at in ranked(cells, falling=falling) if _is_number(cells[at])]
        return self._rows(places[: max(0, count)])

    # As something else

    def to_dict(self) -> dict[str, list[Value]]:
        """Return the columns as lists of their own."""
        return {name: list(cells) for name, cells in self._columns.items()}

    def to_numpy(self, column: str) -> np.ndarray[Any, Any]:
        """Return a column as an array: numbers as numbers, NaN where one is missing, others as objects.

        Raises:
            UnknownColumn: there is no such column.
        """
        return frames.to_numpy(self[column])

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas data frame.

        Raises:
            MissingPackage: pandas is not installed.
        """
        return frames.to_pandas(self._columns)

    def to_polars(self) -> pl.DataFrame:
        """Return a polars data frame.

        Raises:
            MissingPackage: polars is not installed.
        """
        return frames.to_polars(self._columns)

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table.

        Raises:
            MissingPackage: pyarrow is not installed.
        """
        return frames.to_arrow(self._columns)

    # As shown

    def __repr__(self) -> str:
        return f"<Results: {html.counted(self._count, 'row')}, {html.counted(len(self._columns), 'column')}>"

    def _repr_html_(self) -> str:
        return html.table_of(self._columns, self._count)


def _is_number(cell: Value) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool) and math.isfinite(cell)
