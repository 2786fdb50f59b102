"""`hsm ledger prune`: delete the archived part of a sweep's ledger."""

from __future__ import annotations

from pathlib import Path

import click

from hsm.cli import forms, options
from hsm.cli.console import Console, Tone
from hsm.cli.words import plural
from hsm.cli.workspace import Workspace, look_at, refuse_if_driven
from hsm.core.errors import ExitCode


@forms.command("ledger prune last --dry-run", "ledger prune heat-20260102")
@options.some_sweep
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@options.outputs
@options.json_output
@click.pass_obj
def command(console: Console, *, reference: str, dry_run: bool, outputs: Path | None) -> ExitCode:
    """Delete the archived part of a sweep's ledger, for good.

    What became of every task stays, in two snapshots that are read whole before anything is deleted. What is
    lost is the way there: `hsm explain`, `hsm ledger export` and salvage no longer know what happened before.
    """
    from hsm.core.archive import plan_prune, prune

    space = Workspace.here(outputs)
    tree = space.find(reference)
    refuse_if_driven(space, look_at(space.world, tree))
    found = plan_prune(space.world.files, tree)
    if not dry_run:
        prune(space.world.files, tree, found)
    if console.as_json:
        data = {
            "sweep_id": tree.sweep_id,
            "dry_run": dry_run,
            "segments": [path.name for path in found.segments],
            "bytes": found.bytes,
            "first_record_kept": found.seq,
            "snapshot": found.snapshot,
        }
        console.envelope("ledger.prune", data)
        return ExitCode.FINE
    console.data(("segments", Tone.DIM), f"  {plural(len(found.segments), 'segment')}, {found.bytes:,} bytes")
    console.data(("records ", Tone.DIM), f"  all before {found.seq:,}")
    console.data(("snapshot", Tone.DIM), f"  {found.snapshot}, read whole")
    if dry_run:
        console.say(("nothing has been deleted; without --dry-run: ", Tone.DIM))
        console.say(f"  {space.command('ledger prune ID', tree)}")
    else:
        console.say(("deleted; every task is as it was", Tone.DIM))
    return ExitCode.FINE
