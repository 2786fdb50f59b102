"""The plug-in interface of compute sources under its public name; it is defined where it is used, in core."""

from hsm.core.source import (
    AttemptOrder,
    CancelOutcome,
    Capabilities,
    Check,
    CollectionResult,
    ComputeSource,
    Health,
    HealthReport,
    Observation,
    Observations,
    Rejected,
    SourceSession,
    SubmitOutcome,
    Submitted,
    SweepContext,
)

__all__ = [
    "AttemptOrder",
    "CancelOutcome",
    "Capabilities",
    "Check",
    "CollectionResult",
    "ComputeSource",
    "Health",
    "HealthReport",
    "Observation",
    "Observations",
    "Rejected",
    "SourceSession",
    "SubmitOutcome",
    "Submitted",
    "SweepContext",
]
