"""Standing: why a task is where it is, why it is not running now, and what would help. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hsm.core.errors import bare
from hsm.core.machine import charged
from hsm.core.model import Attempt, Task
from hsm.core.monitor import REMEDIES, expected_tasks
from hsm.core.states import AttemptState, Cause, TaskStatus
from hsm.core.tallies import SourceState
from hsm.core.tracker import SweepTracker
from hsm.wire.names import task_id

GO_ON = "sweep complete ID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Why a task stands where it does. `command` helps, without the leading `hsm`; so does `advice`."""

    why: str
    command: str = ""
    advice: str = ""


def standing(task: Task, tracker: SweepTracker, *, driven: bool) -> Standing:
    """Return why a task that there is is where it is. The tracker knows the sweep at the same time."""
    match task.status:
        case TaskStatus.SEALED:
            return Standing(why=f"it has its result; nothing is left to do{_beside(task)}")
        case TaskStatus.CORRUPT:
            return _corrupt(task)
        case TaskStatus.REUSED:
            return Standing(why=f"its work is that of {task_id(task.reuses or 0)}; it is not run again")
        case TaskStatus.CANCELLED:
            return Standing(
                why="somebody asked that it end; it is not run again by itself", command=_retry(task)
            )
        case TaskStatus.FAILED:
            return _failed(task, tracker)
        case TaskStatus.RECEIVED:
            return _waiting(task, tracker, driven=driven)
        case _:
            found = _under_way(task, tracker)
            return found if driven else _left_alone(found)


def doubt_of(task: Task, tracker: SweepTracker) -> str:
    """Return what is not known of a task whose attempt should be somewhere: the word for it, or nothing."""
    attempt = task.attempt
    if attempt is None or task.status.is_final or not attempt.state.is_live:
        return ""
    lane = tracker.sources.get(attempt.source)
    if lane is not None and lane.paused:
        return f"unreachable: {attempt.source} cannot be asked"
    words = {
        AttemptState.UNCONFIRMED: f"unconfirmed: {attempt.source} is asked whether it has it",
        AttemptState.MISSING: f"missing: {attempt.source} does not list it, which proves nothing",
    }
    return words.get(attempt.state, "")


def unplanned(index: int, tracker: SweepTracker, *, driven: bool) -> Standing | None:
    """Return why a task has not been proposed yet, None when it never will be."""
    if index > expected_tasks(tracker):
        return None
    planned = len(tracker.generations)
    why = f"its generation is not planned yet: {planned} so far, and the hunter is asked when they are final"
    if driven:
        return Standing(why=why)
    return Standing(why=f"{why}; no engine drives the sweep", command=GO_ON)


def _beside(task: Task) -> str:
    """Return what is to be known of a result beside that it is there."""
    other = next((attempt for attempt in task.attempts if attempt.divergence), None)
    return f"; attempt {other.number} has other results: {other.divergence}" if other else ""


def _corrupt(task: Task) -> Standing:
    attempt = task.attempt
    return Standing(
        why=f"it had its result, which is damaged at rest: {attempt.damage if attempt else ''}",
        command=_retry(task),
        advice="or put its files back from a copy, and `hsm sweep verify ID` takes note of it",
    )


def _retry(task: Task) -> str:
    return f"sweep complete ID --retry {task.index}"


def _failed(task: Task, tracker: SweepTracker) -> Standing:
    attempt = task.attempt
    cause = attempt.cause if attempt else None
    if cause is None:
        return Standing(why=f"it failed: {task.reason}", command=_retry(task))
    return Standing(
        why=f"it failed for the cause {cause}, and {_budget(task, cause, tracker.spec.retry)}",
        command=_retry(task),
        advice=REMEDIES.get(cause, "").replace("TASK", str(task.index)),
    )


