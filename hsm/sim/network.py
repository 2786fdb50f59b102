"""Sockets of machines and the links under them: bytes arrive later, dead processes hang up."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from hsm.sim.process import PROCESS, SimProcess

if TYPE_CHECKING:
    from hsm.sim.loop import SimLoop

LINK_S = 0.0005

Factory = Callable[[], Any]


class Link(asyncio.Transport):
    """One end of a connection. What is written arrives at the peer in order, after the link's delay."""

    def __init__(self, network: Network, protocol: Any, context: contextvars.Context) -> None:
        super().__init__()
        self.peer: Link | None = None
        self.protocol = protocol
        self.context = context
        self.is_dead = False
        self._network = network
        self._closing = False
        self._last = 0.0
        self._due: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()

    def later(self, function: Callable[..., object], *args: Any) -> None:
        """Call something at this end, in order, once the link's delay is over."""
        loop = self._network.loop
        self._last = max(self._last, loop.time() + self._network.delay())
        self._due.append((function, args))
        loop.call_at(self._last, self._do_next, context=self.context)

    def _do_next(self) -> None:
        """Do what is due first: a process that was stopped meanwhile finds everything in order."""
        function, args = self._due.popleft()
        function(*args)

    def write(self, data: Any) -> None:
        if self._closing or self.is_dead or self.peer is None or self._network.is_silent:
            return
        self.peer.later(self.peer.receive, bytes(data))

    def receive(self, data: bytes) -> None:
        """Hand bytes to the protocol."""
        if not self._closing and not self.is_dead:
            self.protocol.data_received(data)

    def close(self) -> None:
        if self._closing or self.is_dead:
            return
        self._closing = True
        self.later(self.protocol.connection_lost, None)
        if self.peer is not None:
            self.peer.later(self.peer.hang_up)

    def hang_up(self) -> None:
        """Take note that the other end has closed, or that its process is gone."""
        if self._closing or self.is_dead:
            return
        self.protocol.eof_received()
        self._closing = True
        self.later(self.protocol.connection_lost, None)

    def break_off(self) -> None:
        """Be gone with the process at this end; the peer notices."""
        if self.is_dead:
            return
        self.is_dead = True
        if self.peer is not None and not self._network.is_silent:
            self.peer.later(self.peer.hang_up)

    def is_closing(self) -> bool:
        return self._closing or self.is_dead

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Have no limits."""

    def pause_reading(self) -> None:
        """Go on: what is sent here is small."""

    def resume_reading(self) -> None:
        """Go on."""


class Server:
    """A listening socket."""

    def __init__(
        self, network: Network, key: tuple[str, str], process: SimProcess | None, factory: Factory
    ) -> None:
        self.process = process
        self.factory = factory
        self._network = network
        self._key = key

    def close(self) -> None:
        """Listen no more."""
        self._network.forget(self._key, self)

    async def wait_closed(self) -> None:
        """Be closed at once."""

    def is_serving(self) -> bool:
        """Tell whether it listens."""
        return self._network.listener(self._key) is self


class Network:
    """Listening sockets by machine and path, and the connections between processes."""

    def __init__(self, loop: SimLoop, rng: Random) -> None:
        self.loop = loop
        self.is_silent = False
        self._rng = rng
        self._servers: dict[tuple[str, str], Server] = {}
        self.machine_of: Callable[[SimProcess | None], str] = lambda _process: ""

    def delay(self) -> float:
        """Return how long bytes travel."""
        return self._rng.expovariate(1 / LINK_S)

    def listener(self, key: tuple[str, str]) -> Server | None:
        """Return who listens at an address."""
        return self._servers.get(key)

    def forget(self, key: tuple[str, str], server: Server) -> None:
        """Take a listener off, unless another one has taken its place."""
        if self._servers.get(key) is server:
            del self._servers[key]

    def serve(self, path: str, factory: Factory) -> Server:
        """Listen at a path as the process that is just running."""
        process = PROCESS.get()
        key = (self.machine_of(process), path)
        server = Server(self, key, process, factory)
        self._servers[key] = server
        if process is not None:
            process.ends.append(server.close)
        return server

    async def connect(self, path: str, factory: Factory) -> tuple[Link, Any]:
        """Connect to whoever listens at a path on this machine.

        Raises:
            ConnectionRefusedError: nobody does.
        """
        near = self.join(path, factory)
        await asyncio.sleep(self.delay())
        return near, near.protocol

    def join(self, path: str, factory: Factory) -> Link:
        """Connect at once to whoever listens at a path on this machine.

        Raises:
            ConnectionRefusedError: nobody does.
        """
        caller = PROCESS.get()
        server = self._servers.get((self.machine_of(caller), path))
        if server is None or (server.process is not None and not server.process.alive):
            raise ConnectionRefusedError(111, "Connection refused", path)
        near = self._end(factory(), caller)
        far = self._end(server.factory(), server.process)
        near.peer, far.peer = far, near
        near.protocol.connection_made(near)
        far.later(far.protocol.connection_made, far)
        near.later(_nothing)
        return near

    def _end(self, protocol: Any, process: SimProcess | None) -> Link:
        context = contextvars.Context()
        context.run(PROCESS.set, process)
        link = Link(self, protocol, context)
        if process is not None:
            process.ends.append(link.break_off)
        return link


def _nothing() -> None:
    """Do nothing."""
