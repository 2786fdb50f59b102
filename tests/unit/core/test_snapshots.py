"""Snapshots and archive: shortcuts that change nothing but the time it takes, whatever becomes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hsm.core import events as ev
from hsm.core import packed
from hsm.core.archive import archive_before, plan_prune, prune
from hsm.core.audit import audit, raw_records
from hsm.core.errors import LedgerCorrupt, LedgerPruned, SweepError
from hsm.core.history import events_about
from hsm.core.ledger_reader import LedgerReader
from hsm.core.segments import Mark, header_of, live_segments, segments
from hsm.core.snapshots import freeze, keep, kept, read_head, save, snapshot_name
from hsm.core.summary import glance, replay, tracker_of
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.results.settled import settled_tasks
from hsm.wire.files import Files
from tests.unit.core.stories import Story
from tests.unit.core.test_tracker import view
from tests.unit.core.worlds import Process, hunt_spec, new_tree, open_ledger

SPEC = hunt_spec()
FILES = Files()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepTree:
    monkeypatch.setattr("hsm.core.ledger.SEGMENT_BYTES", 1500)
    monkeypatch.setattr("hsm.core.table.CHUNK_TASKS", 4)
    return new_tree(tmp_path)


class Told:
    """A story in a ledger of many segments; `at` are marks and what a tracker that was never packed says."""

    def __init__(self, tree: SweepTree, seed: int = 3) -> None:
        self.tree = tree
        self.events = Story(Random(seed), tree, SPEC).tell(150)
        self.at: list[tuple[Mark, SweepTracker]] = []

    async def write(self, marks: int = 6) -> Told:
        world = Process()
        _, ledger = open_ledger(world, self.tree, SPEC)
        places = {len(self.events) * n // marks for n in range(1, marks + 1)}
        group: list[ev.Event] = []
        for count, event in enumerate(self.events, 1):
            group.append(event)
            if len(group) == 4 or count in places:
                await ledger.commit(group)
                group = []
            if count in places:
                self.at.append((ledger.mark, self.folded(count)))
        ledger.close()
        world.close()
        world.die()
        return self

    def folded(self, count: int) -> SweepTracker:
        tracker = tracker_of(FILES, self.tree, SPEC)
        for event in self.events[:count]:
            tracker.fold(event)
        return tracker

    @property
    def whole(self) -> dict[str, Any]:
        return view(self.at[-1][1])

    def keep(self, number: int, files: Files = FILES) -> str:
        mark, tracker = self.at[number]
        return keep(files, self.tree, freeze(tracker, mark))

    def check(self) -> None:
        """Every way to the state leads to the same one, and so does going on from there."""
        for way in (replay, glance):
            tracker, reader = way(FILES, self.tree, SPEC)
            assert view(tracker) == self.whole
            assert reader.mark == self.at[-1][0]


async def test_a_sweep_is_taken_up_again_from_the_newest_snapshot(tree: SweepTree) -> None:
    """Of whatever age, it and what the ledger says since are the state; nothing before it is read."""
    told = await Told(tree).write()
    for number in range(len(told.at)):
        name = told.keep(number)
        assert name == snapshot_name(told.at[number][0])
        told.check()
    for path in segments(FILES, tree)[:-2]:
        path.write_bytes(b"damaged")
    tracker = tracker_of(FILES, tree, SPEC)
    with pytest.raises(LedgerCorrupt):
        [tracker.fold(event) for event in LedgerReader(FILES, tree).events()]


async def test_a_snapshot_costs_what_has_changed(tree: SweepTree) -> None:
    """Rows of tasks to which nothing has happened since are the files that are there already."""
    told = await Told(tree).write()
    mark, tracker = told.at[-1]
    keep(FILES, tree, freeze(tracker, mark))
    before = {path: path.stat().st_ino for path in (tree.snapshots / "rows").iterdir()}
    assert len(before) > 3
    tracker.fold(ev.CancelRequested(tasks=(1,), at=1.0))
    keep(FILES, tree, freeze(tracker, mark))
    after = {path: path.stat().st_ino for path in (tree.snapshots / "rows").iterdir()}
    assert before.items() <= after.items()
    assert len(after) <= len(before) + 1


Damage = Callable[[Path], object]
DAMAGES: dict[str, Damage] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "flipped": lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]),
    "last": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\x00"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("part", ["head", "rows"])
async def test_a_damaged_snapshot_costs_time_only(tree: SweepTree, part: str, damage: str) -> None:
    """The one before it is used, at last the whole ledger; an audit tells, and calls the ledger sound."""
    told = await Told(tree).write()
    told.keep(2)
    rows = set((tree.snapshots / "rows").iterdir())
    newest = tree.snapshots / told.keep(4)
    if part == "head":
        DAMAGES[damage](newest)
    else:
        for path in set((tree.snapshots / "rows").iterdir()) - rows:
            DAMAGES[damage](path)
    told.check()
    found = audit(FILES, tree)
    assert found.is_sound
    if newest.exists():
        assert [bool(snapshot.reason) for snapshot in found.snapshots] == [True, False]
    for path in (tree.snapshots / "rows").iterdir():
        path.unlink()
    told.check()


async def test_a_snapshot_of_another_version_is_left_alone(tree: SweepTree) -> None:
    """Its number is looked at before anything else."""
    told = await Told(tree).write()
    path = tree.snapshots / told.keep(2)
    content = json.loads(path.read_bytes())
    path.write_text(json.dumps({**content, "version": 99}))
    told.check()


async def test_a_snapshot_of_a_superseded_engine_is_not_believed(tree: SweepTree) -> None:
    """It stands behind the place where its successor began."""
    told = await Told(tree).write()
    _, ledger = open_ledger(Process(), tree, SPEC)
    ledger.close()
    mark, tracker = told.at[-1]
    tracker.fold(ev.CancelRequested(at=1.0))
    behind = mark.position._replace(offset=mark.position.offset + 200, seq=mark.position.seq + 2)
    keep(FILES, tree, freeze(tracker, Mark(mark.segment, behind)))
    told = Told(tree)
    assert view(replay(FILES, tree, SPEC)[0])["tasks"] == view(told.folded(len(told.events)))["tasks"]


async def test_rows_of_an_older_version_are_read_by_the_names_of_their_fields(
    tree: SweepTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A field that came later has its default then."""
    told = await Told(tree).write()
    fresh = told.folded(len(told.events))
    names = tuple(name for name in packed.FIELDS["task"] if name != "spent")
    with monkeypatch.context() as older:
        older.setattr(packed, "_own_values", attrgetter(*names))
        older.setattr("hsm.core.snapshots.FIELDS", {**packed.FIELDS, "task": names})
        frozen = freeze(fresh, told.at[-1][0])
        tasks = iter(fresh.tasks)
        for chunk in frozen.chunks:
            chunk.rows = [row and packed.pack(task) for row, task in zip(chunk.rows, tasks, strict=False)]
        keep(FILES, tree, frozen)
    assert list(read_head(FILES, kept(FILES, tree)[0]).content["fields"]["task"]) == list(names)
    tracker, _ = replay(FILES, tree, SPEC)
    assert view(tracker)["statuses"] == told.whole["statuses"]
    assert [task.metrics for task in tracker.tasks] == [task.metrics for task in told.at[-1][1].tasks]
    assert {task.spent for task in tracker.tasks} == {0}


