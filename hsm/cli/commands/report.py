"""`hsm report`: write the completion report anew."""

from __future__ import annotations

from pathlib import Path

import click

from hsm.cli import forms, options
from hsm.cli.console import Console
from hsm.cli.workspace import Workspace, study
from hsm.core.errors import ExitCode


@forms.command("report", "report heat-20260102 --open")
@options.sweep
@click.option("--open", "is_opened", is_flag=True, help="Show it in the browser of this desktop, too.")
@options.outputs
@options.json_output
@click.pass_obj
def command(console: Console, *, reference: str, is_opened: bool, outputs: Path | None) -> ExitCode:
    """Write the completion report of a sweep anew, finished or not, and print its path."""
    from hsm.cli.closing import near
    from hsm.cli.reporting import write_report

    space = Workspace.here(outputs)
    look = study(space.world, space.find(reference))
    path = write_report(look)
    if console.as_json:
        console.envelope("report.written", {"sweep_id": look.tree.sweep_id, "path": path})
    else:
        console.data(near(path))
    if is_opened and click.launch(path.as_uri()) != 0:
        console.warn("no browser could be started here", f"open {path} yourself")
    return ExitCode.FINE
