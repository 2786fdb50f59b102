"""Results: columns and rows, narrowing, order, the best, and how a notebook shows them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.core.errors import SweepError
from hsm.core.expression import ExpressionError
from hsm.core.spec import Direction, Objective, Value
from hsm.results import Results
from hsm.results.columns import chosen, resolve
from hsm.results.errors import UnknownColumn
from hsm.results.order import ranked
from tests.unit.results.tables import MAXIMIZE, small

CELLS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())


def test_rows_are_mappings_and_columns_are_lists() -> None:
    """A row is found by number, a column by its name or its short name, some rows by a slice."""
    found = small()
    assert len(found) == len(list(found)) == 4
    assert found[1]["param.k"] == found["k"][1] == found["param.k"][1] == 1
    assert found[-1]["meta.status"] == "failed"
    assert found[1:3]["k"] == [1, 2]
    assert found.to_dict()["param.k"] == [3, 1, 2, 4]
    with pytest.raises(IndexError):
        found[4]


def test_what_is_returned_can_be_changed_without_harm() -> None:
    """Lists and rows are copies."""
    found = small()
    found["k"].clear()
    found.to_dict()["param.k"].clear()
    found[0]["param.k"] = 99
    assert found["k"] == [3, 1, 2, 4]


@pytest.mark.parametrize(
    ("text", "tasks"),
    [
        ("metric.pcs > 0.8 and status == 'sealed'", [2]),
        ("pcs > 0 or status == 'failed'", [1, 2, 4]),
        ("not pcs > 0.8", [1, 3, 4]),
        ("k in [1, 4]", [2, 4]),
        ("k * 2 <= 4", [2, 3]),
        ("name == '<i>c</i>'", [3]),
        ("pcs != 0.5", [2]),
    ],
)
def test_where_keeps_the_rows_for_which_it_holds(text: str, tasks: list[int]) -> None:
    """A missing cell makes a comparison false, also `!=`."""
    assert small().where(text)["task"] == [f"task_{task:04d}" for task in tasks]


@pytest.mark.parametrize("text", ["k >", "k + 1", "", "__import__('os')"])
def test_where_refuses_what_is_no_condition(text: str) -> None:
    """A fault is told with its column, and nothing is run."""
    with pytest.raises(ExpressionError, match="column"):
        small().where(text)


def test_an_unknown_column_gets_a_suggestion_and_the_list() -> None:
    """The error names the near one, and all that there are."""
    with pytest.raises(UnknownColumn, match="'pcz'") as caught:
        small().where("pcz > 1")
    assert caught.value.hint.startswith("did you mean `pcs`? There are meta.task, ")


def test_a_short_name_that_may_mean_two_columns_is_refused() -> None:
    """`n` beside `param.n` and `metric.n` is for the user to say."""
    with pytest.raises(UnknownColumn, match=r"param\.n or metric\.n"):
        resolve("n", ["param.n", "metric.n"])
    assert resolve("param.n", ["param.n", "metric.n"]) == "param.n"


def test_patterns_choose_whole_groups_of_columns() -> None:
    """`param.*` is all parameters, each column once, in the order asked for."""
    columns = small().columns
    assert chosen(["metric.*", "k", "param.*"], columns) == ["metric.pcs", "param.k", "param.name"]
    assert chosen(["*"], columns) == list(columns)
    assert small().select("name", "task").columns == ("param.name", "meta.task")


def test_sort_puts_missing_cells_last_either_way() -> None:
    """Rising or falling, what has no value comes behind."""
    assert small().sort("pcs")["k"] == [3, 1, 2, 4]
    assert small().sort("-metric.pcs")["k"] == [1, 3, 2, 4]


@given(st.lists(CELLS), st.booleans())
def test_any_cells_have_an_order(cells: list[Value], falling: bool) -> None:
    """Every place comes once, numbers before texts before the rest when rising, missing ones last."""
    places = ranked(cells, falling=falling)
    assert sorted(places) == list(range(len(cells)))
    numbers = [cells[at] for at in places if isinstance(cells[at], int | float) and cells[at] == cells[at]]
    assert all(a >= b if falling else a <= b for a, b in pairwise(numbers))  # type: ignore[operator]


def test_best_follows_the_objective() -> None:
    """The best by the hunt's objective, the best first; rows without a score have no rank."""
    assert small(MAXIMIZE).best()["k"] == [1]
    assert small(MAXIMIZE).best(9)["k"] == [1, 3]
    minimize = Objective(metric="pcs", direction=Direction.MINIMIZE)
    assert small(minimize).best(2)["k"] == [3, 1]


def test_best_can_be_asked_by_any_column() -> None:
    """Without an objective the column must be said; the hint names the metrics."""
    assert small().best(2, by="k")["k"] == [4, 3]
    assert small().best(1, by="k", minimize=True)["k"] == [1]
    with pytest.raises(SweepError) as caught:
        small().best()
    assert "metric.pcs" in caught.value.hint


def test_columns_of_different_lengths_are_refused() -> None:
    """A table is a table."""
    with pytest.raises(ValueError, match="lengths"):
        Results({"a": [1], "b": []})


def test_a_notebook_shows_rows_and_counts_escaped() -> None:
    """HTML holds values as text, how many rows there are, and how many in which state."""
    page = small()._repr_html_()
    assert "<i>c</i>" not in page
    assert "&lt;i&gt;c&lt;/i&gt;" in page
    assert "4 rows · 6 columns · 3 sealed · 1 failed" in page
    assert repr(small()) == "<Results: 4 rows, 6 columns>"
    many = Results({"param.k": list(range(50_000))})._repr_html_()
    assert many.count("<tr>") == 21
    assert "50,000 rows" in many
