"""What happens to the recording of a sweep itself, as events: names of `hsm.core.events` like all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hsm.core.states import Hindrance


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotTaken:
    """The state of the sweep after record `seq` is durable as `snapshot`."""

    kind: ClassVar[str] = "snapshot_taken"
    snapshot: str
    seq: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingHindered:
    """The ledger cannot be written for now: no new attempt is begun, and what runs goes on."""

    kind: ClassVar[str] = "recording_hindered"
    hindrance: Hindrance
    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingResumed:
    """The ledger can be written again."""

    kind: ClassVar[str] = "recording_resumed"
    at: float
