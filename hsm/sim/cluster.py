"""A simulated batch system: jobs have numbers, a listing is polled, replies are lost, old jobs are forgotten.

There is no log to read on from. What a job did is in its directory on the shared disk: its exit record, with
its token, written and synced by the job when it ends. All else is hearsay: a job that was just accepted may
not be listed yet, one that runs may be missing from a listing, one that ended is forgotten after a while.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256

from hsm.core.source import AttemptOrder
from hsm.sim.machine import Machine
from hsm.sim.process import PROCESS
from hsm.sim.program import Behave, Play, Program
from hsm.sim.scenario import FaultKind
from hsm.sim.truth import Execution
from hsm.wire.manifest import REPORT
from hsm.wire.names import task_id

EXIT_RECORD = "exit.json"
FORGOTTEN_S = 20.0
"""A job that has ended is listed for so long."""

LATE_S = 0.1
"""Within so long after it was woken an engine finishes what it was at."""

SHOWN_S = 4.0
"""A job that was accepted may be missing from listings for so long."""


class Phase(StrEnum):
    """Where a job stands, as the batch system says."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    NODE_FAIL = "node_fail"
    CANCELLED = "cancelled"


@dataclass(slots=True, eq=False)
class Job:
    """One job. `shown_at` is when listings begin to have it."""

    number: int
    order: AttemptOrder
    home: str
    shown_at: float
    phase: Phase = Phase.PENDING
    program: Program | None = None
    began_at: float = 0.0
    ended_at: float = 0.0
    has_begun: bool = False
    is_late: bool = False


