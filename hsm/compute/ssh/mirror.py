"""The mirror: both logs of an agent on another machine, kept at home byte by byte.

    inbox    is written here, made durable, and carried to the host behind what the host has of it
    records  are written there, and copied here behind what is here of them

Everything is answered from home: handing over is appending, and nothing waits for a round trip. A mirror that
is opened again goes on from the lengths; what one side has lost comes back from the other.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from hsm.compute.agent.carrying import CHUNK_BYTES, INBOX, RECORDS, head_of
from hsm.compute.carrier import FileCarrier, Place
from hsm.compute.link import CallRefused, Link
from hsm.compute.reading import NotBelieved, whole
from hsm.compute.ssh.faults import MAX_TOLD, told
from hsm.core.errors import SourceError
from hsm.core.world import World
from hsm.wire.files import Files, write_all
from hsm.wire.link import REFUSED, Packet
from hsm.wire.log import LogReader, Record

MAX_RECORDS_BYTES = 4 << 30
"""More than an agent writes about some millions of attempts: a host that sends more is not one of ours."""

_LOG = re.compile(r"[0-9]{6,12}\.log")


class Copy:
    """The records at home. What follows the last whole group of a log is cut off and comes anew.

    Another mirror, of an engine that was shut out and does not know yet, may write the same bytes into the
    same places meanwhile; that does no harm.
    """

    def __init__(self, source: str, files: Files, directory: str) -> None:
        self._source = source
        self._files = files
        self._directory = directory
        self._written = 0
        self._ends: dict[str, int] = {}
        self._open: dict[str, int] = {}

    def recall(self) -> dict[str, tuple[int, str]]:
        """Return how long each log is, and the digest of its beginning. Reads every byte; blocks."""
        for name in filter(_LOG.fullmatch, self._files.list(self._directory)):
            reader = LogReader(self._files, self._path(name), wanted=_nothing)
            for _ in reader.groups():
                pass
            self._ends[name] = reader.position.offset
        return {name: (end, head_of(self._files, self._path(name), end)) for name, end in self._ends.items()}

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}"

    @property
    def ends(self) -> Mapping[str, int]:
        """How long each log is."""
        return self._ends

    def chunk(self, name: str, offset: int) -> bytes:
        """Return some of a log's bytes."""
        return self._files.read(self._path(name), offset, min(CHUNK_BYTES, self._ends[name] - offset))

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Append bytes that came.

        Raises:
            SourceError: they are none that follow what is here, or they cannot be written.
        """
        self._written += len(data)
        if not _LOG.fullmatch(name) or offset != self._ends.get(name, 0) or self._written > MAX_RECORDS_BYTES:
            raise SourceError(
                self._source, f"it sends records that are none: {name[:40]!a} from byte {offset}"
            )
        try:
            write_all(self._files, self._descriptor(name, offset), data)
        except OSError as error:
            raise SourceError(
                self._source,
                f"its records cannot be written here: {error.strerror}",
                hint=f"look at the disk of {self._directory}",
                transient=True,
            ) from error
        self._ends[name] = offset + len(data)

    def _descriptor(self, name: str, end: int) -> int:
        descriptor = self._open.get(name)
        if descriptor is None:
            path = self._path(name)
            is_there = self._files.is_file(path)
            descriptor = self._files.open_append(path) if is_there else self._files.create(path)
            self._open[name] = descriptor
            if self._files.size(descriptor) != end:
                self._files.truncate(descriptor, end)
        return descriptor

    def drop_behind_short(self, there: Mapping[str, int]) -> None:
        """Have logs come anew that follow one which is shorter here than `there`: readers never go back.

        A power cut here may take the end of a log and leave the next one. What the host lacks is kept.
        """
        short = min((name for name, end in there.items() if self._ends.get(name, 0) < end), default="")
        for name in [name for name in self._ends if short and name > short]:
            if there.get(name, 0) >= self._ends[name]:
                self._files.remove(self._path(name))
                del self._ends[name]

    def close(self) -> None:
        """Close the files."""
        while self._open:
            self._files.close(self._open.popitem()[1])


class Mirror(FileCarrier):
    """Carries the logs of one epoch's session over a link. One reader at a time may `wait`."""

    def __init__(self, world: World, home: Path, epoch: int, link: Link, copy: Copy) -> None:
        super().__init__(world, home, epoch, poll_s=0.0)
        self._link = link
        self._copy = copy
        self._own = self._inbox.path.rpartition("/")[2]
        self._said = asyncio.Event()
        self._heard = asyncio.Event()
        self._had = asyncio.Event()
        self._gone = asyncio.Event()
        self._carried: dict[str, int] = {}
        self._there = 0
        self._agent = 0
        self.last_words = ""
        """What the agent that has gone said last."""
        link.on(RECORDS, self._take)
        link.on("have", self._note)
        link.on("gone", self._part)
        link.on(REFUSED, self._refuse)

    # To the host

    async def ring(self) -> None:
        """Have what was appended carried over."""
        self._said.set()

    async def catch_up(self, inbox: Mapping[str, int], records: Mapping[str, int]) -> None:
        """Carry over what the host lacks of older logs of the inbox, and has lost of the records.

        Its lengths are given; a log of the records that is not named is left alone.

        Raises:
            LinkLost: the link was lost.
        """
        self._carried = dict(inbox)
        for name, end in self._copy.ends.items():
            at = records.get(name, end)
            while at < end:
                data = self._copy.chunk(name, at)
                await self._link.tell("append", {"part": RECORDS, "log": name, "offset": at}, data)
                at += len(data)
        for name, length in sorted(self.prev.items()):
            await self._carry(name, length)

    async def carry(self) -> None:
        """Carry over what is appended, group by group, until cancelled.

        Raises:
            SourceError: as `carry_now` does.
        """
        while True:
            await self._said.wait()
            await self.carry_now()

    async def carry_now(self) -> None:
        """Make durable what was appended so far, and carry it over.

        Raises:
            SourceError: the link was lost, or the inbox cannot be made durable.
        """
        self._said.clear()
        length = self._inbox.position.offset
        try:
            await self._world.blocking(self._inbox.sync)
        except OSError as error:
            reason = f"its inbox cannot be made durable: {error.strerror}"
            raise SourceError(self._link.source, reason, transient=True) from error
        await self._carry(self._own, length)

    async def _carry(self, name: str, length: int) -> None:
        """Send a log's bytes from where they were sent last up to a length."""
        at = self._carried.get(name, 0)
        while at < length:
            path = f"{self._directory}/{name}"
            data = self._world.files.read(path, at, min(CHUNK_BYTES, length - at))
            await self._link.tell("append", {"part": INBOX, "log": name, "offset": at}, data)
            at += len(data)
        self._carried[name] = max(at, self._carried.get(name, 0))

    async def arrived(self) -> None:
        """Wait until the host has, durably, everything that was sent."""
        while self._there < self._inbox.position.offset:
            self._had.clear()
            await self._had.wait()

    def _note(self, packet: Packet) -> None:
        length = whole(self._link.source, "the length of a log", packet.fields.get("length"))
        if packet.fields.get("part") == INBOX and packet.fields.get("log") == self._own:
            self._there = length
            self._had.set()

    def _refuse(self, packet: Packet) -> None:
        raise CallRefused(self._link.source, packet.fields)

    # From the host

    def _take(self, packet: Packet) -> None:
        name, offset = packet.fields.get("log"), packet.fields.get("offset")
        if not isinstance(name, str):
            raise NotBelieved(self._link.source, "the name of a log", name)
        self._copy.write(name, whole(self._link.source, "the place in a log", offset), packet.body)
        self._heard.set()

    def _part(self, packet: Packet) -> None:
        self.last_words = told(str(packet.fields.get("words", ""))[:MAX_TOLD])
        self._gone.set()
        self._heard.set()

    @property
    def copied(self) -> Mapping[str, int]:
        """How long each log of the records is here."""
        return self._copy.ends

    async def parted(self) -> None:
        """Wait until the agent has gone."""
        await self._gone.wait()

    def expect(self) -> None:
        """Note that an agent is being brought up."""
        self._gone.clear()

    def met(self, incarnation: int) -> None:
        """Note which agent is there."""
        self._agent = incarnation

    async def receive(self, place: Place) -> tuple[list[Record], Place]:
        """Return the records after a place, as far as they have come home, and the place behind them.

        Raises:
            SourceError: what came of the log of the agent that runs is none. Opened again, it comes anew.
        """
        self._heard.clear()
        came = dict(self._copy.ends)  # what lies behind them is of another session, and will be cut off
        found = await super().receive(place)
        bad = self.damage
        if bad and bad.incarnation >= self._agent > 0 and bad.offset < came.get(bad.log, 0):
            reason = f"its records came damaged, from byte {bad.offset} on: {bad.reason}"
            raise SourceError(self._link.source, reason, transient=True)
        return found

    async def wait(self) -> bool:
        """Wait until more records have come home; False when the agent has gone."""
        await self._heard.wait()
        return not self._gone.is_set()

    async def close(self) -> None:
        """Close the files."""
        async with AsyncExitStack() as stack:
            stack.callback(self._copy.close)
            await super().close()


def _nothing(_payload: bytes) -> bool:
    return False
