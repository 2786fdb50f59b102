"""Carriers: how the bytes of the two logs travel between manager and agent. They carry, and know nothing.

A carrier appends to the inbox, reads records after an offset, and tells when there may be something new.
Here: files on a disk that both see, with the agent's socket as the bell, or with a timer where there is none.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple

from hsm.core.errors import SourceError
from hsm.core.room import RETRY_S
from hsm.core.sockets import Connection
from hsm.core.world import World
from hsm.wire.inbox import Inbox, next_session
from hsm.wire.log import NO_ROOM, LogReader, LogWriter, Position, Record, encode_record
from hsm.wire.messages import Message, to_record

BELL = b"!"
GATHER_S = 0.02


class Place(NamedTuple):
    """A place in the records of all agents of a source: which agent's log, and where in it."""

    incarnation: int
    position: Position


class Damaged(NamedTuple):
    """Bytes that can never become records: in which agent's log, from where on, and why."""

    log: str
    incarnation: int
    offset: int
    reason: str


class Carrier(ABC):
    """What a session needs of whatever lies between it and the agent."""

    @abstractmethod
    async def send(self, messages: list[Message]) -> None:
        """Append messages to this session's log in the inbox, in order, and ring the bell.

        Raises:
            SourceError: nothing of them was appended.
        """

    @abstractmethod
    async def receive(self, place: Place) -> tuple[list[Record], Place]:
        """Return the agents' records after a place, and the place behind them."""

    @abstractmethod
    async def wait(self) -> bool:
        """Wait until there may be new records; False when the agent has gone."""

    @abstractmethod
    async def sent(self) -> list[Record]:
        """Return everything that managers sent and that counts."""


class FileCarrier(Carrier):
    """Both sides see one disk. Without a bell the records are looked at every `poll_s`."""

    def __init__(self, world: World, home: Path, epoch: int, poll_s: float) -> None:
        self._world = world
        self._home = home
        self._poll_s = poll_s
        self._directory = str(home / "inbox")
        self.prev: dict[str, int] = {}
        self.damage: Damaged | None = None
        """What ends the newest log of the records, by the last look, unless more may make it whole.

        A power cut may leave such an end, which counts for nothing, when the next agent has begun a log.
        """
        self._inbox = self._begin(epoch)
        self._sending = asyncio.Lock()
        self._bell: Connection | None = None

    def _begin(self, epoch: int) -> LogWriter:
        """Begin a log of our own, and note how much of the older ones counts from now on."""
        files = self._world.files
        name, self.prev = next_session(files, self._directory, epoch)
        return LogWriter.create(files, f"{self._directory}/{name}", {"t": "inbox", "epoch": epoch})

    async def connect(self, address: str) -> None:
        """Use the agent's socket as the bell.

        Raises:
            OSError: the agent does not listen there.
        """
        self._bell = await self._world.sockets.connect(address)

    async def send(self, messages: list[Message]) -> None:
        """Append messages to this epoch's inbox, in order, and ring the bell."""
        payloads = [encode_record(to_record(message)) for message in messages]
        async with self._sending:
            try:
                while not self._written(payloads):
                    await self._world.sleep(RETRY_S)
            except OSError as error:
                reason = f"its inbox cannot be written: {error.strerror}"
                hint = f"look at the disk of {self._home}, then go on with `hsm sweep complete`"
                raise SourceError(self._home.name, reason, hint=hint, transient=True) from error
        await self.ring()

    def _written(self, payloads: list[bytes]) -> bool:
        """Append a group; False where there is no room for it."""
        try:
            self._inbox.write(payloads)
        except OSError as error:
            if error.errno not in NO_ROOM or self._inbox.is_broken:
                raise
            return False
        return True

    async def ring(self) -> None:
        """Tell the agent to look."""
        if self._bell is None:
            return
        writer = self._bell[1]
        try:
            writer.write(BELL)
            await writer.drain()
        except ConnectionError:
            return  # the agent has gone; `wait` will say so, and its successor reads the inbox

    async def receive(self, place: Place) -> tuple[list[Record], Place]:
        """Return the agents' records after a place, and the place behind them."""
        return await self._world.blocking(self._read, place)

    def _read(self, place: Place) -> tuple[list[Record], Place]:
        first, records = place.incarnation, list[Record]()
        damage = None
        home = f"{self._home}/records"
        for name in self._world.files.list(home):
            number = int(name.partition(".")[0])
            if number < first:
                continue
            start = place.position if number == first else Position()
            reader = LogReader(self._world.files, f"{home}/{name}", start)
            found = list(reader.records())
            if found:
                records += found
                place = Place(number, reader.position)
            bad = reader.damage
            damage = Damaged(name, number, bad.offset, bad.reason) if bad and not bad.incomplete else None
        self.damage = damage
        return records, place

    async def wait(self) -> bool:
        """Wait until there may be new records; False when the agent has gone."""
        if self._bell is None:
            await self._world.sleep(self._poll_s)
            return True
        try:
            heard = await self._bell[0].read(4096)
        except ConnectionError:
            return False
        if heard:
            await self._world.sleep(GATHER_S)  # what the agent records meanwhile is read with it
        return bool(heard)

    async def sent(self) -> list[Record]:
        """Return everything that managers sent and that counts."""
        return await self._world.blocking(self._read_inbox)

    def _read_inbox(self) -> list[Record]:
        return [said.record for said in Inbox(self._world.files, self._directory).read()]

    async def disconnect(self) -> None:
        """Let go of the bell."""
        if self._bell is not None:
            self._bell[1].close()
            self._bell = None

    async def close(self) -> None:
        """Close the inbox and the bell."""
        self._inbox.close()
        await self.disconnect()
