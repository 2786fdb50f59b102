"""`hsm sweep list`: the sweeps of this project."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from hsm.cli import closing, forms, options, tables, words
from hsm.cli.boundary import refusal
from hsm.cli.console import Console, Span, Tone
from hsm.cli.screen import status_word
from hsm.cli.workspace import Look, Workspace, look_at
from hsm.core.errors import ExitCode, HsmError
from hsm.core.states import TaskStatus
from hsm.core.tree import SweepTree


@forms.command("sweep list", "sweep list --limit 100")
@options.limit(20)
@options.outputs
@options.json_output
@click.pass_obj
def command(console: Console, *, limit: int, outputs: Path | None) -> ExitCode:
    """List the sweeps of this project, the newest last."""
    space = Workspace.here(outputs)
    trees = space.sweeps.all()
    shown = [(tree, _look(space, tree)) for tree in trees[-limit:]]
    if console.as_json:
        records = [
            closing.standing_of(found)
            if isinstance(found, Look)
            else {"sweep_id": tree.sweep_id, "error": found.message}
            for tree, found in shown
        ]
        console.envelope("sweep.list", {"sweeps": records, "total": len(trees)})
        return ExitCode.FINE
    if closed := space.sweeps.closed():
        console.say((f"not shown, for this user may not read them: {', '.join(closed[-5:])}", Tone.DIM))
    if not trees:
        console.say(f"there is no sweep in {closing.near(space.outputs)}")
        return ExitCode.FINE
    titles = ("sweep", "status", ">done", ">failed", "last news", "best")
    tables.write(console, titles, [_row(tree, found) for tree, found in shown])
    if len(trees) > len(shown):
        console.say(
            (f"{words.plural(len(trees) - len(shown), 'older sweep')}: --limit {len(trees)}", Tone.DIM)
        )
    return ExitCode.FINE


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a sweep cannot be shown: a word, and the words of whoever found out."""

    word: str
    message: str


def _look(space: Workspace, tree: SweepTree) -> Look | Fault:
    """Return a sweep, or what is wrong with it: one that cannot be read hides no other."""
    try:
        return look_at(space.world, tree)
    except HsmError as error:
        return Fault("damaged", error.message)
    except OSError as error:
        return Fault("not readable", refusal(error)[0])


def _row(tree: SweepTree, found: Look | Fault) -> list[str | Span]:
    if isinstance(found, Fault):
        return [tree.sweep_id, (found.word, Tone.BAD), "", "", "", found.message]
    now = found.progress
    failed = now.counts[TaskStatus.FAILED]
    best = f"{now.metric} = {now.best.score:.6g}" if now.best else ""
    return [
        (tree.sweep_id, Tone.NAME),
        status_word(now.status),
        f"{now.finished:,}/{now.expected:,}",
        (f"{failed:,}", Tone.BAD if failed else Tone.DIM),
        words.moment(found.tracker.last_at),
        best,
    ]
