"""The pure machine of one task: `step(task, event, budget) -> (task, commands)`.

No clock, no I/O, no randomness. Running live, recovering after a crash, `hsm sweep status` and the
simulator all fold the same events with this function. What is a legal move stands in one table
(`hsm.core.states.TRANSITIONS`); an illegal one raises with the task's story, a repeated one (a record read
again after a crash) changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import Any, TypeAlias, TypeVar

from hsm.core import events as ev
from hsm.core.errors import MachineError
from hsm.core.layout import Layout
from hsm.core.model import Attempt, Task
from hsm.core.states import REOPENABLE, TRANSITIONS, AttemptState, Cause, TaskStatus

T = TypeVar("T", Attempt, Task)
Budget: TypeAlias = Mapping[Cause, int]


class Command(Enum):
    """What the engine must do now that an event is durable."""

    COLLECT = auto()  # bring the artifacts of every attempt that has exited home and verify them
    PLACE = auto()  # the directory of the attempt that the task stands on becomes `tasks/<task_id>`
    ARCHIVE = auto()  # the directories of attempts that came to nothing go to `.hsm/attempts`
    CANCEL = auto()  # ask the sources to end every attempt that may run


POISON_AGENTS = 3
"""A task under which so many agents or hosts ended is not tried again, whatever its budgets."""

Step: TypeAlias = "tuple[Task, tuple[Command, ...]]"
NOTHING: tuple[Command, ...] = ()

_RANK: Mapping[AttemptState, int] = {
    AttemptState.INTENT: 1,
    AttemptState.UNCONFIRMED: 1,
    AttemptState.SUBMITTED: 2,
    AttemptState.RUNNING: 3,
    AttemptState.MISSING: 3,
    AttemptState.LOST: 4,
    AttemptState.ABANDONED: 4,
    AttemptState.EXITED: 5,
    AttemptState.REJECTED: 6,
    AttemptState.VOID: 6,
    AttemptState.CANCELLED: 7,
    AttemptState.FAILED: 7,
    AttemptState.SEALED: 7,
    AttemptState.SUPERSEDED: 7,
    AttemptState.CORRUPT: 7,
}
"""How much is known of an attempt. Evidence of a lower rank than what is known is old news."""


_LAYOUTS: Mapping[type, Layout[Any]] = {cls: Layout(cls) for cls in (Attempt, Task)}


def replace(item: T, **changes: Any) -> T:
    """Return a copy with changes, as `dataclasses.replace` does."""
    made: T = _LAYOUTS[type(item)].replace(item, changes)
    return made


def step(task: Task, event: ev.TaskEvent, budget: Budget) -> Step:
    """Return the task after the event, and what is to be done about it.

    Raises:
        MachineError: the event cannot have happened to this task.
    """
    return _STEPS[type(event)](task, event, budget)


def request_cancel(task: Task) -> Step:
    """Return the task after somebody asked that it end."""
    if task.status.is_final or task.cancel_requested:
        return task, NOTHING
    if not task.live_attempts:
        return replace(task, cancel_requested=True, status=TaskStatus.CANCELLED), NOTHING
    return replace(task, cancel_requested=True), (Command.CANCEL,)


def reopen(task: Task) -> Step:
    """Return the task ready for another attempt, where it failed, was cancelled or is corrupt."""
    if task.status not in REOPENABLE:
        return task, NOTHING
    fresh = {
        "cancel_requested": False,
        "reason": "",
        "spent": len(task.attempts),
        "metrics": None,
        "result": 0,
    }
    if task.live_attempts:  # an exit record that came in when the task had failed already
        return replace(task, status=TaskStatus.COLLECTING, **fresh), (Command.COLLECT,)
    commands = (Command.ARCHIVE,) if task.attempts else NOTHING
    return replace(task, status=TaskStatus.RECEIVED, **fresh), commands


def _illegal(task: Task, event: ev.TaskEvent) -> MachineError:
    story = " ".join(f"{attempt.number}:{attempt.state}" for attempt in task.attempts) or "no attempt"
    return MachineError(f"{type(event).kind} cannot happen to {task.task_id} ({task.status}; {story})")


def _moved(task: Task, event: Any, state: AttemptState, **changes: Any) -> Task | None:
    """Return the task with its attempt moved to `state`, None when that is old news."""
    number = event.attempt
    if not 1 <= number <= len(task.attempts):
        raise _illegal(task, event)
    attempt = task.attempts[number - 1]
    if state not in TRANSITIONS[attempt.state]:
        if _RANK[state] <= _RANK[attempt.state]:
            return None
        raise _illegal(task, event)
    moved = replace(attempt, state=state, **changes)
    return replace(task, attempts=(*task.attempts[: number - 1], moved, *task.attempts[number:]))


def _is_latest(task: Task, event: Any) -> bool:
    return bool(event.attempt == len(task.attempts))


def _reused(task: Task, event: ev.TaskReused, budget: Budget) -> Step:
    if task.attempts or task.status is not TaskStatus.RECEIVED:
        raise _illegal(task, event)
    return replace(task, status=TaskStatus.REUSED, reuses=event.of), NOTHING


def _intended(task: Task, event: ev.AttemptIntended, budget: Budget) -> Step:
    if task.status is not TaskStatus.RECEIVED or event.attempt != len(task.attempts) + 1:
        raise _illegal(task, event)
    attempt = Attempt(
        number=event.attempt,
        token=event.token,
        source=event.source,
        intended_at=event.at,
        batch=event.batch,
        members=event.members,
    )
    return replace(task, status=TaskStatus.SCHEDULED, attempts=(*task.attempts, attempt)), NOTHING


def _submitted(task: Task, event: ev.AttemptSubmitted, budget: Budget) -> Step:
    return _known(task, _moved(task, event, AttemptState.SUBMITTED, ref=event.ref))


def _duplicated(task: Task, event: ev.AttemptDuplicated, budget: Budget) -> Step:
    reason = f"the source had it {len(event.others) + 1} times; {event.ref} was kept"
    return _known(task, _moved(task, event, AttemptState.SUBMITTED, ref=event.ref, reason=reason))


def _known(task: Task, moved: Task | None) -> Step:
    """Return the step of an attempt that was found; where it must end, it may not have heard so yet."""
    if moved is None:
        return task, NOTHING
    return moved, (Command.CANCEL,) if moved.cancel_requested or moved.status.is_final else NOTHING


def _unconfirmed(task: Task, event: ev.AttemptUnconfirmed, budget: Budget) -> Step:
    return _moved(task, event, AttemptState.UNCONFIRMED, reason=event.reason) or task, NOTHING


def _started(task: Task, event: ev.AttemptStarted, budget: Budget) -> Step:
    moved = _moved(task, event, AttemptState.RUNNING, started_at=event.at)
    if moved is not None and _is_latest(moved, event) and not task.status.is_final:
        moved = replace(moved, status=TaskStatus.RUNNING)
    return _known(task, moved)


def _missed(task: Task, event: ev.AttemptMissed, budget: Budget) -> Step:
    return _moved(task, event, AttemptState.MISSING) or task, NOTHING


def _exited(task: Task, event: ev.AttemptExited, budget: Budget) -> Step:
    """The exit record is known. A late one beats the presumption that the attempt was lost or given up."""
    moved = _moved(
        task,
        event,
        AttemptState.EXITED,
        exit=event.exit,
        manifest=event.manifest,
        cause=event.cause,
        reason=event.reason,
        agent=event.agent,
        started_at=event.started_at,
        ended_at=event.at,
    )
    if moved is None:
        return task, NOTHING
    if task.status.is_final:
        return moved, NOTHING  # kept, never a second result
    if not _is_latest(moved, event) and moved.attempts[-1].state.is_live:
        return moved, (Command.COLLECT,)  # whichever is sealed first is the result
    return replace(moved, status=TaskStatus.COLLECTING), (Command.COLLECT,)


def _sealed(task: Task, event: ev.AttemptSealed, budget: Budget) -> Step:
    moved = _moved(task, event, AttemptState.SEALED, collected_at=event.at)
    if moved is None:
        return task, NOTHING
    if task.status.is_final:
        raise _illegal(task, event)
    sealed = replace(
        moved,
        status=TaskStatus.SEALED,
        metrics=event.metrics,
        reason="; ".join(event.notes),
        result=0 if _is_latest(moved, event) else event.attempt,
    )
    if len(moved.attempts) > 1 and moved.live_attempts:
        return sealed, (Command.PLACE, Command.CANCEL)
    return sealed, (Command.PLACE,)


def _ended_badly(
    task: Task, event: Any, state: AttemptState, cause: Cause | None, budget: Budget, **changes: Any
) -> Step:
    """The attempt is over without a result: try again within the causes' budgets, else the task failed."""
    moved = _moved(task, event, state, cause=cause, reason=event.reason, ended_at=event.at, **changes)
    if moved is None:
        return task, NOTHING
    if task.status.is_final:
        return moved, NOTHING
    if moved.live_attempts:
        return _left_with(moved), (Command.ARCHIVE,)
    if task.cancel_requested:
        return replace(moved, status=TaskStatus.CANCELLED, reason=event.reason), (Command.PLACE,)
    poison = poisoned(moved)
    if not poison and all(charged(moved, one) <= budget.get(one, 0) for one in _causes(moved)):
        return replace(moved, status=TaskStatus.RECEIVED), (Command.ARCHIVE,)
    return replace(moved, status=TaskStatus.FAILED, reason=poison or _last_words(event)), (Command.PLACE,)


