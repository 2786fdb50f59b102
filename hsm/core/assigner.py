"""The assigner: turns dispatch's decisions into intents, and intents into orders for the sources."""

from __future__ import annotations

from collections.abc import Mapping

from hsm.core import events as ev
from hsm.core.command import CommandTemplate
from hsm.core.dispatch import dispatch, room
from hsm.core.job import SweepJob
from hsm.core.lane import Lane
from hsm.core.model import Task
from hsm.core.source import AttemptOrder
from hsm.core.turn import Turn
from hsm.core.world import World


class Assigner:
    """Assigns ready tasks to open lanes."""

    def __init__(self, world: World, job: SweepJob, lanes: Mapping[str, Lane]) -> None:
        self._world = world
        self._job = job
        self._lanes = lanes
        self._commands = CommandTemplate(job.spec.program, job.project)

    def assign(self, turn: Turn) -> None:
        """Write down an intent for every task that can be handed to a source now."""
        now, at, tracker = self._world.monotonic(), self._world.now(), turn.tracker
        views = [
            lane.view(tracker.sources[lane.name].in_flight, now)
            for lane in self._lanes.values()
            if lane.is_open
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
            argv=self._lanes[intent.source].source.argv(self._commands.argv(task)),
            params_json=task.params_json,
            seed=task.seed,
            config_hash=task.config_hash,
            task_key=task.task_key,
            timeout_s=spec.timeout_s,
            resources=spec.resources,
        )
