"""Simulated processes that serve batches: what is said to them, what they tell, and their members' work."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any

from hsm.sim.program import GIVEN, Behave, Play, Program
from hsm.sim.truth import Execution
from hsm.wire.names import task_index

if TYPE_CHECKING:
    from hsm.sim.machine import Machine
    from hsm.sim.process import SimProcess

READ_S = 0.001
SLOW_S = 0.3
STUBBORN_SHARE = 0.5
AGAIN_SHARE = 0.2
BROKEN_PIPE, CANCELLED = 1, 143


class MemberPlay(Play):
    """A member at work: its end is told, and its process goes on."""

    def __init__(
        self, server: Server, execution: Execution, member: Mapping[str, Any], behave: Behave
    ) -> None:
        self._config_hash = member["variables"]["HSM_CONFIG_HASH"]
        self.behaviour = behave(self._config_hash, execution.attempt)
        super().__init__(server.machine, server.program, server.files, member["directory"], self.behaviour)
        self._server = server
        self._execution = execution

    def work(self) -> None:
        """Begin."""
        self.begin(self._config_hash, self._execution.attempt)

    @property
    def execution(self) -> Execution:
        return self._execution

    def end(self, code: int) -> None:
        self.is_over = True
        self._server.ended(self, code)


class Server:
    """A process and both of its pipes, of which the agent that started it has the other ends.

    An attempt counts as executed from when its agent began to hand it over: it cannot know more. It works on
    its members one after another or on all at once, reads late or soon, through a narrow pipe or a wide one,
    writes lines in pieces, and says again what it has said before.
    """

    def __init__(
        self,
        machine: Machine,
        program: Program,
        agent: SimProcess,
        directory: str,
        behave: Behave,
        *,
        on_told: Callable[[], None],
        on_room: Callable[[], None],
    ) -> None:
        self.machine = machine
        self.program = program
        self.files = machine.files_of(program)
        self._agent = agent
        self._directory = directory
        self._behave = behave
        self._on_told = on_told
        self._on_room = on_room
        self._rng = Random(f"serves {program.token}")
        self._is_serial = self._rng.random() < 0.5
        self._read_s = self._rng.choice((READ_S, READ_S, SLOW_S))
        self._room = self._rng.choice((700, 1 << 16))
        self._offered = 0
        self._taken = 0
        self._pipe = b""
        self._read = b""
        self._is_reading = False
        self._told = b""
        self._to_tell: list[tuple[Execution | None, int]] = []
        self._has_babbled = False
        self._is_mute = False
        self._is_telling = False
        self._has_orders = True
        self._is_heard = True
        self._waiting: list[MemberPlay] = []
        self._working: list[MemberPlay] = []
        program.members = {}
        program.ends.append(self._gone)
        agent.ends.append(self._alone)

    # The agent's side

    def take(self, data: bytes) -> int:
        """Take from the agent what the pipe has room for, all when nobody reads any more."""
        new = data[self._offered - self._taken :]
        self._offered = self._taken + len(data)
        for line in new.splitlines():
            self._hand_over(json.loads(line))
        size = min(len(data), self._room - len(self._pipe)) if self.program.alive else len(data)
        self._pipe += data[:size]
        self._taken += size
        self._read_soon()
        return size

    def _hand_over(self, said: dict[str, Any]) -> None:
        for member in said.get("members", ()):
            variables, program = member["variables"], self.program
            execution = Execution(
                token=member["token"],
                task=task_index(variables["HSM_TASK_ID"]),
                attempt=int(variables["HSM_ATTEMPT"]),
                pid=program.pid,
                host=self.machine.name,
                began_at=self.machine.loop.time(),
            )
            self.machine.trace.count(GIVEN, f"{execution.token} {program.pid}")
            self.machine.truth.began(execution)
            if program.alive and program.members is not None:
                program.members[execution.token] = execution
            else:
                execution.status, execution.ended_at = program.status or 0, execution.began_at

    def told(self) -> bytes | None:
        """Return what was told since, None when nothing more can be."""
        told, self._told = self._told, b""
        return told or (b"" if self.program.alive and not self._is_mute else None)

    def hang_up(self, *, is_orders: bool) -> None:
        """Have the agent close one of its ends."""
        if is_orders:
            self._has_orders = False
            self._read_soon()
        else:
            self._is_heard = False

    def _alone(self) -> None:
        """Have lost the agent, and both of its ends."""
        self._has_orders = self._is_heard = False
        self._read_soon()

    # The process

    def _read_soon(self) -> None:
        if self.program.alive and not self._is_reading:
            self._is_reading = True
            self.machine.loop.call_in(self.program, self._read_s, self._take_in)

    def _take_in(self) -> None:
        self._is_reading = False
        self._read += self._pipe
        self._pipe = b""
        self._tell_agent(self._on_room)
        while b"\n" in self._read and self.program.alive:
            line, _, self._read = self._read.partition(b"\n")
            self._obey(json.loads(line))
        self._leave_when_alone()

    def _leave_when_alone(self) -> None:
        """End when nothing more comes and all is done."""
        if self.program.alive and not (self._has_orders or self._pipe or self._has_work):
            self.machine.end(self.program, 0)

    @property
    def _has_work(self) -> bool:
        return bool(self._waiting or self._working or self._to_tell)

    def _obey(self, said: dict[str, Any]) -> None:
        if "cancel" in said:
            wanted = [
                play for play in (*self._working, *self._waiting) if play.execution.token in said["cancel"]
            ]
            for play in wanted:
                if not play.behaviour.ignores_term and self._rng.random() > STUBBORN_SHARE:
                    play.end(CANCELLED)
            return
        self._print(f"a batch of {len(said['members'])}\n")
        members = self.program.members or {}
        for member in said["members"]:
            play = MemberPlay(self, members[member["token"]], member, self._behave)
            for trouble in play.behaviour.troubles:
                self.machine.trace.count(trouble)
            self._waiting.append(play)
        self._work()

    def _print(self, text: str) -> None:
        try:
            self.files.append(f"{self._directory}/stdout.log", text.encode())
        except OSError:
            return  # it does not look whether it could

    def _work(self) -> None:
        while self._waiting and not (self._is_serial and self._working):
            play = self._waiting.pop(0)
            self._working.append(play)
            play.work()
        acts = [play.behaviour for play in self._working]
        self.program.memory_bytes = max((act.memory_bytes for act in acts), default=1 << 20)
        self.program.ignores_term = any(act.ignores_term for act in acts)

    def ended(self, play: MemberPlay, code: int) -> None:
        """Tell of a member's end, or end with it."""
        for plays in (self._working, self._waiting):
            if play in plays:
                plays.remove(play)
        if code and play.behaviour.takes_others_down:
            self._rng.choice((self._crash, self._babble, self._fall_mute))(code)
        else:
            self._tell(play.execution, code)

    def _crash(self, code: int) -> None:
        self.machine.trace.count("a process of batches ends early")
        self.machine.end(self.program, code << 8)

    def _babble(self, code: int) -> None:
        """Say what is no report; after a second one nobody listens to what follows."""
        if self._has_babbled:
            self._crash(code)
            return
        self._has_babbled = True
        self.machine.trace.count("a process of batches babbles")
        self._tell(None, code)

    def _fall_mute(self, code: int) -> None:
        """Close the descriptor, and go on."""
        self.machine.trace.count("a process of batches falls mute")
        self._is_mute = True
        self._tell_agent(self._on_told)
        self._work()

    def _tell(self, execution: Execution | None, code: int) -> None:
        self._to_tell.append((execution, code))
        if not self._is_telling:
            self._tell_next()

    def _tell_next(self) -> None:
        """Write the next line, now and then in two pieces."""
        self._is_telling = bool(self._to_tell)
        if self._is_telling:
            line = _line(*self._to_tell[0])
            cut = self._rng.choice((0, 0, self._rng.randrange(len(line))))
            self._write(line[:cut])
            delay_s = READ_S if cut else 0.0
            self.machine.loop.call_in(self.program, delay_s, self._tell_rest, line[cut:])

    def _tell_rest(self, rest: bytes) -> None:
        """Write the rest of a line: with it a member has ended."""
        execution, code = self._to_tell.pop(0)
        if self._is_heard and not self._is_mute and execution and self.program.members is not None:
            del self.program.members[execution.token]
            execution.status, execution.ended_at = code << 8, self.machine.loop.time()
        again = _line(execution, 0) if execution and self._rng.random() < AGAIN_SHARE else b""
        self._write(rest + again)
        if self.program.alive:
            self._work()
            self._tell_next()
            self._leave_when_alone()

    def _write(self, text: bytes) -> None:
        if self._is_mute:
            return
        if text and not self._is_heard:
            self.machine.end(self.program, BROKEN_PIPE << 8)
        elif text:
            self._told += text
            self._tell_agent(self._on_told)

    def _tell_agent(self, what: Callable[[], None]) -> None:
        if self._agent.alive:
            self.machine.loop.call_in(self._agent, 0.0, what)

    def _gone(self) -> None:
        """Have ended: the agent sees the end of both pipes."""
        self._tell_agent(self._on_told)
        self._tell_agent(self._on_room)


def _line(execution: Execution | None, code: int) -> bytes:
    if execution is None:
        return b'"what is no report"\n'
    return json.dumps({"token": execution.token, "exit": code}).encode() + b"\n"
