"""Sockets between processes of one user on one host, as one object that a simulator replaces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from hsm.wire.files import Files
from hsm.wire.runtime import socket_path

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Sockets:
    """The real sockets of this host."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def address(self, purpose: str) -> str:
        """Return the address for a purpose: the same for the same words."""
        return socket_path(purpose)

    async def connect(self, address: str) -> Connection:
        """Connect to whoever listens.

        Raises:
            OSError: nobody does.
        """
        return await asyncio.open_unix_connection(address)

    @asynccontextmanager
    async def listening(self, address: str, answer: Answer, *, limit: int) -> AsyncIterator[None]:
        """Answer each connection, lines up to `limit` bytes; what a dead listener left there is removed."""
        self._files.remove(address)
        server = await asyncio.start_unix_server(answer, path=address, limit=limit)
        self._files.set_mode(address, 0o600)
        try:
            yield
        finally:
            server.close()
            self._files.remove(address)
