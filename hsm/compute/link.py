"""The manager's end of a link to a relay: calls and their answers over one stream of bytes.

A link is lost as a whole: every call that waits then raises `LinkLost`, and what became of it on the other
side is not known.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

from hsm.core.errors import SourceError
from hsm.wire.link import (
    DONE,
    MAX_NOISE_BYTES,
    REFUSED,
    BadPacket,
    Packet,
    PacketReader,
    encode_packet,
    greeting,
)

READ_BYTES = 256 << 10
STREAM_PACKETS = 64
"""So many packets of one answer may wait for who asked, before the link stops listening."""


class Reader(Protocol):
    """What a link reads from: an `asyncio.StreamReader`, an `asyncssh.SSHReader[bytes]`."""

    async def read(self, n: int) -> bytes:
        """Return up to `n` bytes, empty at the end."""


class Writer(Protocol):
    """What a link writes to: an `asyncio.StreamWriter`, an `asyncssh.SSHWriter[bytes]`."""

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
    """The relay could not do what was asked."""

    code = "source.refused"

    def __init__(self, source: str, reason: str, errno: int | None = None) -> None:
        super().__init__(source, reason, transient=True)
        self.reason = reason
        self.errno = errno


class Link:
    """Calls to a relay, many at a time."""

    def __init__(self, source: str, reader: Reader, writer: Writer) -> None:
        self._source = source
        self._reader = reader
        self._writer = writer
        self._packets = PacketReader()
        self._calls: dict[int, asyncio.Queue[Packet]] = {}
        self._last = 0
        self._told: dict[str, Callable[[Packet], None]] = {}
        self._lost: LinkLost | None = None
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
                raise LinkLost(self._source, "its relay did not start", hint=noise[-400:], transient=True)
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
        """
        try:
            await self._take(self._held)
            while data := await self._read():
                await self._take(data)
            self._lost = LinkLost(self._source, "the link was cut", transient=True)
        except BadPacket as error:
            self._lost = LinkLost(self._source, f"the link carries {error}", transient=True)
        finally:
            self._lost = self._lost or LinkLost(self._source, "the link was closed", transient=True)
            for waiting in self._calls.values():
                while waiting.full():  # nobody reads on: it is the end that must be heard
                    waiting.get_nowait()
                waiting.put_nowait(Packet(""))
        raise self._lost

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
            elif (waiting := self._calls.get(packet.call)) is not None:
                await waiting.put(packet)

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
    ) -> AsyncIterator[AsyncIterator[Packet]]:
        """Ask for something and yield the packets of the answer as they come, `done` last.

        Raises:
            LinkLost: the link was lost before the end of the answer.
            CallRefused: the relay could not do it.
        """
        self._last += 1
        number = self._last
        waiting = self._calls[number] = asyncio.Queue(STREAM_PACKETS)
        try:
            await self._send(Packet(kind, number, dict(fields or {}), body))
            yield self._answers(waiting)
        finally:
            del self._calls[number]

    async def tell(self, kind: str, fields: Mapping[str, Any] | None = None, body: bytes = b"") -> None:
        """Say something that has no answer.

        Raises:
            LinkLost: the link is lost.
        """
        await self._send(Packet(kind, 0, dict(fields or {}), body))

    async def _send(self, packet: Packet) -> None:
        if self._lost is not None:
            raise self._lost
        try:
            self._writer.write(encode_packet(packet))
            await self._writer.drain()
        except (OSError, EOFError) as error:
            raise LinkLost(self._source, f"the link was cut: {error}", transient=True) from error

    async def _answers(self, waiting: asyncio.Queue[Packet]) -> AsyncIterator[Packet]:
        while True:
            packet = await waiting.get()
            if not packet.kind:
                raise self._lost or LinkLost(self._source, "the link was cut", transient=True)
            if packet.kind == REFUSED:
                raise CallRefused(self._source, packet.fields.get("reason", ""), packet.fields.get("errno"))
            yield packet
            if packet.kind == DONE:
                return

    def close(self) -> None:
        """Close the stream; the relay leaves."""
        self._writer.close()
