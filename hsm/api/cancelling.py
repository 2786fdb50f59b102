"""Cancelling: a sweep with its analyses, or one of them alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hsm.api.analysing import Followed, job_of
from hsm.config import load_frozen
from hsm.core import summary
from hsm.core.analyses import Follower, inner_trees
from hsm.core.engine import SweepEngine
from hsm.core.epochs import holder
from hsm.core.errors import NothingToEnd
from hsm.core.job import SweepJob
from hsm.core.tree import SweepTree
from hsm.core.world import World


async def cancel(
    world: World, engine: SweepEngine, job: SweepJob, tasks: Sequence[int] = ()
) -> Mapping[str, int]:
    """End these tasks of a sweep, or, without any, all that are open and the sweep's analyses.

    Durable when this returns: how many tasks of each analysis were open. A sweep that is over may have
    analyses that are not.

    Raises:
        NothingToEnd: each of the tasks is over.
        HsmError: it cannot be done; what was ended before stays so.
    """
    try:
        await engine.cancel_sweep(job, tasks)
    except NothingToEnd:
        if tasks:
            raise
    ended: dict[str, int] = {}
    of = Followed(tree=job.tree, spec=job.spec, project=job.project)
    for inner in () if tasks else await world.blocking(inner_trees, world.files, job.tree):
        count = await cancel_analysis(world, engine, of, inner)
        ended.update({inner.sweep_id: count} if count else {})
    return ended


async def cancel_analysis(
    world: World, engine: SweepEngine, of: Followed, inner: SweepTree, tasks: Sequence[int] = ()
) -> int:
    """End these tasks of an analysis, all when empty; durable when this returns how many were open.

    Raises:
        HsmError: it cannot be done.
    """
    spec = await world.blocking(load_frozen, inner.config)
    tracker, _ = await world.blocking(summary.glance, world.files, inner, spec)
    chosen = [tracker.task(index) for index in tasks] if tasks else tracker.tasks
    count = sum(not task.status.is_final for task in chosen)
    if not count and holder(world, inner, released=tracker.released) is None:
        return 0
    hunter = Follower(world, of.tree, spec.analyses[0])  # it is asked for nothing
    try:
        await engine.cancel_sweep(job_of(world, of, inner, spec, hunter), tasks)
    except NothingToEnd:
        return 0
    return count
