"""Columns as arrays and data frames of other libraries, each imported only when it is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsm.core.spec import Value
from hsm.results.columns import COUNTS, METAS, METRIC, NUMBERS
from hsm.results.errors import MissingPackage

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import polars as pl
    import pyarrow as pa

Columns = Mapping[str, Sequence[Value]]
INT64 = range(-(2**63), 2**63)


def imported(package: str, extra: str) -> Any:
    """Return a package that HSM can do without.

    Raises:
        MissingPackage: it is not installed; an extra of HSM brings it.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        root = package.partition(".")[0]
        if error.name != root:
            raise
        raise MissingPackage(root, extra) from None


def to_numpy(cells: Sequence[Value]) -> np.ndarray[Any, Any]:
    """Return an array: bool, int64 or float64 (NaN where a number is missing), else of objects."""
    library = import_module("numpy")
    kinds = {type(cell) for cell in cells}
    array: np.ndarray[Any, Any]
    if kinds and kinds <= {int, float, type(None)} and kinds != {type(None)}:
        if kinds == {int} and all(cell in INT64 for cell in cells):
            array = library.array(cells, dtype=library.int64)
        else:
            array = library.array(
                [library.nan if cell is None else cell for cell in cells], dtype=library.float64
            )
    elif kinds == {bool}:
        array = library.array(cells, dtype=bool)
    else:
        array = library.empty(len(cells), dtype=object)
        for at, cell in enumerate(cells):  # not by slice: equally long lists would be taken for a matrix
            array[at] = cell
    return array


def to_pandas(columns: Columns) -> pd.DataFrame:
    """Return a data frame; pandas chooses the types."""
    library = imported("pandas", "notebook")
    frame: pd.DataFrame = library.DataFrame({name: list(cells) for name, cells in columns.items()})
    return frame


def to_polars(columns: Columns) -> pl.DataFrame:
    """Return a data frame of uniform columns."""
    library = imported("polars", "notebook")
    frame: pl.DataFrame = library.DataFrame({name: uniform(cells) for name, cells in columns.items()})
    return frame


def to_arrow(columns: Columns) -> pa.Table:
    """Return a table of uniform columns. Metrics are float64, `meta.*` of one type in every sweep."""
    library = imported("pyarrow", "export")
    made = {name: _array(library, name, uniform(cells)) for name, cells in columns.items()}
    table: pa.Table = library.table(made)
    return table


def _array(library: Any, name: str, cells: list[Any]) -> Any:
    """Return an array whose type does not depend on what happens to be there, where that is known."""
    if name in COUNTS and all(cell is None or cell in INT64 for cell in cells):
        return library.array(cells, library.int64())
    if name in NUMBERS or (name.startswith(METRIC) and not any(isinstance(cell, str) for cell in cells)):
        return library.array([cell if cell is None else float(cell) for cell in cells], library.float64())
    return library.array(cells, library.string() if name in METAS else None)


def write_parquet(columns: Columns, path: Path) -> None:
    """Write a Parquet file.

    Raises:
        MissingPackage: pyarrow is not installed.
        OSError: it cannot be written.
    """
    table = to_arrow(columns)
    imported("pyarrow.parquet", "export").write_table(table, path)


def uniform(cells: Sequence[Value]) -> list[Any]:
    """Return cells of one type: numbers as they are, or all as floats; whatever is mixed, as JSON text.

    Lists and maps become JSON text too, and so do integers beyond 64 bits: nothing is cut to fit a column.
    """
    kinds = {type(cell) for cell in cells} - {type(None)}
    if not kinds or kinds in ({str}, {bool}, {float}):
        return list(cells)
    if kinds <= {int, float} and all(not isinstance(cell, int) or cell in INT64 for cell in cells):
        return list(cells) if kinds == {int} else [cell if cell is None else float(cell) for cell in cells]  # type: ignore[arg-type]
    return [None if cell is None else text(cell) for cell in cells]


def text(cell: Value) -> str:
    """Return a text as it is, anything else as JSON."""
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)
