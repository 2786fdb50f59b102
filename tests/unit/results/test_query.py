"""Queries over several ledgers: streaming, and what comes too late to have a place."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hsm.cli.main import main
from hsm.core.tree import SweepTree
from hsm.results.query import WINDOW_ROWS, Query, answer
from hsm.wire.files import Files
from tests.unit.core.worlds import new_tree, sweep_spec
from tests.unit.results.written import ended, write

COUNT = WINDOW_ROWS + 10
CONFIG = "name: demo\nprogram: {command: [run]}\nsweep: {grid: {k: [1]}}\n"


@pytest.fixture
async def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepTree:
    """Return a sweep whose last task has a metric that no other has; its project is the current folder."""
    found = new_tree(tmp_path / "sweeps")
    events = [event for task in range(1, COUNT) for event in ended(task, 1)]
    await write(found, [[*events, *ended(COUNT, 1, late=2.0)]], count=COUNT)
    found.config.write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return found


async def test_a_late_column_is_noted_and_a_whole_answer_has_it(tree: SweepTree) -> None:
    """Streaming looks at the first rows only; what comes later is told by name and task."""
    sweeps = [(tree, sweep_spec())]
    stream = answer(Files(), sweeps, Query())
    assert "metric.late" not in stream.columns
    assert next(stream.rows)["meta.task"] == "task_0001"
    assert stream.tally.seen == WINDOW_ROWS
    assert sum(1 for _ in stream.rows) == COUNT - 1
    assert stream.tally.late == {"metric.late": f"task_{COUNT:04d}"}
    for whole in (answer(Files(), sweeps, Query(), whole=True), answer(Files(), sweeps, Query(sort="-k"))):
        assert "metric.late" in whole.columns
        assert not whole.tally.late


async def test_a_limit_stops_reading(tree: SweepTree) -> None:
    """With a limit no more is read than has to be; twice the same sweep is twice its rows."""
    found = answer(Files(), [(tree, sweep_spec())] * 2, Query(limit=3, where="k > 1"))
    assert [row["param.k"] for row in found.rows] == [2, 3, 4]
    assert found.tally.seen == WINDOW_ROWS
    both = answer(Files(), [(tree, sweep_spec())] * 2, Query(where="late > 1"), whole=True)
    assert len(list(both.rows)) == 2


async def test_csv_that_lacks_a_column_ends_with_1(
    tree: SweepTree, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """On stdout the late column is missing and warned of; in a file it is not, as all rows are read first."""
    assert main(["results", "--format", "csv"]) == 1
    said = capsys.readouterr()
    assert "metric.late" not in said.out
    assert f"metric.late (task_{COUNT:04d})" in said.err
    assert main(["results", "-o", "whole.csv"]) == 0
    rows = list(csv.DictReader((tmp_path / "whole.csv").read_text().splitlines()))
    assert [row["metric.late"] for row in rows] == [""] * (COUNT - 1) + ["2.0"]
    assert main(["results", "--format", "jsonl"]) == 0


async def test_q_values_take_all_rows_into_account(tmp_path: Path) -> None:
    """Where the first rows have p-values, the last one counts too, for each sweep alone."""
    found = new_tree(tmp_path / "sweeps")
    events = [event for task in range(1, COUNT) for event in ended(task, 1, ring_p_value=0.5)]
    await write(found, [[*events, *ended(COUNT, 1, ring_p_value=0.001)]], count=COUNT)
    rows = list(answer(Files(), [(found, sweep_spec())] * 2, Query()).rows)
    assert [rows[at]["metric.ring_q_value"] for at in (COUNT - 1, 2 * COUNT - 1)] == [0.001 * COUNT] * 2
    assert rows[0]["metric.ring_q_value"] == 0.5
    picked = answer(
        Files(), [(found, sweep_spec())], Query(where="ring_q_value < 0.3", fields=("ring_q_value",))
    )
    assert len(list(picked.rows)) == 1
