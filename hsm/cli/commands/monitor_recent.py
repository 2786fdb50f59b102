"""`hsm monitor recent`: how the latest sweeps get on."""

from __future__ import annotations

from pathlib import Path

import click

from hsm.cli import closing, forms, options, screen
from hsm.cli.console import Console, line
from hsm.cli.workspace import Look, Workspace, look_at
from hsm.core.errors import ExitCode, HsmError


@forms.command("monitor recent", "monitor recent --limit 3")
@click.option("--limit", type=click.IntRange(min=1), default=5, show_default=True, help="The newest so many.")
@options.outputs
@options.json_output
@click.pass_obj
def command(console: Console, *, limit: int, outputs: Path | None) -> ExitCode:
    """Show how the latest sweeps of this project get on, the newest first."""
    space = Workspace.here(outputs)
    looks = list(
        filter(None, (_look(console, space, tree.sweep_id) for tree in space.sweeps.all()[-limit:][::-1]))
    )
    if console.as_json:
        console.envelope("monitor.recent", {"sweeps": [closing.standing_of(look) for look in looks]})
        return ExitCode.FINE
    if not looks:
        console.say(f"there is no sweep in {closing.near(space.outputs)}")
    for place, look in enumerate(looks):
        if place:
            console.data()
        _write(console, look)
    return ExitCode.FINE


def _look(console: Console, space: Workspace, sweep_id: str) -> Look | None:
    """Return a sweep; one that is damaged is named, and hides no other."""
    try:
        return look_at(space.world, space.find(sweep_id))
    except HsmError as error:
        console.warn(f"{sweep_id}: {error.message}", error.hint)
        return None


def _write(console: Console, look: Look) -> None:
    width, glyphs = console.data_width, console.data_glyphs
    scene = screen.Scene(tree=look.tree, progress=look.progress, best_params=closing.best_params(look))
    found = [
        screen.header(scene),
        *screen.bar(look.progress, width, glyphs),
        screen.counts(look.progress, glyphs),
    ]
    for spans in [*found, *screen.best(scene, glyphs)]:
        console.data(*screen.cut(line(*spans), width, glyphs.more))
