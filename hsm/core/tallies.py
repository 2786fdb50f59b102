"""What the tracker counts: per source, per generation, per kind of failure, and the best so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from hsm.core.states import AttemptState

REMEMBERED_TASKS = 100
"""So many tasks of a group of failures are told by name."""

_BAD_ENDS = frozenset({AttemptState.FAILED, AttemptState.LOST, AttemptState.REJECTED})


@dataclass(slots=True)
class SourceState:
    """One source as the ledger knows it. While `paused` it is tried again and again.

    Where it `lacks` something then, it could be reached. `heard_at` is when it last told something of an
    attempt; `hindrance` is what it lacks to begin any, `hint` what to do about that, or about its `reason`.
    """

    slots: int = 0
    open: bool = False
    paused: bool = False
    reason: str = ""
    in_flight: int = 0
    running: int = 0
    finished: int = 0
    failed: int = 0
    heard_at: float | None = None
    hindrance: str = ""
    hint: str = ""
    lacks: bool = False

    def count(self, was: AttemptState | None, now: AttemptState) -> None:
        """Note that one of its attempts moved from one state to another."""
        self.in_flight += _is_in_flight(now) - _is_in_flight(was)
        self.running += (now is AttemptState.RUNNING) - (was is AttemptState.RUNNING)
        self.finished += now is AttemptState.SEALED and was is not AttemptState.CORRUPT
        self.failed += now in _BAD_ENDS

    def heard(self, at: float) -> None:
        """Note that it told something that happened at this time."""
        if self.heard_at is None or at > self.heard_at:
            self.heard_at = at

    def opened(self, slots: int) -> None:
        """Note that it takes attempts."""
        self.slots, self.open, self.paused, self.lacks = slots, True, False, False
        self.reason, self.hint = "", self.hint if self.hindrance else ""

    def closed(self, reason: str, hint: str, *, paused: bool, lacks: bool) -> None:
        """Note that it takes none any more; where paused, it is tried again."""
        self.open, self.paused, self.lacks = False, paused, lacks
        self.reason, self.hint = reason, hint

    @property
    def is_away(self) -> bool:
        """Whether it cannot be reached now."""
        return self.paused and not self.lacks


def _is_in_flight(state: AttemptState | None) -> bool:
    return state is not None and state.is_live and state is not AttemptState.EXITED


@dataclass(slots=True)
class Generation:
    """One generation: its tasks, how many of them are still open, and the plan that they are in."""

    number: int
    first: int
    count: int
    open: int
    plan: str = ""


@dataclass(frozen=True, slots=True)
class Best:
    """The best score so far and the task that has it."""

    score: float
    task: int


@dataclass(slots=True)
class FailureGroup:
    """Failures that look alike; `final` of them were the end of their tasks, the others were tried again."""

    cause: str
    signature: str
    count: int = 0
    final: int = 0
    tasks: list[int] = field(default_factory=list)

    def note(self, task: int, *, is_final: bool) -> None:
        """Count one more; its task is remembered if it is among the first."""
        self.count += 1
        self.final += is_final
        if len(self.tasks) < REMEMBERED_TASKS:
            self.tasks.append(task)
