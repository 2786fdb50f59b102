"""The ledger: what was acknowledged is there after anything; what is damaged is refused and left as it is."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from hsm.core import events as ev
from hsm.core import ledger as ledgers
from hsm.core.audit import SegmentState, audit
from hsm.core.epochs import holder, last_claim
from hsm.core.errors import (
    EngineRunning,
    Fenced,
    LedgerCorrupt,
    LedgerError,
    LedgerFull,
    LedgerNewer,
    SweepError,
)
from hsm.core.ledger import Ledger
from hsm.core.ledger_reader import LedgerReader
from hsm.core.segments import Mark, header_of, segments
from hsm.core.states import SweepStatus
from hsm.core.storage import create_tree
from hsm.core.tree import SweepTree
from hsm.wire import frames
from hsm.wire.files import Files
from hsm.wire.frames import SECTOR_BYTES
from hsm.wire.log import LogWriter, encode_record
from tests.unit.core.worlds import Process, new_tree, open_ledger


@pytest.fixture
def tree(tmp_path: Path) -> SweepTree:
    return new_tree(tmp_path)


def cursor(number: int) -> ev.CursorMoved:
    return ev.CursorMoved(source="local", cursor=str(number))


def stopped(epoch: int) -> ev.EngineStopped:
    return ev.EngineStopped(epoch=epoch, status=SweepStatus.PARTIAL, at=1.0)


def events_of(tree: SweepTree) -> list[ev.Event]:
    return list(LedgerReader(Files(), tree).events())


def content_of(tree: SweepTree) -> dict[str, bytes]:
    return {
        str(path.relative_to(tree.root)): path.read_bytes() for path in tree.root.rglob("*") if path.is_file()
    }


async def write(tree: SweepTree, groups: Iterable[list[int]], world: Process | None = None) -> Process:
    """Be an engine that commits these groups and is killed."""
    world = world or Process()
    _, ledger = open_ledger(world, tree)
    for group in groups:
        await ledger.commit([cursor(number) for number in group])
    ledger.close()
    world.close()
    world.die()
    return world


async def test_what_was_committed_is_read(tree: SweepTree) -> None:
    """Group by group, engine after engine, in order."""
    await write(tree, [[1], [2, 3]])
    await write(tree, [[4]])
    assert events_of(tree) == [cursor(number) for number in (1, 2, 3, 4)]
    assert [path.name for path in segments(Files(), tree)] == ["000001-0001.hsl", "000002-0001.hsl"]


async def test_a_reader_follows_the_ledger_over_engines(tree: SweepTree) -> None:
    """A reader that is asked again yields what is new, also in the segments of later engines."""
    reader = LedgerReader(Files(), tree)
    assert list(reader.events()) == []
    await write(tree, [[1]])
    assert list(reader.events()) == [cursor(1)]
    await write(tree, [[2]])
    await write(tree, [[3]])
    assert list(reader.events()) == [cursor(2), cursor(3)]
    again = LedgerReader(Files(), tree, reader.mark)
    await write(tree, [[4]])
    assert list(again.events()) == list(reader.events()) == [cursor(4)]


async def test_a_tail_torn_at_any_byte_costs_only_what_was_not_acknowledged(tree: SweepTree) -> None:
    """Cut anywhere in the last group: the groups before it stay, the rest is kept aside, work goes on."""
    await write(tree, [[1], [2]])
    path = segments(Files(), tree)[0]
    acknowledged = path.stat().st_size
    await append(path, tree, [[3, 4]])
    whole = path.read_bytes()
    for cut in range(acknowledged, len(whole)):
        path.write_bytes(whole[:cut])
        assert events_of(tree) == [cursor(1), cursor(2)]
        world = Process()
        _, ledger = open_ledger(world, tree)
        await ledger.commit([cursor(cut)])
        ledger.close()
        world.close()
        assert events_of(tree) == [cursor(1), cursor(2), cursor(cut)]
        torn = {item.name: item.read_bytes() for item in (tree.hsm / "torn").glob("*")}
        assert torn == (
            {f"{path.name}.{acknowledged}": whole[acknowledged:cut]} if cut > acknowledged else {}
        )
        reset(tree)


async def die_in_mid_life(tree: SweepTree, groups: Iterable[list[int]]) -> Path:
    """Be an engine that commits these groups, is killed, and leaves the zeros that it had laid out."""
    world = Process()
    _, ledger = open_ledger(world, tree)
    for group in groups:
        await ledger.commit([cursor(number) for number in group])
    path = segments(Files(), tree)[-1]
    content = path.read_bytes()
    ledger.close()
    world.close()
    world.die()
    path.write_bytes(content)
    assert content.endswith(bytes(ledgers.AHEAD_BYTES // 2))
    return path


async def test_zeros_that_a_dead_engine_had_laid_out_are_the_end(tree: SweepTree) -> None:
    """They are no damage and no torn tail: nothing is kept aside, nothing is told of them, work goes on."""
    await die_in_mid_life(tree, [[1], [2, 3]])
    assert events_of(tree) == [cursor(1), cursor(2), cursor(3)]
    assert [(found.state, found.extra_bytes) for found in audit(Files(), tree).segments] == [
        (SegmentState.WHOLE, 0)
    ]
    await die_in_mid_life(tree, [[4]])
    assert events_of(tree) == [cursor(number) for number in (1, 2, 3, 4)]
    assert [found.state for found in audit(Files(), tree).segments] == [SegmentState.WHOLE] * 2
    assert not list((tree.hsm / "torn").glob("*"))


async def test_a_group_torn_before_zeros_costs_only_what_was_not_acknowledged(tree: SweepTree) -> None:
    """Zeros from any byte of the last group on: the groups before it stay, and the rest is kept aside."""
    path = await die_in_mid_life(tree, [[1], [2]])
    content = path.read_bytes()
    end = len(content.rstrip(b"\0"))
    await write(tree, [])  # the next engine says group [2] again
    reset(tree)
    path.write_bytes(content[:end])
    await append(path, tree, [[3, 4]])
    whole = path.read_bytes()
    for cut in range(end + 1, len(whole)):
        path.write_bytes(whole[:cut] + bytes(5000))
        assert events_of(tree) == [cursor(1), cursor(2)]
        assert audit(Files(), tree).segments[0].state is SegmentState.TORN
    await write(tree, [[5]])
    assert events_of(tree) == [cursor(1), cursor(2), cursor(5)]
    (torn,) = (tree.hsm / "torn").glob("*")
    assert (torn.name, torn.read_bytes()) == (f"{path.name}.{end}", whole[end:-1])


async def test_groups_that_come_while_a_segment_is_read_are_not_taken_for_damage(tree: SweepTree) -> None:
    """A read that saw zeros where groups are by now, and what came behind them: it is looked at again."""
    path = await die_in_mid_life(tree, [[1], [2], [3], [4]])
    content = path.read_bytes()
    begins = content.rindex(b"L1 ", 0, content.index(b'"2"'))

    class Late(Files):
        late = 2

        def read(self, path: str, offset: int, limit: int = -1) -> bytes:
            data = bytearray(super().read(path, offset, limit))
            if path.endswith(".hsl") and limit != 1 << 16 and len(data) > 5000 and self.late:
                self.late -= 1
                data[begins - offset : begins - offset + 30] = bytes(30)
            return bytes(data)

    assert list(LedgerReader(Late(), tree).events()) == [cursor(1)]
    still = Late()
    still.late = 1000
    with pytest.raises(LedgerCorrupt):
        list(LedgerReader(still, tree).events())


async def append(path: Path, tree: SweepTree, groups: list[list[int]]) -> None:
    """Append groups to a segment as the process that wrote it would go on."""
    reader = LedgerReader(Files(), tree)
    list(reader.events())
    files = Files()
    log = LogWriter(files, str(path), files.open_append(str(path)), reader.mark.position)
    for group in groups:
        log.write([encode_record(ev.to_record(cursor(number))) for number in group])
    log.close()


def reset(tree: SweepTree) -> None:
    """Forget the second engine."""
    for path in [*tree.epochs.glob("000002*"), *tree.ledger.glob("000002*"), *(tree.hsm / "torn").glob("*")]:
        path.unlink()


async def test_damage_in_the_middle_is_refused_and_nothing_is_changed(tree: SweepTree) -> None:
    """A bit flipped in any byte before acknowledged groups: an error with its place, the tree as it was."""
    await write(tree, [[1], [2]])
    path = segments(Files(), tree)[0]
    begin = path.stat().st_size
    await append(path, tree, [[3]])
    end = path.stat().st_size
    await append(path, tree, [[4]])
    whole = path.read_bytes()
    for place in range(begin, end):
        bit = place % 8
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        before = content_of(tree)
        with pytest.raises(LedgerCorrupt, match=rf"{path.name}: damaged at byte \d+") as refused:
            open_ledger(Process(), tree)
        assert begin <= int(str(refused.value).partition("at byte ")[2].partition(":")[0]) < end
        assert content_of(tree) == before
    path.write_bytes(whole)
    assert events_of(tree) == [cursor(number) for number in (1, 2, 3, 4)]


@pytest.mark.parametrize("engines", [1, 2])
async def test_a_damaged_header_is_refused(tree: SweepTree, engines: int) -> None:
    """Of the first, the middle or the last segment: never read past, never taken for an empty one."""
    for number in range(engines + 1):
        await write(tree, [[number]])
    for path in segments(Files(), tree):
        whole = path.read_bytes()
        for place in range(whole.index(b"\n")):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 2]) + whole[place + 1 :])
            with pytest.raises(LedgerCorrupt, match=r"\.hsl: damaged at byte"):
                events_of(tree)
        path.write_bytes(whole)
    assert len(events_of(tree)) == engines + 1


@pytest.mark.parametrize("lost", [0, 1])
async def test_a_missing_segment_is_refused(tree: SweepTree, lost: int) -> None:
    """A successor names the segment that it goes on from."""
    for number in range(3):
        await write(tree, [[number]])
    segments(Files(), tree)[lost].unlink()
    with pytest.raises(LedgerCorrupt, match="which is missing"):
        events_of(tree)


async def test_an_older_copy_of_a_segment_is_refused(tree: SweepTree) -> None:
    """A segment put back from a backup lacks what its successor goes on from."""
    await write(tree, [[1]])
    path = segments(Files(), tree)[0]
    old = path.read_bytes()
    await append(path, tree, [[2], [3]])
    await write(tree, [[4]])
    path.write_bytes(old)
    with pytest.raises(LedgerCorrupt, match="goes on from byte"):
        events_of(tree)


async def test_a_last_group_that_a_power_cut_takes_back_breaks_nothing(tree: SweepTree) -> None:
    """An engine wrote it and never heard that it is durable; the next engine read it from memory."""
    await write(tree, [[1], [2]])
    path = segments(Files(), tree)[0]
    durable = path.stat().st_size
    await append(path, tree, [[3]])
    follower = LedgerReader(Files(), tree)
    assert list(follower.events()) == [cursor(number) for number in (1, 2, 3)]
    from_mark = LedgerReader(Files(), tree, follower.mark)
    await write(tree, [[4]])
    path.write_bytes(path.read_bytes()[:durable])
    assert events_of(tree) == [cursor(number) for number in (1, 2, 3, 4)]
    assert list(follower.events()) == [cursor(4)]
    await write(tree, [[5]])
    assert [event.cursor for event in events_of(tree)] == ["1", "2", "3", "4", "5"]  # type: ignore[union-attr]
    with pytest.raises(LedgerCorrupt):
        list(from_mark.events())


async def test_a_reader_that_stood_behind_the_last_group_goes_on(tree: SweepTree) -> None:
    """The next engine says that group again; who has read it is not told twice."""
    await write(tree, [[1], [2]])
    begun = LedgerReader(Files(), tree)
    list(begun.events())
    from_mark = LedgerReader(Files(), tree, begun.mark)
    await write(tree, [[3]])
    await write(tree, [])
    await write(tree, [[4]])
    assert list(begun.events()) == list(from_mark.events()) == [cursor(3), cursor(4)]
    assert events_of(tree) == [cursor(number) for number in (1, 2, 3, 4)]


async def test_an_engine_that_recorded_nothing_is_skipped(tree: SweepTree) -> None:
    """Its segment may be gone after a power cut, so nothing goes on from it, however many there were."""
    await write(tree, [[1], [2]])
    for _ in range(3):
        await write(tree, [])
    await write(tree, [[3]])
    assert events_of(tree) == [cursor(1), cursor(2), cursor(3)]
    states = [segment.state for segment in audit(Files(), tree).segments]
    assert states == [SegmentState.WHOLE, *[SegmentState.STRAY] * 3, SegmentState.WHOLE]
    for path in segments(Files(), tree)[1:-1]:
        path.unlink()
        assert events_of(tree) == [cursor(1), cursor(2), cursor(3)]


async def test_a_new_segment_of_a_superseded_engine_is_skipped(
    tree: SweepTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stopped before it began the next one, and did not know yet of the engine that took over."""
    old = Process("far")
    _, zombie = open_ledger(old, tree)
    await zombie.commit([cursor(1)])
    await zombie.commit([cursor(2)])
    _, ledger = open_ledger(Process(), tree, takeover=True)
    await ledger.commit([cursor(3)])
    monkeypatch.setattr(Ledger, "_check_epoch", lambda _: None)
    monkeypatch.setattr(ledgers, "SEGMENT_BYTES", 10)
    await zombie.commit([cursor(666)])
    assert len(segments(Files(), tree)) == 3
    assert events_of(tree) == [cursor(1), cursor(2), cursor(3)]
    assert audit(Files(), tree).is_sound
    for item in (ledger, zombie):
        item.close()
    old.close()


