"""`hsm monitor errors`: failures, grouped by cause and by what they said last."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from hsm.cli import forms, options
from hsm.cli.console import Console, Line, Tone, line
from hsm.cli.words import plural
from hsm.cli.workspace import Workspace, study
from hsm.core.errors import ExitCode
from hsm.core.monitor import Failures
from hsm.core.projection import Projector
from hsm.core.states import AttemptState, TaskStatus
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire.names import task_id

TAIL_BYTES = 8192
TAIL_LINES = 8
NAMED = 8
BAD = (AttemptState.FAILED, AttemptState.LOST, AttemptState.REJECTED)


@forms.command("monitor errors", "monitor errors heat-20260102")
@options.sweep
@options.outputs
@options.json_output
@click.pass_obj
def command(console: Console, *, reference: str, outputs: Path | None) -> ExitCode:
    """Show failures, grouped by cause and by what they said last, with the end of one log each."""
    space = Workspace.here(outputs)
    look = study(space.world, space.find(reference))
    groups = look.progress.failures
    tails = [tail(space.world, look.tree, look.tracker, group) for group in groups]
    if console.as_json:
        records = [{**_record(group), "tail": rows} for group, rows in zip(groups, tails, strict=True)]
        console.envelope("monitor.errors", {"sweep_id": look.tree.sweep_id, "groups": records})
        return ExitCode.FINE
    if not groups:
        console.say("no attempt failed")
        return ExitCode.FINE
    for group, rows in zip(groups, tails, strict=True):
        for spans in _lines(look.tree, group, rows, console.data_glyphs.times):
            console.data(*spans)
    failed = look.tracker.counts[TaskStatus.FAILED]
    if failed:
        retry = space.command("sweep complete ID --retry-failed", look.tree)
        console.say(f"{plural(failed, 'task')} failed in the end; try again: {retry}")
    return ExitCode.FINE


def tail(world: World, tree: SweepTree, tracker: SweepTracker, group: Failures) -> list[str]:
    """Return the last lines that the first failed attempt of a group wrote to stderr."""
    task = tracker.task(group.tasks[0])
    attempt = next((a for a in task.attempts if a.state in BAD), None)
    if attempt is None:
        return []
    path = Projector(world.files, tree).directory(task, attempt) / "stderr.log"
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            rows = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [row.rstrip() for row in rows if row.strip()][-TAIL_LINES:]


def _record(group: Failures) -> dict[str, object]:
    return {
        "cause": group.cause,
        "signature": group.signature,
        "count": group.count,
        "tasks": [task_id(task) for task in group.tasks],
        "remedy": group.remedy,
    }


def _lines(tree: SweepTree, group: Failures, rows: list[str], times: str) -> Iterator[Line]:
    yield line((f"{group.count:,} {times} {group.cause}", Tone.BAD), f"  {group.signature}")
    names = ", ".join(task_id(task) for task in group.tasks[:NAMED])
    rest = f" and {group.count - NAMED:,} more" if group.count > NAMED else ""
    yield line(("  tasks  ", Tone.DIM), names + rest)
    for place, row in enumerate(rows):
        yield line(("  stderr " if place == 0 else "         ", Tone.DIM), row)
    if group.remedy:
        remedy = group.remedy.replace("TASK", task_id(group.tasks[0])).replace("ID", tree.sweep_id)
        yield line(("  hint   ", Tone.ACTIVE), remedy)
    yield line()
