"""What an observation of a source means as an event of the ledger."""

from __future__ import annotations

from hsm.core import events as ev
from hsm.core.errors import MachineError
from hsm.core.model import Exit
from hsm.core.source import Observation
from hsm.core.states import AttemptState, Cause

NO_EXIT = Exit(code=None, signal=None)


def event_of(seen: Observation, task: int, attempt: int, ref: str | None = None) -> ev.TaskEvent:
    """Return the event that an observation of this attempt, whose ref is known or not, stands for.

    Raises:
        MachineError: a source reported a state that sources may not report.
    """
    match seen.state:
        case AttemptState.RUNNING:
            return ev.AttemptStarted(task=task, attempt=attempt, at=seen.started_at or seen.at)
        case AttemptState.EXITED:
            return ev.AttemptExited(
                task=task,
                attempt=attempt,
                exit=seen.exit or NO_EXIT,
                manifest=seen.manifest,
                cause=seen.cause,
                reason=seen.reason,
                agent=seen.agent,
                started_at=seen.started_at,
                at=seen.at,
            )
        case AttemptState.LOST:
            cause = seen.cause or Cause.LOST
            return ev.AttemptLost(
                task=task,
                attempt=attempt,
                cause=cause,
                reason=seen.reason,
                agent=seen.agent,
                charged=seen.charged,
                at=seen.at,
            )
        case AttemptState.VOID:
            return ev.AttemptVoided(task=task, attempt=attempt, reason=seen.reason, at=seen.at)
        case AttemptState.CANCELLED:
            return ev.AttemptCancelled(task=task, attempt=attempt, at=seen.at)
        case AttemptState.MISSING:
            return ev.AttemptMissed(task=task, attempt=attempt, at=seen.at)
        case AttemptState.SUBMITTED:
            return ev.AttemptSubmitted(task=task, attempt=attempt, ref=ref or seen.token)
        case _:
            raise MachineError(f"a source may not report that an attempt is {seen.state}")
