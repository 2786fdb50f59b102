"""One analysis of a sweep, as a report shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hsm.core.model import Metrics, Task
from hsm.core.states import TaskStatus
from hsm.report.evidence import Picture, list_pictures

if TYPE_CHECKING:
    from hsm.report.view import Limits


@dataclass(frozen=True, kw_only=True)
class AnalysisShown:
    """How an analysis stands, and what it made of each result, by the ids of the sweep's tasks."""

    name: str
    made: Mapping[str, Task] = field(default_factory=dict, hash=False)
    pictures: Mapping[str, tuple[Picture, ...]] = field(default_factory=dict, hash=False)

    def _count(self, *statuses: TaskStatus) -> int:
        return sum(task.status in statuses for task in self.made.values())

    @property
    def done(self) -> int:
        """How many results have been analysed."""
        return self._count(TaskStatus.SEALED)

    @property
    def failed(self) -> int:
        """For how many it failed, or what it found is damaged."""
        return self._count(TaskStatus.FAILED, TaskStatus.CORRUPT)

    @property
    def open(self) -> int:
        """How many are planned and not over."""
        return sum(not task.status.is_final for task in self.made.values())

    @property
    def first_failure(self) -> str:
        """Why it failed first, with the task's name; empty where it did not."""
        failed = (each for each in self.made.items() if each[1].status is TaskStatus.FAILED)
        return next((f"{task_id}: {task.reason}" for task_id, task in failed), "")

    def metrics(self, task: Task) -> Metrics:
        """Return the numbers that it made of a task's result."""
        made = self.made.get(task.task_id)
        return (made.metrics or {}) if made is not None and made.status is TaskStatus.SEALED else {}

    def with_pictures(self, root: Path, ranking: Iterable[Task], limits: Limits) -> AnalysisShown:
        """Return it with the pictures that it made of the first results; one that made none draws none."""
        found: dict[str, tuple[Picture, ...]] = {}
        for task in ranking:
            made = self.made.get(task.task_id)
            if made is None or made.status is not TaskStatus.SEALED:
                continue
            paths = list_pictures(root, f".hsm/analyses/{self.name}/tasks/{made.task_id}/results")
            kept = tuple(
                filter(None, (limits.picture(root, path) for path in paths[: limits.pictures_per_task]))
            )
            if kept:
                found[task.task_id] = kept
            if len(found) >= limits.pictures_per_analysis or not paths:
                break
        return replace(self, pictures=found)
