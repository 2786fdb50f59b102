"""What reaches the engine's loop from outside: observations, replies, verdicts, wishes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hsm.core.errors import SourceError
from hsm.core.events import AttemptFailed, AttemptSealed, ResultsDiverged
from hsm.core.plan import Plan
from hsm.core.source import AttemptOrder, Observations, SubmitOutcome


@dataclass(frozen=True, slots=True)
class Seen:
    """A source saw something; `heard_at` is when, by the monotonic clock, however late it is taken in."""

    source: str
    batch: Observations
    heard_at: float


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A source answered a submit."""

    orders: Sequence[AttemptOrder]
    outcomes: Sequence[SubmitOutcome]


@dataclass(frozen=True, slots=True)
class HandoverLost:
    """A submit failed as a whole: which attempts arrived is not known."""

    orders: Sequence[AttemptOrder]
    error: SourceError


@dataclass(frozen=True, slots=True)
class NotHandedOver:
    """The source failed before these attempts came to their turn: nobody ever heard of them."""

    orders: Sequence[AttemptOrder]


@dataclass(frozen=True, slots=True)
class Found:
    """A source answered which of these attempts it has: their refs by token."""

    source: str
    asked: Sequence[str]
    refs: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Judged:
    """The collector is done with the attempts of these tokens; of those that came home it has verdicts.

    `found` tells of results that are not those of another attempt.
    """

    tokens: Sequence[str]
    verdicts: Sequence[AttemptSealed | AttemptFailed]
    found: Sequence[ResultsDiverged] = ()


@dataclass(frozen=True, slots=True)
class LaneOpened:
    """A source can be used, for the first time or again."""

    source: str
    slots: int


@dataclass(frozen=True, slots=True)
class LaneFailed:
    """A source cannot be used: for now if the error is transient, else by this engine for good."""

    source: str
    error: SourceError


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
    """Somebody wants tasks (all when empty) to end.

    `done` is set when that is durable; it is cancelled when the engine leaves without having heard of it.
    """

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
    | NotHandedOver
    | Found
    | Judged
    | LaneOpened
    | LaneFailed
    | Planned
    | RoomMissed
    | SnapshotWritten
    | CancelAsked
    | DetachAsked
)
