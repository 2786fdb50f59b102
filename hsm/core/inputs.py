"""What reaches the engine's loop from outside: observations, replies, verdicts, wishes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hsm.core.errors import HsmError
from hsm.core.events import AttemptFailed, AttemptSealed
from hsm.core.plan import Plan
from hsm.core.source import AttemptOrder, Observations, SubmitOutcome


@dataclass(frozen=True, slots=True)
class Seen:
    """A source saw something."""

    source: str
    batch: Observations


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A source answered a submit."""

    orders: Sequence[AttemptOrder]
    outcomes: Sequence[SubmitOutcome]


@dataclass(frozen=True, slots=True)
class HandoverLost:
    """A submit failed as a whole: which attempts arrived is not known."""

    orders: Sequence[AttemptOrder]
    error: HsmError


@dataclass(frozen=True, slots=True)
class Judged:
    """The collector has verdicts."""

    verdicts: Sequence[AttemptSealed | AttemptFailed]


@dataclass(frozen=True, slots=True)
class LaneFailed:
    """A source cannot be used any more."""

    source: str
    error: HsmError


@dataclass(frozen=True, slots=True)
class Planned:
    """The hunter has proposed a generation; it is written down as `plan`, None when it is empty.

    `over` says why it proposed nothing; `forbidden` proposals met a rule of `forbid`.
    """

    generation: int
    plan: Plan | None = None
    forbidden: int = 0
    over: str = ""


@dataclass(frozen=True, slots=True)
class RoomMissed:
    """Something else than the ledger finds no room on the disk and waits; without a reason, it goes on."""

    reason: str


@dataclass(frozen=True, slots=True)
class SnapshotWritten:
    """A snapshot of the state after record `seq` is durable."""

    name: str
    seq: int


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """Somebody wants tasks (all when empty) to end; `done` is set when that is durable."""

    tasks: Sequence[int]
    done: asyncio.Future[None] | None = None


@dataclass(frozen=True, slots=True)
class DetachAsked:
    """The user wants to leave: no new attempts, and what runs is left to the agents."""

    reason: str


Input: TypeAlias = (
    Seen
    | HandedOver
    | HandoverLost
    | Judged
    | LaneFailed
    | Planned
    | RoomMissed
    | SnapshotWritten
    | CancelAsked
    | DetachAsked
)
