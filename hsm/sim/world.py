"""The manager's world, simulated: clocks, chance, disks, sockets and processes of one machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from subprocess import CompletedProcess
from typing import Any

from hsm.core.sockets import Sockets
from hsm.core.threads import Call, Threads
from hsm.core.world import Identity, World
from hsm.sim.agents import address_for
from hsm.sim.loop import SimLoop
from hsm.sim.machine import Machine
from hsm.sim.process import IN_THREAD, SimProcess

StartAgent = Callable[[str, str], int]
"""Starts an agent for a sweep and a home, and returns its pid."""


class SimSockets(Sockets):
    """Sockets of a simulated machine."""

    def address(self, purpose: str) -> str:
        return address_for(purpose)


class SimThreads(Threads):
    """Threads whose work is done some virtual time after it was handed over."""

    def __init__(self, loop: SimLoop) -> None:
        super().__init__(0)
        self._loop = loop

    def submit(self, function: Callable[[], Any]) -> Call:
        call = Call(function)
        self._loop.call_later(self._loop.latency(), self._perform, call)
        return call

    def _perform(self, call: Call) -> None:
        IN_THREAD.set(True)  # in the context of this handle alone
        call.perform()
        self._loop.call_soon_threadsafe(call.finish)


class SimWorld(World):
    """One process on one machine."""

    def __init__(
        self,
        machines: Mapping[str, Machine],
        machine: Machine,
        process: SimProcess,
        *,
        rng: Random,
        start_agent: StartAgent,
    ) -> None:
        super().__init__()
        self.files = machine.files_of(process)
        self.sockets = SimSockets(self.files)
        self._threads = SimThreads(machine.loop)
        self._machines = machines
        self._machine = machine
        self.process = process
        self._rng = rng
        self._start_agent = start_agent

    def now(self) -> float:
        return self._machine.now()

    def monotonic(self) -> float:
        return self._machine.loop.time()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)

    def token(self) -> str:
        return f"{self._rng.getrandbits(128):032x}"

    def close(self) -> None:
        """Have no threads to end."""

    def identity(self) -> Identity:
        process = self.process
        return Identity(
            host=self._machine.name, boot=self._machine.boot, pid=process.pid, start=process.start
        )

    def is_alive(self, who: Identity) -> bool | None:
        if who.host != self._machine.name:
            return None
        process = self._machine.find(who.pid)
        return who.boot == self._machine.boot and process is not None and process.start == who.start

    def user(self) -> str:
        return "somebody"

    def environment(self) -> dict[str, str]:
        return {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": ""}

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = 60,
    ) -> CompletedProcess[bytes]:
        raise FileNotFoundError(2, "No such file or directory", argv[0])

    def spawn_detached(
        self, argv: Sequence[str], *, environment: Mapping[str, str], log: Path, keep: Sequence[int] = ()
    ) -> int:
        return self._start_agent(argv[-2], argv[-1])