async def test_archived_segments_are_read_like_all_others(tree: SweepTree) -> None:
    """Everything that ever happened is there; what lies there twice is read where it was."""
    told = await Told(tree).write()
    told.keep(2)
    reader = LedgerReader(FILES, tree)
    begun = reader.events()
    first = [next(begun) for _ in range(5)]
    exported = list(raw_records(FILES, tree))
    copy = segments(FILES, tree)[0].read_bytes()
    moved = archive_before(FILES, tree, told.at[2][0])
    assert len(moved) > 2
    assert not (set(moved) & set(tree.ledger.iterdir()))
    assert [*first, *begun] == told.events, "also for a reader that was at it"
    assert list(LedgerReader(FILES, tree).events()) == told.events
    assert list(raw_records(FILES, tree)) == exported
    assert audit(FILES, tree).is_sound
    told.check()
    (tree.ledger / "000001-0001.hsl").write_bytes(copy)
    assert list(LedgerReader(FILES, tree).events()) == told.events
    assert archive_before(FILES, tree, told.at[2][0]) == [moved[0]]
    told.check()


async def test_damage_in_the_archive_is_found_and_does_not_keep_a_sweep_from_going_on(
    tree: SweepTree,
) -> None:
    """Verify and every look back refuse it with its place; a start does not need it."""
    told = await Told(tree).write()
    told.keep(2)
    moved = archive_before(FILES, tree, told.at[2][0])
    data = bytearray(moved[1].read_bytes())
    data[len(data) // 2] ^= 4
    moved[1].write_bytes(data)
    assert not audit(FILES, tree).is_sound
    with pytest.raises(LedgerCorrupt, match="0000"):
        list(LedgerReader(FILES, tree).events())
    told.check()


class Killed(Exception):
    """The process died here."""


class Mortal(Files):
    """Dies before its n-th act that changes something."""

    def __init__(self, acts: int) -> None:
        self.acts = acts

    def _act(self) -> None:
        self.acts -= 1
        if self.acts < 0:
            raise Killed

    def write_new(self, path: str, data: bytes) -> None:
        self._act()
        super().write_new(path, data[: len(data) // 2])
        self._act()
        super().write_new(path, data)

    def rename(self, old: str, new: str) -> None:
        self._act()
        super().rename(old, new)

    def unlink(self, path: str) -> None:
        self._act()
        super().unlink(path)

    def sync_file(self, path: str) -> None:
        self._act()
        super().sync_file(path)

    def sync_directory(self, path: str) -> None:
        self._act()
        super().sync_directory(path)


async def test_keeping_archiving_and_pruning_may_be_killed_at_every_step(tree: SweepTree) -> None:
    """The state is the same after each, and doing it again ends where doing it once does."""
    told = await Told(tree).write()
    told.keep(1)
    acts, mark = 0, told.at[3][0]
    while True:
        files, tracker = Mortal(acts), told.folded(len(told.events) * 4 // 6)
        try:
            keep(files, tree, freeze(tracker, mark))
            save(files, tree, freeze(tracker, mark))
            archive_before(files, tree, told.at[1][0])
            prune(files, tree, plan_prune(files, tree))
        except Killed:
            told.check()
            acts += 1
            continue
        break
    assert acts > 20
    told.check()
    assert audit(FILES, tree).is_sound


async def test_a_prune_deletes_the_archive_and_says_what_is_lost(tree: SweepTree) -> None:
    """Every task is as it was; what looks back says what is gone."""
    told = await Told(tree).write()
    with pytest.raises(SweepError, match="nothing is archived"):
        plan_prune(FILES, tree)
    told.keep(2)
    told.keep(4)
    archive_before(FILES, tree, told.at[2][0])
    found = plan_prune(FILES, tree)
    assert found.snapshot == snapshot_name(told.at[4][0])
    header = header_of(FILES, live_segments(FILES, tree)[len(found.segments)])
    assert header is not None
    assert found.seq == header["prev"]["seq"] > 0
    prune(FILES, tree, found)
    told.check()
    assert audit(FILES, tree).is_sound
    assert audit(FILES, tree).pruned == found.seq
    assert [settled.task for settled in settled_tasks(FILES, tree, SPEC)] == told.whole["tasks"]
    with pytest.raises(LedgerPruned, match=f"before record {found.seq} was pruned"):
        list(events_about(FILES, tree, (1,)))
    world = Process()
    _, ledger = open_ledger(world, tree, SPEC)
    await ledger.commit([ev.CancelRequested(at=9.0)])
    ledger.close()
    world.close()
    assert replay(FILES, tree, SPEC)[0].cancelled


async def test_nothing_is_pruned_without_a_sound_snapshot(tree: SweepTree) -> None:
    """All of it is read before anything is deleted."""
    told = await Told(tree).write()
    head = read_head(FILES, str(tree.snapshots / told.keep(2)))
    archive_before(FILES, tree, told.at[2][0])
    (tree.snapshots / "rows" / head.chunks[0]).write_bytes(b"")
    before = sorted(tree.archive.iterdir())
    with pytest.raises(SweepError, match="no snapshot is sound"):
        plan_prune(FILES, tree)
    assert sorted(tree.archive.iterdir()) == before
