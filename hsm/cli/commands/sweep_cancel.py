"""`hsm sweep cancel`: end a sweep, or some of its tasks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsm.api.origin import project_of
from hsm.cli import forms, options
from hsm.cli.console import Console
from hsm.cli.words import plural
from hsm.cli.workspace import Look, Workspace, analysed_of, look_at, some_tasks, warn_of_unfit
from hsm.core.errors import ExitCode, SweepError

if TYPE_CHECKING:
    from hsm.core.job import SweepJob

FEW = 10
"""So many tasks are ended without asking."""


@forms.command(
    "sweep cancel last",
    "sweep cancel last 3 task_0007",
    "sweep cancel last running,20-30",
    "sweep cancel last --analysis quantules",
)
@options.some_sweep
@click.argument("tasks", nargs=-1, metavar="[TASKS]...")
@click.option("--analysis", metavar="NAME", help="End this analysis, or what it does with TASKS.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options.outputs
@options.json_output
@click.pass_obj
def command(
    console: Console,
    *,
    reference: str,
    tasks: tuple[str, ...],
    analysis: str | None,
    yes: bool,
    outputs: Path | None,
) -> ExitCode:
    """End a sweep and its analyses: what runs is stopped, nothing new begins. With TASKS, end only those.

    Results that are there stay. `hsm sweep complete ID --retry-failed` takes cancelled tasks up again,
    `hsm analyze ID --with NAME --retry-failed` cancelled analyses.
    TASKS are selectors: 3, task_0007, 20-30, running, ...
    """
    space = Workspace.here(outputs)
    look = space.look(reference)
    chosen: list[int] = []
    if tasks:
        look, chosen = some_tasks(space.world, look, tasks)
        chosen.sort()
        if not chosen:
            return _done(console, look, 0, {})
    if analysis is not None:
        look, chosen = _of_analysis(space, look, chosen, analysis)
    indices = chosen or range(1, len(look.tracker.tasks) + 1)
    doomed = sum(not look.tracker.task(index).status.is_final for index in indices)
    beside = {} if chosen else {one.name: one.open for one in analysed_of(space.world, look) if one.open}
    count = doomed + sum(beside.values())
    if not count and (chosen or look.tracker.is_over or (look.spec.follows and not look.is_driven)):
        return _done(console, look, 0, {})
    if not yes and count > FEW:
        _ask(console, look, doomed, beside)
    return _done(console, look, doomed, _cancel(console, space, look, chosen))


def _of_analysis(space: Workspace, look: Look, chosen: list[int], name: str) -> tuple[Look, list[int]]:
    """Return the sweep of an analysis, and its tasks about the results of the chosen tasks, if any.

    Raises:
        SweepError: there is no such analysis, or it has not begun.
    """
    from hsm.cli.analysing import named, tasks_of

    if chosen:
        return tasks_of(space, look, chosen, name)
    found = named(space, look, name)
    if found.tracker is None:
        raise SweepError(f"{name} has not begun: nothing is there to end", hint="`hsm sweep status ID` tells")
    return look_at(space.world, found.tree), []


def _what(doomed: int, beside: Mapping[str, int]) -> str:
    """Return what is ended, in words."""
    pieces = [plural(doomed, "task")] if doomed or not beside else []
    return " and ".join([*pieces, *(f"{count:,} of the analysis {name}" for name, count in beside.items())])


def _ask(console: Console, look: Look, doomed: int, beside: Mapping[str, int]) -> None:
    """Let the user confirm.

    Raises:
        SweepError: nobody can be asked.
    """
    what = f"{_what(doomed, beside)} of {look.tree.sweep_id}, which are open"
    if not console.is_interactive:
        raise SweepError(f"this would end {what}", hint="add `--yes`")
    if not click.confirm(f"end {what}?", err=True):
        raise click.Abort


def _cancel(console: Console, space: Workspace, look: Look, chosen: list[int]) -> Mapping[str, int]:
    """End it, and return how many open tasks of each analysis were ended with it."""
    import asyncio

    from hsm.api import cancelling
    from hsm.api.analysing import Followed
    from hsm.core.engine import SweepEngine

    world, engine = space.world, SweepEngine(space.world)
    try:
        if look.tree.analysed is None:
            job = _job(console, space, look)
            return asyncio.run(cancelling.cancel(world, engine, job, chosen))
        outer = look_at(world, look.tree.analysed)
        project = project_of(outer.tree, space.project.root)
        of = Followed(tree=outer.tree, spec=outer.spec, project=project)
        asyncio.run(cancelling.cancel_analysis(world, engine, of, look.tree, chosen))
    finally:
        engine.close()
    return {}


def _job(console: Console, space: Workspace, look: Look) -> SweepJob:
    from hsm.api import sourcing
    from hsm.core.job import SweepJob
    from hsm.hunt.registry import build_hunter

    tree, spec = look.tree, look.spec
    project = project_of(tree, space.project.root)
    specs = sourcing.used_before(look.tracker, spec, space.project, ())
    if look.claim is None and not look.tracker.is_over:  # else its engine has them open, or nobody needs them
        warn_of_unfit(console, space, specs)
    sources = [entry.source for entry in sourcing.build(space.world, specs, project, spec)]
    return SweepJob(tree=tree, spec=spec, hunter=build_hunter(spec), sources=sources, project=project)


def _done(console: Console, look: Look, doomed: int, beside: Mapping[str, int]) -> ExitCode:
    if console.as_json:
        record = {"sweep_id": look.tree.sweep_id, "tasks": doomed, "analyses": dict(beside)}
        console.envelope("sweep.cancel", record)
    elif not doomed and not beside:
        console.say("nothing is left to end")
    elif look.claim is not None:
        what = _what(doomed, beside)
        console.say(f"asked the engine to end {what}; `hsm monitor watch` shows when they are gone")
    else:
        console.say(f"ended {_what(doomed, beside)}")
    return ExitCode.FINE
