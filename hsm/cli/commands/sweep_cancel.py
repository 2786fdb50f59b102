"""`hsm sweep cancel`: end a sweep, or some of its tasks."""

from __future__ import annotations

from pathlib import Path

import click

from hsm.api.origin import project_of
from hsm.cli import forms, options
from hsm.cli.console import Console
from hsm.cli.words import plural
from hsm.cli.workspace import Look, Workspace, some_tasks, warn_of_unfit
from hsm.core.errors import ExitCode, SweepError

FEW = 10
"""So many tasks are ended without asking."""


@forms.command("sweep cancel last", "sweep cancel last 3 task_0007", "sweep cancel last running,20-30")
@options.some_sweep
@click.argument("tasks", nargs=-1, metavar="[TASKS]...")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options.outputs
@options.json_output
@click.pass_obj
def command(
    console: Console, *, reference: str, tasks: tuple[str, ...], yes: bool, outputs: Path | None
) -> ExitCode:
    """End a sweep: attempts that run are stopped, no new one begins. With TASKS, end only those.

    Results that are there stay. `hsm sweep complete ID --retry-failed` takes cancelled tasks up again.
    TASKS are selectors: 3, task_0007, 20-30, running, ...
    """
    space = Workspace.here(outputs)
    look = space.look(reference)
    chosen: list[int] = []
    if tasks:
        look, chosen = some_tasks(space.world, look, tasks)
        chosen.sort()
    doomed = [
        index for index in (chosen if tasks else _all(look)) if not look.tracker.task(index).status.is_final
    ]
    if not doomed and (tasks or look.tracker.is_over):
        return _done(console, look, 0)
    if not yes and len(doomed) > FEW:
        _ask(console, look, len(doomed))
    _cancel(console, space, look, chosen)
    return _done(console, look, len(doomed))


def _all(look: Look) -> list[int]:
    return [task.index for task in look.tracker.tasks]


def _ask(console: Console, look: Look, count: int) -> None:
    """Let the user confirm.

    Raises:
        SweepError: nobody can be asked.
    """
    what = f"{plural(count, 'open task')} of {look.tree.sweep_id}"
    if not console.is_interactive:
        raise SweepError(f"this would end {what}", hint="add `--yes`")
    if not click.confirm(f"end {what}?", err=True):
        raise click.Abort


def _cancel(console: Console, space: Workspace, look: Look, chosen: list[int]) -> None:
    import asyncio

    from hsm.api import sourcing
    from hsm.core.engine import SweepEngine
    from hsm.core.job import SweepJob
    from hsm.hunt.registry import build_hunter

    tree, spec = look.tree, look.spec
    project = project_of(tree, space.project.root)
    specs = sourcing.used_before(look.tracker, spec, space.project, ())
    if look.claim is None:  # else its engine has them open
        warn_of_unfit(console, space, specs)
    sources = [entry.source for entry in sourcing.build(space.world, specs, project, spec)]
    job = SweepJob(tree=tree, spec=spec, hunter=build_hunter(spec), sources=sources, project=project)
    engine = SweepEngine(space.world)
    try:
        asyncio.run(engine.cancel_sweep(job, chosen))
    finally:
        engine.close()


def _done(console: Console, look: Look, count: int) -> ExitCode:
    if console.as_json:
        console.envelope("sweep.cancel", {"sweep_id": look.tree.sweep_id, "tasks": count})
    elif count == 0:
        console.say("nothing is left to end")
    elif look.claim is not None:
        console.say(
            f"asked the engine to end {plural(count, 'task')}; `hsm monitor watch` shows when they are gone"
        )
    else:
        console.say(f"ended {plural(count, 'task')}")
    return ExitCode.FINE
