"""The assigner: turns dispatch's decisions into intents, and intents into orders for the sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hsm.core import events as ev
from hsm.core.batching import Sorter, loads
from hsm.core.command import CommandTemplate
from hsm.core.dispatch import LaneView, Ready, dispatch, free_slots, gather, room
from hsm.core.job import SweepJob
from hsm.core.lane import Lane
from hsm.core.model import Task
from hsm.core.source import AttemptOrder, ComputeSource
from hsm.core.spec import BatchSpec, Resources, SweepSpec
from hsm.core.states import Cause
from hsm.core.tracker import SweepTracker
from hsm.core.turn import Turn
from hsm.core.world import World


class Assigner:
    """Assigns ready tasks to open lanes."""

    def __init__(self, world: World, job: SweepJob, lanes: Mapping[str, Lane]) -> None:
        self._world = world
        self._job = job
        self._lanes = lanes
        self._commands: dict[Path, CommandTemplate] = {}
        batch = job.spec.program.batch
        self._sorter = Sorter(batch, (job.spec.timeout_s, job.spec.resources)) if batch else None

    def assign(self, turn: Turn) -> None:
        """Write down an intent for every task that can be handed to a source now."""
        now, tracker = self._world.monotonic(), turn.tracker
        open_lanes = [
            lane
            for lane in self._lanes.values()
            if lane.is_open
            and lane.name not in self._job.retiring
            and not tracker.sources[lane.name].hindrance
        ]
        if self._sorter is not None and all(lane.knows_batches for lane in open_lanes):
            self._assign_batches(turn, self._sorter, open_lanes)
            return
        views = [lane.view(tracker.sources[lane.name].in_flight, now) for lane in open_lanes]
        for assignment in dispatch(self._ready(tracker, room(views)), views):
            self._intend(turn, assignment.task, assignment.source)

    def _assign_batches(self, turn: Turn, sorter: Sorter, open_lanes: Sequence[Lane]) -> None:
        """Deal ready tasks out over the sources by batches, each of which takes one slot."""
        tracker, load = turn.tracker, loads(turn.tracker.live())
        views = list(self._batch_views(sorter.batch, open_lanes, load))
        indices = self._ready(tracker, sorter.span(room(views)))
        ready = [self._sorted(sorter, tracker, index) for index in indices]
        batches = gather(ready, free_slots(views))
        for assignment in dispatch(range(len(batches)), views):
            tasks, name = batches[assignment.task], self._world.token()
            for index in tasks:
                self._intend(turn, index, assignment.source, batch=name, members=len(tasks))

    def _sorted(self, sorter: Sorter, tracker: SweepTracker, index: int) -> Ready:
        """Return a task with who may share its process; one that nothing has happened to is not even made."""
        if (known := sorter.fresh(index)) is not None:
            return known
        task = tracker.task(index)
        return sorter.ready(task, self._limits(task))

    def _batch_views(
        self, batch: BatchSpec, open_lanes: Sequence[Lane], load: Mapping[str, int]
    ) -> Iterator[LaneView]:
        now = self._world.monotonic()
        for lane in open_lanes:
            view = lane.view(load.get(lane.name, 0), now)
            yield replace(view, rate_hz=view.rate_hz / batch.size)

    def _ready(self, tracker: SweepTracker, limit: int) -> list[int]:
        return [index for index in tracker.waiting(limit) if self._is_wanted(index)]

    def _limits(self, task: Task) -> tuple[float | None, Resources]:
        return grown_timeout_s(self._job.spec, task), grown_resources(self._job.spec, task)

    def _intend(self, turn: Turn, index: int, source: str, *, batch: str = "", members: int = 1) -> None:
        task = turn.tracker.task(index)
        intent = ev.AttemptIntended(
            task=index,
            attempt=len(task.attempts) + 1,
            token=self._world.token(),
            source=source,
            batch=batch,
            members=members,
            at=self._world.now(),
        )
        turn.take(intent)
        if self._sorter is not None:
            self._sorter.forget(index)
        turn.submissions.setdefault(source, []).append(self._order(task, intent))

    def _is_wanted(self, index: int) -> bool:
        limit = self._job.wishes.max_tasks
        return limit is None or index <= limit

    def _order(self, task: Task, intent: ev.AttemptIntended) -> AttemptOrder:
        timeout_s, resources = self._limits(task)
        return AttemptOrder(
            task=task.index,
            attempt=intent.attempt,
            token=intent.token,
            directory=self._job.tree.attempt_name(task.index, intent.attempt, intent.token),
            argv=self._argv(task, self._lanes[intent.source].source),
            params_json=task.params_json,
            seed=task.seed,
            config_hash=task.config_hash,
            task_key=task.task_key,
            timeout_s=timeout_s,
            resources=resources,
            batch=intent.batch,
        )

    def _argv(self, task: Task, source: ComputeSource) -> tuple[str, ...]:
        """Return a task's command as a source will run it: every source may have the project elsewhere."""
        project = source.project(self._job.project)
        template = self._commands.get(project)
        if template is None:
            template = self._commands[project] = CommandTemplate(
                self._job.spec.program, project, self._job.places
            )
        return source.argv(template.argv(task))


def grown_timeout_s(spec: SweepSpec, task: Task) -> float | None:
    """Return the time limit of a task's next attempt: longer after each that ended for its time."""
    if spec.timeout_s is None:
        return None
    return _grown(spec, task, Cause.TIME, spec.timeout_s)


def grown_resources(spec: SweepSpec, task: Task) -> Resources:
    """Return what a task's next attempt needs: more memory after each that ended for its memory."""
    resources = spec.resources
    if resources.memory_bytes is None or Cause.MEMORY not in spec.growth:
        return resources
    return replace(resources, memory_bytes=int(_grown(spec, task, Cause.MEMORY, resources.memory_bytes)))


def _grown(spec: SweepSpec, task: Task, cause: Cause, limit: float) -> float:
    growth = spec.growth.get(cause)
    if growth is None:
        return limit
    ended = sum(attempt.cause is cause for attempt in task.attempts)
    return max(limit, min(limit * growth.factor**ended, growth.up_to))
