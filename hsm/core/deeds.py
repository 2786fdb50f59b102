"""Deeds: what is done once events are durable: hand over, cancel, take back, collect, place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hsm.core.divergence import earlier_result
from hsm.core.homing import Homing
from hsm.core.lane import Cancel, Lane, Recall, Submit
from hsm.core.machine import Command
from hsm.core.model import Attempt, Task
from hsm.core.projection import Projector
from hsm.core.states import AttemptState, TaskStatus
from hsm.core.tracker import Order, SweepTracker
from hsm.core.turn import Turn


class Deeds:
    """Carries out what a durable turn orders, and knows what is still within reach."""

    def __init__(
        self, tracker: SweepTracker, lanes: Mapping[str, Lane], homing: Homing, projector: Projector
    ) -> None:
        self._tracker = tracker
        self._lanes = lanes
        self._homing = homing
        self._projector = projector
        self._recalled = False

    def carry_out(self, turn: Turn) -> None:
        """Do what the events of a turn order."""
        for source, orders in turn.submissions.items():
            self._lanes[source].put(Submit(orders))
        for order in turn.orders:
            self._carry_out(order)
        self._compare(turn)
        self._cancel([task for task, command in turn.orders if command is Command.CANCEL])
        for source, call in turn.calls:
            self._lanes[source].put(call)
        for source in turn.reopened:
            self._take_up(source)
        for task in turn.started:
            if self._tracker.task(task.index).attempt is task.attempt:  # it still runs
                self._homing.project_later(task)

    def _carry_out(self, order: Order) -> None:
        task, command = order
        if command is Command.COLLECT:
            for attempt in task.live_attempts:
                if attempt.state is AttemptState.EXITED:
                    self._collect(task, attempt)
        elif command is not Command.CANCEL:
            self._homing.project_later(order)

    def _collect(self, task: Task, attempt: Attempt) -> None:
        self._homing.collect_later(task, attempt, self._projector.work_dir(task, attempt))

    def _compare(self, turn: Turn) -> None:
        """Have second results of tasks compared with their first ones."""
        for event in turn.contested:
            task = self._tracker.task(event.task)
            attempt = task.attempts[event.attempt - 1]
            other = earlier_result(task, attempt)
            if other is not None:
                self._homing.compare_later(task, attempt, other)

    def _cancel(self, tasks: Sequence[Task]) -> None:
        for source, refs in _refs_to_cancel(tasks).items():
            if source in self._lanes:
                self._lanes[source].put(Cancel(refs))

    def _take_up(self, source: str) -> None:
        """Do again, on a source that has just been opened, what may have been left undone on it."""
        doomed: list[Task] = []
        for task in self._tracker.live():
            here = [attempt for attempt in task.live_attempts if attempt.source == source]
            for attempt in here:
                if attempt.state is AttemptState.EXITED and not task.status.is_final:
                    self._collect(task, attempt)
                elif attempt.state is AttemptState.RUNNING and attempt is task.attempt:
                    self._homing.project_later(task)
            if here and (task.cancel_requested or task.status.is_final):
                doomed.append(task)
        self._cancel(doomed)
        if self._recalled:
            self._recalled = False
            self.recall()

    def recall(self) -> None:
        """Take back, once, what has been handed over and has not begun."""
        if self._recalled:
            return
        self._recalled = True
        for source, refs in self.waiting_refs().items():
            self._lanes[source].put(Recall(refs))

    def waiting_refs(self) -> dict[str, list[str]]:
        """Return, by open source, the attempts that were handed over and are not known to have begun."""
        waiting: dict[str, list[str]] = {}
        for attempt in self._live_attempts():
            if attempt.state in (AttemptState.INTENT, AttemptState.SUBMITTED) and self._is_open(attempt):
                waiting.setdefault(attempt.source, []).append(attempt.ref or attempt.token)
        return waiting

    @property
    def may_run_within_reach(self) -> bool:
        """Whether an attempt may still run where it can be ended."""
        return any(
            attempt.state is not AttemptState.EXITED and self._is_open(attempt)
            for attempt in self._live_attempts()
        )

    @property
    def is_out_of_sight(self) -> bool:
        """Whether all that is not over is at sources that failed for good: a later engine will see to it."""
        seen = {name for name, lane in self._lanes.items() if not lane.is_over}
        if len(seen) == len(self._lanes):
            return False
        live = list(self._live_attempts())
        return bool(live) and not any(attempt.source in seen for attempt in live)

    def _is_open(self, attempt: Attempt) -> bool:
        return attempt.source in self._lanes and self._lanes[attempt.source].is_open

    def _live_attempts(self) -> Iterator[Attempt]:
        for task in self._tracker.live():
            yield from task.live_attempts


def _refs_to_cancel(tasks: Sequence[Task]) -> dict[str, list[str]]:
    """Return, by source, attempts that wait before those that run, whose slots they would take."""
    refs: dict[str, list[str]] = {}
    for task in sorted(tasks, key=lambda task: task.status is TaskStatus.RUNNING):
        for attempt in task.live_attempts:
            if attempt.state is not AttemptState.EXITED:
                refs.setdefault(attempt.source, []).append(attempt.ref or attempt.token)
    return refs
