"""Rows as CSV that says exactly what the cells are.

A missing cell is an empty field and an empty text is `""`. Numbers have all their digits, truth is `true` or
`false`, lists and maps are JSON. Text is quoted where it has to be. `meta.reason` may hold what a program
printed: where it begins as a formula would, an apostrophe stands before it, so that no spreadsheet computes
it. All other cells are the user's own values and stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from hsm.core.spec import Value
from hsm.results.frames import text

EMPTY_LINE = '""'  # a row of one missing cell: readers skip a line without anything
FOREIGN = "meta.reason"
FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r")
_QUOTED = frozenset(',"\r\n')


def header(columns: Sequence[str]) -> str:
    """Return the line of column names."""
    return ",".join(_quoted(name) for name in columns) + "\n"


def line(row: dict[str, Value], columns: Sequence[str]) -> str:
    """Return a row as one line, ended by a newline."""
    text = ",".join([_field(name, row.get(name)) for name in columns])
    return f"{text or EMPTY_LINE}\n"


def _field(name: str, cell: Value) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return _quoted(f"'{cell}" if name == FOREIGN and cell.startswith(FORMULA_MARKS) else cell)
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return repr(cell) if isinstance(cell, int | float) else _quoted(text(cell))


def _quoted(words: str) -> str:
    if words and _QUOTED.isdisjoint(words) and words == words.strip():
        return words
    return f'"{words.replace(chr(34), chr(34) * 2)}"'