def _budget(task: Task, cause: Cause, budget: Mapping[Cause, int]) -> str:
    allowed, used = budget.get(cause, 0), charged(task, cause)
    if not allowed:
        return "that is not tried again by itself (`retry` allows 0)"
    return f"its retries are spent: {used} attempts ended so, `retry` allows {allowed} more than the first"


def _waiting(task: Task, tracker: SweepTracker, *, driven: bool) -> Standing:
    """Return why a task that could run has no attempt."""
    if tracker.stopped:
        return Standing(why=f"the sweep stopped, no new attempt is begun: {tracker.stopped}", command=GO_ON)
    if not driven:
        return Standing(why="no engine drives the sweep, so nothing is begun", command=GO_ON)
    again = f"attempt {len(task.attempts)} ended ({_ended(task.attempt)}); " if task.attempts else ""
    lanes = [source for source in tracker.sources.values() if source.open]
    if not lanes:
        reasons = "; ".join(f"{name} is {_shut(source)}" for name, source in tracker.sources.items())
        return Standing(why=f"no source is open ({reasons or 'none has opened yet'})", command=GO_ON)
    lacking = [(name, lane) for name, lane in tracker.sources.items() if lane.open and lane.hindrance]
    if len(lacking) == len(lanes):
        reasons = "; ".join(f"{name}: {lane.hindrance}" for name, lane in lacking)
        advice = "; ".join(dict.fromkeys(lane.hint for _, lane in lacking if lane.hint))
        return Standing(why=f"{again}no source begins anything for now ({reasons})", advice=advice)
    slots, running = sum(lane.slots for lane in lanes), sum(lane.running for lane in lanes)
    ahead = sum(other.status is TaskStatus.RECEIVED for other in tracker.tasks[: task.index - 1])
    return Standing(
        why=f"{again}it waits for a slot: {running} of {slots} run something, {ahead:,} tasks are before it"
    )


def _ended(attempt: Attempt | None) -> str:
    return str(attempt.cause or attempt.state) if attempt else ""


def _under_way(task: Task, tracker: SweepTracker) -> Standing:
    attempt = task.attempt
    if attempt is None:
        return Standing(why=f"it is {task.status}")
    asked = "; somebody asked that it end" if task.cancel_requested else ""
    lane = tracker.sources.get(attempt.source)
    hint = lane.hint if lane and attempt.state not in (AttemptState.RUNNING, AttemptState.EXITED) else ""
    return Standing(why=_words(attempt, tracker) + asked, advice=hint)


def _words(attempt: Attempt, tracker: SweepTracker) -> str:
    where, lane = attempt.source, tracker.sources.get(attempt.source)
    busy = f": {lane.running} of {lane.slots} slots run something" if lane else ""
    if lane and lane.open and lane.hindrance:
        busy = f", which begins nothing for now: {lane.hindrance}"
    closed = f"; that source is {_shut(lane)}" if lane and not lane.open else ""
    match attempt.state:
        case AttemptState.RUNNING:
            said = f"attempt {attempt.number} runs on {where}"
        case AttemptState.EXITED:
            said = f"the program of attempt {attempt.number} has ended; its results are being brought home"
        case AttemptState.UNCONFIRMED:
            said = f"attempt {attempt.number} was handed to {where}, whose answer was lost: {attempt.reason}"
        case AttemptState.MISSING:
            said = f"{where} does not list attempt {attempt.number} any more; that proves nothing yet"
        case _:
            said = f"attempt {attempt.number} waits at {where} for a slot{busy}"
    return said + closed


def _shut(lane: SourceState) -> str:
    if lane.lacks:
        return f"lacking something and is tried again ({bare(lane.reason)})"
    if lane.paused:
        return f"unreachable and is tried again ({bare(lane.reason)})"
    return f"not open ({bare(lane.reason) or 'closed'})"


def _left_alone(found: Standing) -> Standing:
    why = f"when last heard of, {found.why}; no engine drives the sweep, so nobody takes note of its end"
    return Standing(why=why, command=GO_ON)
