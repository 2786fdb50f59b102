"""The things a sweep is made of: proposals, tasks, attempts, outcomes. Frozen data without effects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Protocol, TypeAlias

from hsm.core.spec import Params
from hsm.core.states import AttemptState, Cause, TaskStatus
from hsm.wire import names

Metrics: TypeAlias = Mapping[str, float | None]
"""A program's numbers. None stands for a number that could not be computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A parameter set that a hunter wants to be run. `label` says why (`explore`, `exploit`, ...)."""

    params: Params
    seed: int = 0
    label: str = ""


class OutcomeKind(StrEnum):
    """What a hunter learns about a task."""

    SCORED = "scored"
    NOT_SCORABLE = "not_scorable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The verdict on one task. `score` is set when SCORED, `reason` otherwise.

    `score` is the first objective; `metrics` are all the numbers that the program wrote.
    """

    kind: OutcomeKind
    score: float | None = None
    reason: str = ""
    metrics: Metrics = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """One finished task as its hunter sees it."""

    index: int
    generation: int
    params: Params
    seed: int
    label: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a hunter may know when it is asked: every finished task, in task order.

    `generation` is the one asked for, counted from 1.
    """

    generation: int
    results: Sequence[TaskResult] = ()


class HuntOver(Exception):
    """A hunter proposes nothing more, and says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Screened:
    """Proposals that pass the rules of the sweep. `forbidden` counts those taken so far that did not."""

    proposals: Iterable[Proposal]
    fits: Callable[[Proposal], bool]
    forbidden: int = 0

    def __iter__(self) -> Iterator[Proposal]:
        for proposal in self.proposals:
            if self.fits(proposal):
                yield proposal
            else:
                self.forbidden += 1


class Hunter(Protocol):
    """A stateless proposer of generations.

    `ask` is a pure function of its arguments: the same history and the same state of `rng` give the
    same proposals, in the same order. It may yield lazily. No proposals means that the hunt is over.
    """

    def ask(self, history: History, rng: Random) -> Iterable[Proposal]:
        """Return the proposals of generation `history.generation`.

        Raises:
            HuntOver: before the first proposal; the hunt is over for a reason that is worth telling.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a process ended. Exactly one of `code` and `signal` is set; times in s, memory in bytes."""

    code: int | None = None
    signal: int | None = None
    wall_s: float = 0.0
    cpu_user_s: float = 0.0
    cpu_system_s: float = 0.0
    max_rss_bytes: int = 0

    @property
    def words(self) -> str:
        """The exit in words."""
        return f"killed by signal {self.signal}" if self.code is None else f"exit code {self.code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One execution of a task. Times are seconds since the epoch, for show only.

    `collected_at` is when its evidence was home: sealed, or kept as that of a failure. `agent` names who had
    it when it ended, where that is known. `damage` says which of its files were found damaged at rest,
    `divergence` which of its results are not those of another attempt. `batch` names those `members` that
    were to share a process with it, and is empty for one that had a process of its own.
    """

    number: int
    token: str
    source: str
    state: AttemptState = AttemptState.INTENT
    ref: str | None = None
    intended_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    collected_at: float | None = None
    exit: Exit | None = None
    manifest: str | None = None
    cause: Cause | None = None
    reason: str = ""
    agent: str = ""
    damage: str = ""
    divergence: str = ""
    batch: str = ""
    members: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One parameter set of one program in one sweep.

    `params_json` is the canonical JSON of the parameters; `reuses` is the index of the task whose
    result stands for this one; `spent` attempts are charged no more, because the task was reopened. `result`
    is the number of the sealed attempt where that is not the latest one, else 0.
    """

    index: int
    config_hash: str
    task_key: str
    params_json: str
    seed: int = 0
    generation: int = 1
    label: str = ""
    status: TaskStatus = TaskStatus.RECEIVED
    attempts: tuple[Attempt, ...] = ()
    cancel_requested: bool = False
    reuses: int | None = None
    metrics: Metrics | None = None
    reason: str = ""
    spent: int = 0
    result: int = 0

    @property
    def task_id(self) -> str:
        """The task's name, allotted once."""
        return names.task_id(self.index)

    @property
    def attempt(self) -> Attempt | None:
        """The attempt that the task stands on: its result, else the latest one."""
        return self.attempts[self.result - 1] if self.attempts else None

    @property
    def live_attempts(self) -> tuple[Attempt, ...]:
        """The attempts that may still run or have to be brought home: one, unless a late exit came in."""
        return tuple(attempt for attempt in self.attempts if attempt.state.is_live)
