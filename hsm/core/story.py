"""Events in words: one line each, for logs, the monitor and the terminal. The same words everywhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from hsm.core import events as ev
from hsm.core.tracker import SweepTracker
from hsm.wire.names import task_id

_CONTROLS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def clean(text: str) -> str:
    """Return text with every control and direction character escaped, fit for a terminal and one line."""
    return _CONTROLS.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)


def line_of(event: ev.Event, tracker: SweepTracker) -> str:
    """Return an event in words, empty for those that nobody needs to read."""
    return clean(_line(event, tracker))


def _line(event: ev.Event, tracker: SweepTracker) -> str:
    match event:
        case ev.AttemptSealed(task=task):
            return (
                f"{task_id(task)} sealed{_score(tracker, task)}{''.join(f'; {note}' for note in event.notes)}"
            )
        case ev.AttemptFailed(task=task) | ev.AttemptLost(task=task) | ev.AttemptRejected(task=task):
            return f"{task_id(task)} attempt {event.attempt} {_verb(event)} ({event.cause}): {_why(event)}"
        case ev.AttemptCancelled(task=task):
            return f"{task_id(task)} cancelled"
        case ev.AttemptUnconfirmed(task=task, reason=reason):
            return f"{task_id(task)} unconfirmed: {reason}"
        case ev.TaskReused(task=task, of=of):
            return f"{task_id(task)} is the work of {task_id(of)} and is not run again"
        case _:
            return _engine_line(event)


def _engine_line(event: ev.Event) -> str:
    tell = _ENGINE_LINES.get(type(event))
    return tell(event) if tell else ""


def _planned(event: ev.GenerationPlanned) -> str:
    last = event.first + event.count - 1
    left_out = f"; {event.forbidden} forbidden proposals left out" if event.forbidden else ""
    return f"generation {event.generation} planned: {task_id(event.first)} to {task_id(last)}{left_out}"


_ENGINE_LINES: Mapping[type, Callable[[Any], str]] = {
    ev.SweepCreated: lambda event: f"sweep {event.sweep_id} created",
    ev.EngineStarted: lambda event: f"engine of epoch {event.epoch} started on {event.host}, pid {event.pid}",
    ev.EngineStopped: lambda event: (
        f"engine of epoch {event.epoch} stopped: {event.status}{_because(event.reason)}"
    ),
    ev.SourceOpened: lambda event: f"source {event.source} opened with {event.slots} slots",
    ev.SourceFailed: lambda event: f"source {event.source} failed: {event.reason}",
    ev.GenerationPlanned: _planned,
    ev.HuntEnded: lambda event: f"no further generation{_because(event.reason)}",
    ev.CancelRequested: lambda event: (
        f"cancel requested for {', '.join(map(task_id, event.tasks)) or 'every open task'}"
    ),
    ev.TasksReopened: lambda event: f"{len(event.tasks)} tasks reopened",
    ev.SweepStopped: lambda event: f"stopped: {event.reason}",
}


def is_engine_matter(event: ev.Event) -> bool:
    """Tell whether the event is about the engine rather than one task."""
    return not hasattr(event, "task")


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _score(tracker: SweepTracker, task: int) -> str:
    hunt = tracker.spec.hunt
    if hunt is None:
        return ""
    outcome = tracker.outcome(tracker.task(task))
    if outcome.score is None:
        return f", not scorable: {outcome.reason}"
    return f", {hunt.objective.metric} = {outcome.score:.6g}"


def _verb(event: ev.Event) -> str:
    match event:
        case ev.AttemptLost():
            return "lost"
        case ev.AttemptRejected():
            return "rejected"
        case _:
            return "failed"


def _why(event: ev.AttemptFailed | ev.AttemptLost | ev.AttemptRejected) -> str:
    return getattr(event, "signature", "") or event.reason
