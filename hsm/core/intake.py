"""The intake: plans on their way into the tracker; and the tasks that wait for an attempt."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from operator import neg
from typing import TypeAlias

from hsm.core.events import GenerationPlanned, TaskReused
from hsm.core.packed import status_of
from hsm.core.plan import Plan
from hsm.core.states import TaskStatus
from hsm.core.table import TaskTable

PlanReader: TypeAlias = Callable[[GenerationPlanned], Plan]


class Intake:
    """Reads plans, and finds tasks whose work another task does or has done.

    Who does which work is found out from the table when it is first needed, and can be forgotten.
    """

    def __init__(self, read_plan: PlanReader) -> None:
        self._read_plan = read_plan
        self._preloaded: dict[str, Plan] = {}
        self._workers: dict[bytes, int] | None = None
        self._duplicates: list[TaskReused] = []

    def preload(self, plan: Plan) -> None:
        """Lay ready a plan that is about to be folded, so that folding need not read it."""
        self._preloaded[plan.name] = plan

    def add(self, event: GenerationPlanned, table: TaskTable, is_reusable: Callable[[int], bool]) -> int:
        """Add a plan's tasks to the table and return how many they are.

        `is_reusable` says whether the work of an earlier task may stand for that of a new one.

        Raises:
            LedgerCorrupt: the plan cannot be read.
        """
        plan = self._preloaded.pop(event.plan, None) or self._read_plan(event)
        workers = _workers_of(table) if self._workers is None else self._workers
        self._workers = workers
        first = len(table) + 1
        table.add(plan, generation=event.generation)
        for index, key in enumerate(plan.keys(), first):
            worker = workers.setdefault(key, index)
            if worker == index:
                continue
            if is_reusable(worker):
                self._duplicates.append(TaskReused(task=index, of=worker))
            else:
                workers[key] = index
        return len(plan)

    def forget(self) -> None:
        """Keep in mind no longer who does which work."""
        self._workers = None

    def take_duplicates(self) -> list[TaskReused]:
        """Return, once, what is to be said of tasks whose work another task does."""
        found, self._duplicates = self._duplicates, []
        return found


def _workers_of(table: TaskTable) -> dict[bytes, int]:
    reused = {index for index, row in table.packed() if status_of(row) is TaskStatus.REUSED}
    return {key: index for index, key in table.work() if index not in reused}


class ReadyQueue:
    """Tasks that wait for an attempt, in order. Those that no longer wait are dropped when they are met."""

    def __init__(self) -> None:
        self._waiting: list[int] = []  # falling, so that the first ones can be taken off at little cost

    def extend(self, indices: Iterable[int]) -> None:
        """Add tasks, in rising order and behind all that are there."""
        self._waiting = [*reversed(list(indices)), *self._waiting]

    def add(self, index: int) -> None:
        """Add a task in its place."""
        place = bisect_left(self._waiting, -index, key=neg)
        if self._waiting[place : place + 1] != [index]:
            self._waiting.insert(place, index)

    def first(self, limit: int, is_ready: Callable[[int], bool]) -> list[int]:
        """Return the first tasks, at most `limit`, that wait; they stay in the queue."""
        found: list[int] = []
        place = len(self._waiting)
        while place and len(found) < limit:
            place -= 1
            if is_ready(self._waiting[place]):
                found.append(self._waiting[place])
        if len(found) < len(self._waiting) - place:
            self._waiting[place:] = reversed(found)
        return found
