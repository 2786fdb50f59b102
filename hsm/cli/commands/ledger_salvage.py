"""`hsm ledger salvage`: make a new ledger of what can still be read of a damaged one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from hsm.cli import forms, options
from hsm.cli.console import Console, Tone
from hsm.cli.words import plural
from hsm.cli.workspace import Workspace
from hsm.core.errors import ExitCode
from hsm.core.salvage import Salvage

SHOWN = 10


@forms.command("ledger salvage last --dry-run", "ledger salvage last")
@options.some_sweep
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be kept and lost, and write nothing.")
@options.outputs
@options.json_output
@click.pass_obj
def command(console: Console, *, reference: str, dry_run: bool, outputs: Path | None) -> ExitCode:
    """Make a new ledger of what can still be read of a damaged one, which is kept as it is.

    Use it when there is no copy to restore. Tasks whose story is lost are run again by `hsm sweep complete`.
    """
    from hsm.config import load_frozen
    from hsm.core.salvage import salvage

    space = Workspace.here(outputs)
    tree = space.find(reference)
    found = salvage(space.world, tree, load_frozen(tree.config), dry_run=dry_run)
    if console.as_json:
        data = {"sweep_id": tree.sweep_id, "dry_run": dry_run, **asdict(found), "lost": found.lost}
        console.envelope("ledger.salvage", data)
        return ExitCode.FINE
    _show(console, found)
    if dry_run:
        console.say(("nothing has been written; without --dry-run: ", Tone.DIM))
        console.say(f"  {space.command('ledger salvage ID', tree)}")
    else:
        console.say(("the new ledger is ", Tone.DIM), str(found.segment), ("; go on with:", Tone.DIM))
        console.say(f"  {space.command('sweep complete ID', tree)}")
    return ExitCode.FINE


def _show(console: Console, found: Salvage) -> None:
    console.data(("kept    ", Tone.DIM), plural(found.kept, "event"))
    console.data(("lost    ", Tone.DIM), plural(found.lost, "record"))
    for gap in found.gaps[:SHOWN]:
        console.data(f"          {gap.first} to {gap.last}")
    _more(console, len(found.gaps))
    console.data(("refused ", Tone.DIM), f"{plural(len(found.refused), 'event')} without what was lost")
    for refused in found.refused[:SHOWN]:
        console.data(f"          {refused.seq}: {refused.reason}")
    _more(console, len(found.refused))


def _more(console: Console, count: int) -> None:
    if count > SHOWN:
        console.data((f"          and {count - SHOWN:,} more", Tone.DIM))
