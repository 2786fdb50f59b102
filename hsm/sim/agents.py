"""Simulated agents: the real agent, turn by turn on the virtual clock, with a bell on the network."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from hsm.compute.agent.bell import Bell
from hsm.compute.agent.pool import mark_of
from hsm.compute.agent.service import LINGER_S, Agent, Leave, Paths
from hsm.sim.host import SimHost
from hsm.sim.machine import Machine
from hsm.sim.network import Link
from hsm.sim.process import PROCESS, Killed, SimProcess
from hsm.sim.program import Behave

TURN_S = 0.0002


def address_for(purpose: str) -> str:
    """Return the address of a socket for this purpose."""
    return f"/tmp/{sha256(purpose.encode()).hexdigest()[:24]}.sock"  # noqa: S108 - of a simulated machine


class SimBell(Bell):
    """What an agent's loop waits on: its managers' connections and its children."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.rang = True
        self.stop: Callable[[], None] | None = None
        self._links: list[Link] = []
        self._watched: set[int] = set()
        self._wake_agent = wake

    def hear_signals(self, stop: Callable[[], None]) -> None:
        self.stop = stop

    def watch(self, fd: int, *, to_write: bool = False) -> None:
        assert fd not in self._watched, "a selector takes no descriptor twice"  # noqa: S101
        self._watched.add(fd)
        self._wake_agent()  # it may be ready already

    def unwatch(self, fd: int) -> None:
        self._watched.remove(fd)

    def is_ready(self, fd: int) -> None:
        """Wake the agent for a descriptor, if that is watched."""
        if fd in self._watched:
            self._wake_agent()

    def look_for_leaks(self) -> None:
        """See that an agent which leaves has let go of every process that it spoke with."""
        assert not self._watched, "a descriptor is still watched"  # noqa: S101

    @property
    def is_attended(self) -> bool:
        return bool(self._links)

    def wake(self) -> None:
        self._wake_agent()

    def wait(self, timeout_s: float | None) -> None:
        raise AssertionError("a simulated agent never waits")

    def ring(self) -> None:
        for link in self._links:
            link.write(b"!")

    def connect(self) -> asyncio.Protocol:
        """Return what hears one manager."""
        return _Ear(self)

    def heard(self, link: Link, *, is_there: bool, says_look: bool = False) -> None:
        """Take note of a manager that comes, rings or goes."""
        if is_there and link not in self._links:
            self._links.append(link)
        if not is_there and link in self._links:
            self._links.remove(link)
        self.rang = self.rang or says_look
        self._wake_agent()


class _Ear(asyncio.Protocol):
    def __init__(self, bell: SimBell) -> None:
        self._bell = bell
        self._link: Any = None

    def connection_made(self, transport: Any) -> None:
        self._link = transport
        self._bell.heard(transport, is_there=True)

    def data_received(self, data: bytes) -> None:
        self._bell.heard(self._link, is_there=True, says_look=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._bell.heard(self._link, is_there=False)


class SimAgent:
    """One agent process. `crashes` is told when it ends by an exception, as a real one would.

    Processes of batches of its source have tokens that begin with `mark`, those of its own with `own_mark`.
    """

    def __init__(
        self,
        machine: Machine,
        sweep: str,
        home: str,
        behave: Behave,
        crashes: Callable[[BaseException], None],
    ) -> None:
        self.process = machine.add_process("agent")
        self.machine = machine.name
        self.has_begun = False
        self.has_left = False
        self.mark = mark_of(home)
        self.own_mark = f"{self.mark}{self.process.start}w"
        self._machine = machine
        self._paths = Paths(sweep, home)
        self._behave = behave
        self._crashes = crashes
        self._agent: Agent | None = None
        self._bell = SimBell(self._wake)
        self._address = ""
        self._next: asyncio.TimerHandle | None = None
        self._context = contextvars.Context()
        self._context.run(PROCESS.set, self.process)

    def boot(self) -> None:
        """Come up as `python -m hsm.compute.agent` does; leave at once where another agent is."""
        self._context.copy().run(self._guarded, self._boot)

    def _boot(self) -> None:
        bell = self._bell
        host = SimHost(self._machine, self.process, self._behave, self._wake, bell.is_ready)
        for directory in (self._paths.inbox, self._paths.records):
            host.files.make_directories(directory)
        host.files.lock(f"{self._paths.home}/lock")
        self._address = address_for(f"agent {self._paths.home}")
        self._agent = Agent(self._paths, host, Leave(None, LINGER_S), bell=bell, address=self._address)
        self._machine.loop.network.serve(self._address, bell.connect)
        self._agent.begin()
        self.has_begun = True
        self._wake()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Killed:
            self._machine.kill(self.process)
        except BlockingIOError:
            self._machine.kill(self.process)  # another agent has the lock
        except Exception as error:  # noqa: BLE001 - a real one would end with a traceback
            self._crashes(error)
            self._machine.kill(self.process)

    def _wake(self) -> None:
        """Have a turn soon."""
        self._turn_in(TURN_S)

    def _turn_in(self, delay_s: float) -> None:
        at = self._machine.loop.time() + delay_s
        if self._next is not None:
            if self._next.when() <= at:
                return
            self._next.cancel()
        self._next = self._machine.loop.call_at(at, self._guarded, self._turn, context=self._context.copy())

    def _turn(self) -> None:
        self._next = None
        agent = self._agent
        if agent is None:
            return
        if not agent.turn():
            self._agent = None  # it is deaf while it closes, however long its disk takes
            agent.close()
            self._bell.look_for_leaks()
            self.has_left = True
            self._machine.kill(self.process)
            return
        timeout = agent.timeout()
        if timeout is not None:
            self._turn_in(max(timeout, TURN_S))


def is_agent(process: SimProcess) -> bool:
    """Tell whether a process is an agent."""
    return process.name == "agent"
