"""A simulated computer: its processes, its clocks, its boots, and the disks that it sees."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from random import Random

from hsm.sim.contents import Hazards
from hsm.sim.disk import Disk
from hsm.sim.files import SimFiles
from hsm.sim.loop import SimLoop
from hsm.sim.process import SimProcess
from hsm.sim.program import Program, is_deadly
from hsm.sim.trace import Trace
from hsm.sim.truth import Truth

EPOCH_S = 1_800_000_000.0
FIRST_PID = 1000


class Machine:
    """One computer. Several may see one shared disk; the clocks of their walls are their own."""

    def __init__(
        self,
        name: str,
        loop: SimLoop,
        disks: Mapping[str, Disk],
        *,
        rng: Random,
        truth: Truth,
        hazards: Hazards,
    ) -> None:
        self.name = name
        self.loop = loop
        self.truth = truth
        self.wall_offset_s = 0.0
        self._boots = 1
        self._disks = disks
        self._rng = rng
        self._hazards = hazards
        self._processes: dict[int, SimProcess] = {}
        self._next_pid = FIRST_PID

    # Clocks

    def now(self) -> float:
        """Return the wall clock, which may jump."""
        return EPOCH_S + self.loop.time() + self.wall_offset_s

    @property
    def boot(self) -> str:
        """What tells this boot from every other one."""
        return f"{self.name}-boot-{self._boots}"

    @property
    def trace(self) -> Trace:
        """Where everything is noted."""
        return self.loop.trace

    # Processes

    def _pid(self) -> tuple[int, str]:
        self._next_pid += 1
        return self._next_pid, f"{int(self.loop.time() * 100)}{self._next_pid}"

    def add_process(self, name: str) -> SimProcess:
        """Start a manager or an agent."""
        pid, start = self._pid()
        process = SimProcess(name=name, pid=pid, start=start)
        self._processes[pid] = process
        return process

    def add_program(
        self,
        name: str,
        *,
        token: str = "",
        parent: SimProcess | None = None,
        session: int = 0,
        pid: int | None = None,
    ) -> Program:
        """Start a program; with a `pid`, the kernel has come round to that number again."""
        fresh, start = self._pid()
        number = pid or fresh
        program = Program(
            name=name,
            pid=number,
            start=start,
            token=token,
            parent=parent,
            session=session or number,
            group=number,
        )
        if isinstance(parent, Program):
            parent.children.append(program)
        self._processes[number] = program
        return program

    def files_of(self, process: SimProcess) -> SimFiles:
        """Return the disks as a process sees them; programs meet no hazard but a lack of room."""
        hazards = Hazards() if isinstance(process, Program) else self._hazards
        return SimFiles(self._disks, process, trace=self.trace, rng=self._rng, hazards=hazards)

    def find(self, pid: int) -> SimProcess | None:
        """Return a process that lives."""
        process = self._processes.get(pid)
        return process if process is not None and process.alive else None

    def owns(self, process: SimProcess | None) -> bool:
        """Tell whether a process runs here."""
        return process is not None and self._processes.get(process.pid) is process

    def programs(self) -> Iterator[Program]:
        """Yield the programs that live."""
        for process in list(self._processes.values()):
            if isinstance(process, Program) and process.alive:
                yield process

    def zombies(self, parent: SimProcess) -> list[Program]:
        """Return the children of a process that have ended and were not waited for."""
        return [
            process
            for process in self._processes.values()
            if isinstance(process, Program) and process.status is not None and process.parent is parent
        ]

    def forget(self, pid: int) -> None:
        """Take an ended process out of the table."""
        process = self._processes.get(pid)
        if process is not None and not process.alive:
            del self._processes[pid]

    # Ends

    def end(self, program: Program, status: int) -> None:
        """End a program with a wait status; its orphans go to the agent that adopts them."""
        if not program.alive:
            return
        program.status = status
        for execution in program.executions:
            execution.status = status
            execution.ended_at = self.loop.time()
        self.trace.note("exit", f"{program.name} {program.pid} {status}")
        program.die()
        for child in program.children:
            child.parent = program.parent
        parent = program.parent
        if parent is not None and parent.alive:
            for notify in program.on_exit:
                self.loop.call_in(parent, 0.0, notify)
        else:
            self.forget(program.pid)

    def signal(self, pid: int, signum: int) -> None:
        """Send a signal to one process that may be gone."""
        process = self.find(pid)
        if not isinstance(process, Program):
            return
        if not process.token:
            self.truth.wrongs.append(f"I19: process {pid}, which is none of ours, was sent signal {signum}")
        if is_deadly(process, signum):
            self.end(process, int(signum))

    def kill(self, process: SimProcess) -> None:
        """Kill a manager or an agent; what it started goes on without it."""
        process.die()
        for program in list(self._processes.values()):
            if isinstance(program, Program) and program.parent is process:
                program.parent = None
                if not program.alive:
                    self.forget(program.pid)
        self.forget(process.pid)

    def cut_power(self, rng: Random) -> str:
        """Have the disks of this machine lose what was not durable, and say what they kept."""
        self.truth.cuts[self.name] = self.loop.time()
        return " ".join(disk.cut_power(rng) for disk in self._disks.values())

    def reboot(self) -> None:
        """End everything that runs here at once, and come up again."""
        for process in list(self._processes.values()):
            if isinstance(process, Program):
                process.parent = None
                self.end(process, int(signal.SIGKILL))
            else:
                self.kill(process)
        self._processes.clear()
        self._boots += 1
