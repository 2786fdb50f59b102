"""`hsm logs`: what a task printed."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import click

from hsm.cli import forms, options
from hsm.cli.console import Console, Tone
from hsm.cli.workspace import Look, Workspace, one_task, study
from hsm.core import summary
from hsm.core.errors import ExitCode, SweepError
from hsm.core.model import Task
from hsm.core.spec import SweepSpec
from hsm.core.states import TaskStatus
from hsm.core.story import clean
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.core.world import World

CHUNK = 1 << 16
INTERVAL_S = 0.3
_KEPT = re.compile(r"(\n|\t|\r\n|\x1b\[[0-9;]{0,20}m)")


@forms.command("logs 3", "logs task_0003 --sweep heat-20260102 -f", "logs 3 --stderr")
@click.argument("task", metavar="TASK")
@click.option("--sweep", "reference", default="last", show_default=True, metavar="ID", help="Of this sweep.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the task is over.")
@click.option("--stderr", "is_stderr", is_flag=True, help="What it wrote to stderr, instead of stdout.")
@options.outputs
@click.pass_obj
def command(
    console: Console, *, task: str, reference: str, follow: bool, is_stderr: bool, outputs: Path | None
) -> ExitCode:
    """Show what a task (task_0003, or 3) printed."""
    space = Workspace.here(outputs)
    look = space.look(reference)
    wanted = look.tracker.task(one_task(look.tracker, task))
    if wanted.status is TaskStatus.REUSED:
        wanted = _original(console, study(space.world, look.tree), wanted)
    name = "stderr.log" if is_stderr else "stdout.log"
    path = look.tree.task(wanted.index) / name
    if follow:
        tail = Tail(console, path)
        return asyncio.run(_follow(space.world, tail, tree=look.tree, spec=look.spec, index=wanted.index))
    if not path.exists():
        raise _no_log(wanted, look.tree, is_driven=look.is_driven)
    Tail(console, path).more()
    return ExitCode.FINE


def _original(console: Console, look: Look, asked: Task) -> Task:
    """Return the task that did the work of this one."""
    found = look.tracker.result_of(look.tracker.task(asked.index))
    console.say((f"{asked.task_id} is the work of {found.task_id}", Tone.DIM))
    return found


def _no_log(task: Task, tree: SweepTree, *, is_driven: bool) -> SweepError:
    if task.status.is_final or task.status is TaskStatus.RUNNING:
        return SweepError(
            f"{task.task_id} ({task.status}) left no log", hint=f"look into {tree.task(task.index)}"
        )
    hint = "`-f` waits for it" if is_driven else "no engine drives the sweep: `hsm sweep complete ID` goes on"
    return SweepError(f"{task.task_id} has not begun yet", hint=hint)


class Tail:
    """A log that grows, and that a further attempt may replace."""

    def __init__(self, console: Console, path: Path) -> None:
        self._console = console
        self._path = path
        self._inode = 0
        self._offset = 0

    def more(self) -> None:
        """Write what came since."""
        try:
            with self._path.open("rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                if inode != self._inode:
                    self._turn_to(inode)
                file.seek(self._offset)
                while chunk := file.read(CHUNK):
                    self._offset += len(chunk)
                    self._write(chunk)
        except FileNotFoundError:
            return  # it has not begun, or is being moved to its place
        self._console.flush()

    def _turn_to(self, inode: int) -> None:
        if self._inode:
            self._console.say(("a further attempt began", Tone.DIM))
        self._inode, self._offset = inode, 0

    def _write(self, chunk: bytes) -> None:
        text = chunk.decode("utf-8", "replace")
        self._console.raw(harmless(text) if self._console.is_data_on_terminal else text)


def harmless(text: str) -> str:
    """Return a log as a terminal may see it: lines and colours as they are, other controls escaped."""
    pieces = _KEPT.split(text)
    return "".join(piece if place % 2 else clean(piece) for place, piece in enumerate(pieces))


async def _follow(world: World, tail: Tail, *, tree: SweepTree, spec: SweepSpec, index: int) -> ExitCode:
    """Write what comes until the task is over."""
    tracker, reader = await world.blocking(summary.glance, world.files, tree, spec)
    while True:
        is_over = _is_over(tracker, index)
        tail.more()
        if is_over:
            break
        await world.sleep(INTERVAL_S)
        for event in await world.blocking(lambda: list(reader.events())):
            tracker.fold(event)
    world.close()
    return ExitCode.FINE


def _is_over(tracker: SweepTracker, index: int) -> bool:
    return tracker.task(index).status.is_final or bool(tracker.released)
