"""Batching: which ready tasks may share a process, and what the sources have to do, counted in processes."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping

from hsm.core.dispatch import Ready
from hsm.core.model import Attempt, Task
from hsm.core.spec import BatchSpec, Value
from hsm.core.states import AttemptState, Cause


def ready_of(batch: BatchSpec, task: Task, limits: Hashable) -> Ready:
    """Return a task as one that may share a process with others that have the same limits."""
    params: Mapping[str, Value] = json.loads(task.params_json)
    agreed = json.dumps([params.get(name) for name in batch.by], sort_keys=True)
    return Ready(task.index, (agreed, limits), share(task, batch.size))


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
