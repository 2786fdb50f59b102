"""CSV: what is written is what another program reads."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.core.spec import Value
from hsm.results import csv_text

PLAIN = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
CELLS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | PLAIN
    | st.lists(st.integers())
)


@given(st.lists(CELLS, min_size=1, max_size=4))
def test_a_program_reads_back_what_was_written(cells: list[Value]) -> None:
    """Numbers keep all digits, lists are JSON, text is itself, whatever characters it has."""
    columns = [f"param.c{at}" for at in range(len(cells))]
    text = csv_text.header(columns) + csv_text.line(dict(zip(columns, cells, strict=True)), columns)
    head, *rows = csv.reader(io.StringIO(text, newline=""))
    assert head == columns
    assert rows == [[_expected(cell) for cell in cells]]


def _expected(cell: Value) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    return json.dumps(cell) if not isinstance(cell, float) else repr(cell)


def test_a_missing_cell_and_an_empty_text_differ() -> None:
    """Nothing at all is missing; two quotes are an empty text."""
    assert csv_text.line({"a": None, "b": ""}, ["a", "b", "c"]) == ',"",\n'


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\r=1"])
def test_what_a_program_printed_is_never_a_formula(text: str) -> None:
    """An apostrophe stands before it, in the one column that holds foreign text; others stay exact."""
    (row,) = csv.reader(
        io.StringIO(
            csv_text.line({"meta.reason": text, "param.flag": text}, ["meta.reason", "param.flag"]),
            newline="",
        )
    )
    assert row == [f"'{text}", text]
