"""Auditing and salvaging ledgers: damage is found wherever it is, and what can be read is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from hsm.core import events as ev
from hsm.core.audit import SegmentState, audit, raw_records
from hsm.core.errors import EngineRunning, LedgerCorrupt, SweepError
from hsm.core.ledger_reader import LedgerReader
from hsm.core.model import Proposal
from hsm.core.plan import write_plan
from hsm.core.salvage import salvage
from hsm.core.segments import header_of, segments
from hsm.core.states import Cause, SweepStatus, TaskStatus
from hsm.core.summary import replay
from hsm.core.tree import SweepTree
from hsm.wire import frames
from hsm.wire.files import Files
from tests.unit.core.worlds import Process, new_tree, open_ledger, sweep_spec

FILES = Files()


@pytest.fixture
def tree(tmp_path: Path) -> SweepTree:
    return new_tree(tmp_path)


def planned(tree: SweepTree, count: int) -> ev.GenerationPlanned:
    proposals = [Proposal(params={"k": number}) for number in range(count)]
    name, _ = write_plan(FILES, tree.plans, proposals, "d" * 64)
    return ev.GenerationPlanned(generation=1, plan=name, first=1, count=count, at=1.0)


def intended(task: int) -> ev.AttemptIntended:
    return ev.AttemptIntended(task=task, attempt=1, token=f"{task:032x}", source="local", at=1.0)


def lost(task: int) -> ev.AttemptLost:
    return ev.AttemptLost(task=task, attempt=1, cause=Cause.LOST, reason="gone", at=2.0)


def cursor(number: int) -> ev.CursorMoved:
    return ev.CursorMoved(source="local", cursor=str(number))


async def write(tree: SweepTree, groups: Iterable[Sequence[ev.Event]]) -> None:
    """Be an engine that commits these groups and is killed."""
    world = Process()
    tracker, ledger = open_ledger(world, tree)
    for group in groups:
        for event in group:
            tracker.fold(event)
        await ledger.commit(group)
    ledger.close()
    world.close()
    world.die()


def story(tree: SweepTree) -> list[list[list[ev.Event]]]:
    """Return what two engines commit: four tasks, of which three are begun and two are lost."""
    return [
        [[planned(tree, 4)], [intended(1), intended(2)], [cursor(1)]],
        [[lost(1), cursor(2)], [intended(3)], [lost(2), cursor(3)]],
    ]


@pytest.fixture
def told(tree: SweepTree) -> list[ev.Event]:
    """Write the story and return its events."""
    engines = story(tree)
    for engine in engines:
        asyncio.run(write(tree, engine))
    return [event for engine in engines for group in engine for event in group]


def events_of(tree: SweepTree) -> list[ev.Event]:
    return list(LedgerReader(FILES, tree).events())


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x04
    path.write_bytes(data)


def test_a_sound_ledger_is_found_so(tree: SweepTree, told: list[ev.Event]) -> None:
    """Every segment is whole, records and plans are counted, and there is nothing to salvage."""
    found = audit(FILES, tree)
    assert found.is_sound
    assert [segment.state for segment in found.segments] == [SegmentState.WHOLE] * 2
    assert (found.records, found.plans) == (len(told) + 2, 1)
    with pytest.raises(SweepError, match="is sound"):
        salvage(Process(), tree, sweep_spec())


def test_every_record_is_exported_as_it_stands(tree: SweepTree, told: list[ev.Event]) -> None:
    """In order, headers included, also kinds that only a newer version knows."""
    records = [record for _, record in raw_records(FILES, tree)]
    assert [record["t"] for record in records if record["t"] != "header"] == [event.kind for event in told]
    world = Process()
    _, ledger = open_ledger(world, tree)
    ledger._log.write([b'{"t":"of_the_future","x":1}'])
    ledger.close()
    assert list(raw_records(FILES, tree))[-1] == ("000003-0001.hsl", {"t": "of_the_future", "x": 1})


def test_damage_at_any_byte_is_found_and_costs_its_group(tree: SweepTree, told: list[ev.Event]) -> None:
    """Wherever a bit flips: it is found, nothing is invented, what remains is a ledger."""
    originals = {path: path.read_bytes() for path in segments(FILES, tree)}
    last = segments(FILES, tree)[-1]
    group_bytes = len(originals[last]) - originals[last].rindex(b"L1 ", 0, originals[last].rindex(b"L1 "))
    header = header_of(FILES, last)
    assert header is not None
    said_again = header["prev"]["length"]
    for path, data in originals.items():
        for at in range(0, len(data), 29):
            flip(path, at)
            is_tail = at >= (len(data) - group_bytes - 200 if path == last else said_again)
            found = audit(FILES, tree)
            if found.is_sound:
                assert is_tail, "only an end may be torn, or what the next segment says again"
            else:
                result = salvage(Process(), tree, sweep_spec())
                assert result.kept + len(result.refused) < len(told) or result.forgotten_cursors
                assert audit(FILES, tree).is_sound
                kept = [event for event in events_of(tree) if event in told]
                rest = iter(told)
                assert all(event in rest for event in kept), "in order, nothing twice"
                tracker, _ = replay(FILES, tree, sweep_spec())
                assert tracker.counts.total() == len(tracker.tasks)
                assert result.segment is not None
                result.segment.unlink()
                for claim in sorted(tree.epochs.glob("*.claim"))[2:]:
                    claim.unlink()
            path.write_bytes(data)


def test_what_was_read_of_sources_behind_a_loss_is_read_again(tree: SweepTree, told: list[ev.Event]) -> None:
    """Cursors from the first loss on are forgotten; an attempt whose end is lost is open again."""
    path = segments(FILES, tree)[1]
    flip(path, path.read_bytes().index(b"attempt_lost"))
    result = salvage(Process(), tree, sweep_spec())
    assert (result.lost, result.forgotten_cursors, result.refused) == (3, 1, ())
    tracker, _ = replay(FILES, tree, sweep_spec())
    assert tracker.cursors == {"local": "1"}
    assert tracker.task(1).status is TaskStatus.SCHEDULED
    stopped = events_of(tree)[-1]
    assert isinstance(stopped, ev.EngineStopped)
    assert stopped.reason == "salvaged: 3 records are lost, 0 make no sense without them"


def test_what_makes_no_sense_without_the_lost_is_refused(tree: SweepTree, told: list[ev.Event]) -> None:
    """An end without its beginning never becomes a result; it is told by its number."""
    path = segments(FILES, tree)[0]
    flip(path, path.read_bytes().index(b"attempt_intended"))
    result = salvage(Process(), tree, sweep_spec())
    assert [refused.kind for refused in result.refused] == ["attempt_lost", "attempt_lost"]
    tracker, _ = replay(FILES, tree, sweep_spec())
    assert [task.status for task in tracker.tasks] == [
        TaskStatus.RECEIVED,
        TaskStatus.RECEIVED,
        TaskStatus.SCHEDULED,
        TaskStatus.RECEIVED,
    ]


def test_a_salvaged_sweep_goes_on(tree: SweepTree, told: list[ev.Event]) -> None:
    """The next engine takes the next epoch; the damaged segments stay as they are and are not read."""
    path = segments(FILES, tree)[0]
    flip(path, path.read_bytes().index(b"attempt_intended"))
    damaged = {old: old.read_bytes() for old in segments(FILES, tree)}
    salvage(Process(), tree, sweep_spec())
    asyncio.run(write(tree, [[intended(4)]]))
    assert {old: old.read_bytes() for old in damaged} == damaged
    assert [segment.state for segment in audit(FILES, tree).segments] == [
        SegmentState.REPLACED,
        SegmentState.REPLACED,
        SegmentState.WHOLE,
        SegmentState.WHOLE,
    ]
    assert events_of(tree)[-1] == intended(4)
    assert replay(FILES, tree, sweep_spec())[0].status(driven=False) is SweepStatus.PARTIAL


def test_a_missing_segment_and_a_missing_plan_are_found(tree: SweepTree, told: list[ev.Event]) -> None:
    """Each by its name, both at once."""
    (plan,) = tree.plans.glob("*.jsonl")
    plan.write_bytes(plan.read_bytes() + b"\n")
    assert [fault for fault in audit(FILES, tree).faults if "not what its name says" in fault]
    plan.unlink()
    assert [fault for fault in audit(FILES, tree).faults if "the plan is missing" in fault]
    segments(FILES, tree)[0].unlink()
    assert [fault for fault in audit(FILES, tree).faults if "000001-0001.hsl, which cannot be read" in fault]
    with pytest.raises(LedgerCorrupt, match="cannot be read"):
        list(raw_records(FILES, tree))


def test_what_a_superseded_engine_wrote_is_told_and_is_no_damage(tree: SweepTree) -> None:
    """The bytes behind the accepted end are counted; a salvage for another reason leaves them out."""
    asyncio.run(write(tree, [[planned(tree, 2)], [intended(1)], [cursor(1)]]))
    first = segments(FILES, tree)[0]
    whole = first.read_bytes()
    asyncio.run(write(tree, [[intended(2)]]))
    header = header_of(FILES, segments(FILES, tree)[1])
    assert header is not None
    group, _, _ = frames.encode_group(99, frames.GENESIS, [b'{"t":"hunt_ended","generation":1,"at":1.0}'])
    first.write_bytes(whole + group)
    found = audit(FILES, tree)
    assert found.is_sound
    extra_bytes = len(whole) - header["prev"]["length"] + len(group)
    assert (found.segments[0].state, found.segments[0].extra_bytes) == (SegmentState.OVERRUN, extra_bytes)
    flip(first, whole.index(b"attempt_intended"))
    result = salvage(Process(), tree, sweep_spec())
    assert "hunt_ended" not in [record["t"] for _, record in raw_records(FILES, tree)]
    assert result.kept == 2


def test_a_dry_run_writes_nothing(tree: SweepTree, told: list[ev.Event]) -> None:
    """It tells the same as the salvage does, and leaves every file alone."""
    path = segments(FILES, tree)[0]
    flip(path, path.read_bytes().index(b"attempt_intended"))
    before = {file: file.read_bytes() for file in tree.root.rglob("*") if file.is_file()}
    tried = salvage(Process(), tree, sweep_spec(), dry_run=True)
    assert {file: file.read_bytes() for file in tree.root.rglob("*") if file.is_file()} == before
    done = salvage(Process(), tree, sweep_spec())
    assert asdict(done) == {**asdict(tried), "segment": done.segment}


def test_the_ledger_of_a_living_engine_is_left_alone(tree: SweepTree) -> None:
    """It is refused by host and pid, and nothing is written."""
    world = Process()
    _, ledger = open_ledger(world, tree)
    asyncio.run(ledger.commit([planned(tree, 2)]))
    asyncio.run(ledger.commit([intended(1)]))
    path = segments(FILES, tree)[0]
    flip(path, path.read_bytes().index(b"generation_planned"))
    with pytest.raises(EngineRunning, match="drives this sweep"):
        salvage(Process(), tree, sweep_spec())
    ledger.close()
    world.close()
    assert len(segments(FILES, tree)) == 1