def _left_with(task: Task) -> Task:
    """Return an open task one of whose attempts is over while another one is not."""
    if task.live_attempts[-1].state is AttemptState.EXITED:
        return replace(task, status=TaskStatus.COLLECTING)
    return task


def _last_words(event: Any) -> str:
    return getattr(event, "signature", "") or str(event.reason)


def charged(task: Task, cause: Cause) -> int:
    """Return how many attempts of the task ended for this cause since it was last reopened."""
    return sum(attempt.cause is cause for attempt in _counted(task))


def _counted(task: Task) -> Iterator[Attempt]:
    return (attempt for attempt in task.attempts[task.spent :] if not attempt.state.is_live)


def _causes(task: Task) -> set[Cause]:
    return {attempt.cause for attempt in _counted(task) if attempt.cause is not None}


def poisoned(task: Task) -> str:
    """Return why a task must not be tried again: too many agents ended under it. Empty when it may be."""
    ended = {a.agent for a in _counted(task) if a.cause in (Cause.NODE, Cause.LOST) and a.agent}
    if len(ended) < POISON_AGENTS:
        return ""
    return f"{len(ended)} agents ended under it ({', '.join(sorted(ended))}), so it is not tried again"


def _failed(task: Task, event: ev.AttemptFailed, budget: Budget) -> Step:
    return _ended_badly(task, event, AttemptState.FAILED, event.cause, budget, collected_at=event.at)


