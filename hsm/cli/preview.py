"""What a sweep would do, without doing any of it: its tasks and the very commands that would be run."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from hsm.config import count
from hsm.core.command import CommandTemplate
from hsm.core.errors import ConfigError, Problem
from hsm.core.model import History, Hunter, HuntOver, Task
from hsm.core.plan import read_plan, write_plan
from hsm.core.source import ComputeSource
from hsm.core.spec import SweepSpec
from hsm.core.world import World

UNPINNED = "0" * 64


def first_tasks(world: World, spec: SweepSpec, hunter: Hunter, limit: int) -> list[Task]:
    """Return the first tasks, made the way the engine makes them: proposed, written as a plan, read back."""
    seed = spec.hunt.seed if spec.hunt else 0
    try:
        proposals = hunter.ask(History(generation=1), world.rng("hsm.hunt.v1", seed, 1))
    except HuntOver as over:
        raise ConfigError(
            [Problem(where="hunt", message=f"nothing can be proposed: {over.reason}")]
        ) from over
    with tempfile.TemporaryDirectory(prefix="hsm-preview-") as folder:
        name, _ = write_plan(world.files, Path(folder), islice(proposals, limit), UNPINNED)
        return list(read_plan(world.files, Path(folder), name, generation=1, first=1))


def commands(
    spec: SweepSpec, project: Path, source: ComputeSource, tasks: Sequence[Task]
) -> list[tuple[str, ...]]:
    """Return the argv of each task as the source would run it.

    Raises:
        HsmError: a command cannot be made.
    """
    template = CommandTemplate(spec.program, source.project(project))
    return [source.argv(template.argv(task)) for task in tasks]


def task_count(world: World, spec: SweepSpec, hunter: Hunter) -> int:
    """Return the number of tasks; exact for a grid, at most for a hunt."""
    if spec.grid is None or not (spec.grid.exclude or spec.grid.forbid):
        return count(spec)
    return sum(1 for _ in hunter.ask(History(generation=1), world.rng("hsm.hunt.v1", 0, 1)))
