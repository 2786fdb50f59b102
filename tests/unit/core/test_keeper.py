"""Snapshots and archive of a sweep that runs: made without being asked, and known by events."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest

from hsm.core import events as ev
from hsm.core.audit import audit
from hsm.core.homing import Homing
from hsm.core.machine import Command
from hsm.core.model import Task
from hsm.core.projection import Projector
from hsm.core.segments import PACKED, segments
from hsm.core.snapshots import check_rows, kept, read_head
from hsm.core.states import SweepStatus, TaskStatus
from hsm.core.summary import replay, tracker_of
from hsm.core.tracker import Order
from hsm.wire.files import Files
from tests.unit.core.test_engine import Lab, drive, fail, lab, succeed
from tests.unit.core.test_tracker import view
from tests.unit.core.worlds import Process, numbered, sweep_spec


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr("hsm.core.ledger.SEGMENT_BYTES", 2000)
    monkeypatch.setattr("hsm.core.keeper.SNAPSHOT_RECORDS", 40)
    monkeypatch.setattr("hsm.core.window.WINDOW_S", 0.0)
    monkeypatch.setattr("hsm.core.window.BUSY_WINDOW_S", 0.0)
    return lab(tmp_path, lambda order: fail() if order.task == 7 else succeed(order))


def folded(here: Lab) -> dict[str, object]:
    tracker = tracker_of(Files(), here.tree, sweep_spec())
    for event in here.events:
        tracker.fold(event)
    return view(tracker)


async def test_a_sweep_that_grows_is_snapshotted_and_its_past_archived(here: Lab) -> None:
    """Two snapshots stay, what the older one does without is packed away, and a start needs no more."""
    for limit in range(20, 161, 20):
        first = await drive(here.job(numbered(180), max_tasks=limit), Process())
        assert first.status is SweepStatus.PARTIAL
    taken = here.kinds(ev.SnapshotTaken)
    assert len(taken) > 2
    names = [Path(path).name for path in kept(Files(), here.tree)]
    assert names[-1] == taken[-2].snapshot, "older ones are gone"
    archived = [path for path in segments(Files(), here.tree) if path.suffix == PACKED]
    assert archived
    assert view(replay(Files(), here.tree, sweep_spec())[0]) == folded(here)
    assert audit(Files(), here.tree).is_sound
    result = await drive(here.job(numbered(180), reopen=(7,)), Process())
    assert result.tracker.counts[TaskStatus.SEALED] == 179
    assert here.runs == Counter([*range(1, 181), 7])
    assert view(replay(Files(), here.tree, sweep_spec())[0]) == folded(here)


async def test_a_snapshot_that_is_being_written_at_the_end_is_whole(
    here: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last summary waits for it: rows that nothing names yet are not cleaned away beside it."""
    world, stopped, cleaned = Process(), threading.Event(), threading.Event()
    sync_filesystem, remove = world.files.sync_filesystem, world.files.remove

    def linger(path: str) -> None:
        if path == str(here.tree.snapshots):
            stopped.wait(10)
            cleaned.wait(0.2)
        sync_filesystem(path)

    def removing(path: str) -> None:
        remove(path)
        if "/snap/rows/" in path:
            cleaned.set()

    def watch(event: ev.Event) -> None:
        if isinstance(event, ev.EngineStopped):
            stopped.set()

    monkeypatch.setattr(world.files, "sync_filesystem", linger)
    monkeypatch.setattr(world.files, "remove", removing)
    result = await drive(here.job(numbered(60)), world, watch)
    assert result.tracker.finished == 60
    (path,) = kept(Files(), here.tree)
    check_rows(Files(), here.tree, read_head(Files(), path))


