"""`hsm monitor recent`: how the latest sweeps of this user get on, in whichever project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from hsm.cli import closing, forms, options, screen, words
from hsm.cli.boundary import refusal
from hsm.cli.console import Console, Tone, line
from hsm.cli.known_sweeps import KnownSweep, KnownSweeps
from hsm.cli.workspace import Look, Workspace, look_at
from hsm.core.errors import ExitCode, HsmError
from hsm.core.projection import moment
from hsm.core.tree import SweepTree


@forms.command("monitor recent", "monitor recent --limit 3", "monitor recent --here")
@options.limit(5)
@click.option("--here", is_flag=True, help="The sweeps of this project only.")
@options.outputs
@options.json_output
@click.pass_obj
def command(console: Console, *, limit: int, here: bool, outputs: Path | None) -> ExitCode:
    """Show how your latest sweeps get on, the newest first: those of this project and all others you ran.

    What was run is noted in $XDG_STATE_HOME/hsm/sweeps, else in ~/.local/state/hsm/sweeps.
    """
    space = Workspace.here(outputs)
    entries = _entries(space, here=here or outputs is not None)[-limit:][::-1]
    found = [(entry, _look(console, space, entry)) for entry in entries]
    if console.as_json:
        console.envelope("monitor.recent", {"sweeps": [_record(entry, look) for entry, look in found]})
        return ExitCode.FINE
    if not found:
        console.say(f"there is no sweep in {closing.near(space.outputs)}, and none was run elsewhere")
    for place, (entry, look) in enumerate(found):
        if place:
            console.data()
        _write(console, space, entry, look)
    return ExitCode.FINE


def _entries(space: Workspace, *, here: bool) -> list[KnownSweep]:
    """Return the sweeps of this project and, unless `here`, those that were run anywhere, the newest last."""
    known = [] if here else KnownSweeps.of(space.world.environment()).all(space.world.now())
    found = {entry.root: entry for entry in known}
    for tree in space.sweeps.all():
        root = tree.root.resolve()
        found.setdefault(root, KnownSweep(root=root, at=tree.format.stat().st_mtime))
    return sorted(found.values(), key=lambda entry: (entry.at, str(entry.root)))


def _look(console: Console, space: Workspace, entry: KnownSweep) -> Look | str:
    """Return a sweep, or a word on why it cannot be shown: one that is damaged hides no other."""
    if not entry.is_there:
        return "gone"
    try:
        return look_at(space.world, SweepTree(entry.root))
    except HsmError as error:
        console.warn(f"{entry.root.name}: {error.message}", error.hint)
    except OSError as error:
        console.warn(*refusal(error))
    return "not readable"


def _record(entry: KnownSweep, look: Look | str) -> Mapping[str, Any]:
    if isinstance(look, Look):
        return closing.standing_of(look)
    return {"sweep_id": entry.root.name, "path": entry.root, "status": look, "used_at": moment(entry.at)}


def _write(console: Console, space: Workspace, entry: KnownSweep, look: Look | str) -> None:
    if isinstance(look, str):
        used = f"  {'was ' if look == 'gone' else ''}at {entry.root}, run {words.moment(entry.at)}"
        console.data((entry.root.name, Tone.NAME), "  ", (look, Tone.WARN), (used, Tone.DIM))
        return
    width, glyphs = console.data_width, console.data_glyphs
    scene = screen.Scene(tree=look.tree, progress=look.progress, best_params=closing.best_params(look))
    found = [
        screen.header(scene),
        *screen.bar(look.progress, width, glyphs),
        screen.counts(look.progress, glyphs),
    ]
    if entry.root.parent != space.outputs.resolve():
        found.append(line((f"at {closing.near(entry.root)}", Tone.DIM)))
    for spans in [*found, *screen.best(scene, glyphs)]:
        console.data(*screen.cut(line(*spans), width, glyphs.more))
