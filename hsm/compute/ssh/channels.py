"""A channel of asyncssh as links and scripts want it: streams that end as those of a pipe do."""

from __future__ import annotations

from contextlib import suppress

import asyncssh

from hsm.compute.link import Reader, Writer


class SshChannel:
    """A process of asyncssh."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._process = process
        self.stdin: Writer = _Writer(process.stdin)
        self.stdout: Reader = _Reader(process.stdout)
        self.stderr: Reader = _Reader(process.stderr)

    async def ended(self) -> int | None:
        """Wait for its end and return its exit status, which is None when the connection was lost."""
        await self._process.wait_closed()
        return self._process.exit_status

    def kill(self) -> None:
        """Ask sshd to end it, and close the channel."""
        with suppress(OSError, asyncssh.Error):
            self._process.kill()
        self._process.close()


class _Reader:
    """A reader whose stream ends when its connection does, as that of a pipe."""

    def __init__(self, reader: asyncssh.SSHReader[bytes]) -> None:
        self._reader = reader

    async def read(self, n: int) -> bytes:
        """Return up to `n` bytes, empty at the end."""
        try:
            return await self._reader.read(n)
        except asyncssh.Error as error:
            raise ConnectionResetError(str(error)) from error


class _Writer:
    """A writer that is closed by saying that nothing more comes, and fails as that of a pipe does."""

    def __init__(self, writer: asyncssh.SSHWriter[bytes]) -> None:
        self._writer = writer

    def write(self, data: bytes) -> None:
        """Take bytes."""
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait until more may be written."""
        try:
            await self._writer.drain()
        except asyncssh.Error as error:
            raise ConnectionResetError(str(error)) from error

    def close(self) -> None:
        """Say that nothing more comes."""
        with suppress(OSError, asyncssh.Error):
            self._writer.write_eof()