async def test_a_segment_that_was_never_begun_holds_nothing(tree: SweepTree) -> None:
    """An engine killed between claim and header, cut at any byte, leaves a sweep that goes on."""
    await write(tree, [[1]])
    await write(tree, [])
    path = segments(Files(), tree)[1]
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        assert events_of(tree) == [cursor(1)]
        if 0 < cut < len(whole) - 1 and cut % 5:
            continue  # what reads alike at every cut need not be gone on from at every cut
        world = Process()
        _, ledger = open_ledger(world, tree)
        assert ledger.claim.epoch == 3
        await ledger.commit([cursor(2)])
        ledger.close()
        world.close()
        assert events_of(tree) == [cursor(1), cursor(2)]
        for item in [*tree.epochs.glob("000003*"), *tree.ledger.glob("000003*")]:
            item.unlink()


@pytest.mark.parametrize("sector", [0, 1], ids=["with the header", "behind the header"])
async def test_a_first_group_that_a_power_cut_tore_is_torn_like_any_other(
    tree: SweepTree, sector: int
) -> None:
    """One that says much again is longer than a sector: its commit may be there and its beginning not."""
    await write(tree, [[1], list(range(2, 12))])
    await write(tree, [])
    path = segments(Files(), tree)[1]
    whole = path.read_bytes()
    assert len(whole) > 2 * SECTOR_BYTES, "it says again what its predecessor did last"
    torn = bytearray(whole)
    torn[sector * SECTOR_BYTES : (sector + 1) * SECTOR_BYTES] = bytes(SECTOR_BYTES)
    path.write_bytes(torn)
    assert events_of(tree) == [cursor(number) for number in range(1, 12)]
    assert [segment.state for segment in audit(Files(), tree).segments][1] is SegmentState.EMPTY
    await write(tree, [[12]])
    assert events_of(tree) == [cursor(number) for number in range(1, 13)]


