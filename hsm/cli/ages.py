"""How old what is shown of tasks on other hosts is, where the link to them is bad."""

from __future__ import annotations

from dataclasses import replace

from hsm.cli import words
from hsm.core.hearing import staleness
from hsm.core.model import Task
from hsm.core.monitor import LaneProgress, Progress
from hsm.core.states import TaskStatus
from hsm.core.tree import SweepTree
from hsm.core.world import World


def aged(world: World, tree: SweepTree, now: Progress) -> Progress:
    """Return how a sweep gets on, with the age of what is shown of each source on which something runs."""
    lanes = tuple(_aged(world, tree, lane) if lane.running else lane for lane in now.lanes)
    return replace(now, lanes=lanes)


def _aged(world: World, tree: SweepTree, lane: LaneProgress) -> LaneProgress:
    return replace(lane, shown_s=staleness(world.files, tree.root, lane.name, world.now()))


def age_of(world: World, tree: SweepTree, task: Task) -> str:
    """Return how old what a running task has written is, as it is at home; empty where it is of now."""
    if task.status is not TaskStatus.RUNNING or task.attempt is None:
        return ""
    source = task.attempt.source
    age_s = staleness(world.files, tree.root, source, world.now())
    return "" if age_s is None else f"as of {words.rough(age_s)} ago, no word from {source} since"
