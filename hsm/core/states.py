"""The words for what a task and an attempt can be, and the one table of allowed transitions."""

from __future__ import annotations

from enum import StrEnum


class TaskStatus(StrEnum):
    """Where a task stands. RECEIVED, SCHEDULED, RUNNING and COLLECTING are open, the others final.

    CORRUPT is a result whose files were found damaged at rest; its numbers stand in the ledger.
    """

    RECEIVED = "received"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    COLLECTING = "collecting"
    SEALED = "sealed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REUSED = "reused"
    CORRUPT = "corrupt"

    @property
    def is_final(self) -> bool:
        """Whether nothing can happen to the task any more."""
        return self in FINAL


FINAL = frozenset(
    {TaskStatus.SEALED, TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.REUSED, TaskStatus.CORRUPT}
)
RESULTS = frozenset({TaskStatus.SEALED, TaskStatus.CORRUPT})
"""The task has a sealed result, whatever became of its files since."""
REOPENABLE = frozenset({TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.CORRUPT})
"""Only these can be tried again, and only on request."""


class AttemptState(StrEnum):
    """Where one attempt stands, as far as its own evidence goes."""

    INTENT = "intent"  # written down, not yet handed over
    UNCONFIRMED = "unconfirmed"  # handed over, reply lost
    SUBMITTED = "submitted"
    RUNNING = "running"
    MISSING = "missing"  # a listing that worked lacks it
    EXITED = "exited"  # its exit record is known
    SEALED = "sealed"
    FAILED = "failed"  # ended badly, evidence sealed
    REJECTED = "rejected"  # the source refused it
    VOID = "void"  # proved never to have begun
    LOST = "lost"
    CANCELLED = "cancelled"  # observed gone after a cancel
    ABANDONED = "abandoned"  # given up by somebody, what became of it being unknown
    SUPERSEDED = "superseded"  # another attempt became the result
    CORRUPT = "corrupt"  # sealed, and found damaged at rest

    @property
    def is_live(self) -> bool:
        """Whether it may still run, or still has to be brought home."""
        return self in LIVE


LIVE = frozenset(
    {
        AttemptState.INTENT,
        AttemptState.UNCONFIRMED,
        AttemptState.SUBMITTED,
        AttemptState.RUNNING,
        AttemptState.MISSING,
        AttemptState.EXITED,
    }
)


PRESUMED = frozenset({AttemptState.LOST, AttemptState.ABANDONED})
"""Given up without proof: an exit record that comes in late beats it."""


class Cause(StrEnum):
    """Why an attempt failed. Each cause has a retry budget of its own."""

    APPLICATION = "application"  # the program's own doing: exit code, signal, damaged output
    TIME = "time"  # over its time limit
    MEMORY = "memory"  # over its memory limit
    NODE = "node"  # the machine under it failed
    PREEMPTED = "preempted"
    TRANSFER = "transfer"  # its results could not be brought home whole
    LOST = "lost"  # it vanished without an exit record
    PROTOCOL = "protocol"  # HSM's own contract was broken
    BATCH = "batch"  # the process that it shared with others ended before it did


_A = AttemptState
_OPEN_END = frozenset({_A.EXITED, _A.LOST, _A.CANCELLED, _A.ABANDONED})

TRANSITIONS: dict[AttemptState, frozenset[AttemptState]] = {
    _A.INTENT: frozenset({_A.SUBMITTED, _A.UNCONFIRMED, _A.RUNNING, _A.REJECTED, _A.VOID}) | _OPEN_END,
    _A.UNCONFIRMED: frozenset({_A.SUBMITTED, _A.RUNNING, _A.REJECTED, _A.VOID}) | _OPEN_END,
    _A.SUBMITTED: frozenset({_A.RUNNING, _A.MISSING, _A.REJECTED, _A.VOID}) | _OPEN_END,
    _A.RUNNING: frozenset({_A.MISSING}) | _OPEN_END,
    _A.MISSING: frozenset({_A.SUBMITTED, _A.RUNNING, _A.VOID}) | _OPEN_END,
    _A.EXITED: frozenset({_A.SEALED, _A.FAILED, _A.CANCELLED, _A.SUPERSEDED}),
    # A late exit record beats the presumption that an attempt was lost or given up.
    _A.LOST: frozenset({_A.EXITED, _A.SUPERSEDED}),
    _A.ABANDONED: frozenset({_A.EXITED, _A.SUPERSEDED}),
    _A.FAILED: frozenset(),
    # What stands on a disk can be damaged, and mended from a copy: only `hsm sweep verify` finds either.
    _A.SEALED: frozenset({_A.CORRUPT}),
    _A.CORRUPT: frozenset({_A.SEALED}),
    _A.REJECTED: frozenset(),
    _A.VOID: frozenset(),
    _A.CANCELLED: frozenset(),
    _A.SUPERSEDED: frozenset(),
}
"""From each attempt state, the states that evidence may move it to. Nothing else ever happens."""


class SweepStatus(StrEnum):
    """Where a sweep stands: `running` has a live engine, `partial` has open tasks and none."""

    RUNNING = "running"
    PARTIAL = "partial"
    COMPLETE = "complete"
    FAILED = "failed"  # every task is final and at least one failed, or has a result that is damaged
    STOPPED = "stopped"  # too many failures
    CANCELLED = "cancelled"


class Hindrance(StrEnum):
    """What keeps an engine from writing its ledger for now."""

    FULL = "full"  # no room, or over quota
    STALLED = "stalled"  # the disk does not answer
