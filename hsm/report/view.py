"""What a report is made from: the folded sweep, and the evidence read from its tasks' directories."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from statistics import fmean

from hsm.core.model import Metrics, Task
from hsm.core.spec import Direction, Params, SweepSpec, Value
from hsm.core.states import SweepStatus, TaskStatus
from hsm.report.evidence import LogTail, Picture, list_pictures, read_picture, read_tail
from hsm.report.groups import FailedAlike, group_failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a report may hold. What is left out is counted, and the report says so."""

    rows: int = 300
    tail_bytes: int = 4_096
    tail_lines: int = 30
    failure_groups: int = 20
    logs_per_group: int = 2
    pictures: int = 120
    pictures_per_task: int = 4
    picture_bytes: int = 2 << 20
    picture_pixels: int = 40_000_000
    all_picture_bytes: int = 12 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A parameter set with its score: the mean of the objective over its seeds."""

    tasks: tuple[Task, ...]
    score: float

    @property
    def task(self) -> Task:
        """The task of the first seed."""
        return self.tasks[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportView:
    """One sweep as its report sees it: frozen, so that the same view gives the same bytes.

    Times are seconds since the epoch, None where not known. `epochs` is the number of engines that
    drove the sweep, `hosts` are theirs. `metadata` is the content of `sweep_metadata.yaml`.
    """

    spec: SweepSpec
    sweep_id: str
    status: SweepStatus
    tasks: Sequence[Task]
    sweep_dir: Path
    started_at: float | None = None
    ended_at: float | None = None
    epochs: int = 1
    hosts: tuple[str, ...] = ()
    metadata: Mapping[str, Value] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    logs: Mapping[str, LogTail] = field(default_factory=dict)
    pictures: Mapping[str, tuple[Picture, ...]] = field(default_factory=dict)
    pictures_left_out: int = 0

    def gather(self) -> ReportView:
        """Return this view with log tails and pictures, as far as the limits allow.

        Missing, unreadable and misplaced files are left out: a report is written of what is there.
        """
        pictures, left_out = self._read_pictures()
        return replace(self, logs=self._read_logs(), pictures=pictures, pictures_left_out=left_out)

    def metrics(self, task: Task) -> Metrics:
        """Return the metrics of a task; of a reused one, those of the task that stands for it."""
        if task.metrics is None and task.reuses is not None and 0 < task.reuses <= len(self.tasks):
            return self.tasks[task.reuses - 1].metrics or {}
        return task.metrics or {}

    def score(self, task: Task) -> float | None:
        """Return the objective of a task, or None: not finished well, not computable, or no objective."""
        if self.spec.hunt is None or not has_result(task):
            return None
        value = self.metrics(task).get(self.spec.hunt.objective.metric)
        return value if value is not None and math.isfinite(value) else None

    def better(self, one: float, other: float) -> bool:
        """Tell whether a score beats another one."""
        return one > other if self.direction is Direction.MAXIMIZE else one < other

    @property
    def direction(self) -> Direction:
        """The sense of the objective."""
        return self.spec.hunt.objective.direction if self.spec.hunt else Direction.MAXIMIZE

    def best(self) -> list[Ranked]:
        """Return the parameter sets that have a score for every seed, best first, ties in task order."""
        sets: dict[str, dict[int, tuple[Task, float]]] = {}
        for task in self.tasks:
            score = self.score(task)
            if score is not None:
                sets.setdefault(task.config_hash, {}).setdefault(task.seed, (task, score))
        ranked = [
            Ranked(
                tasks=tuple(task for task, _ in seeds.values()),
                score=fmean(score for _, score in seeds.values()),
            )
            for seeds in sets.values()
            if len(seeds) == self.spec.seeds
        ]
        sign = -1.0 if self.direction is Direction.MAXIMIZE else 1.0
        return sorted(ranked, key=lambda entry: sign * entry.score)

    def ranking(self) -> Iterator[Task]:
        """Yield all tasks: the scored ones best first, then the others in task order."""
        scored = [task for entry in self.best() for task in entry.tasks]
        seen = {task.index for task in scored}
        yield from scored
        yield from (task for task in self.tasks if task.index not in seen)

    def failures(self) -> list[FailedAlike]:
        """Return the failed tasks by what they have in common, the largest group first."""
        return group_failures(self.tasks)

    def _read_logs(self) -> dict[str, LogTail]:
        groups = self.failures()[: self.limits.failure_groups]
        found = (
            (task, self._tail(task)) for group in groups for task in group.tasks[: self.limits.logs_per_group]
        )
        return {task.task_id: tail for task, tail in found if tail is not None}

    def _tail(self, task: Task) -> LogTail | None:
        path = self.sweep_dir / "tasks" / task.task_id / "stderr.log"
        limits = self.limits
        return read_tail(self.sweep_dir, path, last_bytes=limits.tail_bytes, last_lines=limits.tail_lines)

    def _read_pictures(self) -> tuple[dict[str, tuple[Picture, ...]], int]:
        found: dict[str, tuple[Picture, ...]] = {}
        room, places, left_out = self.limits.all_picture_bytes, self.limits.pictures, 0
        for task in self.ranking():
            paths = self._picture_paths(task)
            wanted = paths[: min(self.limits.pictures_per_task, places)] if room > 0 else []
            kept = fitting(filter(None, map(self._picture, wanted)), room)
            room -= sum(len(picture.data) for picture in kept)
            places -= len(kept)
            left_out += len(paths) - len(kept)
            if kept:
                found[task.task_id] = kept
        return found, left_out

    def _picture_paths(self, task: Task) -> list[Path]:
        if task.status is not TaskStatus.SEALED:
            return []
        return list_pictures(self.sweep_dir, f"tasks/{task.task_id}/results")

    def _picture(self, path: Path) -> Picture | None:
        limits = self.limits
        return read_picture(
            self.sweep_dir, path, most_bytes=limits.picture_bytes, most_pixels=limits.picture_pixels
        )


def has_result(task: Task) -> bool:
    """Tell whether a task has a result: its own, or the one that it reuses."""
    return task.status in (TaskStatus.SEALED, TaskStatus.REUSED)


def params_of(task: Task) -> Params:
    """Return the parameters of a task."""
    return _parsed(task.params_json)


@lru_cache(maxsize=1 << 14)
def _parsed(params_json: str) -> Params:
    params: Params = json.loads(params_json)
    return params


def fitting(pictures: Iterable[Picture], room: int) -> tuple[Picture, ...]:
    """Return the pictures that fit into `room` bytes together, in order."""
    kept: list[Picture] = []
    for picture in pictures:
        if len(picture.data) <= room:
            room -= len(picture.data)
            kept.append(picture)
    return tuple(kept)
