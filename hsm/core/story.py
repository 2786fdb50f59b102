"""Events in words: one line each, for logs, the monitor and the terminal. The same words everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hsm.core import events as ev
from hsm.core.cleaning import clean
from hsm.core.errors import bare
from hsm.core.model import Task
from hsm.core.states import TaskStatus
from hsm.core.tracker import SweepTracker
from hsm.wire.names import task_id


def line_of(event: ev.Event, tracker: SweepTracker) -> str:
    """Return an event in words, empty for those that nobody needs to read."""
    return clean(_line(event, tracker))


def _line(event: ev.Event, tracker: SweepTracker) -> str:
    match event:
        case ev.AttemptSealed(task=task):
            return f"{task_id(task)} sealed{_score(tracker, task, event.notes)}"
        case ev.AttemptFailed(task=task) | ev.AttemptLost(task=task) | ev.AttemptRejected(task=task):
            return f"{task_id(task)} attempt {event.attempt} {_verb(event)} ({event.cause}): {_why(event)}"
        case ev.AttemptCancelled(task=task):
            return f"{task_id(task)} cancelled"
        case ev.ArtifactsDamaged(task=task) | ev.ArtifactsRestored(task=task) | ev.ResultsDiverged(task=task):
            return f"{task_id(task)} {_FOUND[type(event)](event)}"
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


def _failing(event: ev.SourceFailed) -> str:
    if not event.paused:
        return "failed"
    return "begins nothing for now" if event.lacks else "is unreachable, and is tried again"


def _some(names: Sequence[str], count: int) -> str:
    more = f" and {count - len(names):,} more" if count > len(names) else ""
    return "; ".join(names) + more


_FOUND: Mapping[type, Callable[[Any], str]] = {
    ev.ArtifactsDamaged: lambda event: (
        f"attempt {event.attempt} is damaged at rest: {_some(event.faults, event.count)}"
    ),
    ev.ArtifactsRestored: lambda event: f"attempt {event.attempt} is whole again",
    ev.ResultsDiverged: lambda event: (
        f"attempt {event.attempt} has other results than attempt {event.of}: "
        f"{_some(event.files, event.count)}"
    ),
}


_ENGINE_LINES: Mapping[type, Callable[[Any], str]] = {
    ev.SweepCreated: lambda event: f"sweep {event.sweep_id} created",
    ev.EngineStarted: lambda event: f"engine of epoch {event.epoch} started on {event.host}, pid {event.pid}",
    ev.EngineStopped: lambda event: (
        f"engine of epoch {event.epoch} stopped: {event.status}{_because(event.reason)}"
    ),
    ev.SourceOpened: lambda event: f"source {event.source} opened with {event.slots} slots",
    ev.SourceFailed: lambda event: f"source {event.source} {_failing(event)}: {bare(event.reason)}",
    ev.SourceHindered: lambda event: (
        f"source {event.source} begins nothing for now: {event.reason}"
        if event.reason
        else f"source {event.source} goes on: it lacks nothing any more"
    ),
    ev.AttemptDuplicated: lambda event: (
        f"{task_id(event.task)} was handed over {len(event.others) + 1} times; {event.ref} is kept"
    ),
    ev.AttemptAbandoned: lambda event: (
        f"{task_id(event.task)} attempt {event.attempt} given up: {event.reason}"
    ),
    ev.AttemptMissed: lambda event: f"{task_id(event.task)} missing: a listing lacks it",
    ev.ZombieFound: lambda event: (
        f"a superseded engine went on writing {event.segment} behind byte {event.offset}: "
        f"{len(event.tokens)} intents ({', '.join(event.tokens) or 'none'}), no part of the sweep"
    ),
    ev.GenerationPlanned: _planned,
    ev.HuntEnded: lambda event: f"no further generation{_because(event.reason)}",
    ev.CancelRequested: lambda event: (
        f"cancel requested for {', '.join(map(task_id, event.tasks)) or 'every open task'}"
    ),
    ev.TasksReopened: lambda event: f"{len(event.tasks)} tasks reopened",
    ev.SnapshotTaken: lambda event: f"snapshot taken after record {event.seq}",
    ev.RecordingHindered: lambda event: (
        f"the ledger cannot be written for now, nothing new is begun: {event.reason}"
    ),
    ev.RecordingResumed: lambda _: "the ledger can be written again",
    ev.SweepStopped: lambda event: f"stopped: {event.reason}",
    ev.SweepSealed: lambda event: f"sealed with {event.results:,} results, root {event.root[:16]}",
    ev.ArtifactsVerified: lambda event: (
        f"{event.attempts:,} attempts read again: {event.damaged:,} found damaged, "
        f"{event.restored:,} whole again"
    ),
}


def is_engine_matter(event: ev.Event) -> bool:
    """Tell whether the event is about the engine rather than one task."""
    return not hasattr(event, "task")


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _score(tracker: SweepTracker, task: int, notes: Sequence[str]) -> str:
    """Return the score of a result or why it has none, and its notes, which may be that reason."""
    hunt, told = tracker.spec.hunt, "".join(f"; {note}" for note in notes)
    if hunt is None:
        return told
    outcome = tracker.outcome(tracker.task(task))
    if outcome.score is not None:
        return f", {hunt.objective.metric} = {outcome.score:.6g}{told}"
    return f", not scorable: {outcome.reason}{'' if outcome.reason == '; '.join(notes) else told}"


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


# One task's story, with the evidence


def told(event: ev.Event, task: Task) -> str:
    """Return what an event tells of a task, in words; `task` is as it stood then."""
    tell = _TELLINGS.get(type(event))
    return clean(tell(event, task) if tell else _engine_line(event))


def _exit_words(event: ev.AttemptExited, _task: Task) -> str:
    found = event.exit
    used = f"{found.wall_s:.3g} s, CPU {found.cpu_user_s + found.cpu_system_s:.3g} s"
    memory = f", at most {found.max_rss_bytes / 2**20:.4g} MiB" if found.max_rss_bytes else ""
    cause = f"; {event.cause}: {event.reason}" if event.cause else ""
    return f"the program ended with {found.words} after {used}{memory}{cause}"


def _sealed_words(event: ev.AttemptSealed, _task: Task) -> str:
    numbers = ", ".join(f"{name} = {value}" for name, value in list((event.metrics or {}).items())[:4])
    notes = "".join(f"; {note}" for note in event.notes)
    return f"sealed: {event.files} files, {event.bytes:,} bytes{f'; {numbers}' if numbers else ''}{notes}"


def _intent_words(event: ev.AttemptIntended, _task: Task) -> str:
    return f"attempt {event.attempt} is meant for {event.source}, token {event.token[:8]}"


def _failed_words(event: ev.AttemptFailed, task: Task) -> str:
    said = event.signature or event.reason
    return f"attempt {event.attempt} failed ({event.cause}): {said}{_what_next(task)}"


def _lost_words(event: ev.AttemptLost | ev.AttemptRejected, task: Task) -> str:
    verb = "lost" if isinstance(event, ev.AttemptLost) else "rejected"
    return f"attempt {event.attempt} {verb} ({event.cause}): {event.reason}{_what_next(task)}"


def _what_next(task: Task) -> str:
    return "; it is tried again" if task.status is TaskStatus.RECEIVED else ""


_TELLINGS: Mapping[type, Callable[[Any, Task], str]] = {
    ev.GenerationPlanned: lambda event, task: (
        f"proposed in generation {event.generation}{f' to {task.label}' if task.label else ''}"
    ),
    ev.TaskReused: lambda event, _: f"its work is that of {task_id(event.of)}: not run again",
    ev.AttemptIntended: _intent_words,
    ev.AttemptSubmitted: lambda event, _: f"handed over as {event.ref}",
    ev.AttemptUnconfirmed: lambda event, _: f"handed over, but the answer was lost: {event.reason}",
    ev.AttemptDuplicated: lambda event, _: (
        f"found {len(event.others) + 1} times; {event.ref} is kept, the others are ended"
    ),
    ev.AttemptAbandoned: lambda event, _: f"attempt {event.attempt} was given up: {event.reason}",
    ev.AttemptStarted: lambda *_: "the program runs",
    ev.AttemptMissed: lambda *_: "a listing that worked does not show it; that proves nothing yet",
    ev.AttemptExited: _exit_words,
    ev.AttemptSealed: _sealed_words,
    ev.AttemptFailed: _failed_words,
    ev.AttemptLost: _lost_words,
    ev.AttemptRejected: _lost_words,
    ev.AttemptVoided: lambda event, _: f"proved never to have begun{_because(event.reason)}",
    ev.AttemptCancelled: lambda event, _: f"attempt {event.attempt} was seen gone after a cancel",
    ev.AttemptSuperseded: lambda event, _: f"attempt {event.attempt} is kept beside another one's result",
    **{kind: lambda event, _: _FOUND[type(event)](event) for kind in _FOUND},
    ev.CancelRequested: lambda *_: "somebody asked that it end",
    ev.TasksReopened: lambda *_: "reopened: somebody asked that it be tried again, with all its retries",
}
