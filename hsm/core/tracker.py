"""SweepTracker: the state of a sweep as the fold of its events. Nothing else changes that state.

`fold` applies one event and returns what is to be done about it. The engine folds live, a reader folds the
ledger; both hold the same tracker. `hsm.core.snapshots` carries the fold over to another process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias, assert_never, cast

from hsm.core import events as ev
from hsm.core.intake import Intake, PlanReader
from hsm.core.machine import Command, Step, reopen, request_cancel, step
from hsm.core.model import Attempt, Task
from hsm.core.plan import Plan
from hsm.core.scoring import beats
from hsm.core.spec import SweepSpec
from hsm.core.states import PRESUMED, REOPENABLE, TaskStatus
from hsm.core.sweep_state import KEPT_SNAPSHOTS, SweepState
from hsm.core.table import TaskTable
from hsm.core.tallies import Best, FailureGroup, Generation, SourceState

Order: TypeAlias = "tuple[Task, Command]"
_TOLD_BY_SOURCE = (ev.AttemptStarted, ev.AttemptExited, ev.AttemptLost, ev.AttemptCancelled, ev.AttemptMissed)
_FOUND_LATER = (ev.ArtifactsDamaged, ev.ArtifactsRestored, ev.ArtifactsVerified)
"""What is found when a sweep is looked at, maybe years after: no part of the time that it took."""
_BAD_ENDINGS = (ev.AttemptFailed, ev.AttemptLost, ev.AttemptRejected)
_SealEvent: TypeAlias = ev.SweepSealed | ev.ArtifactsVerified
_RecordingEvent: TypeAlias = ev.SnapshotTaken | ev.RecordingHindered | ev.RecordingResumed
_EngineEvent: TypeAlias = (
    ev.EngineStarted
    | ev.EngineStopped
    | ev.SourceOpened
    | ev.SourceFailed
    | ev.SourceHindered
    | ev.ZombieFound
    | ev.CursorMoved
    | _SealEvent
    | _RecordingEvent
)


class SweepTracker(SweepState):
    """The state of a sweep, and the folding of events into it."""

    def __init__(self, spec: SweepSpec, read_plan: PlanReader) -> None:
        super().__init__(spec)
        self._intake = Intake(read_plan)

    def preload(self, plan: Plan) -> None:
        """Lay ready a plan that is about to be folded, so that folding need not read it."""
        self._intake.preload(plan)

    def take_duplicates(self) -> list[ev.TaskReused]:
        """Return, once, what is to be said of planned tasks whose work another task does or has done."""
        return [event for event in self._intake.take_duplicates() if self._waits(event.task)]

    def adopt(self, table: TaskTable, strays: Sequence[int] = ()) -> None:
        """Take over tasks as another tracker left them; what is counted of them must be set already."""
        self.tasks = table
        waiting = [task.index for task in table.open_tasks() if task.status is TaskStatus.RECEIVED]
        self._ready.extend(sorted([*table.untouched(), *waiting]))
        for task in (*table.open_tasks(), *(table[index - 1] for index in strays)):
            for attempt in task.attempts:
                self._remember(task.index, attempt)

    def fold(self, event: ev.Event) -> list[Order]:
        """Apply one event and return what is to be done about it.

        Raises:
            MachineError: the event cannot have happened.
        """
        if ev.is_of_task(event):
            orders = self._fold_task(event)
        else:
            orders = self._fold_sweep(cast("ev.SweepEvent", event))
        self.last = event
        at = getattr(event, "at", None)
        if at is not None and not isinstance(event, _FOUND_LATER):
            self.first_at = at if self.first_at is None else self.first_at
            self.last_at = at
            if isinstance(event, (ev.AttemptSealed, ev.AttemptFailed)):
                self.endings.append(at)
        return orders

    def _fold_task(self, event: ev.TaskEvent) -> list[Order]:
        before = self.task(event.task)
        after, commands = step(before, event, self.spec.retry)
        if after is not before:
            self._put(before, after)
            if not isinstance(event, ev.TaskReused):
                self._count_attempt(before, after, event.attempt)
            self._note(event, after)
            self.retries += isinstance(event, _BAD_ENDINGS) and after.status is TaskStatus.RECEIVED
            if isinstance(event, ev.AttemptSealed):
                self._rank(after)
            self.diverged += isinstance(event, ev.ResultsDiverged)
        return [(after, command) for command in commands]

    def _put(self, before: Task, after: Task) -> None:
        self.tasks.put(after)
        if before.status is after.status:
            return
        self.counts[before.status] -= 1
        self.counts[after.status] += 1
        self.outcomes[after.status] += 1
        if after.status is TaskStatus.RECEIVED:
            self._ready.add(after.index)
        self.generations[after.generation - 1].open += before.status.is_final - after.status.is_final

    def _rank(self, task: Task) -> None:
        found = self.outcome(task).score
        if found is not None and self.spec.hunt is not None:
            best = self.best
            if best is None or beats(found, best.score, self.spec.hunt.objective.direction):
                self.improvements.append(Best(found, task.index))

    def _count_attempt(self, before: Task, after: Task, number: int) -> None:
        was = before.attempts[number - 1].state if number <= len(before.attempts) else None
        attempt = after.attempts[number - 1]
        if was is not attempt.state:
            self._source(attempt.source).count(was, attempt.state)
            if was is None or not (was.is_live and attempt.state.is_live):
                self._remember(after.index, attempt)

    def _remember(self, index: int, attempt: Attempt) -> None:
        """Keep the token of an attempt of which something may still be heard."""
        token, state = attempt.token, attempt.state
        if state.is_live:
            self._tokens[token] = (index, attempt.number)
            self._presumed.pop(token, None)
            return
        self._tokens.pop(token, None)
        if state in PRESUMED:
            self._presumed[token] = (index, attempt.number)
        elif self._presumed:
            self._presumed.pop(token, None)

    def _note(self, event: ev.TaskEvent, after: Task) -> None:
        if isinstance(event, _TOLD_BY_SOURCE):
            self._source(after.attempts[event.attempt - 1].source).heard(event.at)
        if isinstance(event, _BAD_ENDINGS):
            signature = getattr(event, "signature", "") or event.reason
            key = (str(event.cause), signature)
            is_final = after.status is TaskStatus.FAILED
            self.failures.setdefault(key, FailureGroup(*key)).note(event.task, is_final=is_final)

    def _fold_sweep(self, event: ev.SweepEvent) -> list[Order]:
        match event:
            case ev.CancelRequested():
                return self._cancel(event)
            case ev.TasksReopened():
                return self._reopen(event)
            case ev.SweepCreated():
                self.created = event
            case ev.GenerationPlanned():
                self._plan(event)
            case ev.HuntEnded():
                self.hunt_ended, self.ended_because = True, event.reason
            case ev.SweepStopped():
                self.stopped = event.reason
            case _:
                self._fold_engine(event)
        return []

    def _fold_engine(self, event: _EngineEvent) -> None:
        match event:
            case ev.CursorMoved():
                self.cursors[event.source] = event.cursor
            case ev.EngineStarted():
                self.engine, self.epoch, self.stopped, self.hindrance = event, event.epoch, "", ""
                self.outcomes.clear()
                self.hunt_ended = self.hunt_ended and not self.spec.follows
                self.cancelled = self.cancelled and not self.spec.follows
                self._close_sources()
            case ev.EngineStopped():
                self._close_sources()
            case ev.SourceOpened() | ev.SourceFailed():
                self._fold_source(event)
            case ev.SourceHindered():
                source = self._source(event.source)
                source.hindrance, source.hint = event.reason, event.hint
            case ev.SweepSealed() | ev.ArtifactsVerified():
                self._fold_seal(event)
            case ev.ZombieFound():
                pass  # told, and no part of the sweep
            case _:
                self._fold_recording(event)

    def _fold_source(self, event: ev.SourceOpened | ev.SourceFailed) -> None:
        source = self._source(event.source)
        if isinstance(event, ev.SourceFailed):
            source.closed(event.reason, event.hint, paused=event.paused, lacks=event.lacks)
        else:
            source.opened(event.slots)
            source.heard(event.at)

    def _fold_recording(self, event: _RecordingEvent) -> None:
        match event:
            case ev.SnapshotTaken():
                self.snapshots = [*self.snapshots, event.snapshot][-KEPT_SNAPSHOTS:]
            case ev.RecordingHindered():
                self.hindrance = event.reason
            case ev.RecordingResumed():
                self.hindrance = ""
            case _:
                assert_never(event)

    def _fold_seal(self, event: _SealEvent) -> None:
        if isinstance(event, ev.SweepSealed):
            self.sealed = event
        else:
            self.verified = event

    def _source(self, name: str) -> SourceState:
        return self.sources.setdefault(name, SourceState())

    def _close_sources(self) -> None:
        for source in self.sources.values():
            source.open = source.paused = False
            source.hindrance = source.hint = ""

    def _plan(self, event: ev.GenerationPlanned) -> None:
        start = len(self.tasks)
        count = self._intake.add(event, self.tasks, self._is_reusable)
        if self.spec.hunt is None and not self.spec.follows:
            self._intake.forget()  # no further plan comes
        self.generations.append(Generation(event.generation, event.first, count, count, event.plan))
        self.counts[TaskStatus.RECEIVED] += count
        self._ready.extend(range(start + 1, start + count + 1))

    def _is_reusable(self, index: int) -> bool:
        return self.tasks.status(index - 1) not in REOPENABLE

    def _cancel(self, event: ev.CancelRequested) -> list[Order]:
        self.cancelled = self.cancelled or not (event.tasks or self.is_over)
        return self._each(event.tasks or range(1, len(self.tasks) + 1), request_cancel)

    def _reopen(self, event: ev.TasksReopened) -> list[Order]:
        self.cancelled = False
        return self._each(event.tasks, reopen)

    def _each(self, indices: Iterable[int], change: Callable[[Task], Step]) -> list[Order]:
        orders: list[Order] = []
        for index in indices:
            before = self.task(index)
            after, commands = change(before)
            if after is not before:
                self._put(before, after)
            orders += [(after, command) for command in commands]
        return orders
