"""The tasks of a sweep as one sequence: those that are not final as objects, all others packed.

A final task is a row of `hsm.core.packed` beside the line of its plan, and is made anew whenever it is looked
at: a million of them fit into memory, and need not be made when a sweep is taken up again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

from hsm.core.model import Task
from hsm.core.packed import pack, status_of, unpack
from hsm.core.plan import Plan
from hsm.core.states import TaskStatus

CHUNK_TASKS = 4096
"""So many rows are kept, written and read together."""

RECENT_TASKS = 256
"""So many tasks that are not open are kept as objects since they were looked at."""

Row = bytes | None
"""A packed task; None stands for one that is not final, or that nothing has happened to."""


@dataclass(slots=True)
class Chunk:
    """The rows of consecutive tasks as they were at one moment. `name` is theirs once they are on disk."""

    rows: Sequence[Row]
    name: str = ""


@dataclass(frozen=True, slots=True)
class _Part:
    """The tasks of one generation; `first` is the index of the first of them."""

    plan: Plan
    generation: int
    first: int


@dataclass(slots=True, eq=False)
class TaskTable(Sequence[Task]):
    """Every task of a sweep, by its place; task n stands at n - 1."""

    _parts: list[_Part] = field(default_factory=list)
    _firsts: list[int] = field(default_factory=list)
    _rows: list[Row] = field(default_factory=list)
    _open: dict[int, Task] = field(default_factory=dict)
    _chunks: dict[int, Chunk] = field(default_factory=dict)
    _last: Task | None = None
    _recent: dict[int, tuple[Row, Task]] = field(default_factory=dict)  # the row that each was made of

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Task: ...
    @overload
    def __getitem__(self, place: slice) -> list[Task]: ...
    def __getitem__(self, place: int | slice) -> Task | list[Task]:
        if isinstance(place, slice):
            return [self._at(number) for number in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        return self._at(place % len(self))

    def get(self, index: int) -> Task:
        """Return the task with this index.

        Raises:
            KeyError: there is none.
        """
        found = self._open.get(index - 1)
        if found is None:
            if not 1 <= index <= len(self._rows):
                raise KeyError(index)
            found = self._at(index - 1)
        return found

    def __iter__(self) -> Iterator[Task]:
        return map(self._at, range(len(self)))

    def _at(self, place: int) -> Task:
        found = self._open.get(place)
        if found is not None:
            return found
        last = self._last
        if last is not None and last.index == place + 1:
            return last  # who asks twice gets the same object
        row, recent = self._rows[place], self._recent
        known = recent.get(place)
        if known is not None and known[0] is row:
            return known[1]
        task = self._planned(place)
        if row is not None:
            task = unpack(row, task)
        if len(recent) >= RECENT_TASKS:
            recent.clear()
        recent[place] = row, task
        return task

    def _planned(self, place: int) -> Task:
        part = self._parts[bisect_right(self._firsts, place + 1) - 1]
        return part.plan.task(place + 1 - part.first, generation=part.generation, first=part.first)

    def status(self, place: int) -> TaskStatus:
        """Return the status of a task, without making it."""
        row = self._rows[place]
        if row is not None:
            return status_of(row)
        found = self._open.get(place)
        return TaskStatus.RECEIVED if found is None else found.status

    def statuses(self) -> Iterator[TaskStatus]:
        """Yield the status of every task, in order."""
        return map(self.status, range(len(self)))

    def are_final(self, count: int) -> bool:
        """Tell whether nothing can happen any more to the first `count` tasks."""
        return None not in self._rows[:count]

    def add(self, plan: Plan, *, generation: int) -> None:
        """Add the tasks of a generation."""
        self._parts.append(_Part(plan, generation, len(self) + 1))
        self._firsts.append(len(self) + 1)
        self._change(len(self))
        self._rows.extend([None] * len(plan))

    def put(self, task: Task) -> None:
        """Put a task in the place of what it was before."""
        place = task.index - 1
        self._last = task  # it is looked at again at once
        if task.status.is_final:
            self._rows[place] = pack(task)
            self._open.pop(place, None)
            self._change(place)
            return
        self._open[place] = task
        if self._rows[place] is not None:
            self._rows[place] = None
            self._change(place)

    def _change(self, place: int) -> None:
        self._chunks.pop(place // CHUNK_TASKS, None)

    def frozen(self) -> TaskTable:
        """Return the table as it is now, for another thread."""
        return TaskTable(
            self._parts.copy(),
            self._firsts.copy(),
            self._rows.copy(),
            self._open.copy(),
            _recent=self._recent,
        )

    # For snapshots

    def chunks(self) -> list[Chunk]:
        """Return all rows as they are now; chunks that have not changed are the same objects as before."""
        for number in range(-(-len(self) // CHUNK_TASKS)):
            if number not in self._chunks:
                start = number * CHUNK_TASKS
                self._chunks[number] = Chunk(self._rows[start : start + CHUNK_TASKS])
        return [self._chunks[number] for number in range(len(self._chunks))]

    def open_tasks(self) -> list[Task]:
        """Return the tasks that something has happened to and that are not final."""
        return list(self._open.values())

    def planned(self, index: int) -> Task:
        """Return a task as its plan has it.

        Raises:
            IndexError: there is none.
        """
        if not 1 <= index <= len(self):
            raise IndexError(index)
        return self._planned(index - 1)

    def restore(self, rows: Sequence[Sequence[Row]], names: Sequence[str], tasks: Sequence[Task]) -> None:
        """Take rows, chunk by chunk with the names that they have on disk, and the tasks that are not final.

        Raises:
            ValueError: they are not as many as the plans say.
        """
        flat = [row for chunk in rows for row in chunk]
        if len(flat) != len(self._rows):
            raise ValueError(f"{len(flat)} rows for {len(self._rows)} tasks")
        self._rows = flat
        self._open = {task.index - 1: task for task in tasks}
        chunks = zip(rows, names, strict=True) if names else ()
        self._chunks = {number: Chunk(*chunk) for number, chunk in enumerate(chunks)}

    def untouched(self) -> list[int]:
        """Return the indices of the tasks that nothing has happened to, in order."""
        return [place + 1 for place, row in enumerate(self._rows) if row is None and place not in self._open]

    def changed(self) -> Iterator[Task]:
        """Yield the final tasks in whose chunk something changed since the snapshot that was restored."""
        for start in range(0, len(self), CHUNK_TASKS):
            chunk = self._chunks.get(start // CHUNK_TASKS)
            if chunk is None or not chunk.name:
                for place in range(start, min(start + CHUNK_TASKS, len(self))):
                    if self._rows[place] is not None:
                        yield self._at(place)

    def packed(self) -> Iterator[tuple[int, bytes]]:
        """Yield index and row of every final task."""
        for place, row in enumerate(self._rows):
            if row is not None:
                yield place + 1, row

    def work(self) -> Iterator[tuple[int, bytes]]:
        """Yield index and identity of the work of every task, in order."""
        for part in self._parts:
            yield from enumerate(part.plan.keys(), part.first)
