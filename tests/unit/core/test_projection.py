"""Projections: what people read follows from the ledger; it can be done twice and picked up half done."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from hsm.core import events as ev
from hsm.core import snapshots
from hsm.core.machine import Command
from hsm.core.model import Exit, Proposal, Task
from hsm.core.plan import write_plan
from hsm.core.projection import Projector
from hsm.core.segments import Mark
from hsm.core.states import Cause, TaskStatus
from hsm.core.summary import tracker_of
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.wire.files import Files
from hsm.wire.hashing import sha256_hex
from tests.unit.core.worlds import new_tree, sweep_spec

TOKEN = "0123456789abcdef" * 2


@pytest.fixture
def tree(tmp_path: Path) -> SweepTree:
    return new_tree(tmp_path)


@pytest.fixture
def tracker(tree: SweepTree) -> SweepTracker:
    found = tracker_of(Files(), tree, sweep_spec())
    name, count = write_plan(Files(), tree.plans, [Proposal(params={"k": "no"})], "p")
    found.fold(ev.GenerationPlanned(generation=1, plan=name, first=1, count=count, at=1.0))
    return found


@pytest.fixture
def projector(tree: SweepTree) -> Projector:
    return Projector(Files(), tree)


def work(tree: SweepTree, task: Task, number: int) -> Path:
    attempt = task.attempts[number - 1]
    path = tree.root / tree.attempt_name(task.index, number, attempt.token)
    path.mkdir()
    (path / "stdout.log").write_text(f"attempt {number}\n")
    return path


def begin(tracker: SweepTracker, number: int) -> Task:
    token = f"{number}{TOKEN[1:]}"
    tracker.fold(ev.AttemptIntended(task=1, attempt=number, token=token, source="local", at=1.0))
    tracker.fold(ev.AttemptStarted(task=1, attempt=number, at=2.0))
    return tracker.task(1)


def end(tracker: SweepTracker, number: int, *, cause: Cause | None = None) -> list[tuple[Task, Command]]:
    exit_ = Exit(code=1 if cause else 0, wall_s=0.5)
    tracker.fold(
        ev.AttemptExited(
            task=1, attempt=number, exit=exit_, manifest="m", cause=cause, started_at=2.0, at=3.0
        )
    )
    if cause is None:
        return tracker.fold(
            ev.AttemptSealed(task=1, attempt=number, metrics={"f": None}, notes=("f is nan",), at=4.0)
        )
    return tracker.fold(ev.AttemptFailed(task=1, attempt=number, cause=cause, reason="it broke", at=4.0))


def test_a_running_task_is_a_link_to_where_it_runs(
    tree: SweepTree, tracker: SweepTracker, projector: Projector
) -> None:
    """Relative, so that the tree can be moved; linking again changes nothing."""
    task = begin(tracker, 1)
    directory = work(tree, task, 1)
    for _ in range(2):
        projector.link([task])
        assert tree.task(1).is_symlink()
        assert not tree.task(1).readlink().is_absolute()
        assert tree.task(1).resolve() == directory.resolve()
    moved = tree.root.rename(tree.root.with_name("moved"))
    assert (SweepTree(moved).task(1) / "stdout.log").read_text() == "attempt 1\n"


def test_a_sealed_task_is_its_directory(tree: SweepTree, tracker: SweepTracker, projector: Projector) -> None:
    """Moved, not copied, with its status beside it; carrying it out again changes nothing."""
    task = begin(tracker, 1)
    inode = work(tree, task, 1).stat().st_ino
    projector.link([task])
    orders = end(tracker, 1)
    for _ in range(3):
        projector.apply(orders)
        place = tree.task(1)
        assert not place.is_symlink()
        assert place.stat().st_ino == inode
        assert sorted(path.name for path in place.iterdir()) == ["status.yaml", "stdout.log"]
        assert list(tree.work.iterdir()) == []
    status = yaml.safe_load((tree.task(1) / "status.yaml").read_text())
    assert (status["status"], status["exit_code"], status["metrics"]) == ("sealed", 0, {"f": None})
    assert (status["reason"], status["wall_s"], status["task_id"]) == ("f is nan", 0.5, "task_0001")


def test_a_retried_attempt_is_kept_aside(
    tree: SweepTree, tracker: SweepTracker, projector: Projector
) -> None:
    """Under its own name, as often as it is ordered; the next one takes its place."""
    directory = work(tree, begin(tracker, 1), 1)
    projector.link([tracker.task(1)])
    orders = end(tracker, 1, cause=Cause.NODE)
    assert [command for _, command in orders] == [Command.ARCHIVE]
    for _ in range(2):
        projector.apply(orders)
        assert (tree.attempts / directory.name / "stdout.log").read_text() == "attempt 1\n"
        assert not tree.task(1).exists()
    work(tree, begin(tracker, 2), 2)
    projector.link([tracker.task(1)])
    projector.apply(orders)
    assert (tree.task(1) / "stdout.log").read_text() == "attempt 2\n", (
        "an old order leaves a new attempt alone"
    )
    projector.apply(end(tracker, 2))
    assert (tree.task(1) / "stdout.log").read_text() == "attempt 2\n"


def test_what_a_voided_attempt_left_is_moved_aside_at_once(
    tree: SweepTree, tracker: SweepTracker, projector: Projector
) -> None:
    """A machine that lacked something may have made its directory and no more; most have left none."""
    for number, has_left in ((1, True), (2, False)):
        token = f"{number}{TOKEN[1:]}"
        tracker.fold(ev.AttemptIntended(task=1, attempt=number, token=token, source="local", at=1.0))
        if has_left:
            work(tree, tracker.task(1), number)
        orders = tracker.fold(ev.AttemptVoided(task=1, attempt=number, reason="taken back", at=2.0))
        for _ in range(2):
            projector.apply(orders)
        assert not list(tree.work.iterdir())
        assert [path.name for path in tree.attempts.iterdir()] == [f"task_0001.1-1{TOKEN[1:8]}"]
    assert tracker.task(1).status is TaskStatus.RECEIVED


def test_a_reopened_task_frees_its_place(
    tree: SweepTree, tracker: SweepTracker, projector: Projector
) -> None:
    """What had been placed goes aside; its files are kept."""
    directory = work(tree, begin(tracker, 1), 1)
    projector.apply(end(tracker, 1, cause=Cause.APPLICATION))
    assert (tree.task(1) / "status.yaml").exists()
    orders = tracker.fold(ev.TasksReopened(tasks=(1,), at=5.0))
    for _ in range(2):
        projector.apply(orders)
        assert not tree.task(1).exists()
        assert (tree.attempts / directory.name / "stdout.log").exists()


def test_a_program_that_removed_its_directory_has_a_status_all_the_same(
    tree: SweepTree, tracker: SweepTracker, projector: Projector
) -> None:
    """There is always a place to look."""
    begin(tracker, 1)
    projector.link([tracker.task(1)])
    projector.apply(end(tracker, 1, cause=Cause.APPLICATION))
    assert [path.name for path in tree.task(1).iterdir()] == ["status.yaml"]


@pytest.mark.parametrize("cause", [None, Cause.APPLICATION, Cause.NODE])
@pytest.mark.parametrize("done", ["nothing", "unlinked", "renamed", "empty", "zeros", "all"])
def test_what_a_dead_engine_left_half_done_is_finished(
    tree: SweepTree, tracker: SweepTracker, projector: Projector, cause: Cause | None, done: str
) -> None:
    """Killed before, in the middle of or after placing or archiving: `tidy` leads to the same tree."""
    tracker.fold(ev.EngineStarted(epoch=1, host="h", pid=1, version="0", at=0.0))
    task = begin(tracker, 1)
    directory = work(tree, task, 1)
    projector.link([task])
    orders = end(tracker, 1, cause=cause)
    home = tree.attempts / directory.name if cause is Cause.NODE else tree.task(1)
    if done != "nothing":
        tree.task(1).unlink()
    if done == "renamed":
        directory.rename(home)
    if done in ("empty", "zeros", "all"):
        projector.apply(orders)
    if done in ("empty", "zeros") and cause is not Cause.NODE:
        (home / "status.yaml").write_bytes(b"" if done == "empty" else bytes(200))
    for _ in range(2):
        projector.tidy(tracker)
        assert cause is Cause.NODE or (home / "status.yaml").read_bytes().endswith(b"\n")
        assert (home / "stdout.log").read_text() == "attempt 1\n"
        assert list(tree.work.iterdir()) == []
    projector.rebuild(tracker)
    if cause is not Cause.NODE:
        assert yaml.safe_load((tree.task(1) / "status.yaml").read_text())["status"] == str(
            tracker.task(1).status
        )


class LookedAt(Files):
    """Counts which tasks are looked at."""

    def __init__(self) -> None:
        self.tasks = Counter[str]()

    def is_directory(self, path: str) -> bool:
        self.tasks[Path(path).name] += 1
        return super().is_directory(path)


@pytest.mark.parametrize("count", [12, 48])
def test_only_what_changed_since_the_snapshot_is_looked_at(
    tree: SweepTree, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """However many tasks were final by then; without a snapshot every one is."""
    monkeypatch.setattr("hsm.core.table.CHUNK_TASKS", 4)
    tracker = tracker_of(Files(), tree, sweep_spec())
    tracker.fold(ev.EngineStarted(epoch=1, host="h", pid=1, version="0", at=0.0))
    name, _ = write_plan(Files(), tree.plans, [Proposal(params={"k": k}) for k in range(count)], "p")
    tracker.fold(ev.GenerationPlanned(generation=1, plan=name, first=1, count=count, at=1.0))

    def seal(tracker: SweepTracker, index: int) -> None:
        intended = ev.AttemptIntended(task=index, attempt=1, token=f"{index:032x}", source="local", at=1.0)
        tracker.fold(intended)
        exit_ = Exit(code=0, wall_s=0.5)
        tracker.fold(
            ev.AttemptExited(task=index, attempt=1, exit=exit_, manifest="m", started_at=2.0, at=3.0)
        )
        tracker.fold(ev.AttemptSealed(task=index, attempt=1, metrics={}, at=4.0))
        tree.task(index).mkdir()

    for index in range(1, count - 1):
        seal(tracker, index)
    looked = LookedAt()
    Projector(looked, tree).tidy(tracker)
    assert len(looked.tasks) == count - 2
    kept = snapshots.keep(Files(), tree, snapshots.freeze(tracker, Mark("000001-0001.hsl")))
    later = tracker_of(Files(), tree, sweep_spec())
    snapshots.restore(Files(), tree, later, snapshots.read_head(Files(), str(tree.snapshots / kept)))
    for index in (count - 1, count):
        seal(later, index)
    looked.tasks.clear()
    Projector(looked, tree).tidy(later)
    assert looked.tasks == Counter(tree.task(index).name for index in range(count - 3, count + 1))
    assert (tree.task(count) / "status.yaml").read_bytes().endswith(b"\n")


def test_tidying_leaves_what_runs_and_what_is_foreign(
    tree: SweepTree, tracker: SweepTracker, projector: Projector
) -> None:
    """Only what the ledger knows to be over is moved."""
    directory = work(tree, begin(tracker, 1), 1)
    for name in ("readme", "task_0099.1-aaaaaaaa", "task_0001.9-aaaaaaaa", "task_x.1-y"):
        (tree.work / name).mkdir()
    before = sorted(tree.work.iterdir())
    projector.tidy(tracker)
    assert sorted(tree.work.iterdir()) == before
    assert directory in before


def test_everything_can_be_rebuilt(tree: SweepTree, tracker: SweepTracker, projector: Projector) -> None:
    """Delete every projection, rebuild: mapping, errors and status are there again and say the same."""
    work(tree, begin(tracker, 1), 1)
    projector.apply(end(tracker, 1, cause=Cause.APPLICATION))
    projector.rebuild(tracker)
    paths = [
        tree.mapping,
        tree.task(1) / "status.yaml",
        tree.logs / "errors" / "failed_tasks.yaml",
        tree.logs / "errors" / "error_patterns.yaml",
    ]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    projector.rebuild(tracker)
    assert [path.read_bytes() for path in paths] == before
    mapping = yaml.safe_load(tree.mapping.read_text())
    assert mapping["task_0001"]["params"] == {"k": "no"}
    assert mapping["task_0001"]["status"] == str(TaskStatus.FAILED)
    failed = yaml.safe_load(paths[2].read_text())
    assert failed["task_0001"]["reason"] == "it broke"
    assert yaml.safe_load(paths[3].read_text()) == [
        {"cause": "application", "signature": "it broke", "count": 1, "tasks": ["task_0001"]}
    ]


def test_a_sweep_without_tasks_has_projections_too(tree: SweepTree, projector: Projector) -> None:
    """Empty ones, which are YAML."""
    projector.rebuild(tracker_of(Files(), tree, sweep_spec()))
    assert yaml.safe_load(tree.mapping.read_text()) == {}
    assert yaml.safe_load((tree.logs / "errors" / "error_patterns.yaml").read_text()) == []


def test_an_older_result_that_a_dead_engine_left_in_place_is_kept_aside(
    tree: SweepTree, tracker: SweepTracker, projector: Projector
) -> None:
    """A failed task that was reopened by an engine that died at once can still be finished."""
    work(tree, begin(tracker, 1), 1)
    projector.apply(end(tracker, 1, cause=Cause.APPLICATION))
    tracker.fold(ev.TasksReopened(tasks=(1,), at=5.0))  # and its order to archive is never carried out
    second = begin(tracker, 2)
    work(tree, second, 2)
    projector.link([second])
    assert tree.task(1).is_symlink()
    projector.apply(end(tracker, 2))
    assert (tree.task(1) / "stdout.log").read_text() == "attempt 2\n"
    kept = list(tree.attempts.iterdir())
    assert [path.name[:11] for path in kept] == ["task_0001.1"]
    assert (kept[0] / "stdout.log").read_text() == "attempt 1\n"


def test_a_result_takes_the_place_of_an_older_one(
    tree: SweepTree, tracker: SweepTracker, projector: Projector
) -> None:
    """Also when the task was never linked, and however often placing is tried."""
    work(tree, begin(tracker, 1), 1)
    projector.apply(end(tracker, 1, cause=Cause.APPLICATION))
    tracker.fold(ev.TasksReopened(tasks=(1,), at=5.0))
    work(tree, begin(tracker, 2), 2)
    orders = end(tracker, 2)
    for _ in range(2):
        projector.apply(orders)
        assert (tree.task(1) / "stdout.log").read_text() == "attempt 2\n"
        assert len(list(tree.attempts.iterdir())) == 1


def test_what_lost_is_moved_aside_and_the_result_stays(
    tree: SweepTree, tracker: SweepTracker, projector: Projector
) -> None:
    """A late exit of what was given up, after another one was sealed: two directories, two places."""
    first = work(tree, begin(tracker, 1), 1)
    tracker.fold(ev.AttemptLost(task=1, attempt=1, cause=Cause.NODE, reason="it vanished", at=3.0))
    work(tree, begin(tracker, 2), 2)
    projector.link([tracker.task(1)])
    projector.apply(end(tracker, 2))
    exit_ = Exit(code=0, wall_s=0.5)
    tracker.fold(ev.AttemptExited(task=1, attempt=1, exit=exit_, manifest="m", started_at=2.0, at=5.0))
    orders = tracker.fold(ev.AttemptSuperseded(task=1, attempt=1, at=6.0))
    assert [command for _, command in orders] == [Command.ARCHIVE]
    for _ in range(2):
        projector.apply(orders)
        assert (tree.task(1) / "stdout.log").read_text() == "attempt 2\n"
        assert (tree.attempts / first.name / "stdout.log").read_text() == "attempt 1\n"


def test_an_attempt_that_ends_badly_leaves_the_one_that_runs_alone(
    tree: SweepTree, tracker: SweepTracker, projector: Projector
) -> None:
    """The late exit of the first is a failure while the second one runs: only the first is moved."""
    first = work(tree, begin(tracker, 1), 1)
    tracker.fold(ev.AttemptLost(task=1, attempt=1, cause=Cause.NODE, reason="it vanished", at=3.0))
    second = work(tree, begin(tracker, 2), 2)
    projector.link([tracker.task(1)])
    projector.apply(end(tracker, 1, cause=Cause.APPLICATION))
    assert (tree.attempts / first.name / "stdout.log").exists()
    assert (second / "stdout.log").exists()
    assert tree.task(1).resolve() == second.resolve()


def test_what_was_run_again_under_an_old_token_never_takes_the_place_of_a_result(
    tree: SweepTree, tracker: SweepTracker, projector: Projector
) -> None:
    """An agent that lost its records made the same work directory anew: kept aside, under another name."""
    directory = work(tree, begin(tracker, 1), 1)
    report = b'{"artifacts": []}'
    (directory / "provenance.json").write_bytes(report)
    exit_ = Exit(code=0, wall_s=0.5)
    digest = sha256_hex(report)
    tracker.fold(ev.AttemptExited(task=1, attempt=1, exit=exit_, manifest=digest, started_at=2.0, at=3.0))
    orders = tracker.fold(ev.AttemptSealed(task=1, attempt=1, at=4.0))
    projector.apply(orders)
    directory.mkdir()
    (directory / "stdout.log").write_text("the second execution\n")
    for _ in range(2):
        projector.tidy(tracker)
        assert (tree.task(1) / "stdout.log").read_text() == "attempt 1\n"
        kept = tree.attempts / f"{directory.name}.again"
        assert (kept / "stdout.log").read_text() == "the second execution\n"
        assert list(tree.work.iterdir()) == []
