"""Rows out of a ledger that is being read: the same as those of the whole fold, and early."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from hsm.core import events as ev
from hsm.core.ledger_reader import LedgerReader
from hsm.core.states import TaskStatus
from hsm.core.tree import SweepTree
from hsm.results.rows import row_of, rows
from hsm.results.settled import Settled, _TaskFold, look_ahead
from hsm.wire.files import Files
from tests.unit.core.stories import Story
from tests.unit.core.worlds import Process, hunt_spec, new_tree, open_ledger, sweep_spec
from tests.unit.results.written import ended, write

SPEC = hunt_spec()
NEVER = 1 << 30


@pytest.fixture
def tree(tmp_path: Path) -> SweepTree:
    return new_tree(tmp_path)


def _row(settled: Settled) -> dict[str, object]:
    return dict(row_of(settled, "s", "tasks"))


@pytest.mark.parametrize("seed", range(12))
def test_rows_are_those_of_the_whole_fold(seed: int, tree: SweepTree) -> None:
    """Whatever happened, each task comes once, in order, as the tracker has it at the end."""
    story = Story(Random(seed), tree, SPEC)
    events = story.tell(150)
    fold, told = _TaskFold(Files(), tree, SPEC, last_epoch=NEVER), []
    for event in events:
        fold.take(event)
        told += [_row(settled) for settled in fold.due()]
    early = len(told)
    told += [_row(settled) for settled in fold.rest()]
    tracker = story.tracker
    assert told == [_row(Settled(task, tracker.result_of(task))) for task in tracker.tasks]
    assert early < len(told)


async def test_a_task_that_was_tried_again_is_told_as_itended(tree: SweepTree) -> None:
    """A failure of an earlier engine that a later one made good never shows."""
    again = [ev.TasksReopened(tasks=(1,), at=10.0), *ended(1, 2, failed=False)]
    await write(tree, [[*ended(1, 1, failed=True), *ended(2, 1, failed=False)], again])
    found = list(rows(Files(), tree, sweep_spec()))
    assert [(row["meta.status"], row["meta.attempts"]) for row in found] == [
        ("sealed", 2),
        ("sealed", 1),
        ("received", 0),
    ]
    assert found[0]["metric.f"] == 1.0
    assert "meta.reason" not in found[0]


async def test_a_failed_task_holds_nothing_up(tree: SweepTree) -> None:
    """In the last engine's time a failure is told where it stands, and so is what comes behind it."""
    await write(tree, [[*ended(1, 1, failed=True), *ended(2, 1, failed=False)]])
    fold, told = _TaskFold(Files(), tree, SPEC, last_epoch=1), []
    name = next(tree.plans.glob("*.jsonl")).stem
    fold.take(ev.EngineStarted(epoch=1, host="here", pid=1, version="0", at=0.0))
    fold.take(ev.GenerationPlanned(generation=1, plan=name, first=1, count=3, at=0.5))
    for event in [*ended(1, 1, failed=True), *ended(2, 1, failed=False)]:
        fold.take(event)
        told += [settled.task.status for settled in fold.due()]
    assert told == [TaskStatus.FAILED, TaskStatus.SEALED]


async def test_a_failure_that_the_next_engine_left_alone_is_told_when_that_engine_works(
    tree: SweepTree,
) -> None:
    """Until the last engine hands out an attempt, or stops, it may still try a failed task again."""
    await write(tree, [ended(1, 1, failed=True)])
    fold = _TaskFold(Files(), tree, SPEC, last_epoch=2)
    name = next(tree.plans.glob("*.jsonl")).stem
    for event in [
        ev.EngineStarted(epoch=1, host="here", pid=1, version="0", at=0.0),
        ev.GenerationPlanned(generation=1, plan=name, first=1, count=3, at=0.5),
        *ended(1, 1, failed=True),
        ev.EngineStarted(epoch=2, host="here", pid=2, version="0", at=5.0),
    ]:
        fold.take(event)
        assert not list(fold.due())
    fold.take(ended(2, 1)[0])
    assert [settled.task.index for settled in fold.due()] == [1]


async def test_a_row_says_why_a_task_failed(tree: SweepTree) -> None:
    """Cause, exit code and reason stand in the row, and there is no metric."""
    await write(tree, [ended(1, 1, failed=True)])
    row = next(rows(Files(), tree, sweep_spec()))
    assert (row["meta.cause"], row["meta.exit_code"], row["meta.reason"]) == ("application", 1, "=bad")
    assert (row["meta.started_at"], row["meta.wall_s"]) == ("1970-01-01T00:00:02.000+00:00", 0.5)
    assert not [name for name in row if name.startswith("metric.")]


async def test_a_failure_that_no_later_engine_reopened_holds_nothing_up(tree: SweepTree) -> None:
    """The beginnings of all engines' parts tell who is tried again; only those are waited for."""
    again = [ev.TasksReopened(tasks=(2,), at=10.0), *ended(2, 2, failed=False)]
    first = [*ended(1, 1, failed=True), *ended(2, 1, failed=True)]
    await write(tree, [first, again, [*ended(3, 1, failed=True)]])
    ahead = look_ahead(Files(), tree)
    assert (ahead.times, ahead.is_over) == ({2: 1}, True)
    fold, told = _TaskFold(Files(), tree, SPEC, last_epoch=3, reopenings=ahead), []
    for number, event in enumerate(LedgerReader(Files(), tree).events()):
        fold.take(event)
        told += [(settled.task.index, number) for settled in fold.due()]
    kinds = [event.kind for event in LedgerReader(Files(), tree).events()]
    places = dict(told)
    assert list(places) == [1, 2, 3]
    assert kinds[places[1]] == "attempt_failed"
    assert places[1] < kinds.index("tasks_reopened") < places[2]
    assert len(list(rows(Files(), tree, sweep_spec()))) == 3


async def test_an_engine_that_has_not_begun_may_still_reopen(tree: SweepTree) -> None:
    """What it will try again is not written yet."""
    await write(tree, [ended(1, 1, failed=True)])
    assert look_ahead(Files(), tree).is_over
    world = Process()
    _, ledger = open_ledger(world, tree)
    await ledger.commit([ev.EngineStarted(epoch=2, host="here", pid=1, version="0", at=9.5)])
    assert not look_ahead(Files(), tree).is_over
    ledger.close()
    world.close()