class Cluster:
    """The batch system and its one node. It outlives all managers.

    `lost_replies`, `lost_requests`: that many submits are to end in a time-out, after the jobs were accepted
    or before. Until `silent_until` nobody is answered; until `blind_until` listings lack what runs.
    """

    def __init__(self, node: Machine, behave: Behave, slots: int) -> None:
        self.slots = slots
        self.lost_replies = 0
        self.lost_requests = 0
        self.to_forget = 0
        self.silent_until = 0.0
        self.blind_until = 0.0
        self._node = node
        self._behave = behave
        self._jobs: dict[int, Job] = {}
        self._daemon = node.add_process("daemon")
        self._next = 1

    @property
    def now(self) -> float:
        """The virtual time."""
        return self._node.loop.time()

    @property
    def open_jobs(self) -> int:
        """How many jobs have not ended."""
        return sum(not job.ended_at for job in self._jobs.values())

    def submit(self, order: AttemptOrder, sweep: str, shown_in_s: float) -> int:
        """Accept a job and return its number."""
        home, shown_at = f"{sweep}/{order.directory}", self.now + shown_in_s
        job = Job(self._next, order, home, shown_at, is_late=self._is_late())
        self._next += 1
        self._jobs[job.number] = job
        self._node.trace.note("job accepted", f"{job.number} {order.token}")
        if self.to_forget:
            self.to_forget -= 1
            self._node.loop.call_in(self._daemon, 0.2, self._forget, job)
        self._node.loop.call_in(self._daemon, 0.3, self._fill)  # also when who submitted is gone by then
        return job.number

    def _is_late(self) -> bool:
        """Tell whether who submits was stopped for a while after he had looked whether he still may."""
        process = PROCESS.get()
        return process is not None and self.now - process.resumed_at < LATE_S

    def _forget(self, job: Job) -> None:
        """Lose a job that was accepted, as a controller that dies too early; its number is used again."""
        if job.phase is Phase.PENDING:
            stranger = self._node.add_program("stranger")
            order = replace(job.order, token="0" * 32)
            self._jobs[job.number] = Job(
                job.number, order, "", self.now, Phase.RUNNING, stranger, has_begun=True, began_at=self.now
            )
            self._node.loop.call_in(stranger, 5.0, self._leave, job.number, stranger)
            self._node.trace.count(FaultKind.FORGET)

    def _leave(self, number: int, stranger: Program) -> None:
        self._jobs[number].phase, self._jobs[number].ended_at = Phase.COMPLETED, self.now
        self._node.end(stranger, 0)

    def listed(self) -> Iterator[Job]:
        """Yield what a listing has now."""
        for job in self._jobs.values():
            is_shown = self.now >= job.shown_at
            is_forgotten = job.ended_at and self.now > job.ended_at + FORGOTTEN_S
            is_missed = self.now < self.blind_until and job.phase in (Phase.PENDING, Phase.RUNNING)
            if is_shown and not is_forgotten and not is_missed:
                yield job

    def cancel(self, number: int, token: str) -> bool:
        """End a job, if that number is still the job of this token; False when there is nothing to end."""
        job = self._jobs.get(number)
        if job is None or job.order.token != token or job.ended_at:
            return False
        job.phase, job.ended_at = Phase.CANCELLED, self.now
        self._clear(job)
        self._fill()
        return True

    def number_of(self, token: str) -> int | None:
        """Return the number of a token's job, if a listing has it."""
        return next((job.number for job in self.listed() if job.order.token == token), None)

    def accounted(self, token: str) -> int | None:
        """Return the number of a token's job, if the accounting has it: also what listings lack."""
        known = (job for job in self._jobs.values() if self.now >= job.shown_at)
        return next((job.number for job in known if job.order.token == token), None)

    def node_failed(self) -> None:
        """Take note that the node went down and has come up again: what ran there is gone."""
        self._daemon = self._node.add_process("daemon")
        for job in self._jobs.values():
            if job.phase is Phase.RUNNING:
                job.phase, job.ended_at = Phase.NODE_FAIL, self.now
        self._node.loop.call_in(self._daemon, 1.0, self._fill)

    def heal(self) -> None:
        """Let nothing be wrong any more."""
        self.lost_replies, self.lost_requests, self.to_forget = 0, 0, 0
        self.silent_until, self.blind_until = 0.0, 0.0

    # Jobs

    def _fill(self) -> None:
        running = sum(job.phase is Phase.RUNNING for job in self._jobs.values())
        for job in self._jobs.values():
            if job.phase is Phase.PENDING and running < self.slots:
                running += 1
                self._begin(job)

    def _begin(self, job: Job) -> None:
        node, order = self._node, job.order
        job.phase, job.began_at, job.has_begun = Phase.RUNNING, self.now, True
        files = node.files_of(self._daemon)
        try:
            files.make_directory(job.home)
            files.make_directory(f"{job.home}/results")
            for name in ("params.yaml", "stdout.log", "stderr.log"):
                files.write_new(f"{job.home}/{name}", b"")
        except OSError:
            job.phase, job.ended_at = Phase.NODE_FAIL, self.now
            return
        program = node.add_program("job", token=order.token, parent=self._daemon)
        job.program = program
        program.execution = Execution(
            token=order.token,
            task=order.task,
            attempt=order.attempt,
            pid=program.pid,
            host=node.name,
            began_at=self.now,
            is_late=job.is_late,
        )
        program.on_exit.append(lambda: self._ended(job))
        node.truth.began(program.execution)
        behaviour = self._behave(order.config_hash, order.attempt)
        Play(node, program, node.files_of(program), job.home, behaviour).begin(
            order.config_hash, order.attempt
        )
        if order.timeout_s is not None:
            node.loop.call_in(program, order.timeout_s, node.end, program, 9)

    def _ended(self, job: Job) -> None:
        """Write the job's report and its exit record, as its wrapper does, and make room for the next."""
        if job.phase is not Phase.RUNNING or job.program is None:
            return
        job.phase, job.ended_at = Phase.COMPLETED, self.now
        self._node.forget(job.program.pid)
        self._clear(job)
        try:
            self._record(job, job.program.status or 0)
        except OSError:
            job.phase = Phase.NODE_FAIL  # no exit record: it counts as lost
        self._fill()

    def _clear(self, job: Job) -> None:
        """End everything that belongs to a job, as its control group is ended."""
        for program in self._node.programs():
            if program.token == job.order.token:
                self._node.end(program, 9)

    def _record(self, job: Job, status: int) -> None:
        files, order = self._node.files_of(self._daemon), job.order
        names = [name for name in files.list(job.home) if name not in ("results", EXIT_RECORD, REPORT)]
        names += [f"results/{name}" for name in files.list(f"{job.home}/results")]
        artifacts = []
        for name in names:
            data = files.contents(f"{job.home}/{name}")
            artifacts.append({"path": name, "size": len(data), "sha256": sha256(data).hexdigest()})
        report = {
            "task_id": task_id(order.task),
            "attempt": order.attempt,
            "token": order.token,
            "config_hash": order.config_hash,
            "artifacts": artifacts,
        }
        text = json.dumps(report).encode()
        files.write_new(f"{job.home}/{REPORT}", text)
        record = {
            "token": order.token,
            "status": status,
            "began_at": self._node.now() - (self.now - job.began_at),
            "manifest": sha256(text).hexdigest(),
        }
        files.publish(f"{job.home}/{EXIT_RECORD}", json.dumps(record).encode(), part="part")
