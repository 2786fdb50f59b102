"""The history of one task, and all failures, are read without folding the whole sweep, and agree with it."""

from pathlib import Path
from random import Random

import pytest

from hsm.core import events as ev
from hsm.core.errors import LedgerCorrupt
from hsm.core.events import GenerationPlanned
from hsm.core.failures import read_failures
from hsm.core.history import about, read_histories, read_history
from hsm.core.model import Proposal
from hsm.core.plan import read_plan, read_tasks, write_plan
from hsm.core.standing import standing, unplanned
from hsm.core.states import TaskStatus
from hsm.core.storage import create_tree
from hsm.core.story import told
from hsm.core.summary import tracker_of
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.wire.files import Files
from hsm.wire.log import encode_record
from tests.unit.core.stories import Story
from tests.unit.core.test_tracker import SPEC
from tests.unit.core.worlds import Process, open_ledger


@pytest.fixture
def tree(tmp_path: Path) -> SweepTree:
    """Return a new sweep."""
    found = SweepTree(tmp_path / "s")
    create_tree(Files(), found)
    return found


async def _written(tree: SweepTree, seed: int) -> SweepTracker:
    """Write a random story into a ledger and return its tracker."""
    story = Story(Random(seed), tree, SPEC)
    events = story.tell(100)
    world = Process()
    _, ledger = open_ledger(world, tree, SPEC)
    await ledger.commit(events)
    ledger.close()
    world.close()
    return story.tracker


@pytest.mark.parametrize("seed", range(2))
async def test_a_task_read_alone_is_the_task_of_the_whole_fold(tree: SweepTree, seed: int) -> None:
    """Whatever happened, the history of a task ends in the very task that the tracker holds."""
    tracker = await _written(tree, seed)
    for task in tracker.tasks:
        history = read_history(Files(), tree, task.index, SPEC.retry)
        assert history is not None
        assert history.task == task
        assert all(told(happening.event, happening.task) for happening in history.happenings)
    every = [task.index for task in tracker.tasks]
    together = read_histories(Files(), tree, [*every, len(every) + 1], SPEC.retry)
    assert {index: history.task for index, history in together.items()} == dict(
        zip(every, tracker.tasks, strict=True)
    )
    assert read_history(Files(), tree, len(tracker.tasks) + 1, SPEC.retry) is None


@pytest.mark.parametrize("seed", range(2))
async def test_failures_read_alone_are_those_that_the_tracker_counts(tree: SweepTree, seed: int) -> None:
    """The same groups with the same counts, and each attempt knows its source and token."""
    tracker = await _written(tree, seed)
    groups = read_failures(Files(), tree)
    found = {(group.cause, group.signature): len(group.ends) for group in groups}
    assert found
    assert found == {key: group.count for key, group in tracker.failures.items()}
    for group in groups:
        assert sum(group.sources.values()) == len(group.ends)
        for end in group.ends:
            attempt = tracker.task(end.task).attempts[end.attempt - 1]
            assert (end.token, end.source) == (attempt.token, attempt.source)


@pytest.mark.parametrize("seed", range(2))
async def test_every_task_has_a_reason_for_where_it_stands(tree: SweepTree, seed: int) -> None:
    """Driven or not, the reason is told, and what is not over without an engine names the command."""
    tracker = await _written(tree, seed)
    for task in tracker.tasks:
        for driven in (True, False):
            found = standing(task, tracker, driven=driven)
            assert found.why
            if not driven and not task.status.is_final:
                assert found.command == "sweep complete ID"
            if task.status in (TaskStatus.FAILED, TaskStatus.CANCELLED):
                assert found.command == f"sweep complete ID --retry {task.index}"


def test_events_of_other_tasks_are_not_even_decoded() -> None:
    """Only a task's own events and those of the sweep are wanted, cursors never."""
    wanted = about((12,))

    def is_wanted(event: ev.Event) -> bool:
        return wanted(encode_record(ev.to_record(event)))

    assert is_wanted(ev.AttemptStarted(task=12, attempt=1, at=1.0))
    assert not is_wanted(ev.AttemptStarted(task=2, attempt=12, at=1.0))
    assert not is_wanted(ev.AttemptStarted(task=121, attempt=1, at=1.0))
    assert is_wanted(ev.TasksReopened(tasks=(3,), at=1.0))
    assert not is_wanted(ev.CursorMoved(source="local", cursor='"task":12'))
    assert is_wanted(ev.SweepStopped(reason='{"task":99}', at=1.0))


def test_one_task_of_a_plan_is_that_of_the_whole_plan(tree: SweepTree) -> None:
    """Read alone or with all others it is the same, and a damaged plan is refused."""
    name, count = write_plan(Files(), tree.plans, [Proposal(params={"k": k}) for k in range(5)], "p")
    event = GenerationPlanned(generation=2, plan=name, first=11, count=count, at=1.0)
    tasks = list(read_plan(Files(), tree.plans, name, generation=2, first=11))
    assert list(read_tasks(Files(), tree.plans, event, range(9, 99)).values()) == tasks
    assert read_tasks(Files(), tree.plans, event, (13,)) == {13: tasks[2]}
    assert read_tasks(Files(), tree.plans, event, (10, 16)) == {}
    path = tree.plans / f"{name}.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"k":3', b'"k":4'))
    with pytest.raises(LedgerCorrupt, match="not what its name says"):
        read_tasks(Files(), tree.plans, event, (11,))


def test_a_task_that_may_come_is_told_from_one_that_never_will(tree: SweepTree) -> None:
    """Of a hunt that goes on, later tasks are to be expected; beyond that there are none."""
    tracker = tracker_of(Files(), tree, SPEC)
    expected = SPEC.hunt.generations * SPEC.hunt.population * SPEC.seeds if SPEC.hunt else 0
    found = unplanned(expected, tracker, driven=False)
    assert found is not None
    assert "not planned yet" in found.why
    assert unplanned(expected + 1, tracker, driven=False) is None
