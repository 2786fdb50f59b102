"""A channel of asyncssh as links and scripts want it: streams that end as those of a pipe do.

asyncssh grants a whole window anew with the first piece that it delivers, however much it still holds back
for a reader that was slow. Its own streams close in the middle of what was held back, again and again, so
that a slow reader gets all of a transfer into memory, and loses it with the line. Here all that was held back
is delivered before the valve shuts: never more than some two windows wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

import asyncssh

from hsm.compute.link import Reader, Writer

WINDOW_BYTES = 8 << 20
"""So much may be on its way to us in a channel: 80 MB/s with a round trip of 100 ms."""

HELD_BYTES = WINDOW_BYTES // 4
"""A stream that holds twice as much lets nothing more in until it is down to this."""


class _Stream:
    """What came in one direction of a channel, until it is read: in the pieces in which it came.

    An `asyncio.StreamReader` would copy each byte twice, which is much of what a large file costs at home.
    """

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._has_ended = False
        self._has_news = asyncio.Event()
        self._valve: _Valve | None = None
        self._is_full = False

    def connect(self, valve: _Valve) -> None:
        """Shut this while too much waits here."""
        self._valve = valve

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        self._pieces.append(data)
        self._size += len(data)
        self._has_news.set()
        if self._valve is not None and not self._is_full and self._size > 2 * HELD_BYTES:
            self._is_full = True
            self._valve.pause_reading()

    def end(self) -> None:
        """Note that nothing more comes."""
        self._has_ended = True
        self._has_news.set()

    async def read(self, n: int) -> bytes:
        """Return up to `n` bytes as soon as there are any, none at the end."""
        while not self._pieces and not self._has_ended:
            self._has_news.clear()
            await self._has_news.wait()
        parts: list[bytes] = []
        while self._pieces and n:
            part = self._pieces.popleft()
            if len(part) > n:
                self._pieces.appendleft(part[n:])
                part = part[:n]
            parts.append(part)
            self._size -= len(part)
            n -= len(part)
        if self._valve is not None and self._is_full and self._size <= HELD_BYTES:
            self._is_full = False
            self._valve.resume_reading()
        return b"".join(parts)


class SshChannel(asyncssh.SSHClientSession[bytes]):
    """One command line that runs on a host. Its streams end when its connection does."""

    def __init__(self) -> None:
        self._out = _Stream()
        self._err = _Stream()
        self.stdin: Writer = self
        self.stdout: Reader = self._out
        self.stderr: Reader = self._err
        self._is_lost = False
        self._may_write = asyncio.Event()
        self._may_write.set()

    async def ended(self) -> int | None:
        """Wait for its end and return its exit status, which is None when the connection was lost."""
        await self._channel.wait_closed()
        return self._channel.get_exit_status()

    def kill(self) -> None:
        """Ask sshd to end it, and let go of it."""
        with suppress(OSError, asyncssh.Error):
            self._channel.kill()
        self._channel.close()

    async def leave(self, patience_s: float) -> None:
        """Let go of it, and wait for so long until the host has, too."""
        self._channel.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._channel.wait_closed()

    # As a writer

    def write(self, data: bytes) -> None:
        """Take bytes."""
        self._channel.write(data)

    async def drain(self) -> None:
        """Wait until more may be written.

        Raises:
            ConnectionResetError: that will never be.
        """
        await self._may_write.wait()
        if self._is_lost:
            raise ConnectionResetError("the connection is lost")

    def close(self) -> None:
        """Say that nothing more comes."""
        with suppress(OSError, asyncssh.Error):
            self._channel.write_eof()

    # What asyncssh tells

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan
        valve = _Valve(chan)
        for stream in (self._out, self._err):
            stream.connect(valve)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        (self._out if datatype is None else self._err).feed(data)

    def eof_received(self) -> bool:
        for stream in (self._out, self._err):
            stream.end()
        return True  # the command may still read

    def connection_lost(self, _exc: Exception | None) -> None:
        self._is_lost = True
        self.eof_received()
        self._may_write.set()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()


class _Valve:
    """Lets a channel's data in while none of its streams is full."""

    def __init__(self, channel: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = channel
        self._full = 0
        self._is_opening = False

    def _is_shut(self) -> bool:
        return self._full > 0

    def pause_reading(self) -> None:
        """Let in nothing more for one stream, once what was held back is in."""
        self._full += 1
        if not self._is_opening:
            self._channel.pause_reading()

    def resume_reading(self) -> None:
        """Let data in for one stream again: first, and all of it, what was held back."""
        self._full -= 1
        if self._is_shut():
            return
        self._is_opening = True
        try:
            self._channel.resume_reading()
        finally:
            self._is_opening = False
        if self._is_shut():
            self._channel.pause_reading()
