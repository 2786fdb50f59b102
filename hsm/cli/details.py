"""Details of tasks that were final before a watch of a large sweep began: read when they come into sight."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from hsm.cli.workspace import Look, Workspace
from hsm.core.history import read_histories
from hsm.core.model import Task
from hsm.core.tracker import SweepTracker

AROUND = 100
"""So many tasks before and behind the one that is chosen are read with it, so that scrolling finds them."""


def is_stub(task: Task) -> bool:
    """Tell whether a task is known by its status alone."""
    return task.status.is_final and not task.attempts and task.reuses is None


class Details:
    """What is known of such tasks; what is lacking is read in a thread, from one pass over the ledger."""

    def __init__(self, space: Workspace, look: Callable[[], Look], news: asyncio.Event) -> None:
        self._space = space
        self._look = look
        self._news = news
        self._known: dict[int, Task] = {}
        self._wanted: set[int] = set()
        self._asked = asyncio.Event()

    def task(self, tracker: SweepTracker, index: int) -> Task:
        """Return a task with its details, or without as long as they are being read."""
        task = tracker.task(index)
        return self._known.get(index, task) if is_stub(task) else task

    def want(self, tracker: SweepTracker, rows: Sequence[int], chosen: int, shown: int) -> None:
        """See to it that the rows in sight are known; those around them come along."""
        place = rows.index(chosen) if chosen in rows else 0
        if self._lacking(tracker, rows[max(0, place - shown) : place + shown]):
            self._wanted = self._lacking(tracker, rows[max(0, place - AROUND) : place + AROUND])
            self._asked.set()

    def _lacking(self, tracker: SweepTracker, rows: Iterable[int]) -> set[int]:
        return {index for index in rows if index not in self._known and is_stub(tracker.task(index))}

    async def keep(self) -> None:
        """Read what is wanted, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            look, wanted = self._look(), sorted(self._wanted)
            world = self._space.world
            histories = await world.blocking(read_histories, world.files, look.tree, wanted, look.spec.retry)
            self._known.update({index: history.task for index, history in histories.items()})
            self._news.set()
