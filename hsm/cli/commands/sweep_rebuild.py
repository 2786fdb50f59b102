"""`hsm sweep rebuild`: write every readable file of a sweep anew from its ledger."""

from __future__ import annotations

from pathlib import Path

import click

from hsm.cli import forms, options
from hsm.cli.console import Console
from hsm.cli.words import plural
from hsm.cli.workspace import Look, Workspace, look_at, refuse_if_driven
from hsm.core.errors import ExitCode


@forms.command("sweep rebuild last")
@options.some_sweep
@options.outputs
@options.json_output
@click.pass_obj
def command(console: Console, *, reference: str, outputs: Path | None) -> ExitCode:
    """Write every readable file of a sweep anew from its ledger: status, mapping, errors, summary, report."""
    import asyncio

    from hsm.cli.reporting import write_report
    from hsm.core.analyses import link
    from hsm.core.engine import SweepEngine
    from hsm.results.analysed import analysed

    space = Workspace.here(outputs)
    look = look_at(space.world, space.find(reference))
    refuse_if_driven(space, look)
    engine = SweepEngine(space.world)
    try:
        tracker = asyncio.run(engine.rebuild_sweep(look.tree, look.spec))
    finally:
        engine.close()
    for one in analysed(space.world.files, look.tree, look.spec, whole=True):
        made = [task for task in one.tracker.tasks if task.status.is_final] if one.tracker else []
        link(space.world.files, look.tree, one.tree, made)
    report = write_report(Look(look.tree, look.spec, tracker, None, space.world.now()))
    if console.as_json:
        data = {"sweep_id": look.tree.sweep_id, "tasks": len(tracker.tasks), "report": report}
        console.envelope("sweep.rebuild", data)
    else:
        console.say(f"rebuilt the files of {plural(len(tracker.tasks), 'task')}")
        console.data(look.tree.sweep_id)
    return ExitCode.FINE
