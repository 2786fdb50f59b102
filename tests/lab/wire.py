"""A wire that can be hurt: a TCP proxy in a thread of its own, between a client and a host of the lab."""

import asyncio
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from tests.lab.processes import until

HERE = "127.0.0.1"
CHUNK_BYTES = 64 << 10
QUEUE_BYTES = 8 << 20
"""So much may be on its way in one direction, as in the buffers of a long line."""
LINGER_NOTHING = struct.pack("ii", 1, 0)
"""Closing a socket with this sends a reset."""


@dataclass
class Direction:
    """What happens to bytes that go one way. A test may change it at any time."""

    delay_s: float = 0.0
    bytes_per_s: float | None = None
    reset_at: int | None = None
    """Reset the connection once so many bytes, counted over all connections, went this way."""
    flip_at: int | None = None
    """Damage the byte with this number."""
    passed: int = 0
    """So many bytes went this way."""
    held: list[bytes] = field(default_factory=list)


class Wire:
    """Listens on a port of its own and passes on what comes to the host's; may cut, hold, delay, damage."""

    def __init__(self, port: int, address: str = HERE) -> None:
        self.target = (address, port)
        self.to_host = Direction()
        self.to_client = Direction()
        self.dials = 0
        """So many connections came in."""
        self.port = 0
        self._is_open = True
        self._passing = asyncio.Event()
        self._sockets: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._do(self._listen())

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(20)

    async def _listen(self) -> None:
        self._passing.set()
        self._server = await asyncio.start_server(self._accepted, HERE, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    # What may happen to it

    def set_delay(self, round_trip_s: float) -> None:
        """Let every byte be late, by half a round trip each way."""
        self.to_host.delay_s = self.to_client.delay_s = round_trip_s / 2

    def reset(self) -> None:
        """Cut every connection with a reset, which both ends notice at once; new ones are taken."""
        self._do(self._reset())

    def cut(self) -> None:
        """Cut every connection, and refuse new ones until `heal`."""
        self._do(self._cut())

    def hold(self) -> None:
        """Swallow the line: connections stay open and nothing passes, as when packets are dropped."""
        self._do(self._hold())

    def heal(self) -> None:
        """Let bytes pass again, those that were held first, and take new connections."""
        self._do(self._heal())

    def end(self) -> None:
        """Close everything."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)

    async def _reset(self) -> None:
        for writer in list(self._sockets):
            _break(writer)

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset()

    async def _hold(self) -> None:
        self._passing.clear()

    async def _heal(self) -> None:
        self._passing.set()
        if self._server is None:
            await self._listen()

    async def _end(self) -> None:
        await self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # How bytes pass

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes, in a task of our own: asyncio takes the end of one of its own for a fault."""
        self._tasks.add(self._loop.create_task(self._accept(reader, writer)))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dials += 1
        self._sockets.add(writer)
        try:
            there_reader, there = await asyncio.open_connection(*self.target)
        except OSError:
            _break(writer)
            return
        self._sockets.add(there)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, there, self.to_host))
                group.create_task(self._pass(there_reader, writer, self.to_client))
        except* OSError:
            _break(writer)
            _break(there)
        finally:
            self._sockets -= {writer, there}
            writer.close()
            there.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Direction) -> None:
        """Read at once and write when it is due, so that a delay costs no bandwidth."""
        line: deque[tuple[float, bytes]] = deque()
        changed = asyncio.Condition()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write(line, changed, writer, way))
            while True:
                data = await reader.read(CHUNK_BYTES)
                async with changed:
                    line.append((self._loop.time() + way.delay_s, data))
                    changed.notify_all()
                    await changed.wait_for(lambda: sum(len(data) for _, data in line) < QUEUE_BYTES)
                if not data:
                    return

    async def _write(
        self,
        line: deque[tuple[float, bytes]],
        changed: asyncio.Condition,
        writer: asyncio.StreamWriter,
        way: Direction,
    ) -> None:
        while True:
            async with changed:
                await changed.wait_for(lambda: bool(line))
                due, data = line.popleft()
                changed.notify_all()
            if (wait := due - self._loop.time()) > 0:
                await _after(wait)
            if data and way.bytes_per_s is not None:
                await _after(len(data) / way.bytes_per_s)
            await self._passing.wait()
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            writer.write(self._marred(data, way))
            await writer.drain()
            if way.reset_at is not None and way.passed >= way.reset_at:
                way.reset_at = None
                raise ConnectionResetError

    def _marred(self, data: bytes, way: Direction) -> bytes:
        """Return what passes of some bytes, counting it."""
        start = way.passed
        if way.reset_at is not None:
            data = data[: max(0, way.reset_at - start)]
        if way.flip_at is not None and start <= way.flip_at < start + len(data):
            spot = way.flip_at - start
            data = data[:spot] + bytes([data[spot] ^ 1]) + data[spot + 1 :]
            way.flip_at = None
        way.passed = start + len(data)
        return data


async def _after(delay_s: float) -> None:
    """Wait: it is what a slow line does."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    loop.call_later(delay_s, done.set)
    await done.wait()


def _break(writer: asyncio.StreamWriter) -> None:
    """Close a connection with a reset."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOTHING)
    writer.transport.abort()


class DeafPort:
    """A port whose queue is full: whoever dials it waits for an answer that never comes."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind((HERE, 0))
        self._listener.listen(0)
        self.port = int(self._listener.getsockname()[1])
        self._callers: list[socket.socket] = []
        until(self._is_full, "full queue")

    def _is_full(self) -> bool:
        caller = socket.socket()
        caller.settimeout(0.2)
        self._callers.append(caller)
        try:
            caller.connect((HERE, self.port))
        except TimeoutError:
            return True
        return False

    def end(self) -> None:
        """Close it."""
        for one in (*self._callers, self._listener):
            one.close()


def passed_at_least(way: Direction, count: int) -> Callable[[], bool]:
    """Return a condition to wait for: that so many bytes went this way."""
    return lambda: way.passed >= count
