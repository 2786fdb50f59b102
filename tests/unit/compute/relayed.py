"""A real relay at the other end of a socket, in a thread of the test: both ends of a link on one machine."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from hsm.compute.agent.relay import Relay, Service
from hsm.compute.link import Link, LinkLost

WORD = "w" * 8


@asynccontextmanager
async def linked(services: Sequence[Service], source: str = "ssh:host") -> AsyncIterator[Link]:
    """Yield a link to a relay with these services, which ends with the context."""
    home, away = socket.socketpair()
    thread = threading.Thread(target=_serve, args=(away, services), daemon=True)
    thread.start()
    reader, writer = await asyncio.open_connection(sock=home)
    link = Link(source, reader, writer)
    await link.greet(WORD)
    listening = asyncio.ensure_future(_listen(link))
    try:
        yield link
    finally:
        listening.cancel()
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        await asyncio.wait([listening])
        thread.join(10)


async def _listen(link: Link) -> None:
    with contextlib.suppress(LinkLost):
        await link.run()


def _serve(away: socket.socket, services: Sequence[Service]) -> None:
    with away:
        Relay(away.fileno(), away.fileno(), services).run(WORD)