def _lost(task: Task, event: ev.AttemptLost, budget: Budget) -> Step:
    cause = event.cause if event.charged else None
    return _ended_badly(task, event, AttemptState.LOST, cause, budget, agent=event.agent)


def _rejected(task: Task, event: ev.AttemptRejected, budget: Budget) -> Step:
    return _ended_badly(task, event, AttemptState.REJECTED, event.cause, budget)


def _voided(task: Task, event: ev.AttemptVoided, budget: Budget) -> Step:
    """The attempt never began; of a machine that lacked something there may be a directory all the same."""
    moved = _moved(task, event, AttemptState.VOID, reason=event.reason)
    after, _ = _uncharged(task, moved)
    return after, NOTHING if moved is None else (Command.ARCHIVE,)


def _abandoned(task: Task, event: ev.AttemptAbandoned, budget: Budget) -> Step:
    return _uncharged(task, _moved(task, event, AttemptState.ABANDONED, reason=event.reason))


def _uncharged(task: Task, moved: Task | None) -> Step:
    """Return the step of an attempt that came to nothing through no fault of its task."""
    if moved is None:
        return task, NOTHING
    if task.status.is_final:
        return moved, NOTHING
    if moved.live_attempts:
        return _left_with(moved), NOTHING
    status = TaskStatus.CANCELLED if task.cancel_requested else TaskStatus.RECEIVED
    return replace(moved, status=status), NOTHING