async def test_a_first_group_that_others_follow_is_damaged_where_a_sector_is_missing(tree: SweepTree) -> None:
    """What follows it was acknowledged after it, so that it was whole once."""
    await write(tree, [[1], list(range(2, 12))])
    await write(tree, [[12]])
    path = segments(Files(), tree)[1]
    torn = bytearray(path.read_bytes())
    for sector in (0, 1):
        spoilt = bytearray(torn)
        spoilt[sector * SECTOR_BYTES : (sector + 1) * SECTOR_BYTES] = bytes(SECTOR_BYTES)
        path.write_bytes(spoilt)
        before = content_of(tree)
        with pytest.raises(LedgerCorrupt, match="damaged at byte 0"):
            events_of(tree)
        with pytest.raises(LedgerCorrupt, match="damaged at byte 0"):
            open_ledger(Process(), tree)
        assert content_of(tree) == before


async def test_a_hole_from_the_header_to_the_last_group_is_damage(tree: SweepTree) -> None:
    """The number that the first frame still shows tells that the group behind the hole was not the first."""
    await write(tree, [[1]])
    await write(tree, [[2], [3], [4], [5]])
    path = segments(Files(), tree)[1]
    whole = path.read_bytes()
    hole = slice(whole.index(b"header"), whole.rindex(b"L1 ", 0, whole.rindex(b"cursor_moved")))
    assert hole.stop - hole.start > SECTOR_BYTES, "else it would be no sector that a power cut could take"
    spoilt = bytearray(whole)
    spoilt[hole] = bytes(hole.stop - hole.start)
    path.write_bytes(spoilt)
    with pytest.raises(LedgerCorrupt, match="damaged at byte 0"):
        events_of(tree)


