"""`hsm ledger export`: every event of a sweep as JSON lines."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hsm.cli import forms, options
from hsm.cli.console import Console
from hsm.cli.workspace import Workspace
from hsm.core.errors import ExitCode


@forms.command("ledger export last", "ledger export last | grep attempt_failed")
@options.sweep
@options.outputs
@click.pass_obj
def command(console: Console, *, reference: str, outputs: Path | None) -> ExitCode:
    """Write every event of a sweep to stdout, one JSON object a line, in the order of the ledger.

    The objects are the ledger's own records, those too that only a newer version of HSM knows.
    """
    from hsm.core.audit import raw_records

    space = Workspace.here(outputs)
    for _, record in raw_records(space.world.files, space.find(reference)):
        console.raw(json.dumps(record, separators=(",", ":")) + "\n")
    return ExitCode.FINE
