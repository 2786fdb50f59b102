"""A task that is opened in a watch: its story, read once and then told on, and the ends of its logs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from hsm.cli import evidence, screen
from hsm.cli.ages import age_of
from hsm.cli.console import Line, Tone, line
from hsm.cli.dashboard import TaskPage
from hsm.cli.details import is_stub
from hsm.cli.telling import story_line
from hsm.cli.workspace import Look, Workspace
from hsm.core import events as ev
from hsm.core.history import Happening, read_history
from hsm.core.model import Task
from hsm.core.standing import standing
from hsm.wire.names import task_id

LOG_LINES = 200
MARKS = {"stdout": ("out ", Tone.DIM), "stderr": ("err ", Tone.WARN)}


class OpenedTask:
    """One task, in all detail."""

    def __init__(self, space: Workspace, look: Look, index: int) -> None:
        self.index = index
        self._space = space
        self._look = look
        self._task: Task | None = None
        self._happenings: list[Happening] = []
        self._log: list[Line] = []

    def open(self) -> None:
        """Read its history. Blocks."""
        look = self._look
        history = read_history(self._space.world.files, look.tree, self.index, look.spec.retry)
        if history is not None:
            self._task, self._happenings = history.task, list(history.happenings)

    def take(self, events: Sequence[ev.Event], look: Look) -> None:
        """Take in what came since, and the ends of its logs."""
        self._look = look
        known = {id(happening.event) for happening in self._happenings}
        task = look.tracker.task(self.index)
        for event in events:
            if getattr(event, "task", None) == self.index and id(event) not in known:
                self._happenings.append(Happening(event, task))
        self._log = self._read_log(look.tree.task(self.index))

    def _read_log(self, directory: Path) -> list[Line]:
        """Return the ends of both logs, the one that was written to last at the end."""
        found: list[Line] = []
        for stream in sorted(MARKS, key=lambda stream: evidence.written_at(directory / f"{stream}.log")):
            rows = evidence.tail(directory / f"{stream}.log", LOG_LINES)
            found += [line(MARKS[stream], row) for row in rows]
        return found

    def page(self) -> TaskPage:
        """Return what is to be seen of it."""
        look, task = self._look, self._look.tracker.task(self.index)
        if self._task is not None and is_stub(task):
            task = self._task
        why = standing(task, look.tracker, driven=look.is_driven)
        params = json.loads(self._task.params_json) if self._task else {}
        told = ", ".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in params.items())
        head = [
            line(
                (task_id(self.index), Tone.NAME), "  ", screen.task_word(task.status), (f"  {told}", Tone.DIM)
            ),
            line(("why  ", Tone.DIM), why.why),
        ]
        if why.command:
            head.append(line(("do   ", Tone.DIM), self._space.command(why.command, look.tree)))
        return TaskPage(
            head=[*head, line()],
            story=[story_line(happening, with_day=False) for happening in self._happenings],
            log=self._log,
            log_age=age_of(self._space.world, look.tree, look.tracker.task(self.index)),
        )
