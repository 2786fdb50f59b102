"""The assigner: turns dispatch's decisions into intents, and intents into orders for the sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hsm.core import events as ev
from hsm.core.command import CommandTemplate
from hsm.core.dispatch import dispatch, room
from hsm.core.job import SweepJob
from hsm.core.lane import Lane
from hsm.core.model import Task
from hsm.core.source import AttemptOrder, ComputeSource
from hsm.core.spec import Resources, SweepSpec
from hsm.core.states import Cause
from hsm.core.turn import Turn
from hsm.core.world import World


class Assigner:
    """Assigns ready tasks to open lanes."""

    def __init__(self, world: World, job: SweepJob, lanes: Mapping[str, Lane]) -> None:
        self._world = world
        self._job = job
        self._lanes = lanes
        self._commands: dict[Path, CommandTemplate] = {}

    def assign(self, turn: Turn) -> None:
        """Write down an intent for every task that can be handed to a source now."""
        now, at, tracker = self._world.monotonic(), self._world.now(), turn.tracker
        views = [
            lane.view(tracker.sources[lane.name].in_flight, now)
            for lane in self._lanes.values()
            if lane.is_open
            and lane.name not in self._job.retiring
            and not tracker.sources[lane.name].hindrance
        ]
        ready = [index for index in tracker.waiting(room(views)) if self._is_wanted(index)]
        for assignment in dispatch(ready, views):
            task = tracker.task(assignment.task)
            intent = ev.AttemptIntended(
                task=task.index,
                attempt=len(task.attempts) + 1,
                token=self._world.token(),
                source=assignment.source,
                at=at,
            )
            turn.take(intent)
            turn.submissions.setdefault(assignment.source, []).append(self._order(task, intent))

    def _is_wanted(self, index: int) -> bool:
        limit = self._job.wishes.max_tasks
        return limit is None or index <= limit

    def _order(self, task: Task, intent: ev.AttemptIntended) -> AttemptOrder:
        spec = self._job.spec
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
            timeout_s=grown_timeout_s(spec, task),
            resources=grown_resources(spec, task),
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
