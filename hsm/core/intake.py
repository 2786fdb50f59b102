"""The intake: tasks on their way into the tracker, out of plans; and those that wait for an attempt."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from hsm.core.events import GenerationPlanned, TaskReused
from hsm.core.model import Task

PlanReader: TypeAlias = Callable[[GenerationPlanned], Iterator[Task]]


class Intake:
    """Reads plans, and finds tasks whose work another task does or has done."""

    def __init__(self, read_plan: PlanReader) -> None:
        self._read_plan = read_plan
        self._preloaded: dict[str, Sequence[Task]] = {}
        self._workers: dict[str, int] = {}
        self._duplicates: list[TaskReused] = []

    def preload(self, plan: str, tasks: Sequence[Task]) -> None:
        """Lay ready the tasks of a plan that is about to be folded, so that folding need not read it."""
        self._preloaded[plan] = tasks

    def tasks(self, event: GenerationPlanned, is_reusable: Callable[[int], bool]) -> Iterator[Task]:
        """Yield the tasks of a plan; `is_reusable` says whether the work of an earlier task may stand."""
        for task in self._preloaded.pop(event.plan, None) or self._read_plan(event):
            yield task
            worker = self._workers.setdefault(task.task_key, task.index)
            if worker == task.index:
                continue
            if is_reusable(worker):
                self._duplicates.append(TaskReused(task=task.index, of=worker))
            else:
                self._workers[task.task_key] = task.index

    def take_duplicates(self) -> list[TaskReused]:
        """Return, once, what is to be said of tasks whose work another task does."""
        found, self._duplicates = self._duplicates, []
        return found


class ReadyQueue:
    """Tasks that wait for an attempt, in order. Those that no longer wait are dropped when they are met."""

    def __init__(self) -> None:
        self._heap: list[int] = []

    def extend(self, indices: Iterable[int]) -> None:
        """Add tasks, in rising order and behind all that are there."""
        self._heap.extend(indices)

    def add(self, index: int) -> None:
        """Add a task in its place."""
        heapq.heappush(self._heap, index)

    def first(self, limit: int, is_ready: Callable[[int], bool]) -> list[int]:
        """Return the first tasks, at most `limit`, that wait; they stay in the queue."""
        found: dict[int, None] = {}
        while self._heap and len(found) < limit:
            index = heapq.heappop(self._heap)
            if is_ready(index):
                found[index] = None
        for index in found:
            heapq.heappush(self._heap, index)
        return list(found)
