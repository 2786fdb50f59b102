"""The manager's end of a link to a relay: calls and their answers over one stream of bytes.

A link is lost as a whole: every call that waits then raises `LinkLost`, and what became of it on the other
side is not known. Answers wait in short queues; while one of those is full the link does not listen, so
whoever asks for a stream reads it, or leaves it, and waits for nothing else of this link meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

from hsm.core.cleaning import clean
from hsm.core.errors import SourceError
from hsm.wire.link import (
    BEAT,
    DONE,
    MAX_NOISE_BYTES,
    REFUSED,
    STOP,
    BadPacket,
    Packet,
    PacketReader,
    encode_packet,
    greeting,
)

READ_BYTES = 256 << 10
STREAM_PACKETS = 16
"""So many packets of one answer may wait for who asked, before the link stops listening."""

MAX_REASON = 1000
"""So many characters of a refusal are shown."""

BEAT_S = 10.0
SILENCE_S = 40.0
"""A relay answers every beat; from one that is not heard for so long the link is cut."""


class Reader(Protocol):
    """What a link reads from: an `asyncio.StreamReader`, or a stream of a channel."""

    async def read(self, n: int) -> bytes:
        """Return up to `n` bytes, empty at the end."""


class Writer(Protocol):
    """What a link writes to: an `asyncio.StreamWriter`, or a channel."""

    def write(self, data: bytes) -> None:
        """Take bytes."""

    async def drain(self) -> None:
        """Wait until more may be written."""

    def close(self) -> None:
        """Close the stream."""


class LinkLost(SourceError):
    """The link to a host was cut; what was asked last may or may not have been done there."""

    code = "source.link"


class CallRefused(SourceError):
    """The relay could not do what was asked. `errno` tells which error of its system, where it was one."""

    code = "source.refused"

    def __init__(self, source: str, fields: Mapping[str, Any]) -> None:
        errno = fields.get("errno")
        self.reason = clean(str(fields.get("reason", ""))[:MAX_REASON])
        self.errno = errno if type(errno) is int else None
        super().__init__(source, self.reason, transient=fields.get("final") is not True)


class _Call:
    """What has come for one call, and whether that was all of it."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[Packet] = asyncio.Queue(STREAM_PACKETS)
        self.is_over = False
        self.is_lost = False

    def clear(self) -> None:
        """Throw away what waits; the link may be waiting for room."""
        while not self.waiting.empty():
            self.waiting.get_nowait()

    def end(self) -> None:
        """Tell who waits that nothing more will come behind what came."""
        self.is_lost = True
        if not self.waiting.full():
            self.waiting.put_nowait(Packet(""))


class Answers(AsyncIterator[Packet]):
    """The answer of one call, packet by packet as they come, `done` last.

    Iterating raises `LinkLost` or `CallRefused` where the answer ends otherwise.
    """

    def __init__(self, call: _Call, error: Callable[[Packet], SourceError]) -> None:
        self._call = call
        self._error = error
        self._end: Packet | None = None

    async def __anext__(self) -> Packet:
        """Wait for the next packet."""
        call = self._call
        if call.is_over:
            raise StopAsyncIteration
        if self._end is not None:
            packet, self._end = self._end, None
        elif call.is_lost and call.waiting.empty():
            packet = Packet("")
        else:
            packet = await call.waiting.get()
        if packet.kind in ("", REFUSED):
            call.is_over = packet.kind == REFUSED
            raise self._error(packet)
        call.is_over = packet.kind == DONE
        return packet

    def at_hand(self) -> list[Packet]:
        """Return what has come already, up to the end of the answer, which is left; wait for nothing."""
        found: list[Packet] = []
        while self._end is None and not self._call.waiting.empty():
            packet = self._call.waiting.get_nowait()
            if packet.kind in ("", DONE, REFUSED):
                self._end = packet
            else:
                found.append(packet)
        return found