async def test_what_a_superseded_engine_still_writes_is_ignored(
    tree: SweepTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole groups behind the place where the successor began never count, whoever reads, however often."""
    old = Process("far")
    _, zombie = open_ledger(old, tree)
    await zombie.commit([cursor(1)])
    before = LedgerReader(Files(), tree)
    assert list(before.events()) == [cursor(1)]
    world = Process()
    _, ledger = open_ledger(world, tree, takeover=True)
    monkeypatch.setattr(ledgers, "CHECK_S", -1.0)
    with pytest.raises(Fenced, match="epoch 2"):
        await zombie.commit([cursor(665)])
    monkeypatch.setattr(
        Ledger, "_check_epoch", lambda _: None
    )  # it was past the check when it was superseded
    await zombie.commit([cursor(666)])
    await ledger.commit([cursor(2)])
    await zombie.commit([cursor(667)])
    assert events_of(tree) == [cursor(1), cursor(2)]
    assert list(before.events()) == [cursor(2)]
    ledger.close()
    world.die()
    await write(tree, [[3]])
    assert events_of(tree) == [cursor(1), cursor(2), cursor(3)]
    zombie.close()
    old.close()
    world.close()


async def test_segments_are_rotated_and_chained(tree: SweepTree, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment that has grown is followed by another, and losing one of them is seen."""
    monkeypatch.setattr(ledgers, "SEGMENT_BYTES", 800)
    await write(tree, [[number] for number in range(20)])
    names = [path.name for path in segments(Files(), tree)]
    assert len(names) > 3
    assert names[:3] == ["000001-0001.hsl", "000001-0002.hsl", "000001-0003.hsl"]
    assert events_of(tree) == [cursor(number) for number in range(20)]
    await write(tree, [[20]])
    assert len(events_of(tree)) == 21
    segments(Files(), tree)[1].unlink()
    with pytest.raises(LedgerCorrupt):
        events_of(tree)


async def test_a_full_disk_costs_nothing_that_was_acknowledged(tree: SweepTree) -> None:
    """The commit fails with one clear error, nothing of it stays, and with room the ledger goes on."""
    world = Process()
    _, ledger = open_ledger(world, tree)
    await ledger.commit([cursor(1)])
    for room in (0, 1, 70):
        world.faults.room = room
        with pytest.raises(LedgerFull, match="No space left") as full:
            await ledger.commit([cursor(2)])
        assert "free space" in full.value.hint
        assert str(tree.ledger) in full.value.message
        assert events_of(tree) == [cursor(1)]
    world.faults.room = None
    await ledger.commit([cursor(3)])
    ledger.close()
    world.close()
    assert events_of(tree) == [cursor(1), cursor(3)]


async def test_a_full_disk_while_rotating_costs_nothing_either(
    tree: SweepTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old segment stays open until the new one is there."""
    monkeypatch.setattr(ledgers, "SEGMENT_BYTES", 10)
    world = Process()
    _, ledger = open_ledger(world, tree)
    await ledger.commit([cursor(1)])
    world.faults.room = 5
    with pytest.raises(LedgerFull):
        await ledger.commit([cursor(2)])
    world.faults.room = None
    await ledger.commit([cursor(3)])
    ledger.close()
    world.close()
    assert events_of(tree) == [cursor(1), cursor(3)]


async def test_a_full_disk_when_an_engine_begins_bars_nobody(tree: SweepTree) -> None:
    """Neither claim nor segment stays half written; once there is room the next engine takes over."""
    await write(tree, [[1]])
    for room in (0, 20, 250, 420):
        world = Process()
        world.faults.room = room
        with pytest.raises(LedgerFull):
            open_ledger(world, tree)
        world.die()
        assert events_of(tree) == [cursor(1)]
        assert not [path for path in tree.epochs.iterdir() if path.suffix != ".claim"]
    await write(tree, [[2]])
    assert events_of(tree) == [cursor(1), cursor(2)]


async def test_after_a_failed_sync_the_ledger_goes_on_in_another_file(tree: SweepTree) -> None:
    """What the kernel still holds of the old one is not known: the group is written again, in a new one."""
    world = Process()
    _, ledger = open_ledger(world, tree)
    await ledger.commit([cursor(1)])
    world.faults.sync_errors = [errno.EIO]
    await ledger.commit([cursor(2)])
    await ledger.commit([cursor(3)])
    first = segments(Files(), tree)[0]
    synced = world.faults.syncs
    assert synced.index("000001-0002.hsl") == len(synced) - 3, "the old descriptor is never synced again"
    ledger.close()
    world.close()
    assert events_of(tree) == [cursor(1), cursor(2), cursor(3)]
    first.write_bytes(first.read_bytes()[: header_of(Files(), segments(Files(), tree)[1])["prev"]["length"]])  # type: ignore[index]
    assert events_of(tree) == [cursor(1), cursor(2), cursor(3)]


async def test_a_disk_that_fails_twice_stops_the_engine(tree: SweepTree) -> None:
    """Nothing of the group is acknowledged, the error says what failed, and the next engine goes on."""
    world = Process()
    _, ledger = open_ledger(world, tree)
    await ledger.commit([cursor(1)])
    world.faults.sync_error = errno.EIO
    with pytest.raises(LedgerError, match="Input/output error") as failed:
        await ledger.commit([cursor(2)])
    assert "what runs goes on" in failed.value.hint
    world.faults.sync_error = 0
    ledger.close()
    world.close()
    world.die()
    await write(tree, [[3]])
    assert events_of(tree)[0] == cursor(1)
    assert events_of(tree)[-1] == cursor(3)


async def fail_twice(tree: SweepTree, watching: LedgerReader) -> list[ev.Event]:
    """Let an engine fail to record a group in two files while somebody reads, and return what he read."""
    world = Process()
    _, ledger = open_ledger(world, tree)
    await ledger.commit([cursor(1)])
    seen = list(watching.events())

    def look(call: str) -> None:
        if call == "create":
            seen.extend(watching.events())

    world.faults.before = look
    world.faults.sync_errors = [errno.EIO, errno.EIO]
    with pytest.raises(LedgerError, match="Input/output error"):
        await ledger.commit([cursor(2), cursor(3)])
    ledger.close()
    world.close()
    world.die()
    return seen + list(watching.events())


async def test_who_read_a_group_that_no_file_could_take_says_it_again(tree: SweepTree) -> None:
    """An engine that goes on from what it read does so in the ledger, too: else its state would hold more."""
    watching = LedgerReader(Files(), tree)
    seen = await fail_twice(tree, watching)
    assert seen == [cursor(1), cursor(2), cursor(3)]
    world = Process()
    ledger = Ledger.open(world, tree, watching, socket="", released=0)
    await ledger.commit([cursor(4)])
    ledger.close()
    world.close()
    assert events_of(tree) == [*seen, cursor(4)]
    assert list(watching.events()) == [cursor(4)], "nobody is told twice"


async def test_who_read_what_was_taken_back_is_told(tree: SweepTree) -> None:
    """An engine that begins anew never sees that group; who has read it must begin anew, too."""
    watching = LedgerReader(Files(), tree)
    await fail_twice(tree, watching)
    await write(tree, [[4]])
    assert events_of(tree) == [cursor(1), cursor(4)]
    with pytest.raises(LedgerError, match="does not say again") as told:
        list(watching.events())
    assert told.value.transient
    assert not isinstance(told.value, LedgerCorrupt)


async def test_an_error_of_the_disk_shows_that_another_engine_took_over(tree: SweepTree) -> None:
    """A lock that was lost on a network file system shows as EIO: no new segment is begun then."""
    world = Process("far")
    _, ledger = open_ledger(world, tree)
    await ledger.commit([cursor(1)])
    other: list[Ledger] = []

    def take_over(call: str) -> None:
        if call == "datasync":
            world.faults.before = lambda _: None
            other.append(open_ledger(Process(), tree, takeover=True)[1])
            world.faults.sync_error = errno.EIO

    world.faults.before = take_over
    with pytest.raises(Fenced, match="epoch 2"):
        await ledger.commit([cursor(2)])
    assert [path.name for path in segments(Files(), tree)] == ["000001-0001.hsl", "000002-0001.hsl"]
    for item in (ledger, *other):
        item.close()
    world.close()


async def test_nothing_is_acknowledged_that_a_successor_has_not_read(tree: SweepTree) -> None:
    """An engine that is taken over while it syncs is fenced, though the sync succeeds."""
    world = Process("far")
    _, ledger = open_ledger(world, tree)
    await ledger.commit([cursor(1)])
    other: list[Ledger] = []

    def take_over(call: str) -> None:
        if call == "write":
            world.faults.before = lambda _: None
            other.append(open_ledger(Process(), tree, takeover=True)[1])

    world.faults.before = take_over
    with pytest.raises(Fenced, match="epoch 2"):
        await ledger.commit([cursor(2)])
    for item in (ledger, *other):
        item.close()
    world.close()


@pytest.mark.parametrize("change", ["cut", "grown", "removed", "older"])
async def test_a_ledger_that_is_changed_under_its_engine_is_noticed(tree: SweepTree, change: str) -> None:
    """Before the next group, under the descriptor and under the name; nothing is written to it any more."""
    world = Process()
    _, ledger = open_ledger(world, tree)
    path = segments(Files(), tree)[0]
    old = path.read_bytes()
    await ledger.commit([cursor(1)])
    whole = path.read_bytes()
    match change:
        case "cut":
            path.write_bytes(whole[:-1])
        case "grown":
            path.write_bytes(whole + b"x")
        case "removed":
            path.unlink()
        case _:
            path.unlink()
            path.write_bytes(old)
    before = content_of(tree)
    with pytest.raises(LedgerCorrupt, match=r"000001-0001\.hsl: changed while this engine was writing it"):
        await ledger.commit([cursor(2)])
    assert content_of(tree) == before
    ledger.close()
    world.close()


async def test_commits_look_once_each_whether_the_sweep_is_still_ours_and_twice_after_a_pause(
    tree: SweepTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been lost in the pause; what follows at once is written without looking first."""
    world, looks, clock = Process(), list[float](), [1000.0]
    monkeypatch.setattr(world, "monotonic", lambda: clock[0])
    _, ledger = open_ledger(world, tree)
    look = Ledger._check_epoch

    def counted(self: Ledger) -> None:
        looks.append(clock[0])
        look(self)

    monkeypatch.setattr(Ledger, "_check_epoch", counted)
    for number, at in enumerate((1000.0, 1010.0, 1010.0, 1020.0)):
        clock[0] = at
        await ledger.commit([cursor(number)])
    assert looks == [1000.0, 1010.0, 1010.0, 1010.0, 1020.0, 1020.0]
    ledger.close()
    world.close()


async def test_a_commit_that_is_cut_short_is_finished_before_the_file_is_closed(tree: SweepTree) -> None:
    """Cancelling the engine's task does not pull the file from under the thread that writes it."""
    import asyncio
    import threading

    world = Process()
    _, ledger = open_ledger(world, tree)
    inside, go_on = threading.Event(), threading.Event()

    def pause(call: str) -> None:
        if call == "datasync":
            inside.set()
            go_on.wait(10)

    world.faults.before = pause
    task = asyncio.create_task(ledger.commit([cursor(1)]))
    await asyncio.get_running_loop().run_in_executor(None, inside.wait, 10)
    task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    ledger.close()
    world.close()
    assert events_of(tree) == [cursor(1)]


def frozen(tree: SweepTree, world: Process, **arguments: object) -> pytest.ExceptionInfo[EngineRunning]:
    before = content_of(tree)
    with pytest.raises(EngineRunning) as refused:
        open_ledger(world, tree, **arguments)  # type: ignore[arg-type]
    assert content_of(tree) == before
    return refused


async def test_a_second_engine_is_refused_by_host_and_pid(tree: SweepTree) -> None:
    """From the claim on, not only after the first event, and nothing is written."""
    first = Process()
    _, ledger = open_ledger(first, tree)
    for events in ([], [cursor(1)]):
        if events:
            await ledger.commit(events)
        refused = frozen(tree, Process())
        assert f"on host here, pid {first.identity().pid}," in refused.value.message
        assert f"kill {first.identity().pid}" in refused.value.hint
    ledger.close()
    first.close()
    first.die()
    await write(tree, [[2]])


async def test_a_second_engine_is_refused_right_after_a_good_end(tree: SweepTree) -> None:
    """That an earlier engine let go in good order says nothing of the one that has just begun."""
    world = Process()
    _, ledger = open_ledger(world, tree)
    await ledger.commit([stopped(1)])
    ledger.close()
    second = Process()
    _, other = open_ledger(second, tree)
    frozen(tree, Process())
    other.close()
    second.close()
    world.close()


async def test_an_engine_that_saw_an_older_state_is_refused(tree: SweepTree) -> None:
    """Between its reading and its claim another engine came and went: what that wrote is not cut off."""
    world, hasty = Process(), Process()
    reader = LedgerReader(hasty.files, tree)
    assert list(reader.events()) == []
    await write(tree, [[1]], world)
    with pytest.raises(EngineRunning, match="just now"):
        Ledger.open(hasty, tree, reader, socket="", released=0)
    hasty.die()
    await write(tree, [[2]])
    assert events_of(tree) == [cursor(1), cursor(2)]


async def test_an_engine_on_another_host_is_only_taken_over_on_request(tree: SweepTree) -> None:
    """Whether it lives cannot be known; the hint says what to do if it does not."""
    far = Process("far")
    _, ledger = open_ledger(far, tree)
    await ledger.commit([cursor(1)])
    far.die()
    refused = frozen(tree, Process())
    assert "host far" in refused.value.message
    assert "--takeover" in refused.value.hint
    world = Process()
    _, taken = open_ledger(world, tree, takeover=True)
    assert taken.claim.epoch == 2
    for item in (ledger, taken):
        item.close()
    far.close()
    world.close()


async def test_a_released_sweep_is_free_for_other_hosts(tree: SweepTree) -> None:
    """An engine that let go in good order bars nobody."""
    far = Process("far")
    _, ledger = open_ledger(far, tree)
    await ledger.commit([stopped(1)])
    ledger.close()
    far.close()
    _, other = open_ledger(Process(), tree)
    other.close()


async def test_a_process_that_gave_up_may_try_again(tree: SweepTree) -> None:
    """After an error the same process, still alive, is not refused for being itself."""
    world = Process()
    _, ledger = open_ledger(world, tree)
    claim = holder(world, tree, released=0)
    assert claim is not None
    assert claim.token == ledger.claim.token
    ledger.close()
    assert holder(world, tree, released=0) is None
    _, again = open_ledger(world, tree)
    assert again.claim.epoch == 2
    again.close()


def test_an_epoch_is_claimed_once(tree: SweepTree) -> None:
    """Of engines that start at the same moment, one gets the sweep."""
    first, second = Process(), Process()
    won: list[Ledger] = []

    reader = LedgerReader(second.files, tree)
    list(reader.events())
    original = second.files.publish

    def publish(path: str, data: bytes, part: str) -> None:
        won.append(open_ledger(first, tree)[1])
        original(path, data, part)

    second.files.publish = publish  # type: ignore[method-assign]
    with pytest.raises(EngineRunning, match="at this very moment"):
        Ledger.open(second, tree, reader, socket="", released=0)
    claim = last_claim(Files(), tree)
    assert claim is not None
    assert claim.who == first.identity()
    assert [path.name for path in tree.epochs.iterdir()] == ["000001.claim"]
    won[0].close()


async def test_a_claim_is_never_seen_half_written(tree: SweepTree) -> None:
    """An engine killed while claiming leaves nothing that the next one stumbles over."""
    world = Process()
    (tree.epochs / "000001.claim.0123").write_bytes(b'{"epoch": 1, "wh')
    assert last_claim(Files(), tree) is None
    await write(tree, [[1]], world)
    claim = last_claim(Files(), tree)
    assert claim is not None
    assert (claim.epoch, claim.who) == (1, world.identity())


def test_a_damaged_claim_is_refused(tree: SweepTree) -> None:
    """Who drives cannot be known then."""
    (tree.epochs / "000001.claim").write_bytes(b"garbage")
    with pytest.raises(LedgerCorrupt, match=r"000001\.claim is damaged"):
        open_ledger(Process(), tree)


async def test_an_event_of_a_newer_version_is_refused(tree: SweepTree) -> None:
    """Unless its record says that it may be skipped."""
    await write(tree, [[1]])
    path = segments(Files(), tree)[0]
    reader = LedgerReader(Files(), tree)
    list(reader.events())
    files = Files()
    log = LogWriter(files, str(path), files.open_append(str(path)), reader.mark.position)
    log.write([encode_record({"t": "remark", "crit": False}), encode_record(ev.to_record(cursor(2)))])
    assert events_of(tree) == [cursor(1), cursor(2)]
    log.write([encode_record({"t": "remark", "text": "hello"})])
    log.close()
    before = content_of(tree)
    with pytest.raises(LedgerNewer, match=rf"{path.name}.*'remark'"):
        open_ledger(Process(), tree)
    assert content_of(tree) == before


def test_a_newer_format_is_refused(tree: SweepTree) -> None:
    """By what it says, before anything is read."""
    content = json.loads(tree.format.read_bytes())
    tree.format.write_text(json.dumps({**content, "format": 9, "min_reader": 1}))
    assert events_of(tree) == []
    tree.format.write_text(json.dumps({**content, "min_reader": 2}))
    with pytest.raises(LedgerNewer, match=r"format 2.*reads up to 1"):
        events_of(tree)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"min_reader": "x"}', b"\xff"])
def test_a_damaged_format_is_refused(tree: SweepTree, content: bytes) -> None:
    """What cannot be told is not guessed."""
    tree.format.write_bytes(content)
    with pytest.raises(LedgerCorrupt, match="FORMAT is damaged"):
        events_of(tree)


def test_a_linked_ledger_is_refused(tree: SweepTree, tmp_path: Path) -> None:
    """What it leads to may be driven from elsewhere; the error says where it lies."""
    real = tmp_path / "elsewhere"
    tree.hsm.rename(real)
    tree.hsm.symlink_to(real)
    with pytest.raises(SweepError, match="is a link") as refused:
        open_ledger(Process(), tree)
    assert str(real) in refused.value.hint


async def test_a_segment_of_another_sweep_is_refused(tree: SweepTree) -> None:
    """A `.hsm` that was put together of two sweeps: it says whose the segment is."""
    await write(tree, [[1]])
    content = json.loads(tree.format.read_bytes())
    tree.format.write_text(json.dumps({**content, "sweep_id": "other-20260101-000000-bbbb"}))
    before = content_of(tree)
    with pytest.raises(LedgerCorrupt, match=f"of the sweep {tree.sweep_id}, not of other-2026"):
        open_ledger(Process(), tree)
    assert content_of(tree) == before


async def test_a_tree_under_another_name_is_read_and_not_driven(tree: SweepTree) -> None:
    """A copy beside its original, or a sweep that was put where another one was."""
    await write(tree, [[1]])
    copy = SweepTree(tree.root.with_name("copy-20260101-000000-cccc"))
    shutil.copytree(tree.root, copy.root)
    before = content_of(copy)
    assert events_of(copy) == [cursor(1)]
    with pytest.raises(SweepError, match=f"holds the sweep {tree.sweep_id}") as refused:
        open_ledger(Process(), copy)
    assert str(tree.root) in refused.value.hint
    assert content_of(copy) == before


async def test_a_tree_that_was_copied_while_it_was_driven_is_not_driven(
    tree: SweepTree, tmp_path: Path
) -> None:
    """Its engine listens for the original; what runs is not adopted twice. A tree that was moved can be."""
    world = Process()
    reader = LedgerReader(world.files, tree)
    ledger = Ledger.open(world, tree, reader, socket="of the original", released=0)
    await ledger.commit([cursor(1)])
    copy = SweepTree(tmp_path / "copies" / tree.sweep_id)
    shutil.copytree(tree.root, copy.root)
    ledger.close()
    world.close()
    world.die()
    before = content_of(copy)

    def take(*, takeover: bool) -> Ledger:
        other = Process()
        again = LedgerReader(other.files, copy)
        list(again.events())
        return Ledger.open(other, copy, again, socket="of the copy", released=0, dead=1 if takeover else 0)

    with pytest.raises(SweepError, match="was copied or moved while an engine") as refused:
        take(takeover=False)
    assert "--takeover" in refused.value.hint
    assert content_of(copy) == before
    take(takeover=True).close()


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
async def test_a_directory_that_may_not_be_written_is_one_clear_error(tree: SweepTree, code: int) -> None:
    """What, where, and what to do; nothing is changed."""
    await write(tree, [[1]])
    world, before = Process(), content_of(tree)

    def refuse(path: str, data: bytes, part: str) -> None:
        raise OSError(code, os.strerror(code), path)

    world.files.publish = refuse  # type: ignore[method-assign]
    with pytest.raises(LedgerError, match=re.escape(os.strerror(code))) as refused:
        open_ledger(world, tree)
    assert str(tree.hsm) in refused.value.message
    assert "another output directory" in refused.value.hint
    assert content_of(tree) == before


def test_what_is_no_sweep_is_told(tmp_path: Path) -> None:
    """A directory without FORMAT is none."""
    with pytest.raises(SweepError, match="is not a sweep"):
        LedgerReader(Files(), SweepTree(tmp_path))


def test_a_tree_is_made_once_and_whole(tmp_path: Path) -> None:
    """Every directory is there; a second tree of the same name is refused, and so is a full disk."""
    tree = new_tree(tmp_path)
    assert all(path.is_dir() for path in tree.directories())
    with pytest.raises(LedgerError, match="File exists"):
        create_tree(Files(), tree)
    full = Process()
    full.faults.room = 10
    with pytest.raises(LedgerFull):
        create_tree(full.files, SweepTree(tmp_path / "other"))


@pytest.mark.parametrize(("total", "is_refused"), [(6 << 20, True), (8 << 20, False), (0, False)])
def test_a_file_system_that_is_too_small_holds_no_new_sweep(
    tmp_path: Path, total: int, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made on it; one that does not tell its size is tried."""
    files, tree = Files(), SweepTree(tmp_path / "outputs" / "more" / "demo-20260101-000000-aaaa")
    monkeypatch.setattr(files, "total_bytes", lambda _: total)
    if is_refused:
        with pytest.raises(LedgerFull, match=r"holds 6\.0 MiB in all; a sweep needs 8 MiB"):
            create_tree(files, tree)
    else:
        create_tree(files, tree)
    assert (tmp_path / "outputs").exists() is not is_refused


def test_what_is_only_noted_is_noted_on_a_file_system_that_is_too_small(
    tree: SweepTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancel is; whoever would drive the sweep is refused, and has claimed nothing."""
    world = Process()
    monkeypatch.setattr(world.files, "total_bytes", lambda _: 1 << 20)
    before = content_of(tree)
    with pytest.raises(LedgerFull, match=r"holds 1\.0 MiB in all"):
        Ledger.open(world, tree, LedgerReader(world.files, tree), socket="/tmp/s.sock", released=0)
    assert content_of(tree) == before
    Ledger.open(world, tree, LedgerReader(world.files, tree), socket="", released=0).close()


async def test_a_commit_looks_for_the_one_claim_that_would_shut_it_out(
    tree: SweepTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name, for epochs have no gaps."""
    world = Process()
    _, ledger = open_ledger(world, tree)
    looks: list[str] = []
    holds = world.files.holds

    def noted(path: str, name: str) -> bool:
        looks.append(name)
        return holds(path, name)

    monkeypatch.setattr(world.files, "holds", noted)
    await ledger.commit([cursor(1)])
    assert set(looks) == {"000002.claim"}
    (tree.epochs / "000002.claim").write_bytes(b"{}")
    with pytest.raises(Fenced, match="as epoch 2"):
        await ledger.commit([cursor(2)])
    ledger.close()


async def test_a_mark_names_a_place_between_groups(tree: SweepTree) -> None:
    """Where the ledger says it stands, a reader stands after reading."""
    world = Process()
    _, ledger = open_ledger(world, tree)
    for number in range(3):
        await ledger.commit([cursor(number)])
        reader = LedgerReader(Files(), tree)
        list(reader.events())
        assert reader.mark == ledger.mark
        assert reader.torn == b""
    assert LedgerReader(Files(), tree).mark == Mark()
    ledger.close()
    world.close()
    assert frames.HEADER_BYTES == 38
