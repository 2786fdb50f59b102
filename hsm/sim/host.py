"""The agent's machine, simulated: its processes are programs in a table, its threads are timers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from hsm.compute.agent.host import Exited, Host, Spoken, Usage
from hsm.compute.agent.worker import Errand, Worker
from hsm.sim.machine import Machine
from hsm.sim.process import IN_THREAD, SimProcess
from hsm.sim.program import Behave, Play, Program
from hsm.sim.sharing import Server
from hsm.sim.truth import Execution
from hsm.wire.names import task_index

WORK_S = 0.006


class SimWorker(Worker):
    """A thread of the agent: one thing after another, each some virtual time after it was asked for."""

    def __init__(self, machine: Machine, process: SimProcess, wake: Callable[[], None]) -> None:
        self._machine = machine
        self._process = process
        self._wake_agent = wake
        self._todo: deque[Callable[[], Any]] = deque()
        self._results: list[Any] = []
        self._is_at_work = False
        self._has_waiting = False

    def submit(self, function: Callable[[], Any]) -> None:
        self._todo.append(function)
        if not self._is_at_work:
            self._is_at_work = True
            self._machine.loop.call_in(self._process, WORK_S, self._do_next)

    def submit_once(self, function: Callable[[], Any]) -> None:
        if not self._todo:
            self.submit(function)

    def _do_next(self) -> None:
        IN_THREAD.set(True)  # in the context of this handle alone
        if self._todo:
            self._do(self._todo.popleft())
            self._wake_agent()
        self._is_at_work = bool(self._todo)
        if self._todo:
            self._machine.loop.call_in(self._process, WORK_S, self._do_next)

    def _do(self, function: Callable[[], Any]) -> None:
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - handed to the loop, which raises it
            result = error
        self._results.append(result)

    def done(self) -> list[Any]:
        results, self._results = self._results, []
        for result in results:
            if isinstance(result, Exception):
                raise result
        return results

    @property
    def idle(self) -> bool:
        return not self._is_at_work and not self._todo and not self._results

    def join(self) -> None:
        while self._todo:
            self._do(self._todo.popleft())


class SimErrand(Errand):
    """Something that is done at once."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._outcome = None
        self._function = function
        self._run()

    def wait(self, limit_s: float) -> bool:
        return True


