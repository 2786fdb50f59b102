"""`hsm logs`: what tasks printed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from hsm.cli import forms, options
from hsm.cli.ages import age_of
from hsm.cli.analysing import tasks_of
from hsm.cli.console import Console, Tone
from hsm.cli.tails import STREAMS, Tail, last_lines
from hsm.cli.words import plural
from hsm.cli.workspace import Look, Workspace, some_tasks, study
from hsm.core import summary
from hsm.core.errors import ExitCode, MachineError, SweepError
from hsm.core.model import Task
from hsm.core.spec import SweepSpec
from hsm.core.states import TaskStatus
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire.names import task_id

INTERVAL_S = 0.3
SOME_LINES = 10
"""Of each of several tasks so many last lines are shown."""
MOST_FOLLOWED = 50


@forms.command(
    "logs 3",
    "logs task_0003 --sweep heat-20260102 -f",
    "logs 3 --stderr",
    "logs failed -n 5",
    "logs 3 --analysis quantules",
)
@click.argument("tasks", metavar="TASK")
@click.option("--sweep", "reference", default="last", show_default=True, metavar="ID", help="Of this sweep.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the task is over.")
@click.option("--stdout", "is_stdout", is_flag=True, help="Only what it wrote to stdout.")
@click.option("--stderr", "is_stderr", is_flag=True, help="Only what it wrote to stderr.")
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), metavar="N", help="The last N lines of each stream only."
)
@options.of_analysis
@options.outputs
@click.pass_obj
def command(
    console: Console,
    *,
    tasks: str,
    reference: str,
    follow: bool,
    is_stdout: bool,
    is_stderr: bool,
    lines: int | None,
    analysis: str | None,
    outputs: Path | None,
) -> ExitCode:
    """Show what a task printed: stdout, then stderr; with -f, line by line as they come.

    TASK is a selector: task_0003, 3, 3-5, failed, best:2, ... Of several tasks the last lines are shown.
    On a terminal each line tells its stream; elsewhere the lines are as the program wrote them.
    """
    space = Workspace.here(outputs)
    look, chosen = some_tasks(space.world, space.look(reference), [tasks])
    if not chosen:
        raise SweepError(
            f"no task is meant by {tasks!r} at present", hint="`hsm sweep status --tasks` lists all"
        )
    if analysis is not None:
        look, chosen = tasks_of(space, look, chosen, analysis)
    streams = tuple(name for name, wanted in zip(STREAMS, (is_stdout, is_stderr), strict=True) if wanted)
    reading = Reading(console, space, look, chosen, streams=streams or STREAMS, lines=lines)
    return reading.follow() if follow else reading.show()


class Reading:
    """The logs of some tasks of a sweep."""

    def __init__(
        self,
        console: Console,
        space: Workspace,
        look: Look,
        chosen: list[int],
        *,
        streams: tuple[str, ...],
        lines: int | None,
    ) -> None:
        self._console = console
        self._space = space
        self._look = look
        self._tasks = [self._worker(look.tracker.task(index)) for index in chosen]
        self._streams = streams
        self._lines = lines

    def _worker(self, task: Task) -> Task:
        """Return the task that did the work of this one."""
        if task.status is not TaskStatus.REUSED:
            return task
        self._look = study(self._space.world, self._look.tree)
        found = self._look.tracker.result_of(self._look.tracker.task(task.index))
        self._console.say((f"{task.task_id} is the work of {found.task_id}", Tone.DIM))
        return found

    def show(self) -> ExitCode:
        """Write what is there."""
        if len(self._tasks) == 1:
            self._show_one(self._tasks[0])
            return ExitCode.FINE
        for place, task in enumerate(self._tasks):
            if place:
                self._console.data()
            self._console.data((f"==> {task.task_id} ({task.status}) <==", Tone.NAME))
            for name in self._streams:
                path = self._path(task.index, name)
                self._last(name, path, SOME_LINES if self._lines is None else self._lines)
        return ExitCode.FINE

    def _show_one(self, task: Task) -> None:
        paths = {name: self._path(task.index, name) for name in self._streams}
        age = age_of(self._space.world, self._look.tree, task)
        if age:
            self._console.warn(age)
        if not any(path.exists() for path in paths.values()):
            raise _no_log(task, self._look.tree, is_driven=self._look.is_driven)
        for name, path in paths.items():
            if self._lines is not None:
                self._last(name, path, self._lines)
            else:
                tail = Tail(self._console, path, self._mark(name))
                tail.more()
                tail.close()

    def _last(self, name: str, path: Path, count: int) -> None:
        """Write the last lines of one stream."""
        tail = Tail(self._console, path, self._mark(name))
        tail.write("".join(f"{row}\n" for row in last_lines(path, count)))
        tail.close()

    def _path(self, index: int, stream: str) -> Path:
        return self._look.tree.task(index) / f"{stream}.log"

    def _mark(self, stream: str, index: int = 0) -> str | None:
        """Return what stands before each line: the stream, and the task, where there are several."""
        if not self._console.is_data_on_terminal or (len(self._streams) == 1 and not index):
            return None
        return f"{task_id(index)} {stream[3:]}" if index else stream[3:]

    def follow(self) -> ExitCode:
        """Write what comes until every task is over."""
        if len(self._tasks) > MOST_FOLLOWED:
            raise SweepError(
                f"{plural(len(self._tasks), 'task')} cannot be followed at once",
                hint=f"name at most {MOST_FOLLOWED}; `hsm monitor watch` shows a whole sweep",
            )
        several = len(self._tasks) > 1
        tails = [
            Tail(
                self._console,
                self._path(task.index, name),
                self._mark(name, task.index if several else 0),
                by_line=several or len(self._streams) > 1,
            )
            for task in self._tasks
            for name in self._streams
        ]
        indices = [task.index for task in self._tasks]
        following = Following(self._console, self._space.world, self._look.tree, self._look.spec)
        return asyncio.run(following.follow(tails, indices))


def _no_log(task: Task, tree: SweepTree, *, is_driven: bool) -> SweepError:
    if task.status.is_final or task.status is TaskStatus.RUNNING:
        return SweepError(
            f"{task.task_id} ({task.status}) left no log", hint=f"look into {tree.task(task.index)}"
        )
    hint = "`-f` waits for it" if is_driven else "no engine drives the sweep: `hsm sweep complete ID` goes on"
    return SweepError(
        f"{task.task_id} has not begun yet", hint=f"{hint}; `hsm explain {task.index}` tells why"
    )


class Following:
    """Follows tasks of a sweep until they are over; where what they print no longer comes, it says so."""

    def __init__(self, console: Console, world: World, tree: SweepTree, spec: SweepSpec) -> None:
        self._console = console
        self._world = world
        self._tree = tree
        self._spec = spec
        self._late: set[str] = set()

    async def follow(self, tails: list[Tail], indices: list[int]) -> ExitCode:
        """Write what comes until every task is over."""
        world, tree, spec = self._world, self._tree, self._spec
        tracker, reader = await world.blocking(summary.glance, world.files, tree, spec)
        while True:
            is_over = bool(tracker.released) or all(tracker.task(index).status.is_final for index in indices)
            for tail in tails:
                tail.more()
            if is_over:
                break
            self.tell_ages([tracker.task(index) for index in indices])
            await world.sleep(INTERVAL_S)
            try:
                for event in await world.blocking(list, reader.events()):
                    tracker.fold(event)
            except MachineError:  # about a task that is known by its status alone
                tracker, reader = await world.blocking(summary.replay, world.files, tree, spec)
        for tail in tails:
            tail.close()
        world.close()
        return ExitCode.FINE

    def tell_ages(self, tasks: list[Task]) -> None:
        """Say once that word no longer comes from a source, and once that it does again."""
        for task in tasks:
            source = task.attempt.source if task.attempt else ""
            age = age_of(self._world, self._tree, task)
            if age and source not in self._late:
                self._late.add(source)
                self._console.warn(age)
            elif not age and source in self._late:
                self._late.discard(source)
                self._console.say((f"word comes from {source} again", Tone.DIM))
