"""Batching: which ready tasks may share a process, and what the sources have to do, counted in processes."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping

from hsm.core.dispatch import Ready
from hsm.core.model import Attempt, Task
from hsm.core.spec import BatchSpec, Value
from hsm.core.states import AttemptState, Cause

LOOK_AHEAD = 1024
"""At least so many waiting tasks are looked at, so that those of a key find one another across others."""


class Sorter:
    """Tells waiting tasks by who may share a process with whom, turn after turn.

    What a task's parameters agree in is read once, and kept until it has an attempt. `first` are the limits
    of tasks that had none yet.
    """

    def __init__(self, batch: BatchSpec, first: Hashable) -> None:
        self.batch = batch
        self._first = first
        self._agreed: dict[int, str] = {}
        self._fresh: dict[int, Ready] = {}

    def span(self, room: int) -> int:
        """Return how many waiting tasks to look at when so many batches can be handed over."""
        if room == 0:
            return 0
        return max(room * self.batch.size, LOOK_AHEAD if self.batch.by else 0)

    def fresh(self, index: int) -> Ready | None:
        """Return a task that has never had an attempt; None for others, and before it has been read."""
        return self._fresh.get(index)

    def ready(self, task: Task, limits: Hashable) -> Ready:
        """Return a task as one that may share a process with others that have the same limits."""
        agreed = self._agreed.get(task.index)
        if agreed is None:
            agreed = self._agreed[task.index] = agreed_of(self.batch, task)
        key: Hashable = agreed if limits == self._first else (agreed, limits)
        ready = Ready(task.index, key, share(task, self.batch.size))
        if not task.attempts:
            self._fresh[task.index] = ready
        return ready

    def forget(self, index: int) -> None:
        """Let go of what was read of a task that gets an attempt."""
        self._agreed.pop(index, None)
        self._fresh.pop(index, None)


def agreed_of(batch: BatchSpec, task: Task) -> str:
    """Return the parameters of a task in which those of its batch agree, as text in which 1 is not 1.0."""
    if not batch.by:
        return ""
    params: Mapping[str, Value] = json.loads(task.params_json)
    return json.dumps([params.get(name) for name in batch.by], sort_keys=True)


def share(task: Task, size: int) -> int:
    """Return with how many a task may share a process at most, itself included.

    Half of those with whom it was in a process that ended early: so the one whose doing that is will be alone
    after as many steps as `size` has halves, whoever else is tried again with it.
    """
    halves = [-(-a.members // 2) for a in task.attempts[task.spent :] if a.cause is Cause.BATCH]
    return min([size, *halves])


def loads(tasks: Iterable[Task]) -> dict[str, int]:
    """Return how many processes each source has or will have for the attempts of these tasks."""
    held: dict[str, set[str]] = {}
    for task in tasks:
        for attempt in task.live_attempts:
            if attempt.state is not AttemptState.EXITED:
                held.setdefault(attempt.source, set()).add(_process(attempt))
    return {source: len(processes) for source, processes in held.items()}


def _process(attempt: Attempt) -> str:
    return attempt.batch or attempt.token
