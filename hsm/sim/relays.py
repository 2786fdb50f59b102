"""Simulated relays: the real relay with its real services, turn by turn, at the host's end of a channel."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

from hsm.compute.agent.bundling import Bundling
from hsm.compute.agent.carrying import Carrying
from hsm.compute.agent.cleaning import Cleaning
from hsm.compute.agent.growing import Growing
from hsm.compute.agent.host import Host
from hsm.compute.agent.preparing import Preparing
from hsm.compute.agent.relay import Relay, Service
from hsm.compute.agent.sending import Sending
from hsm.compute.agent.starting import BELL, AgentLine, Heard, Post
from hsm.sim.host import SimHost
from hsm.sim.machine import Machine
from hsm.sim.process import PROCESS, Killed
from hsm.sim.program import Behaviour

RELAY = "relay"
ROOT = "/hsm"
TURN_S = 0.0002

StartAgent = Callable[[Machine, str, str], int]
Crashes = Callable[[BaseException], None]


class SimRelay:
    """One relay process. `send` takes what it says, and nothing when it has gone."""

    def __init__(
        self, machine: Machine, word: str, send: Callable[[bytes], None], start: StartAgent, crashes: Crashes
    ) -> None:
        self.process = machine.add_process(RELAY)
        self._machine = machine
        self._word = word
        self._say = send
        self._start = start
        self._crashes = crashes
        self._heard = b""
        self._is_over = False
        self._relay: Relay | None = None
        self._next: asyncio.TimerHandle | None = None
        self._context = contextvars.Context()
        self._context.run(PROCESS.set, self.process)
        self.process.ends.append(lambda: send(b""))
        self.wake()

    def take(self, data: bytes) -> None:
        """Hear bytes of the manager; none are the end."""
        self._heard += data
        self._is_over = self._is_over or not data
        self.wake()

    def wake(self) -> None:
        """Have a turn soon."""
        self._turn_in(TURN_S)

    def _turn_in(self, delay_s: float) -> None:
        at = self._machine.loop.time() + delay_s
        if self._next is not None:
            if self._next.when() <= at:
                return
            self._next.cancel()
        self._next = self._machine.loop.call_at(at, self._guarded, context=self._context.copy())

    def _guarded(self) -> None:
        self._next = None
        try:
            if self._relay is None:
                self._relay = self._begun()
            data, self._heard = self._heard, b""
            if self._is_over or not self._relay.turn(data):
                self._machine.kill(self.process)
                return
        except Killed:
            self._machine.kill(self.process)
            return
        except Exception as error:  # noqa: BLE001 - a real one would end with a traceback
            self._crashes(error)
            self._machine.kill(self.process)
            return
        self._turn_in(max(self._relay.due_s(), TURN_S))

    def _begun(self) -> Relay:
        host = SimHost(self._machine, self.process, _runs_nothing, self.wake)
        host.files.make_directories(ROOT)

        def line_to(host: Host, post: Post) -> AgentLine:
            return SimAgentLine(host, post, self._machine, self._start, self.wake)

        services: list[Service] = [
            Carrying(host, ROOT, line_to),
            Sending(host.files, ROOT),
            Growing(host, ROOT),
            Bundling(host, ROOT),
            Preparing(host, ROOT),
            Cleaning(host, ROOT),
        ]
        relay = SpokenRelay(-1, -1, services, host=host)
        relay.say = self._say
        relay.greet(self._word)
        return relay


class SpokenRelay(Relay):
    """A relay whose words go to a function instead of a descriptor."""

    say: Callable[[bytes], None]

    def _write(self, data: bytes) -> None:
        self.say(data)


class SimAgentLine(AgentLine):
    """The line to an agent of a simulated host: a socket of the simulated network."""

    def __init__(
        self, host: Host, post: Post, machine: Machine, start: StartAgent, wake: Callable[[], None]
    ) -> None:
        super().__init__(host, post)
        self._sim_post = post
        self._machine = machine
        self._start_agent = start
        self._wake = wake
        self._link: Any = None
        self._news = Heard.NOTHING

    def _connect(self, address: str) -> bool:
        try:
            self._link = self._machine.loop.network.join(address, lambda: _Ear(self))
        except ConnectionRefusedError:
            return False
        return True

    def _start(self) -> None:
        self._start_agent(self._machine, self._sim_post.sweep, self._sim_post.home)

    def ring(self) -> None:
        if self._link is not None:
            self._link.write(BELL)

    def hear(self, link: Any, news: Heard) -> None:
        """Take note of what the agent at the other end has said."""
        if link is self._link:
            self._news = news
            self._wake()

    def heard(self) -> Heard:
        news, self._news = self._news, Heard.NOTHING
        return news

    def hang_up(self) -> None:
        link, self._link = self._link, None
        self._news = Heard.NOTHING
        if link is not None:
            link.close()


class _Ear(asyncio.Protocol):
    def __init__(self, line: SimAgentLine) -> None:
        self._line = line
        self._link: Any = None

    def connection_made(self, transport: Any) -> None:
        self._link = transport

    def data_received(self, data: bytes) -> None:
        self._line.hear(self._link, Heard.BELL)

    def connection_lost(self, exc: Exception | None) -> None:
        self._line.hear(self._link, Heard.END)


def _runs_nothing(*_: object) -> Behaviour:
    raise AssertionError("a relay runs no attempt")