async def test_a_snapshot_waits_for_what_was_to_be_placed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that it knows of has its place then, for the next engine does not look there again."""
    monkeypatch.setattr("hsm.core.keeper.SNAPSHOT_RECORDS", 40)
    here, ordered, written = lab(tmp_path, files=True), set[int](), set[int]()
    going = threading.Event()
    awaited, missing = list[set[int]](), list[set[int]]()
    write_status, project_later, projected = (
        Projector.write_status,
        Homing.project_later,
        Homing.projected,
    )

    def late(projector: Projector, task: Task) -> None:
        if task.index in ordered:
            assert going.wait(10), "no snapshot asks for what is not placed"
        write_status(projector, task)
        written.add(task.index)

    def order(homing: Homing, item: Order | Task) -> None:
        if not isinstance(item, Task) and item[1] is Command.PLACE:
            ordered.add(item[0].index)
        if len(ordered) == 60:
            going.set()  # the end asks for the rest
        project_later(homing, item)

    async def wait(homing: Homing) -> bool:
        before = ordered.copy()
        awaited.append(before - written)
        going.set()
        is_done = await projected(homing)
        missing.append(before - written)
        if len(ordered) < 60:
            going.clear()
        return is_done

    monkeypatch.setattr(Projector, "write_status", late)
    monkeypatch.setattr(Homing, "project_later", order)
    monkeypatch.setattr(Homing, "projected", wait)
    result = await drive(here.job(numbered(60)))
    assert result.tracker.finished == 60
    assert kept(Files(), here.tree)
    assert any(awaited), "no snapshot had anything to wait for"
    assert any(missing) is False
    assert written == set(range(1, 61))


async def test_no_snapshot_is_taken_of_what_is_never_placed(
    here: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next engine then starts from an older one, and does it."""

    async def never(_homing: Homing) -> bool:
        return False

    monkeypatch.setattr(Homing, "projected", never)
    result = await drive(here.job(numbered(60)))
    assert result.tracker.finished == 60
    assert not kept(Files(), here.tree)


@pytest.mark.parametrize("lost", ["rows", "head"])
async def test_a_snapshot_that_is_lost_while_it_is_taken_is_left_for_later(
    here: Lab, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """Before it is read back, or before the past is archived behind it: the sweep goes on without."""
    world, tree = Process(), here.tree
    sync_filesystem = world.files.sync_filesystem

    def lose(path: str) -> None:
        sync_filesystem(path)
        if lost == "rows" and path == str(tree.snapshots):
            for name in world.files.list(f"{path}/rows"):
                world.files.unlink(f"{path}/rows/{name}")

    def watch(event: ev.Event) -> None:
        if lost == "head" and isinstance(event, ev.SnapshotTaken):
            world.files.replace(str(tree.snapshots / event.snapshot), b"{}")

    monkeypatch.setattr(world.files, "sync_filesystem", lose)
    result = await drive(here.job(numbered(100)), world, watch)
    assert result.tracker.finished == 100
    assert bool(here.kinds(ev.SnapshotTaken)) == (lost == "head")
    assert not list(tree.snapshots.glob("*.part"))
    assert view(replay(Files(), tree, sweep_spec())[0]) == folded(here)


async def test_a_snapshot_that_another_engine_cleans_away_is_left_for_later(
    here: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that takes over removes rows that no snapshot names yet; the other one goes on without."""
    world = Process()
    write_new = world.files.write_new

    def cleaned_away(path: str, data: bytes) -> None:
        write_new(path, data)
        if "/snap/rows/" in path:
            world.files.unlink(path)

    monkeypatch.setattr(world.files, "write_new", cleaned_away)
    result = await drive(here.job(numbered(60)), world)
    assert result.tracker.finished == 60
    assert not here.kinds(ev.SnapshotTaken)


async def test_a_snapshot_that_finds_no_room_is_left_for_later(
    here: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep goes on without it."""
    world = Process()
    write_new = world.files.write_new

    def full(path: str, data: bytes) -> None:
        if "/snap/" in path:
            raise OSError(28, "No space left on device", path)
        write_new(path, data)

    monkeypatch.setattr(world.files, "write_new", full)
    result = await drive(here.job(numbered(60)), world)
    assert result.tracker.finished == 60
    assert not here.kinds(ev.SnapshotTaken)
