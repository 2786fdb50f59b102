"""The table of tasks: whoever looks gets what a task is now, however often it was looked at before."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsm.core import table as tables
from hsm.core.machine import replace
from hsm.core.model import Proposal
from hsm.core.plan import load_plan, write_plan
from hsm.core.states import TaskStatus
from hsm.core.table import TaskTable
from hsm.wire.files import Files

COUNT = 6


@pytest.fixture
def table(tmp_path: Path) -> TaskTable:
    proposals = [Proposal(params={"x": number}) for number in range(COUNT)]
    name, _ = write_plan(Files(), tmp_path, proposals, "")
    found = TaskTable()
    found.add(load_plan(Files(), tmp_path, name, generation=1), generation=1)
    return found


def test_a_task_that_changed_is_never_looked_up_as_it_was(table: TaskTable) -> None:
    """Final, open again and final in another way: each look says what was put last, of all tasks."""
    for reason in ("first", "", "second"):
        status = TaskStatus.FAILED if reason else TaskStatus.SCHEDULED
        for task in list(table):
            table.put(replace(task, status=status, reason=reason))
            assert {other.index for other in table} == set(range(1, COUNT + 1))
        assert [(task.status, task.reason) for task in table] == [(status, reason)] * COUNT


def test_a_frozen_table_stays_as_it_was_while_both_are_looked_at(table: TaskTable) -> None:
    """What either looked up is kept for both, by what it was made of."""
    table.put(replace(table[0], status=TaskStatus.FAILED, reason="before"))
    assert [task.reason for task in table] == ["before", *[""] * (COUNT - 1)]
    frozen = table.frozen()
    for task in list(table):
        table.put(replace(task, status=TaskStatus.FAILED, reason="after"))
    for _ in range(2):
        assert [task.reason for task in frozen] == ["before", *[""] * (COUNT - 1)]
        assert [task.reason for task in table] == ["after"] * COUNT


def test_who_asks_twice_gets_the_same_object_of_few_tasks(
    table: TaskTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks that are over are made once for several looks, and no more are kept than a table may keep."""
    for reason, limit in (("x", COUNT), ("y", 2)):
        monkeypatch.setattr(tables, "RECENT_TASKS", limit)
        for task in list(table):
            table.put(replace(task, status=TaskStatus.FAILED, reason=reason))
        first, second = list(table), list(table)
        if limit == COUNT:
            assert all(one is other for one, other in zip(first, second, strict=True))
        assert len(table._recent) <= limit
