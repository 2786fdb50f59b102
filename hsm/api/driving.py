"""Driving a sweep from Python: what is given becomes a job, and an engine sees it through."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hsm.api import sourcing
from hsm.api.analysing import Analysing
from hsm.api.preflight import check_programs
from hsm.config import Project, build_sweep, dump_document, find_project, load_sweep
from hsm.core.engine import SweepEngine
from hsm.core.errors import ConfigError, HsmError, Problem
from hsm.core.job import Origin, SweepJob, Wishes
from hsm.core.spec import SweepSpec, Value
from hsm.core.world import World
from hsm.hunt.registry import build_hunter

Described = str | Path | Mapping[str, Value]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A sweep that is wanted, as the caller says it."""

    what: Described
    overrides: Sequence[str] = ()
    sources: Sequence[str] = ()
    outputs: Path | None = None
    project: Path | None = None
    max_tasks: int | None = None


def prepare(world: World, order: Order) -> tuple[SweepSpec, Project, list[sourcing.Sourcing]]:
    """Check an order as far as it can be without running anything. Blocks.

    Raises:
        HsmError: everything that is wrong with it.
    """
    project = find_project(order.project or Path.cwd())
    if isinstance(order.what, Mapping):
        if order.overrides:
            raise ConfigError([_no_overrides()])
        spec = build_sweep(order.what, project=project, sources=order.sources)
    else:
        spec = load_sweep(Path(order.what), order.overrides, project=project, sources=order.sources)
    built = sourcing.build(world, spec.sources, project.root, spec)
    if not built:
        hint = 'give `sources=["local"]` to run on this machine, or write `sources: [local]` into the sweep'
        raise ConfigError([Problem(where="", message="no compute source is named", hint=hint)])
    check_programs(spec, project.root, built)
    return spec, project, built


def _no_overrides() -> Problem:
    return Problem(
        where="overrides", message="a mapping takes no overrides", hint="change the mapping itself"
    )


async def create(world: World, order: Order) -> SweepJob:
    """Make a new sweep as it was ordered, before anything of it is run.

    Raises:
        HsmError: it cannot be made.
    """
    spec, project, built = await world.blocking(prepare, world, order)
    hunter = build_hunter(spec)
    name = "a mapping" if isinstance(order.what, Mapping) else str(order.what)
    origin = Origin(
        project=project.root,
        frozen_config=dump_document(spec.document),
        command=["hsm.run", name, *order.overrides],
    )
    outputs = order.outputs.absolute() if order.outputs else project.outputs
    tree = await SweepEngine(world).create_sweep(outputs, spec, origin)
    return SweepJob(
        tree=tree,
        spec=spec,
        hunter=hunter,
        sources=[entry.source for entry in built],
        project=project.root,
        wishes=Wishes(max_tasks=order.max_tasks),
    )


async def drive(world: World, job: SweepJob, act: Callable[[SweepEngine, SweepJob], Awaitable[T]]) -> T:
    """Let an engine act on a job. When cancelled, the engine lets go in good order first; what runs goes on.

    Raises:
        HsmError: it could not go on; what was acknowledged is in the ledger.
    """
    analysing = Analysing(world, job)
    outcome: list[T | HsmError] = []

    async def perform() -> None:
        try:
            outcome.append(await analysing.perform(act))
        except HsmError as error:
            outcome.append(error)

    async with asyncio.TaskGroup() as group:
        acting = group.create_task(perform())
        try:
            await asyncio.shield(acting)
        except asyncio.CancelledError:
            analysing.detach("the caller left")
            await asyncio.wait([acting])
            raise
    found = outcome[0]
    if isinstance(found, HsmError):
        raise found
    return found
