"""A simulated host behind a line: how managers reach it, and what befalls it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random

from hsm.compute.link import Link, LinkLost
from hsm.compute.ssh.reach import Completed, Connection, Reach
from hsm.core.world import World
from hsm.sim.line import End, Line, Toward, Wire
from hsm.sim.machine import Machine
from hsm.sim.process import SimProcess
from hsm.sim.relays import ROOT, Crashes, SimRelay, StartAgent

GREETING_S = 30.0


class Remote:
    """A host with a disk and a clock of its own, and the line to it."""

    def __init__(self, machine: Machine, rng: Random, start: StartAgent, crashes: Crashes) -> None:
        self.machine = machine
        self.line = Line(machine.loop, rng)
        self.relays: list[SimRelay] = []
        self._start = start
        self._crashes = crashes

    def start_relay(self, word: str, send: Callable[[bytes], None]) -> SimRelay:
        """Start a relay, as a login shell there would."""
        relay = SimRelay(self.machine, word, send, self._start, self._crashes)
        self.relays.append(relay)
        return relay

    def living_relay(self) -> SimProcess | None:
        """Return the newest relay that lives."""
        return next((relay.process for relay in reversed(self.relays) if relay.process.alive), None)

    def reboot(self, rng: Random) -> str:
        """Cut the power of the host, have it come up again, and say what its disk kept.

        Its connections break or fall silent. A process of somebody else may get the number of one that was
        ours, and begin at the same tick after the start: only the boot tells them apart.
        """
        ours = [program for program in self.machine.programs() if program.is_of_a_sweep]
        if rng.random() < 0.5:
            self.line.fall_silent()
        else:
            self.line.cut(rng.uniform(0.0, 5.0))
        self.machine.reboot()
        said = self.machine.cut_power(rng)
        if ours:
            old = rng.choice(ours)
            self.machine.add_program("foreign", pid=old.pid).start = old.start
        return said

    def swap_key(self, seconds: float) -> None:
        """Have the host show another key, and a person accept it some time later."""
        self.line.key += 1
        self.line.cut(0.0)
        self.machine.loop.call_later(seconds, self.line.accept_key)


class SimReach(Reach):
    """Reaches a simulated host from a manager's process."""

    def __init__(self, world: World, process: SimProcess, name: str, remote: Remote) -> None:
        self.name = name
        self.world = world
        self.process = process
        self.remote = remote

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        wire = await self.remote.line.connect(self.name)
        try:
            yield _SimConnection(self, wire)
        finally:
            wire.close()


class _SimConnection(Connection):
    def __init__(self, reach: SimReach, wire: Wire) -> None:
        self.root = ROOT
        self.python = "/bin/python3"
        self._reach = reach
        self._wire = wire

    async def run(self, script: str, *, stdin: bytes = b"", timeout_s: float) -> Completed:
        raise AssertionError("there is no shell here")

    def relay(self, *arguments: str) -> AbstractAsyncContextManager[Link]:
        """Start a relay on the host, and yield its link."""
        return self._relay()

    @asynccontextmanager
    async def _relay(self) -> AsyncIterator[Link]:
        reach = self._reach
        word = reach.world.token()
        channel = _Channel(reach, self._wire, word)
        link = Link(reach.name, channel.reader, channel)
        try:
            await _greeted(link, word)
            yield link
        finally:
            link.close()


async def _greeted(link: Link, word: str) -> None:
    try:
        async with asyncio.timeout(GREETING_S):
            await link.greet(word)
    except TimeoutError as error:
        reason = f"its relay said nothing within {GREETING_S:g} s"
        raise LinkLost(link.source, reason, transient=True) from error


class _Channel:
    """The manager's end of a channel, and what its link writes to."""

    def __init__(self, reach: SimReach, wire: Wire, word: str) -> None:
        self.reader = asyncio.StreamReader()
        self._is_closed = False
        self._process = reach.process
        self._home = End(wire, Toward.HOME, reach.process, self._take)
        relay = reach.remote.start_relay(word, self._from_relay)
        self._there = End(wire, Toward.HOST, relay.process, relay.take)
        wire.ends += [self._home, self._there]
        reach.process.ends.append(wire.close)
        if wire.is_lost:  # while the channel was being opened
            for end in (self._home, self._there):
                end.later(b"")

    def _take(self, data: bytes) -> None:
        if data:
            self.reader.feed_data(data)
        else:
            self._is_closed = True
            self.reader.feed_eof()

    def _from_relay(self, data: bytes) -> None:
        if data:
            self._home.send(data)
        else:
            self._home.end()

    def write(self, data: bytes) -> None:
        """Send bytes to the relay.

        Raises:
            BrokenPipeError: the channel is known to be closed, as asyncssh raises it.
        """
        self._process.check()
        if self._is_closed:
            raise BrokenPipeError("Channel not open for sending")
        self._there.send(data)

    async def drain(self) -> None:
        """Wait for nothing: what is sent here is small."""

    def close(self) -> None:
        """Let the relay hear that nobody listens any more."""
        if not self._is_closed:
            self._is_closed = True
            self._there.end()
