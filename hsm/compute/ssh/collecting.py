"""Collecting: many attempts come home from a host as one stream, from wherever the last stream ended.

What is home already is not asked for again; bytes that are not what their manifest tells are asked for once
more, then the attempt has failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hsm.compute.link import Answers, Link
from hsm.compute.ssh.arrival import Arrival
from hsm.compute.ssh.landing import Limits, Room, Wrong
from hsm.core.errors import SourceError
from hsm.core.source import CollectionResult, Wanted
from hsm.core.world import World
from hsm.wire.link import DONE, Packet

TRIES = 2
SILENCE_S = 60.0
"""A stream that brings nothing for so long is given up, and begun again later."""
JOINED_BYTES = 1 << 20
"""So much of one file is taken in at once, where it has come; so much comes again after a disk was full."""
STILLS = 10_000
"""So often a host may say something that brings nothing, such as that it is still reading."""
SLOW_S = 600.0
SLOW_BYTES_S = 500.0
"""A stream that has taken longer than that and is slower than this is given up, too."""


class Collecting:
    """Brings the attempts of one sweep home over a link."""

    def __init__(
        self,
        world: World,
        link: Link,
        sweep_dir: Path,
        *,
        limits: Limits | None = None,
        silence_s: float = SILENCE_S,
        slow_s: float = SLOW_S,
    ) -> None:
        self._world = world
        self._link = link
        self._sweep_id = sweep_dir.name
        self._limits = limits or Limits()
        self._silence_s = silence_s
        self._slow_s = slow_s
        self._room = Room(world.files, str(sweep_dir), self._limits.reserve_bytes)

    async def fetch(self, wanted: Sequence[Wanted]) -> Mapping[str, CollectionResult]:
        """Bring attempts home, as `SourceSession.fetch` promises."""
        arrivals = [Arrival(self._world.files, one, self._room, self._limits) for one in wanted]
        await self._world.blocking_to_its_end(_look, arrivals)
        for _ in range(TRIES):
            lacking = [arrival for arrival in arrivals if arrival.lacks]
            if lacking:
                await self._receive(lacking)
        return {arrival.wanted.ref: arrival.result() for arrival in arrivals}

    async def _receive(self, arrivals: Sequence[Arrival]) -> None:
        """Take in one stream of what is lacking."""
        asked = {"sweep": self._sweep_id, "attempts": [arrival.asked() for arrival in arrivals]}
        try:
            async with self._link.stream("attempts", asked) as answers:
                patience = _Patience(self._world, self._link.source, self._slow_s)
                async for packets in self._patiently(answers):
                    for size in await self._world.blocking_to_its_end(_take, arrivals, packets):
                        patience.brought(size)
                    if not any(arrival.lacks for arrival in arrivals):
                        return
        except Wrong as wrong:
            for arrival in arrivals:
                if arrival.lacks:
                    arrival.fail(wrong)
        finally:
            for arrival in arrivals:
                arrival.close()

    async def _patiently(self, answers: Answers) -> AsyncIterator[list[Packet]]:
        """Yield what is answered: the next packet, and whatever came while the last ones were taken in.

        Raises:
            SourceError: for too long nothing was.
            Wrong: it is no answer.
        """
        while True:
            try:
                async with asyncio.timeout(self._silence_s):
                    packet = await anext(answers)
            except TimeoutError as error:
                reason = f"nothing of what it should send came for {self._silence_s:.0f} s"
                raise SourceError(self._link.source, reason, transient=True) from error
            if packet.kind == DONE:
                return
            yield [packet, *answers.at_hand()]


class _Patience:
    """How long a stream goes on that brings little."""

    def __init__(self, world: World, source: str, slow_s: float) -> None:
        self._world = world
        self._source = source
        self._slow_s = slow_s
        self._began = world.monotonic()
        self._came = 0
        self._stills = 0

    def brought(self, size: int) -> None:
        """Note what a packet brought.

        Raises:
            SourceError: that is too little for the time that it took.
            Wrong: too many have brought nothing.
        """
        self._came += size
        self._stills += size == 0
        if self._stills > STILLS:
            raise Wrong("the host sends no files where it should")
        took_s = self._world.monotonic() - self._began
        if took_s > self._slow_s and self._came < took_s * SLOW_BYTES_S:
            reason = f"only {self._came} bytes of what it should send came in {took_s:.0f} s"
            raise SourceError(self._source, reason, transient=True)


def _look(arrivals: Sequence[Arrival]) -> None:
    for arrival in arrivals:
        try:
            arrival.look()
        except Wrong as wrong:
            arrival.fail(wrong)


class _Piece(NamedTuple):
    """A piece of a file: its bytes, which may have come in several packets, or so many zeros."""

    attempt: int
    file: int
    offset: int
    data: list[bytes]
    length: int
    zeros: int

    def is_followed_by(self, other: _Piece) -> bool:
        """Tell whether another piece goes on with bytes where this one ends, and both are not too much."""
        behind = (self.attempt, self.file, self.offset + self.length)
        is_short = self.length + other.length <= JOINED_BYTES
        return behind == other[:3] and bool(self.length and other.length) and is_short


def _take(arrivals: Sequence[Arrival], packets: Sequence[Packet]) -> list[int]:
    """Give each of what packets hold to the attempt that it belongs to, and return how much each brought.

    What follows one another is put together first. Hashing and writing let other threads run, and have to
    wait for these each time: the fewer and longer they are, the less.

    Raises:
        Wrong: it belongs to none.
        OSError: it cannot be written.
    """
    brought = []
    last: _Piece | None = None
    try:
        for packet in packets:
            size = 0
            if packet.kind == "lacking":
                taken, last = last, None
                _give(arrivals, taken)
            for piece in _pieces_of(arrivals, packet):
                if last is not None and last.is_followed_by(piece):
                    last.data.extend(piece.data)
                    last = last._replace(length=last.length + piece.length)
                else:
                    taken, last = last, piece
                    _give(arrivals, taken)
                size += piece.length + piece.zeros
            brought.append(size)
    except Wrong:
        _give(arrivals, last)  # what came before is as good as it would be without
        raise
    _give(arrivals, last)
    return brought


def _give(arrivals: Sequence[Arrival], piece: _Piece | None) -> None:
    """Give a piece to its attempt, unless that has failed."""
    if piece is None or arrivals[piece.attempt].fault is not None:
        return
    arrival = arrivals[piece.attempt]
    try:
        arrival.take(piece.file, piece.offset, b"".join(piece.data), piece.zeros)
    except Wrong as wrong:
        arrival.fail(wrong)


def _pieces_of(arrivals: Sequence[Arrival], packet: Packet) -> Iterator[_Piece]:
    """Yield the pieces that a packet holds, and note what is said of files that do not come.

    Raises:
        Wrong: it holds what no relay sends, or belongs to no attempt.
    """
    if packet.kind not in ("still", "pieces", "lacking"):
        raise Wrong("the host sends no files where it should")
    if packet.kind == "lacking":
        for number, index, reason in _items(packet.fields.get("lacking"), (int, int, str)):
            _of(arrivals, number).lose(index, reason)
    if packet.kind != "pieces":
        return
    at = 0
    for number, index, offset, length in _items(packet.fields.get("pieces"), (int, int, int, int)):
        end = at + max(0, length)
        if end > len(packet.body) or length == 0:
            raise Wrong("the host says that it sends more than it does")
        _of(arrivals, number)
        data, at = packet.body[at:end], end
        yield _Piece(number, index, offset, [data], len(data), max(0, -length))
    if at < len(packet.body):
        raise Wrong("the host sends bytes that belong to nothing")


def _items(said: object, kinds: tuple[type, ...]) -> list[Any]:
    """Return a list of items of these kinds.

    Raises:
        Wrong: it is none.
    """
    if not isinstance(said, list):
        raise Wrong("the host sends pieces that are none")
    for item in said:
        if not isinstance(item, list) or tuple(map(type, item)) != kinds:
            raise Wrong("the host sends pieces that are none")
    return said


def _of(arrivals: Sequence[Arrival], number: int) -> Arrival:
    if not 0 <= number < len(arrivals):
        raise Wrong("the host sends what nobody asked for")
    return arrivals[number]
