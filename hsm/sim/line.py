"""The line to a simulated host: connections that delay, break, fall silent or are refused.

A connection is what SSH makes of TCP: it carries channels, keeps order, and is lost as a whole. When it is
cut both sides see it; when it is half open neither does, and what is sent is gone.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from random import Random

from hsm.compute.ssh.faults import HostKeyRefused, HostUnreachable
from hsm.sim.loop import SimLoop
from hsm.sim.process import PROCESS, SimProcess
from hsm.sim.scenario import FaultKind

USUAL_S = 0.002
CONNECT_S = 15.0
"""So long a connection to nowhere is waited for."""

Take = Callable[[bytes], None]
"""Takes bytes that have arrived; none are the end."""


class Toward(StrEnum):
    """Where bytes go."""

    HOST = "host"
    HOME = "home"


class End:
    """One end of a channel. What is sent to it arrives in order, as its process, while that lives."""

    def __init__(self, wire: Wire, toward: Toward, process: SimProcess, take: Take) -> None:
        self.toward = toward
        self.wire = wire
        self._take = take
        self._context = contextvars.Context()
        self._context.run(PROCESS.set, process)
        self._due: deque[bytes] = deque()
        self._last = 0.0

    def send(self, data: bytes) -> None:
        """Have bytes arrive here, if the connection carries them, in one piece or in two."""
        data = self.wire.carried(self.toward, data)
        cut = self.wire.line.where_to_cut(len(data))
        for piece in filter(None, (data[:cut], data[cut:])):
            self.later(piece)
        self.wire.reset_if_due(self.toward)

    def end(self) -> None:
        """Have the end arrive here, unless nothing does."""
        if not self.wire.is_mute and not self.wire.is_lost:
            self.later(b"")

    def later(self, data: bytes) -> None:
        """Have something arrive when the line brings it."""
        loop = self.wire.line.loop
        self._last = max(self._last, loop.time() + self.wire.line.delay())
        self._due.append(data)
        loop.call_at(self._last, self._arrive, context=self._context)

    def _arrive(self) -> None:
        """Take what came first: a process that was stopped meanwhile finds everything in order."""
        data = self._due.popleft()
        if not self.wire.is_mute:
            self._take(data)


class Wire:
    """One connection, with the ends of its channels on both sides."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.is_lost = False
        self.is_mute = False
        self.ends: list[End] = []

    def carried(self, toward: Toward, data: bytes) -> bytes:
        """Return how much of these bytes arrives."""
        if self.line.falls_silent and not self.is_lost:
            self.line.falls_silent = False
            self.line.count(FaultKind.LINE_SILENT)
            self.line.fall_silent()
        if self.is_lost or self.is_mute:
            return b""
        left = self.line.resets.get(toward)
        if left is None:
            return data
        self.line.resets[toward] = max(0, left - len(data))
        return data[:left]

    def reset_if_due(self, toward: Toward) -> None:
        """Break where the last byte was carried that should be."""
        if self.line.resets.get(toward) == 0 and not self.is_lost and not self.is_mute:
            del self.line.resets[toward]
            self.line.count(FaultKind.LINE_RESET, toward)
            self.reset()

    def reset(self) -> None:
        """Be lost, as both sides see."""
        if self.is_lost:
            return
        self.is_lost = True
        self._leave()
        for end in self.ends:
            end.later(b"")

    def close(self) -> None:
        """Be closed from home: the host hears of it, unless nothing is carried."""
        self._leave()
        for end in self.ends:
            if end.toward is Toward.HOST:
                end.end()

    def fall_silent(self) -> None:
        """Carry nothing any more, as neither side sees."""
        self.is_mute = True
        self._leave()

    def _leave(self) -> None:
        """Be none of the line's wires any more; one that was closed from home may still break."""
        if self in self.line.wires:
            self.line.wires.remove(self)


class Line:
    """The way to one host, and what is wrong with it just now."""

    def __init__(self, loop: SimLoop, rng: Random) -> None:
        self.loop = loop
        self.wires: list[Wire] = []
        self.delay_s = USUAL_S
        self.cut_until = 0.0
        self.refused_until = 0.0
        self.resets: dict[Toward, int] = {}
        self.falls_silent = False
        self.key = self.known_key = 1
        self._rng = rng

    def count(self, kind: FaultKind, detail: object = "") -> None:
        """Count a fault that has fired."""
        self.loop.trace.count(kind, detail)

    def delay(self) -> float:
        """Return how long bytes travel."""
        return self.delay_s / 2 + self._rng.expovariate(2 / self.delay_s)

    def where_to_cut(self, size: int) -> int:
        """Return how many of some bytes arrive before the others."""
        return self._rng.randint(1, size) if size > 1 and self._rng.random() < 0.2 else size

    async def connect(self, name: str) -> Wire:
        """Connect to the host.

        Raises:
            HostUnreachable: the line is cut, or the host takes nobody in just now.
            HostKeyRefused: its key is not the one that is known.
        """
        if self.loop.time() < self.cut_until:
            self.count(FaultKind.LINE_CUT)
            await asyncio.sleep(CONNECT_S)
            raise HostUnreachable(name, f"no connection in {CONNECT_S:g} s")
        await asyncio.sleep(3 * self.delay())
        if self.loop.time() < self.refused_until:
            self.count(FaultKind.LINE_REFUSED)
            raise HostUnreachable(name, "connection refused")
        if self.key != self.known_key:
            self.count(FaultKind.HOST_KEY)
            raise HostKeyRefused(name, "its key has changed", hint="accept the new one, if it is right")
        wire = Wire(self)
        self.wires.append(wire)
        return wire

    def cut(self, seconds: float) -> None:
        """Break every connection, and make none for a while."""
        self.cut_until = self.loop.time() + seconds
        for wire in list(self.wires):
            wire.reset()

    def fall_silent(self) -> None:
        """Leave every connection half open."""
        for wire in list(self.wires):
            wire.fall_silent()

    def hurry(self) -> None:
        """Be as fast as usual."""
        self.delay_s = USUAL_S

    def accept_key(self) -> None:
        """Have a person accept the key that the host shows now."""
        self.known_key = self.key

    def heal(self) -> None:
        """Let nothing be wrong any more; what is half open stays so until somebody notices."""
        self.hurry()
        self.cut_until, self.refused_until = 0.0, 0.0
        self.resets.clear()
        self.falls_silent = False
        self.accept_key()