def _cancelled(task: Task, event: ev.AttemptCancelled, budget: Budget) -> Step:
    moved = _moved(task, event, AttemptState.CANCELLED, ended_at=event.at)
    if moved is None:
        return task, NOTHING
    if task.status.is_final:
        return moved, NOTHING
    if moved.live_attempts:
        return _left_with(moved), NOTHING
    return replace(moved, status=TaskStatus.CANCELLED, reason="cancelled"), (Command.PLACE,)


def _superseded(task: Task, event: ev.AttemptSuperseded, budget: Budget) -> Step:
    moved = _moved(task, event, AttemptState.SUPERSEDED)
    if moved is None:
        return task, NOTHING
    if not task.status.is_final:
        raise _illegal(task, event)  # by what?
    return moved, (Command.ARCHIVE,)


def _diverged(task: Task, event: ev.ResultsDiverged, budget: Budget) -> Step:
    said = f"{_listed(event.files, event.count)}: not as attempt {event.of} has it"
    return _noted(task, event, divergence=said), NOTHING


def _damaged(task: Task, event: ev.ArtifactsDamaged, budget: Budget) -> Step:
    """Files at rest are damaged: a result is one no more as it stands, evidence of a failure is noted."""
    noted = _noted(task, event, damage=_listed(event.faults, event.count))
    moved = _moved(noted, event, AttemptState.CORRUPT) if noted.status is TaskStatus.SEALED else None
    return (noted if moved is None else replace(moved, status=TaskStatus.CORRUPT)), NOTHING


def _restored(task: Task, event: ev.ArtifactsRestored, budget: Budget) -> Step:
    noted = _noted(task, event, damage="")
    moved = _moved(noted, event, AttemptState.SEALED) if noted.status is TaskStatus.CORRUPT else None
    return (noted if moved is None else replace(moved, status=TaskStatus.SEALED)), NOTHING


def _noted(task: Task, event: Any, **notes: str) -> Task:
    """Return the task with something noted of an attempt that left a manifest; itself when that is known."""
    number = event.attempt
    if not 1 <= number <= len(task.attempts) or task.attempts[number - 1].manifest is None:
        raise _illegal(task, event)
    attempt = task.attempts[number - 1]
    if all(getattr(attempt, name) == note for name, note in notes.items()):
        return task
    noted = replace(attempt, **notes)
    return replace(task, attempts=(*task.attempts[: number - 1], noted, *task.attempts[number:]))


def _listed(faults: Sequence[str], count: int) -> str:
    more = f" and {count - len(faults):,} more" if count > len(faults) else ""
    return "; ".join(faults) + more


_STEPS: Mapping[type, Callable[[Task, Any, Budget], Step]] = {
    ev.TaskReused: _reused,
    ev.AttemptIntended: _intended,
    ev.AttemptSubmitted: _submitted,
    ev.AttemptUnconfirmed: _unconfirmed,
    ev.AttemptDuplicated: _duplicated,
    ev.AttemptRejected: _rejected,
    ev.AttemptVoided: _voided,
    ev.AttemptStarted: _started,
    ev.AttemptMissed: _missed,
    ev.AttemptExited: _exited,
    ev.AttemptLost: _lost,
    ev.AttemptAbandoned: _abandoned,
    ev.AttemptCancelled: _cancelled,
    ev.AttemptSealed: _sealed,
    ev.AttemptFailed: _failed,
    ev.AttemptSuperseded: _superseded,
    ev.ResultsDiverged: _diverged,
    ev.ArtifactsDamaged: _damaged,
    ev.ArtifactsRestored: _restored,
}
