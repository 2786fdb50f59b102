"""Simulated programs: processes that write what follows from their parameters, and end as they were told."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING

from hsm.sim.process import SimProcess
from hsm.sim.truth import Execution

if TYPE_CHECKING:
    from hsm.sim.files import SimFiles
    from hsm.sim.machine import Machine

TERM_S = 0.05
GIVEN = "attempt given to a shared process"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What a program does: how long, how it ends, what it leaves.

    One that `takes_others_down` ends the process that it shares where it would tell of its failure.
    """

    duration_s: float
    code: int = 0
    memory_bytes: int = 1 << 20
    output_bytes: int = 200
    ignores_term: bool = False
    leaves_daemon: bool = False
    takes_others_down: bool = False
    troubles: tuple[str, ...] = ()


@dataclass(eq=False, kw_only=True)
class Program(SimProcess):
    """A process of an attempt, of batches, or one that has nothing to do with any (no token).

    `members` are the attempts of its batch that have not ended, None where it serves none.
    """

    token: str = ""
    session: int = 0
    group: int = 0
    parent: SimProcess | None = None
    status: int | None = None
    memory_bytes: int = 1 << 20
    ignores_term: bool = False
    children: list[Program] = field(default_factory=list)
    execution: Execution | None = None
    members: dict[str, Execution] | None = None
    on_exit: list[Callable[[], None]] = field(default_factory=list)

    @property
    def is_of_a_sweep(self) -> bool:
        """Whether an agent or a batch system started it."""
        return self.execution is not None or self.members is not None

    @property
    def executions(self) -> list[Execution]:
        """What ends when it does."""
        return [*([self.execution] if self.execution else ()), *(self.members or {}).values()]


Behave = Callable[[str, int], Behaviour]
"""What the program of a configuration does in its n-th attempt."""


def score_of(config_hash: str) -> float:
    """Return the metric that a program computes from its parameters alone."""
    return int(sha256(config_hash.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF


def content_of(config_hash: str, attempt: int, size: int) -> bytes:
    """Return the bytes of an attempt's result."""
    return Random(f"{config_hash} {attempt}").randbytes(size)


class Play:
    """An attempt at work in its directory: it begins, writes, and ends, in steps of virtual time."""

    def __init__(
        self, machine: Machine, program: Program, files: SimFiles, directory: str, behaviour: Behaviour
    ) -> None:
        self.is_over = False
        self._machine = machine
        self._program = program
        self._files = files
        self._directory = directory
        self._behaviour = behaviour

    def begin(self, config_hash: str, attempt: int) -> None:
        """Plan what the program will do."""
        act = self._behaviour
        half = content_of(config_hash, attempt, act.output_bytes)
        cut = len(half) // 2
        call = self._machine.loop.call_in
        call(self._program, act.duration_s * 0.4, self._write, "results/data.bin", half[:cut])
        if act.leaves_daemon:
            call(self._program, act.duration_s * 0.5, self._leave_daemon)
        call(self._program, act.duration_s, self._end, half[cut:], score_of(config_hash))

    def _write(self, name: str, data: bytes) -> None:
        if self.is_over:
            return
        try:
            self._files.append(f"{self._directory}/{name}", data)
        except OSError:
            self.end(1)  # it gives up, as most programs do
            return
        if self.execution is not None:
            written = self.execution.files
            written[name] = written.get(name, b"") + data

    @property
    def execution(self) -> Execution | None:
        """What is known to the world of it."""
        return self._program.execution

    def end(self, code: int) -> None:
        """Be over, with this exit code."""
        self.is_over = True
        self._machine.end(self._program, code << 8)

    def _leave_daemon(self) -> None:
        if self.is_over:
            return
        self._machine.add_program(
            "daemon", token=self._program.token, parent=self._program, session=self._program.session
        )

    def _end(self, rest: bytes, score: float) -> None:
        self._write("results/data.bin", rest)
        self._write("metrics.json", json.dumps({"f": score}).encode())
        code = self._behaviour.code
        if code:
            self._write("stderr.log", b"it went wrong\n")
        if not self.is_over:
            self.end(code)


def is_deadly(program: Program, signum: int) -> bool:
    """Tell whether a program dies of a signal."""
    return signum == signal.SIGKILL or (signum == signal.SIGTERM and not program.ignores_term)
