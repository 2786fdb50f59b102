"""Tasks out of a ledger while it is being read: each in its turn, as soon as nothing can change it any more.

The events are folded with the same pure machine as everywhere; what the tracker counts besides is left out,
and plans are read line by line, so that the first task comes long before the last event.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, get_args

from hsm.core import events as ev
from hsm.core.archive import pruned_before
from hsm.core.errors import LedgerCorrupt
from hsm.core.ledger_reader import LedgerReader
from hsm.core.machine import Step, reopen, request_cancel, step
from hsm.core.model import Task
from hsm.core.plan import read_plan
from hsm.core.segments import header_of, live_segments, name_of, opened, segments
from hsm.core.spec import SweepSpec
from hsm.core.states import AttemptState, TaskStatus
from hsm.core.summary import replay
from hsm.core.tree import SweepTree
from hsm.wire.files import Files
from hsm.wire.log import LogReader, Position, Record

_TASK_EVENTS = frozenset(get_args(ev.TaskEvent))
_FOR_EVER = frozenset({TaskStatus.SEALED, TaskStatus.REUSED})
FIRST_SEGMENT = "-0001.hsl"
_PRESUMED = frozenset({AttemptState.LOST, AttemptState.ABANDONED})


class Settled(NamedTuple):
    """A task, and the one whose result stands for it: most often itself."""

    task: Task
    result: Task


def settled_tasks(files: Files, tree: SweepTree, spec: SweepSpec) -> Iterator[Settled]:
    """Yield every task that has been planned, in task order.

    One that is open, or that may be tried again, comes when the ledger has been read to its end.

    Raises:
        HsmError: the ledger cannot be read.
    """
    if pruned_before(files, tree):
        tracker, _ = replay(files, tree, spec)
        yield from (Settled(task, tracker.result_of(task)) for task in tracker.tasks)
        return
    reader = LedgerReader(files, tree)
    last_epoch = max((int(path.name[:6]) for path in segments(files, tree)), default=0)
    fold = _TaskFold(files, tree, spec, last_epoch=last_epoch, reopenings=look_ahead(files, tree))
    for event in reader.events():
        fold.take(event)
        yield from fold.due()
    yield from fold.rest()


class Reopenings(NamedTuple):
    """How often tasks are tried again in the whole ledger; whether there can be more: `is_over` says no."""

    times: Counter[int]
    is_over: bool


NOT_KNOWN = Reopenings(Counter(), is_over=False)


def look_ahead(files: Files, tree: SweepTree) -> Reopenings:
    """Return which tasks are tried again, from the beginning of each engine's part of the ledger.

    An engine reopens tasks before it hands out its first attempt, so little has to be read.
    """
    times: Counter[int] = Counter()
    is_over = False
    for path in live_segments(files, tree):
        if not name_of(path).endswith(FIRST_SEGMENT):
            continue
        is_over = False
        for record in _beginning(files, path):
            if record["t"] == ev.TasksReopened.kind:
                times.update(record["tasks"])
            is_over = record["t"] in (ev.AttemptIntended.kind, ev.EngineStopped.kind)
            if is_over:
                break
    return Reopenings(times, is_over)


def _beginning(files: Files, path: Path) -> Iterator[Record]:
    header = header_of(files, path)
    if header is None:
        return
    prev = header["prev"]
    start = Position(0, prev["seq"], bytes.fromhex(prev["chain"]))
    groups = LogReader(opened(files, path), str(path), start).groups()
    next(groups, None)  # the header, and what it says again of the segment before
    for group in groups:
        yield from group


class _TaskFold:
    """The tasks as far as the ledger has been read, and how many of them have been told."""

    def __init__(
        self,
        files: Files,
        tree: SweepTree,
        spec: SweepSpec,
        *,
        last_epoch: int,
        reopenings: Reopenings = NOT_KNOWN,
    ) -> None:
        self._files = files
        self._tree = tree
        self._budget = spec.retry
        self._last_epoch = last_epoch
        self._epoch = 0
        self._may_reopen = True
        self._is_over = reopenings.is_over
        self._to_come = Counter(reopenings.times)
        self._tasks: list[Task] = []
        self._plans: deque[Iterator[Task]] = deque()
        self._told = 0

    def take(self, event: ev.Event) -> None:
        """Fold one event."""
        if type(event) in _TASK_EVENTS:
            self._fold(event)  # type: ignore[arg-type]
            return
        match event:
            case ev.GenerationPlanned():
                number, first = event.generation, event.first
                plan = read_plan(self._files, self._tree.plans, event.plan, generation=number, first=first)
                self._plans.append(plan)
            case ev.EngineStarted():
                self._epoch = event.epoch
                self._may_reopen = event.epoch > 1 or event.epoch != self._last_epoch
            case ev.EngineStopped():
                self._begun()
            case ev.CancelRequested():
                self._each(event.tasks or range(1, self._planned() + 1), request_cancel)
            case ev.TasksReopened():
                self._to_come.subtract(event.tasks)
                self._each(event.tasks, reopen)
            case _:
                return

    def _fold(self, event: ev.TaskEvent) -> None:
        if type(event) is ev.AttemptIntended:
            self._begun()
        at = event.task - 1
        before = self._task(event.task)
        self._tasks[at] = step(before, event, self._budget)[0]

    def _begun(self) -> None:
        """Note that this epoch's engine is at work: tasks are reopened only before it hands one out."""
        self._may_reopen = self._epoch != self._last_epoch

    def _each(self, indices: Iterable[int], change: Callable[[Task], Step]) -> None:
        for index in indices:
            self._tasks[index - 1] = change(self._task(index))[0]

    def _task(self, index: int) -> Task:
        while len(self._tasks) < index:
            if not self._read_one():
                raise LedgerCorrupt(f"{self._tree.ledger}: an event of task {index}, which no plan holds")
        return self._tasks[index - 1]

    def _read_one(self) -> bool:
        while self._plans:
            task = next(self._plans[0], None)
            if task is not None:
                self._tasks.append(task)
                return True
            self._plans.popleft()
        return False

    def _planned(self) -> int:
        while self._read_one():
            pass
        return len(self._tasks)

    def due(self) -> Iterator[Settled]:
        """Yield the next tasks that nothing can change any more."""
        while self._told < len(self._tasks) and self._is_settled(self._tasks[self._told]):
            yield self._tell()

    def rest(self) -> Iterator[Settled]:
        """Yield all others as they stand."""
        self._planned()
        while self._told < len(self._tasks):
            yield self._tell()

    def _tell(self) -> Settled:
        task = self._tasks[self._told]
        self._told += 1
        return Settled(task, task if task.reuses is None else self._task(task.reuses))

    def _is_settled(self, task: Task) -> bool:
        if task.status in _FOR_EVER:
            return True
        if not task.status.is_final or self._may_be_reopened(task):
            return False
        return task.attempt is None or task.attempt.state not in _PRESUMED

    def _may_be_reopened(self, task: Task) -> bool:
        if self._is_over and self._epoch <= self._last_epoch:
            return self._to_come[task.index] > 0
        return self._may_reopen
