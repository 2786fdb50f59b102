"""`hsm ledger verify`: look at every byte of a sweep's ledger."""

from __future__ import annotations

from pathlib import Path

import click

from hsm.cli import forms, options, tables
from hsm.cli.console import Console, Span, Tone
from hsm.cli.words import plural
from hsm.cli.workspace import Workspace
from hsm.core.audit import Audit, SegmentState
from hsm.core.errors import ExitCode

TONES = {
    SegmentState.WHOLE: Tone.GOOD,
    SegmentState.DAMAGED: Tone.BAD,
}


@forms.command("ledger verify last", "ledger verify heat-20260102 --json")
@options.sweep
@options.outputs
@options.json_output
@click.pass_obj
def command(console: Console, *, reference: str, outputs: Path | None) -> ExitCode:
    """Look at every byte of a sweep's ledger and at every plan; nothing is changed.

    A torn end is no damage: a writer that died, or that is at work just now, leaves one.
    """
    from hsm.core.audit import audit

    space = Workspace.here(outputs)
    tree = space.find(reference)
    found = audit(space.world.files, tree)
    code = ExitCode.FINE if found.is_sound else ExitCode.BAD_OUTCOME
    if console.as_json:
        console.envelope("ledger.audit", {"sweep_id": tree.sweep_id, **_data(found)})
        return code
    tables.write(console, ("segment", "state", ">records", ">bytes", ">beyond"), _rows(found))
    console.data()
    for snapshot in found.snapshots:
        if snapshot.reason:
            console.warn(
                snapshot.reason, "a snapshot is a shortcut: an older one is used, or the whole ledger"
            )
    if found.pruned:
        console.say((f"what happened before record {found.pruned:,} has been pruned", Tone.DIM))
    if found.is_sound:
        console.data(
            ("sound", Tone.GOOD),
            f": {plural(found.records, 'record')}, {plural(found.plans, 'plan')}, "
            f"{plural(len(found.snapshots), 'snapshot')}",
        )
        console.data(("chain ", Tone.DIM), found.chain)
        return code
    console.data(("damaged", Tone.BAD), f": {plural(len(found.faults), 'fault')}")
    for fault in found.faults:
        console.data(f"  {fault}")
    console.say(("  restore it from a copy, or see what can be kept: ", Tone.DIM))
    console.say(f"    {space.command('ledger salvage ID --dry-run', tree)}")
    return code


def _rows(found: Audit) -> list[list[str | Span]]:
    return [
        [
            segment.path.name,
            (segment.state.value, TONES.get(segment.state, Tone.WARN)),
            f"{segment.records:,}",
            f"{segment.end:,}",
            f"{segment.extra_bytes:,}",
        ]
        for segment in found.segments
    ]


def _data(found: Audit) -> dict[str, object]:
    return {
        "is_sound": found.is_sound,
        "faults": list(found.faults),
        "records": found.records,
        "plans": found.plans,
        "seq": found.seq,
        "chain": found.chain,
        "pruned": found.pruned,
        "snapshots": [{"name": snapshot.name, "reason": snapshot.reason} for snapshot in found.snapshots],
        "segments": [
            {
                "name": segment.path.name,
                "state": segment.state,
                "records": segment.records,
                "bytes": segment.end,
                "extra_bytes": segment.extra_bytes,
                "reason": segment.reason,
            }
            for segment in found.segments
        ],
    }