class Link:
    """Calls to a relay, many at a time."""

    def __init__(
        self,
        source: str,
        reader: Reader,
        writer: Writer,
        *,
        beat_s: float = BEAT_S,
        silence_s: float = SILENCE_S,
    ) -> None:
        self.source = source
        self._reader = reader
        self._writer = writer
        self._beat_s = beat_s
        self._silence_s = silence_s
        self._packets = PacketReader()
        self._calls: dict[int, _Call] = {}
        self._last = 0
        self._told: dict[str, Callable[[Packet], None]] = {}
        self._lost = ""
        self._complaint: SourceError | None = None
        self._over = asyncio.Event()
        self._held = b""

    async def greet(self, word: str) -> str:
        """Wait for the relay's greeting, and return what was printed before it.

        Raises:
            LinkLost: the stream ended, or went on too long, without one.
        """
        wanted, heard = greeting(word), b""
        while wanted not in heard:
            data = await self._read()
            heard += data
            if not data or len(heard) > MAX_NOISE_BYTES + len(wanted):
                noise = heard.decode("utf-8", "replace").strip()
                raise LinkLost(self.source, "its relay did not start", hint=noise[-400:], transient=True)
        noise_bytes, _, rest = heard.partition(wanted)
        self._held = rest
        return noise_bytes.decode("utf-8", "replace")

    def on(self, kind: str, told: Callable[[Packet], None]) -> None:
        """Have packets of a kind that answer no call given to somebody, who must not wait."""
        self._told[kind] = told

    async def run(self) -> None:
        """Listen until the link is lost.

        Raises:
            LinkLost: always, unless cancelled.
            SourceError: somebody who was told something raised it.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._beat())
                await self._listen()
                self._end()
        finally:
            self._end()
        raise self._complaint or self._loss()

    def _end(self) -> None:
        """Let everybody hear that the link is lost, who waits for something of it."""
        self._lost = self._lost or "the link was closed"
        self._over.set()
        for call in self._calls.values():
            call.end()

    async def _listen(self) -> None:
        data = self._held
        while not self._lost:
            try:
                await self._take(data)
            except BadPacket as error:
                self._lost = f"the link carries {error}"
                return
            except SourceError as error:
                self._complaint, self._lost = error, error.message
                return
            try:
                async with asyncio.timeout(self._silence_s):
                    data = await self._read()
            except TimeoutError:
                self._lost = f"the link has been silent for {self._silence_s:g} s"
            else:
                self._lost = "" if data else "the link was cut"

    async def _beat(self) -> None:
        with contextlib.suppress(LinkLost):  # `run` will say so
            while not self._over.is_set():
                await self.tell(BEAT)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._beat_s):
                        await self._over.wait()

    def _loss(self) -> LinkLost:
        return LinkLost(self.source, self._lost, transient=True)

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(READ_BYTES)
        except (OSError, EOFError):
            return b""

    async def _take(self, data: bytes) -> None:
        for packet in self._packets.feed(data):
            if packet.call == 0:
                told = self._told.get(packet.kind)
                if told is not None:
                    told(packet)
            elif (call := self._calls.get(packet.call)) is not None:
                await call.waiting.put(packet)

    async def call(self, kind: str, fields: Mapping[str, Any] | None = None, body: bytes = b"") -> Packet:
        """Ask for something and return the packet that ends the answer.

        Raises:
            LinkLost: the link was lost before the answer came.
            CallRefused: the relay could not do it.
        """
        async with self.stream(kind, fields, body) as answers:
            async for packet in answers:
                if packet.kind == DONE:
                    return packet
        raise AssertionError("an answer ends with `done`, or raises")

    @asynccontextmanager
    async def stream(
        self, kind: str, fields: Mapping[str, Any] | None = None, body: bytes = b""
    ) -> AsyncIterator[Answers]:
        """Ask for something and yield the packets of the answer as they come, `done` last.

        Raises:
            LinkLost: the link was lost before the end of the answer.
            CallRefused: the relay could not do it.
        """
        self._last += 1
        number = self._last
        call = self._calls[number] = _Call()
        try:
            await self._send(Packet(kind, number, dict(fields or {}), body))
            yield Answers(call, self._error)
        finally:
            del self._calls[number]
            call.clear()
            if not call.is_over and not self._lost:
                self._writer.write(encode_packet(Packet(STOP, number)))

    async def tell(self, kind: str, fields: Mapping[str, Any] | None = None, body: bytes = b"") -> None:
        """Say something that has no answer.

        Raises:
            LinkLost: the link is lost.
        """
        await self._send(Packet(kind, 0, dict(fields or {}), body))

    async def _send(self, packet: Packet) -> None:
        if self._lost:
            raise self._loss()
        try:
            self._writer.write(encode_packet(packet))
            await self._writer.drain()
        except (OSError, EOFError) as error:
            raise LinkLost(self.source, f"the link was cut: {error}", transient=True) from error

    def _error(self, packet: Packet) -> SourceError:
        """Return what a packet means that ends an answer otherwise than with `done`."""
        return CallRefused(self.source, packet.fields) if packet.kind == REFUSED else self._loss()

    def close(self) -> None:
        """Close the stream; the relay leaves."""
        self._writer.close()
