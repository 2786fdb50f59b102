"""What a report is made from: the folded sweep, and the evidence read from its tasks' directories."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from statistics import fmean

from hsm.core.model import Metrics, Task
from hsm.core.significance import is_p_value
from hsm.core.spec import Direction, Objective, Params, SweepSpec, Value
from hsm.core.states import SweepStatus, TaskStatus
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.report.analysed import AnalysisShown
from hsm.report.claims import Claim, claimants, claims_of
from hsm.report.compilation import Compilation, read_compilation
from hsm.report.coordinates import Coordinate, coordinates
from hsm.report.evidence import LogTail, Picture, list_pictures, read_host, read_picture, read_tail
from hsm.report.groups import FailedAlike, group_failures
from hsm.report.performance import Performance, measure
from hsm.report.spans import Span, spans

_WORKED_OUT = frozenset({"_ranked", "_failed", "params", "varying", "metric_names", "coordinates", "spans"})
_DECODE = json.JSONDecoder().decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a report may hold. What is left out is counted, and the report says so."""

    rows: int = 300
    tail_bytes: int = 4_096
    tail_lines: int = 30
    failure_groups: int = 20
    logs_per_group: int = 2
    hosts_per_group: int = 25
    pictures: int = 120
    pictures_per_task: int = 4
    picture_bytes: int = 2 << 20
    picture_pixels: int = 40_000_000
    all_picture_bytes: int = 12 << 20
    picture_misses: int = 400
    pictures_per_analysis: int = 6
    claims: int = 16
    compilations: int = 1_000

    def picture(self, root: Path, path: Path) -> Picture | None:
        """Return a picture inside `root`; None if it is too large, or none."""
        return read_picture(root, path, most_bytes=self.picture_bytes, most_pixels=self.picture_pixels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A parameter set with its score: the mean of the objective over its seeds."""

    tasks: tuple[Task, ...]
    score: float

    @property
    def task(self) -> Task:
        """The task of the first seed."""
        return self.tasks[0]


@dataclass(frozen=True, kw_only=True)
class ReportView:
    """One sweep as its report sees it: frozen, so that the same view gives the same bytes.

    Times are seconds since the epoch, None where not known. `epochs` is the number of engines that
    drove the sweep, `hosts` are theirs; `slots` are those of each compute source. `metadata` is the
    content of `sweep_metadata.yaml`. What several sections need is worked out once and kept, which is
    why there are no `__slots__`.
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
    slots: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, Value] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    logs: Mapping[str, LogTail] = field(default_factory=dict)
    task_hosts: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, tuple[Picture, ...]] = field(default_factory=dict)
    pictures_left_out: int = 0
    pictures_sought: int = 0
    analyses: tuple[AnalysisShown, ...] = ()
    claims: Mapping[str, tuple[Claim, ...]] = field(default_factory=dict)
    compilation: Compilation | None = None

    @classmethod
    def of(
        cls, tracker: SweepTracker, tree: SweepTree, status: SweepStatus, metadata: Mapping[str, Value]
    ) -> ReportView:
        """Return the view of a sweep whose tracker knows every detail of every task."""
        return cls(
            spec=tracker.spec,
            sweep_id=tree.sweep_id,
            status=status,
            tasks=tuple(tracker.tasks),
            sweep_dir=tree.root,
            started_at=tracker.first_at,
            ended_at=tracker.last_at,
            epochs=max(1, tracker.epoch),
            hosts=(tracker.engine.host,) if tracker.engine else (),
            slots={name: source.slots for name, source in sorted(tracker.sources.items())},
            metadata=metadata,
        )

    @property
    def took_s(self) -> float | None:
        """The time from the first event to the last."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max(0.0, self.ended_at - self.started_at)

    @cached_property
    def params(self) -> tuple[Params, ...]:
        """The parameters of every task, in task order."""
        return tuple(params_of(task) for task in self.tasks)

    @cached_property
    def varying(self) -> tuple[str, ...]:
        """The names of the parameters that are not constants of the sweep, in the order of its file."""
        names: dict[str, None] = dict.fromkeys(self.spec.hunt.space) if self.spec.hunt else {}
        for own in dict.fromkeys(map(tuple, self.params)):
            names.update(dict.fromkeys(own))
        axes = [name for axis in self.spec.grid.axes for name in axis.names] if self.spec.grid else []
        ordered = {**dict.fromkeys(name for name in axes if name in names), **names}
        return tuple(name for name in ordered if name not in self.spec.parameters)

    @cached_property
    def metric_names(self) -> tuple[str, ...]:
        """The names of all metrics, the objective first, the others in alphabetical order."""
        names = {name for task in self.tasks for name in task.metrics or ()}
        objective = self.spec.hunt.objective.metric if self.spec.hunt else None
        return tuple(sorted(names, key=lambda name: (name != objective, name)))

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        """Every attempt in time, in task order."""
        return tuple(spans(self.tasks, self.ended_at or 0.0))

    @cached_property
    def performance(self) -> Performance:
        """What the sweep cost."""
        return measure(self.spec, self.tasks, self.spans, self.slots, self.took_s)

    @cached_property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """The parameters that vary and can be drawn."""
        return coordinates(self.spec, self.varying, self.params)

    @property
    def target(self) -> str:
        """The metric that plots are about: the objective, else the first metric, else nothing."""
        if self.spec.hunt is not None:
            return self.spec.hunt.objective.metric
        return self.metric_names[0] if self.metric_names else ""

    @cached_property
    def target_values(self) -> Sequence[float | None]:
        """The target of every task, in task order; None where there is no finite value."""
        return self.values_of(self.target)

    def values_of(self, metric: str) -> list[float | None]:
        """Return a metric of every task, in task order; None where there is no finite value."""
        return [
            value
            if has_result(task)
            and (value := self.metrics(task).get(metric)) is not None
            and math.isfinite(value)
            else None
            for task in self.tasks
        ]

    def gather(self) -> ReportView:
        """Return this view with log tails and pictures, as far as the limits allow.

        Missing, unreadable and misplaced files are left out: a report is written of what is there.
        """
        pictures, left_out, sought = self._read_pictures()
        gathered = replace(
            self,
            logs=self._read_logs(),
            task_hosts=self._read_hosts(),
            pictures=pictures,
            pictures_left_out=left_out,
            pictures_sought=sought,
            claims=self._read_claims(),
            compilation=read_compilation(self.sweep_dir, self.tasks, most=self.limits.compilations),
            analyses=tuple(
                one.with_pictures(self.sweep_dir, self.ranking(), self.limits) for one in self.analyses
            ),
        )
        # What was worked out of the tasks holds for the copy too, and is not cheap for many of them.
        gathered.__dict__.update({name: value for name, value in vars(self).items() if name in _WORKED_OUT})
        return gathered

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
        return self._ranked

    @cached_property
    def _ranked(self) -> list[Ranked]:
        return [] if self.spec.hunt is None else self.ranked(self.spec.hunt.objective)

    def ranked(self, objective: Objective) -> list[Ranked]:
        """Return the sets that have this objective for every seed, best first, ties in task order."""
        sets: dict[str, dict[int, tuple[Task, float]]] = {}
        for task, score in zip(self.tasks, self.values_of(objective.metric), strict=True):
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
        sign = -1.0 if objective.direction is Direction.MAXIMIZE else 1.0
        return sorted(ranked, key=lambda entry: sign * entry.score)

    def ranking(self) -> Iterator[Task]:
        """Yield all tasks: the scored ones best first, then the others in task order."""
        scored = [task for entry in self.best() for task in entry.tasks]
        seen = {task.index for task in scored}
        yield from scored
        yield from (task for task in self.tasks if task.index not in seen)

    def failures(self) -> list[FailedAlike]:
        """Return the failed tasks by what they have in common, the largest group first."""
        return self._failed

    @cached_property
    def _failed(self) -> list[FailedAlike]:
        return group_failures(self.tasks)

    def _read_claims(self) -> dict[str, tuple[Claim, ...]]:
        p_values = [self.values_of(name) for name in self.metric_names if is_p_value(name)]
        shown = islice(claimants(self.tasks, self.ranking(), p_values), self.limits.claims)
        return claims_of(self.sweep_dir, shown)

    def _read_logs(self) -> dict[str, LogTail]:
        groups = self.failures()[: self.limits.failure_groups]
        found = (
            (task, self._tail(task)) for group in groups for task in group.tasks[: self.limits.logs_per_group]
        )
        return {task.task_id: tail for task, tail in found if tail is not None}

    def _read_hosts(self) -> dict[str, str]:
        """Return on which machine the first tasks of each group of failures ran, as they recorded it."""
        groups = self.failures()[: self.limits.failure_groups]
        tasks = (task for group in groups for task in group.tasks[: self.limits.hosts_per_group])
        found = ((task.task_id, read_host(self.sweep_dir, f"tasks/{task.task_id}")) for task in tasks)
        return {task_id: host for task_id, host in found if host}

    def _tail(self, task: Task) -> LogTail | None:
        path = self.sweep_dir / "tasks" / task.task_id / "stderr.log"
        limits = self.limits
        return read_tail(self.sweep_dir, path, last_bytes=limits.tail_bytes, last_lines=limits.tail_lines)

    def _read_pictures(self) -> tuple[dict[str, tuple[Picture, ...]], int, int]:
        """Return the pictures, how many were left out, and in how many tasks they were looked for.

        Programs that draw nothing are the rule in large sweeps, and each look costs a directory: after
        `limits.picture_misses` tasks in a row without a picture, no more are sought.
        """
        found: dict[str, tuple[Picture, ...]] = {}
        room, places, left_out, sought, misses = self.limits.all_picture_bytes, self.limits.pictures, 0, 0, 0
        for task in self.ranking():
            if task.status is not TaskStatus.SEALED:
                continue
            paths = list_pictures(self.sweep_dir, f"tasks/{task.task_id}/results")
            sought += 1
            misses = 0 if paths else misses + 1
            if misses >= self.limits.picture_misses:
                break
            wanted = paths[: min(self.limits.pictures_per_task, places)] if room > 0 else []
            read = (self.limits.picture(self.sweep_dir, path) for path in wanted)
            kept = fitting(filter(None, read), room)
            room -= sum(len(picture.data) for picture in kept)
            places -= len(kept)
            left_out += len(paths) - len(kept)
            if kept:
                found[task.task_id] = kept
        return found, left_out, sought


def has_result(task: Task) -> bool:
    """Tell whether a task has a result: its own, or the one that it reuses."""
    return task.status in (TaskStatus.SEALED, TaskStatus.REUSED)


def params_of(task: Task) -> Params:
    """Return the parameters of a task."""
    params: Params = _DECODE(task.params_json)
    return params


def fitting(pictures: Iterable[Picture], room: int) -> tuple[Picture, ...]:
    """Return the pictures that fit into `room` bytes together, in order."""
    kept: list[Picture] = []
    for picture in pictures:
        if len(picture.data) <= room:
            room -= len(picture.data)
            kept.append(picture)
    return tuple(kept)