class SimHost(Host):
    """One agent's view of its machine."""

    def __init__(
        self,
        machine: Machine,
        process: SimProcess,
        behave: Behave,
        wake: Callable[[], None],
        is_ready: Callable[[int], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self.files = machine.files_of(process)
        self._machine = machine
        self._process = process
        self._behave = behave
        self._wake = wake
        self._words = 0
        self._is_ready = is_ready
        self._servers: dict[int, Server] = {}
        self._next_fd = 3

    def now(self) -> float:
        return self._machine.now()

    def monotonic(self) -> float:
        return self._machine.loop.time()

    def sleep(self, delay_s: float) -> None:
        """Take no time: the worker has let some pass."""

    def worker(self, name: str, wake: Callable[[], None]) -> Worker:
        return SimWorker(self._machine, self._process, wake)

    def pid(self) -> int:
        return self._process.pid

    def name(self) -> str:
        return self._machine.name

    def python(self) -> str:
        return "3.x"

    def environment(self) -> dict[str, str]:
        return {"PATH": "/bin", "HOME": "/home/somebody", "CUDA_VISIBLE_DEVICES": ""}

    def machine(self) -> dict[str, Any]:
        return {"system": "simulated"}

    def cpus(self) -> int:
        return 4

    def word(self) -> str:
        self._words += 1
        return f"{self._process.start}w{self._words}"

    def errand(self, function: Callable[[], Any]) -> Errand:
        return SimErrand(function)

    def run(self, argv: list[str], directory: str, environment: Mapping[str, str], limit_s: float) -> int:
        """Be the interpreter that is asked for its version."""
        self.files.write_new(argv[-1], self.python().encode())
        return 0

    def wait_end(self, pid: int, limit_s: float) -> bool:
        return self._machine.find(pid) is None

    def boot(self) -> str:
        return self._machine.boot

    def start_of(self, pid: int) -> str | None:
        process = self._machine.find(pid)
        return process.start if process is not None else None

    def become_subreaper(self) -> None:
        """Be one anyway: orphans go to the agent that their program had."""

    def spawn(self, argv: list[str], directory: str, environment: dict[bytes, bytes]) -> int:
        machine = self._machine
        token = environment[b"HSM_TOKEN"].decode()
        program = machine.add_program("program", token=token, parent=self._process)
        files = machine.files_of(program)
        for name in ("stdout.log", "stderr.log"):
            self.files.write_new(f"{directory}/{name}", b"")
        config_hash, attempt = environment[b"HSM_CONFIG_HASH"].decode(), int(environment[b"HSM_ATTEMPT"])
        behaviour = self._behave(config_hash, attempt)
        for trouble in behaviour.troubles:
            machine.trace.count(trouble)
        program.memory_bytes = behaviour.memory_bytes
        program.ignores_term = behaviour.ignores_term
        program.on_exit.append(self._wake)
        program.execution = Execution(
            token=token,
            task=task_index(environment[b"HSM_TASK_ID"].decode()),
            attempt=attempt,
            pid=program.pid,
            host=machine.name,
            began_at=machine.loop.time(),
        )
        machine.truth.began(program.execution)
        machine.trace.note("spawn", f"{token} {program.pid}")
        Play(machine, program, files, directory, behaviour).begin(config_hash, attempt)
        self._children.add(program.pid)
        return program.pid

    def spawn_spoken(self, argv: list[str], directory: str, environment: dict[bytes, bytes]) -> Spoken:
        for name in ("stdout.log", "stderr.log"):
            self.files.write_new(f"{directory}/{name}", b"")
        program = self._machine.add_program(
            "program", token=environment[b"HSM_TOKEN"].decode(), parent=self._process
        )
        program.on_exit.append(self._wake)
        orders, reports = self._next_fd, self._next_fd + 1
        self._next_fd += 2
        server = Server(
            self._machine,
            program,
            self._process,
            directory,
            self._behave,
            on_told=partial(self._is_ready, reports),
            on_room=partial(self._is_ready, orders),
        )
        self._servers[orders] = self._servers[reports] = server
        self._children.add(program.pid)
        self._machine.trace.note("spawn", f"{program.token} {program.pid}")
        return Spoken(program.pid, orders, reports)

    def say(self, fd: int, data: bytes) -> int:
        self._process.check()
        return self._servers[fd].take(data)

    def hear(self, fd: int) -> bytes | None:
        self._process.check()
        return self._servers[fd].told()

    def hang_up(self, fd: int) -> None:
        self._process.check()
        self._servers.pop(fd).hang_up(is_orders=fd % 2 == 1)

    def usage(self, pid: int) -> Usage:
        process = self._machine.find(pid)
        return Usage(0.01, 0.0, process.memory_bytes if isinstance(process, Program) else 0)

    def reap(self) -> Iterator[Exited]:
        for program in self._machine.zombies(self._process):
            if program.pid in self._children:
                self.signal_group(program.pid, 9)
            self._machine.forget(program.pid)
            self._children.discard(program.pid)
            yield Exited(program.pid, program.status or 0, 0.01, 0.0, program.memory_bytes)

    def signal_group(self, pid: int, signum: int) -> None:
        for program in self._machine.programs():
            if program.group == pid:
                self._machine.signal(program.pid, signum)

    def signal_session(self, session: int, signum: int) -> None:
        for program in self._machine.programs():
            if program.session == session:
                self._machine.signal(program.pid, signum)

    def memory(self, sessions: set[int]) -> dict[int, int]:
        used = dict.fromkeys(sorted(sessions), 0)
        for program in self._machine.programs():
            if program.session in used:
                used[program.session] += program.memory_bytes
        return used

    def strays(self) -> list[int]:
        return [
            program.pid
            for program in self._machine.programs()
            if program.parent is self._process and program.pid not in self._children
        ]

    def group_of(self, pid: int) -> int:
        process = self._machine.find(pid)
        return process.group if isinstance(process, Program) else 0

    def command_of(self, pid: int) -> str:
        process = self._machine.find(pid)
        return process.name if process is not None else ""

    def token_of(self, pid: int) -> str | None:
        process = self._machine.find(pid)
        return process.token if isinstance(process, Program) else None

    def bearers(self, token: str) -> list[int]:
        return [program.pid for program in self._machine.programs() if program.token.startswith(token)]

    def wait_for(self, pid: int) -> None:
        self._machine.forget(pid)

    def kill(self, pid: int) -> None:
        self._machine.signal(pid, 9)
