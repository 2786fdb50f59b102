"""The planner: asks the hunter for the next generation when one is due, and writes it down as a plan."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from hsm.core.inputs import Input, Planned, RoomMissed
from hsm.core.job import at_once
from hsm.core.mailbox import Mailbox
from hsm.core.model import History, Hunter, HuntOver, Proposal, Screened, Task, TaskResult
from hsm.core.plan import load_plan
from hsm.core.room import when_there_is_room
from hsm.core.spec import SweepSpec
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.core.world import World

WritePlan = Callable[[Iterable[Proposal]], tuple[str, int]]
"""Writes the plan of proposals and returns its name and its number of tasks (`plan.write_plan`)."""


def history_of(tracker: SweepTracker, generation: int) -> History:
    """Return what the hunter may know when asked for `generation`: every task, in task order."""
    results = [_result(tracker, task) for task in tracker.tasks]
    return History(generation=generation, results=results)


def _result(tracker: SweepTracker, task: Task) -> TaskResult:
    return TaskResult(
        index=task.index,
        generation=task.generation,
        params=json.loads(task.params_json),
        seed=task.seed,
        label=task.label,
        outcome=tracker.outcome(task),
    )


class Planner:
    """One question at a time; a generation that is written down is never asked for again."""

    def __init__(
        self,
        world: World,
        tree: SweepTree,
        hunter: Hunter,
        write: WritePlan,
        spec: SweepSpec,
        *,
        due: Callable[[], Awaitable[None]] = at_once,
    ) -> None:
        self.is_asking = False
        self._world = world
        self._tree = tree
        self._hunter = hunter
        self._write = write
        self._spec = spec
        self._due = due
        self._requests: Mailbox[History] = Mailbox()

    def ask_if_due(self, tracker: SweepTracker) -> None:
        """Ask for the next generation when no task is open; a grid has one generation only."""
        if self.is_asking or tracker.hunt_ended or tracker.cancelled:
            return
        last = tracker.generations[-1] if tracker.generations else None
        if self._spec.hunt is not None and tracker.open:
            return  # of whatever generation: one may have been reopened
        generation = last.number + 1 if last else 1
        history = history_of(tracker, generation) if self._spec.hunt else History(generation=generation)
        self.is_asking = True
        self._requests.put(history)

    def accepted(self) -> None:
        """Note that the answer has been folded."""
        self.is_asking = False

    async def work(self, post: Callable[[Input], None]) -> None:
        """Answer requests until cancelled."""
        while True:
            for history in await self._requests.take():
                await self._due()
                plan = partial(self._world.blocking, self._plan, history)
                post(await when_there_is_room(self._world, plan, lambda reason: post(RoomMissed(reason))))

    def _plan(self, history: History) -> Planned:
        generation = history.generation
        seed = self._spec.hunt.seed if self._spec.hunt else 0
        rng = self._world.rng("hsm.hunt.v1", seed, generation)
        try:
            proposals = self._hunter.ask(history, rng)
            name, count = self._write(proposals)
        except HuntOver as over:
            return Planned(generation, over=over.reason)
        plan = load_plan(self._world.files, self._tree.plans, name, generation=generation) if count else None
        forbidden = proposals.forbidden if isinstance(proposals, Screened) else 0
        return Planned(generation, plan, forbidden, "" if count else self._why_over(generation))

    def _why_over(self, generation: int) -> str:
        hunt = self._spec.hunt
        if hunt is None:
            return ""
        done = f"all {hunt.generations} generations are done"
        return done if generation > hunt.generations else "the hunter proposed nothing more"
