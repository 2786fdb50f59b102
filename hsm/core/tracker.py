"""SweepTracker: the state of a sweep as the fold of its events. The only place where that state lives.

`fold` applies one event and returns what is to be done about it. The engine folds live, a reader folds the
ledger; both hold the same tracker. `hsm.core.summary` carries the fold over to another process.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from hsm.core import events as ev
from hsm.core.intake import Intake, PlanReader, ReadyQueue
from hsm.core.machine import Command, Step, reopen, request_cancel, step
from hsm.core.model import Outcome, OutcomeKind, Task
from hsm.core.spec import Direction, SweepSpec
from hsm.core.states import SweepStatus, TaskStatus
from hsm.core.tallies import Best, FailureGroup, Generation, SourceState

Order: TypeAlias = "tuple[Task, Command]"

MIN_FINISHED = 10
"""So many tasks must be finished before a failure rate means anything."""

PACE_EVENTS = 256
"""So many of the latest endings tell the present pace."""

_TASK_EVENTS = tuple(cls for cls in ev.EVENTS.values() if "task" in cls.__dataclass_fields__)


class SweepTracker:
    """Every task of a sweep and what can be counted of them."""

    def __init__(self, spec: SweepSpec, read_plan: PlanReader) -> None:
        self.spec = spec
        self.tasks: list[Task] = []
        self.counts: Counter[TaskStatus] = Counter()
        self.sources: dict[str, SourceState] = {}
        self.generations: list[Generation] = []
        self.failures: dict[tuple[str, str], FailureGroup] = {}
        self.cursors: dict[str, str] = {}
        self.hunt_ended = False
        self.stopped = ""
        self.cancelled = False
        self.epoch = 0
        self.created: ev.SweepCreated | None = None
        self.engine: ev.EngineStarted | None = None
        self.last: ev.Event | None = None
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.retries = 0
        self.outcomes: Counter[TaskStatus] = Counter()
        self.improvements: list[Best] = []
        self.endings: deque[float] = deque(maxlen=PACE_EVENTS)
        self._intake = Intake(read_plan)
        self._ready = ReadyQueue()
        self._tokens: dict[str, tuple[int, int]] = {}

    # Asking

    def task(self, index: int) -> Task:
        """Return the task with this index.

        Raises:
            KeyError: there is none.
        """
        if not 1 <= index <= len(self.tasks):
            raise KeyError(index)
        return self.tasks[index - 1]

    def by_token(self, token: str) -> tuple[Task, int] | None:
        """Return the task and the attempt number of a token of an attempt that is not over."""
        found = self._tokens.get(token)
        return None if found is None else (self.task(found[0]), found[1])

    def live(self) -> list[Task]:
        """Return the tasks whose latest attempt is not over, in order."""
        return [self.task(index) for index in sorted({index for index, _ in self._tokens.values()})]

    def ready(self, limit: int) -> list[Task]:
        """Return the first tasks, at most `limit`, that wait for an attempt."""
        return [self.task(index) for index in self._ready.first(limit, self._waits)]

    def _waits(self, index: int) -> bool:
        return self.tasks[index - 1].status is TaskStatus.RECEIVED

    def result_of(self, task: Task) -> Task:
        """Return the task whose result stands for this one."""
        return task if task.reuses is None else self.task(task.reuses)

    def outcome(self, task: Task) -> Outcome:
        """Return the verdict on a final task: its score, or why it has none."""
        result = self.result_of(task)
        if result.status is not TaskStatus.SEALED:
            return Outcome(kind=OutcomeKind.FAILED, reason=result.reason or str(result.status))
        if self.spec.hunt is None:
            return Outcome(kind=OutcomeKind.NOT_SCORABLE, reason="the sweep has no objective")
        metric = self.spec.hunt.objective.metric
        score = (result.metrics or {}).get(metric)
        if score is None:
            known = metric in (result.metrics or {})
            reason = result.reason or (f"{metric} is null" if known else f"no metric {metric!r} was written")
            return Outcome(kind=OutcomeKind.NOT_SCORABLE, reason=reason)
        return Outcome(kind=OutcomeKind.SCORED, score=score)

    @property
    def best(self) -> Best | None:
        """The best score so far."""
        return self.improvements[-1] if self.improvements else None

    @property
    def finished(self) -> int:
        """How many tasks are final."""
        return sum(count for status, count in self.counts.items() if status.is_final)

    @property
    def open(self) -> int:
        """How many tasks are not final."""
        return len(self.tasks) - self.finished

    @property
    def is_over(self) -> bool:
        """Whether nothing will ever happen any more: all tasks final, and no further generation."""
        return self.open == 0 and (self.hunt_ended or bool(self.stopped) or self.cancelled)

    @property
    def released(self) -> int:
        """The epoch whose engine let go in good order as the last thing that happened, else 0."""
        return self.last.epoch if isinstance(self.last, ev.EngineStopped) else 0

    @property
    def is_released(self) -> bool:
        """Whether the last engine let go in good order."""
        return self.last is None or isinstance(self.last, ev.EngineStopped)

    def failure_rate(self) -> float:
        """Return the share of failed tasks among those that this engine finished; 0 while too few are."""
        failed = self.outcomes[TaskStatus.FAILED]
        finished = failed + self.outcomes[TaskStatus.SEALED]
        return failed / finished if finished >= MIN_FINISHED else 0.0

    def status(self, *, driven: bool) -> SweepStatus:
        """Return where the sweep stands; `driven` says whether an engine is at it."""
        if driven:
            return SweepStatus.RUNNING
        if self.cancelled and self.open == 0:
            return SweepStatus.CANCELLED
        if self.stopped:
            return SweepStatus.STOPPED
        if not self.is_over:
            return SweepStatus.PARTIAL
        return SweepStatus.FAILED if self.counts[TaskStatus.FAILED] else SweepStatus.COMPLETE

    # Folding

    def preload(self, plan: str, tasks: Sequence[Task]) -> None:
        """Lay ready the tasks of a plan that is about to be folded, so that folding need not read it."""
        self._intake.preload(plan, tasks)

    def take_duplicates(self) -> list[ev.TaskReused]:
        """Return, once, what is to be said of planned tasks whose work another task does or has done."""
        return [event for event in self._intake.take_duplicates() if self._waits(event.task)]

    def adopt(self, tasks: list[Task]) -> None:
        """Take over tasks as another tracker left them; everything counted of them must be set already."""
        self.tasks = tasks
        self.counts = Counter(task.status for task in tasks)
        self._ready.extend(task.index for task in tasks if task.status is TaskStatus.RECEIVED)
        for task in tasks:
            if task.attempt is not None and task.attempt.state.is_live:
                self._tokens[task.attempt.token] = (task.index, task.attempt.number)

    def fold(self, event: ev.Event) -> list[Order]:
        """Apply one event and return what is to be done about it.

        Raises:
            MachineError: the event cannot have happened.
        """
        if isinstance(event, _TASK_EVENTS):
            orders = self._fold_task(event)  # type: ignore[arg-type]
        else:
            orders = _SWEEP_FOLDS[type(event)](self, event)
        self.last = event
        at = getattr(event, "at", None)
        if at is not None:
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
            self._note(event)
            if isinstance(event, ev.AttemptSealed):
                self._rank(after)
        return [(after, command) for command in commands]

    def _put(self, before: Task, after: Task) -> None:
        self.tasks[after.index - 1] = after
        self._count_attempt(before, after)
        if before.status is after.status:
            return
        self.counts[before.status] -= 1
        self.counts[after.status] += 1
        self.outcomes[after.status] += 1
        if after.status is TaskStatus.RECEIVED:
            self.retries += 1
            self._ready.add(after.index)
        self.generations[after.generation - 1].open += before.status.is_final - after.status.is_final

    def _rank(self, task: Task) -> None:
        score = self.outcome(task).score
        if score is None or self.spec.hunt is None:
            return
        best, up = self.best, self.spec.hunt.objective.direction is Direction.MAXIMIZE
        if best is None or (score > best.score if up else score < best.score):
            self.improvements.append(Best(score, task.index))

    def _count_attempt(self, before: Task, after: Task) -> None:
        old, new = before.attempt, after.attempt
        if new is None:
            return
        same = old is not None and old.number == new.number
        was = old.state if same and old else None
        if was is new.state:
            return
        self.sources.setdefault(new.source, SourceState()).count(was, new.state)
        if new.state.is_live:
            self._tokens[new.token] = (after.index, new.number)
        else:
            self._tokens.pop(new.token, None)

    def _note(self, event: ev.TaskEvent) -> None:
        if isinstance(event, (ev.AttemptFailed, ev.AttemptLost, ev.AttemptRejected)):
            signature = getattr(event, "signature", "") or event.reason
            key = (str(event.cause), signature)
            group = self.failures.setdefault(key, FailureGroup(*key))
            group.count += 1
            if len(group.tasks) < 100:
                group.tasks.append(event.task)

    def _created(self, event: ev.SweepCreated) -> list[Order]:
        self.created = event
        return []

    def _engine_started(self, event: ev.EngineStarted) -> list[Order]:
        self.engine, self.epoch = event, event.epoch
        self.stopped = ""
        self.outcomes.clear()
        for source in self.sources.values():
            source.open = False
        return []

    def _engine_stopped(self, event: ev.EngineStopped) -> list[Order]:
        for source in self.sources.values():
            source.open = False
        return []

    def _source_opened(self, event: ev.SourceOpened) -> list[Order]:
        source = self.sources.setdefault(event.source, SourceState())
        source.slots, source.open, source.reason = event.slots, True, ""
        return []

    def _source_failed(self, event: ev.SourceFailed) -> list[Order]:
        source = self.sources.setdefault(event.source, SourceState())
        source.open, source.reason = False, event.reason
        return []

    def _cursor_moved(self, event: ev.CursorMoved) -> list[Order]:
        self.cursors[event.source] = event.cursor
        return []

    def _planned(self, event: ev.GenerationPlanned) -> list[Order]:
        start = len(self.tasks)
        for task in self._intake.tasks(event, self._is_reusable):
            self.tasks.append(task)
        count = len(self.tasks) - start
        self.generations.append(Generation(event.generation, event.first, count, count))
        self.counts[TaskStatus.RECEIVED] += count
        self._ready.extend(range(start + 1, start + count + 1))
        return []

    def _is_reusable(self, index: int) -> bool:
        return self.task(index).status not in (TaskStatus.FAILED, TaskStatus.CANCELLED)

    def _hunt_over(self, event: ev.HuntEnded) -> list[Order]:
        self.hunt_ended = True
        return []

    def _stop(self, event: ev.SweepStopped) -> list[Order]:
        self.stopped = event.reason
        return []

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


_SWEEP_FOLDS: Mapping[type, Callable[[SweepTracker, ev.Event], list[Order]]] = {
    ev.SweepCreated: SweepTracker._created,  # type: ignore[dict-item]
    ev.EngineStarted: SweepTracker._engine_started,  # type: ignore[dict-item]
    ev.EngineStopped: SweepTracker._engine_stopped,  # type: ignore[dict-item]
    ev.SourceOpened: SweepTracker._source_opened,  # type: ignore[dict-item]
    ev.SourceFailed: SweepTracker._source_failed,  # type: ignore[dict-item]
    ev.CursorMoved: SweepTracker._cursor_moved,  # type: ignore[dict-item]
    ev.GenerationPlanned: SweepTracker._planned,  # type: ignore[dict-item]
    ev.HuntEnded: SweepTracker._hunt_over,  # type: ignore[dict-item]
    ev.SweepStopped: SweepTracker._stop,  # type: ignore[dict-item]
    ev.CancelRequested: SweepTracker._cancel,  # type: ignore[dict-item]
    ev.TasksReopened: SweepTracker._reopen,  # type: ignore[dict-item]
}
