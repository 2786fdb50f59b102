"""History: what happened to some tasks, read from the ledger without folding the whole sweep.

Every frame is checked as always; only the events that are asked for are decoded.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hsm.core import events as ev
from hsm.core.archive import check_unpruned
from hsm.core.errors import LedgerCorrupt
from hsm.core.ledger_reader import LedgerReader
from hsm.core.machine import Budget, reopen, request_cancel, step
from hsm.core.model import Task
from hsm.core.plan import read_tasks
from hsm.core.tree import SweepTree
from hsm.wire.files import Files
from hsm.wire.log import Wanted, everything

HEAD_BYTES = 80
"""Kind and task of an event stand in this beginning of its payload."""
_TASK = re.compile(rb'"task":(\d+)')
_MOVED = b'{"t":"cursor_moved"'


def reader_of_all(files: Files, tree: SweepTree, wanted: Wanted = everything) -> LedgerReader:
    """Return a reader of everything that ever happened, which decodes only what is wanted.

    Raises:
        LedgerPruned: the beginning of the ledger is gone.
    """
    reader = LedgerReader(files, tree, wanted=wanted)
    check_unpruned(files, tree)
    return reader


@dataclass(frozen=True, slots=True)
class Happening:
    """An event, and the task as it stood then."""

    event: ev.Event
    task: Task


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskHistory:
    """One task, and everything that happened to it, in order."""

    task: Task
    happenings: Sequence[Happening]


def about(indices: Collection[int]) -> Wanted:
    """Return what to want of a ledger: events of these tasks, and those of the sweep."""
    wanted = {str(index).encode() for index in indices}

    def is_wanted(payload: bytes) -> bool:
        found = _TASK.search(payload, 0, HEAD_BYTES)
        return found[1] in wanted if found else not payload.startswith(_MOVED)

    return is_wanted


def events_about(files: Files, tree: SweepTree, indices: Collection[int]) -> Iterator[ev.Event]:
    """Yield the events of these tasks and those of the sweep, in order.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    yield from reader_of_all(files, tree, about(indices)).events()


def read_history(files: Files, tree: SweepTree, index: int, budget: Budget) -> TaskHistory | None:
    """Return the history of one task, None when no generation has planned it.

    Raises:
        LedgerError: ledger or plan cannot be read.
    """
    return read_histories(files, tree, (index,), budget).get(index)


def read_histories(
    files: Files, tree: SweepTree, indices: Collection[int], budget: Budget
) -> Mapping[int, TaskHistory]:
    """Return the histories of those of the tasks that a generation has planned, from one reading.

    Raises:
        LedgerError: ledger or plan cannot be read.
    """
    tasks: dict[int, Task] = {}
    happenings: dict[int, list[Happening]] = {index: [] for index in indices}
    for event in events_about(files, tree, indices):
        if isinstance(event, ev.GenerationPlanned):
            changed = read_tasks(files, tree.plans, event, indices)
        else:
            changed = {index: _folded(tasks[index], event, budget) for index in _concerned(event, tasks)}
        tasks.update(changed)
        for index, task in changed.items():
            happenings[index].append(Happening(event, task))
    return {index: TaskHistory(task=task, happenings=happenings[index]) for index, task in tasks.items()}


def _concerned(event: ev.Event, tasks: Mapping[int, Task]) -> Sequence[int]:
    """Return those of the tasks that an event is about."""
    if not isinstance(event, ev.TaskEvent):
        return [index for index, task in tasks.items() if _concerns(event, task)]
    if event.task not in tasks:
        raise LedgerCorrupt(f"an event of a task that was never planned: {event}")
    return (event.task,)


def _concerns(event: ev.Event, task: Task) -> bool:
    match event:
        case ev.CancelRequested(tasks=tasks):
            return not task.status.is_final and (not tasks or task.index in tasks)
        case ev.TasksReopened(tasks=tasks):
            return task.index in tasks
        case (
            ev.SourceFailed(source=source) | ev.SourceOpened(source=source) | ev.SourceHindered(source=source)
        ):
            attempt = task.attempt
            return attempt is not None and attempt.state.is_live and attempt.source == source
        case ev.EngineStarted() | ev.EngineStopped() | ev.SweepStopped():
            return not task.status.is_final
        case _:
            return isinstance(event, ev.TaskEvent)


def _folded(task: Task, event: ev.Event, budget: Budget) -> Task:
    match event:
        case ev.CancelRequested():
            return request_cancel(task)[0]
        case ev.TasksReopened():
            return reopen(task)[0]
        case _:
            return step(task, event, budget)[0] if isinstance(event, ev.TaskEvent) else task
