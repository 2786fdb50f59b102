"""Carriers and cursors: the bytes of two logs, read on from any place."""

import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.compute.agent_session import START, cursor_of, place_of
from hsm.compute.carrier import FileCarrier, Place
from hsm.core.errors import SourceError
from hsm.core.world import World
from hsm.wire.files import Files
from hsm.wire.log import LogWriter, Position, encode_record
from hsm.wire.messages import Cancel, Close, Hello


class FullDisk(Files):
    """A disk that has room until `full` is set."""

    full = False

    def write(self, fd: int, data: bytes) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(fd, data)


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for part in ("inbox", "records"):
        (tmp_path / part).mkdir()
    return tmp_path


def write_records(home: Path, incarnation: int, groups: list[list[int]]) -> Path:
    path = home / "records" / f"{incarnation:06d}.log"
    log = LogWriter.create(Files(), str(path), {"t": "opened", "n": incarnation})
    for group in groups:
        log.write([encode_record({"n": number}) for number in group])
    log.close()
    return path


@given(
    st.integers(0, 10**6), st.integers(0, 2**63), st.integers(0, 2**63), st.binary(min_size=16, max_size=16)
)
def test_a_cursor_names_its_place(incarnation: int, offset: int, seq: int, chain: bytes) -> None:
    """A place written as a cursor is the same place when it is read."""
    place = Place(incarnation, Position(offset, seq, chain))
    assert place_of(cursor_of(place)) == place


def test_no_cursor_is_the_beginning() -> None:
    """The empty cursor means the very beginning."""
    assert place_of("") == START


async def test_reading_goes_on_across_agents(world: World, home: Path) -> None:
    """From the place that a read returned, the next one returns what came since, of whichever agent."""
    carrier = FileCarrier(world, home, 1, poll_s=0.01)
    write_records(home, 1, [[1], [2, 3]])
    first, place = await carrier.receive(START)
    again, same = await carrier.receive(place)
    write_records(home, 2, [[4]])
    then, last = await carrier.receive(place)
    assert [record.get("n") for record in first] == [1, 1, 2, 3]
    assert (again, same) == ([], place)
    assert [record.get("n") for record in then] == [2, 4]
    everything, end = await carrier.receive(START)
    assert (everything, end) == (first + then, last)
    await carrier.close()


async def test_a_torn_end_hides_nothing_of_the_next_agent(world: World, home: Path) -> None:
    """An agent that died in the middle of a record leaves half a group, which is passed over."""
    carrier = FileCarrier(world, home, 1, poll_s=0.01)
    path = write_records(home, 1, [[1], [2]])
    whole = path.read_bytes()
    write_records(home, 2, [[3]])
    for cut in range(1, 60, 7):
        path.write_bytes(whole[:-cut])
        records, _ = await carrier.receive(START)
        assert [record["n"] for record in records] == [1, 1, 2, 3]
    await carrier.close()


async def test_everything_that_was_ever_sent_is_found(world: World, home: Path) -> None:
    """The inboxes of all managers are read, in the order of their epochs."""
    sent = []
    for epoch in (1, 2):
        carrier = FileCarrier(world, home, epoch, poll_s=0.01)
        hello = Hello(epoch, "s", 1, "/", {}, [], 1.0, {}, carrier.prev)
        await carrier.send([hello, Cancel([str(epoch)])])
        sent = await carrier.sent()
        await carrier.close()
    kinds = [record["t"] for record in sent]
    assert kinds == ["hello", "cancel"] * 2
    assert [record["tokens"] for record in sent if record["t"] == "cancel"] == [["1"], ["2"]]


async def test_a_full_disk_is_waited_out(world: World, home: Path) -> None:
    """What cannot be appended leaves nothing behind, waits, and is sent in its place when there is room."""
    world.files = disk = FullDisk()
    carrier = FileCarrier(world, home, 1, poll_s=0.01)
    disk.full = True

    async def make_room(delay_s: float) -> None:
        assert [record["t"] for record in await carrier.sent()] == ["inbox"]
        disk.full = False

    world.sleep = make_room  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as group:
        group.create_task(carrier.send([Cancel(["lost"])]))
        group.create_task(carrier.send([Close()]))
    assert [record["t"] for record in await carrier.sent()] == ["inbox", "cancel", "close"]
    await carrier.close()


async def test_a_disk_that_fails_is_an_error_of_the_source(world: World, home: Path) -> None:
    """It names the place and what to do."""
    carrier = FileCarrier(world, home, 1, poll_s=0.01)
    next((home / "inbox").iterdir()).unlink()
    with pytest.raises(SourceError, match="its inbox cannot be written: it has been removed") as caught:
        await carrier.send([Cancel(["lost"])])
    assert caught.value.transient
    assert str(home) in caught.value.hint
    await carrier.close()
