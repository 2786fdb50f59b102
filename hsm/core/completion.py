"""Completion: what finishing a sweep will do with each task, before anything is done. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from hsm.core.model import Task
from hsm.core.states import REOPENABLE, AttemptState, TaskStatus
from hsm.core.tracker import SweepTracker


class Fate(StrEnum):
    """What will be done with a task."""

    KEEP = "keep"  # it is over and stays as it is
    COLLECT = "collect"  # it has run; its artifacts are to be brought home
    ADOPT = "adopt"  # it runs, or waits, where it was handed over
    RUN = "run"  # it has never been run, or an attempt was lost
    RERUN = "rerun"  # it failed or was cancelled, and is to be tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionPlan:
    """The fate of every task, and the sources that must be there to adopt what runs on them."""

    fates: dict[Fate, tuple[int, ...]]
    needed: tuple[str, ...]
    has_further_generations: bool

    def count(self, fate: Fate) -> int:
        """Return how many tasks will have this fate."""
        return len(self.fates[fate])

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to be done."""
        return (
            self.count(Fate.KEEP) == sum(map(len, self.fates.values())) and not self.has_further_generations
        )


def holders(tracker: SweepTracker) -> set[str]:
    """Return the sources that still have attempts which are not over."""
    open_tasks = (task for task in tracker.live() if not task.status.is_final)
    return {attempt.source for task in open_tasks for attempt in task.live_attempts}


def plan_completion(
    tracker: SweepTracker, *, retry_failed: bool = False, retry: Collection[int] = ()
) -> CompletionPlan:
    """Return what completing the sweep will do; of failed tasks it tries all again, or those in `retry`."""
    chosen = frozenset(retry)
    fates: dict[Fate, list[int]] = {fate: [] for fate in Fate}
    for task in tracker.tasks:
        is_wanted = task.index in chosen or (retry_failed and task.status is not TaskStatus.CORRUPT)
        fates[_fate(task, is_wanted=is_wanted)].append(task.index)
    needed = {task.attempt.source for task in tracker.live() if task.attempt}
    return CompletionPlan(
        fates={fate: tuple(indices) for fate, indices in fates.items()},
        needed=tuple(sorted(needed)),
        has_further_generations=not tracker.hunt_ended and not tracker.cancelled,
    )


def _fate(task: Task, *, is_wanted: bool) -> Fate:
    if task.status.is_final:
        again = is_wanted and task.status in REOPENABLE
        return Fate.RERUN if again else Fate.KEEP
    attempt = task.attempt
    if attempt is None or not attempt.state.is_live:
        return Fate.RUN
    return Fate.COLLECT if attempt.state is AttemptState.EXITED else Fate.ADOPT
