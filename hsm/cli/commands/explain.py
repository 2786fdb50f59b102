"""`hsm explain`: what happened to a task, attempt by attempt, and why it is not running now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hsm.cli import evidence, forms, options, screen, words
from hsm.cli.analysing import tasks_of
from hsm.cli.commands.sweep_status import notice
from hsm.cli.console import Console, Line, Tone, line
from hsm.cli.telling import folded, story_line
from hsm.cli.workspace import Look, Workspace, analysed_of, some_tasks
from hsm.core.errors import ExitCode, SweepError
from hsm.core.events import to_record
from hsm.core.history import TaskHistory, read_histories
from hsm.core.model import Attempt, Task
from hsm.core.projection import Projector, status_of
from hsm.core.selectors import parse_selector
from hsm.core.standing import Standing, standing, unplanned
from hsm.wire.names import task_id

if TYPE_CHECKING:
    from hsm.results.analysed import Analysed

TAIL_LINES = 3
FEW = 20
"""So many tasks are explained at a time."""


@forms.command("explain 3", "explain task_0003 --sweep heat-20260102", "explain failed --json")
@click.argument("tasks", metavar="TASK")
@click.option("--sweep", "reference", default="last", show_default=True, metavar="ID", help="Of this sweep.")
@options.of_analysis
@options.outputs
@options.json_output
@click.pass_obj
def command(
    console: Console, *, tasks: str, reference: str, analysis: str | None, outputs: Path | None
) -> ExitCode:
    """Tell what happened to a task, attempt by attempt, and why it is not running now.

    TASK is a selector: 3, task_0003, 3-5, failed, running, best:2, ...
    """
    space = Workspace.here(outputs)
    look = space.look(reference)
    index = parse_selector(tasks).single
    if index is not None and index > len(look.tracker.tasks):
        return _unplanned(console, space, look, index)
    look, chosen = some_tasks(space.world, look, [tasks])
    if not chosen:
        raise SweepError(
            f"no task is meant by {tasks!r} at present", hint="`hsm sweep status --tasks` lists all"
        )
    if analysis is not None:
        look, chosen = tasks_of(space, look, chosen, analysis)
    accounts = _accounts(space, look, chosen[:FEW])
    if console.as_json:
        console.envelope(
            "task.explanation",
            {
                "sweep_id": look.tree.sweep_id,
                "total": len(chosen),
                "tasks": [entry.record() for entry in accounts],
            },
        )
        return ExitCode.FINE
    _write(console, accounts)
    if len(chosen) > FEW:
        console.say(f"and {words.plural(len(chosen) - FEW, 'more task')}: name fewer")
    return ExitCode.FINE


def _accounts(space: Workspace, look: Look, chosen: Sequence[int]) -> list[Account]:
    histories = read_histories(space.world.files, look.tree, chosen, look.spec.retry)
    lacking = [task_id(index) for index in chosen if index not in histories]
    if lacking:
        raise SweepError(f"the ledger does not plan {lacking[0]} yet", hint="look again in a moment")
    every = [] if look.spec.follows else analysed_of(space.world, look, whole=True)
    return [Account(space, look, histories[index], every) for index in chosen]


def _write(console: Console, accounts: Sequence[Account]) -> None:
    for place, account in enumerate(accounts):
        if place:
            console.data()
        for spans in account.lines():
            for row in folded(spans, console.data_width):
                console.data(*row)


def _unplanned(console: Console, space: Workspace, look: Look, index: int) -> ExitCode:
    found = unplanned(index, look.tracker, driven=look.is_driven)
    if found is None:
        some_tasks(space.world, look, [str(index)])  # which says which tasks there are
        return ExitCode.USAGE
    if console.as_json:
        record = {"task_id": task_id(index), "status": None, **_standing_record(space, look, found)}
        console.envelope("task.explanation", {"sweep_id": look.tree.sweep_id, "total": 1, "tasks": [record]})
        return ExitCode.FINE
    console.data((task_id(index), Tone.NAME), "  ", ("not planned", Tone.DIM), f"  {look.tree.sweep_id}")
    for spans in _standing_lines(space, look, found):
        console.data(*spans)
    return ExitCode.FINE


class Account:
    """What is to be told of one task."""

    def __init__(
        self, space: Workspace, look: Look, history: TaskHistory, analyses: Sequence[Analysed]
    ) -> None:
        self._space = space
        self._look = look
        self._history = history
        self._standing = standing(history.task, look.tracker, driven=look.is_driven)
        made = ((one.name, one.of(look.tracker.result_of(history.task))) for one in analyses)
        self._analyses = {name: task for name, task in made if task is not None}

    def lines(self) -> Iterator[Line]:
        """Yield it for a reader."""
        task = self._history.task
        yield line(
            (task.task_id, Tone.NAME), "  ", screen.task_word(task.status), f"  {self._look.tree.sweep_id}"
        )
        yield _labelled("params", _params(task))
        yield _labelled("seed", f"{task.seed}, config {task.config_hash[:16]}")
        yield from _standing_lines(self._space, self._look, self._standing)
        if self._look.is_driven and (said := notice(self._space, self._look)):
            yield _labelled("note", said)
        yield from map(story_line, self._history.happenings)
        for attempt in task.attempts:
            where = f"{self._directory(task, attempt)}  {_evidence(attempt)}"
            yield _labelled("files", f"attempt {attempt.number}: {where}")
            stream, rows = self._last_words(attempt)
            yield from (_labelled("" if place else stream, row) for place, row in enumerate(rows))
        for name, made in self._analyses.items():
            why = f": {made.reason}" if made.reason else ""
            told = f"; `{self._command(f'explain {task.index} --analysis {name}')}` tells more"
            yield _labelled("analysis", f"{name} {made.status}{why}{told if why else ''}")

    def _command(self, words_: str) -> str:
        return self._space.command(f"{words_} --sweep ID", self._look.tree)

    def record(self) -> dict[str, Any]:
        """Return it as data."""
        task = self._history.task
        return {
            **status_of(task),
            "params": json.loads(task.params_json),
            **_standing_record(self._space, self._look, self._standing),
            "attempt_list": [
                {
                    "attempt": attempt.number,
                    "source": attempt.source,
                    "state": attempt.state,
                    "token": attempt.token,
                    "cause": attempt.cause,
                    "reason": attempt.reason,
                    "exit": attempt.exit,
                    "manifest_sha256": attempt.manifest,
                    "path": self._directory(task, attempt),
                    "tail": self._last_words(attempt)[1],
                }
                for attempt in task.attempts
            ],
            "analyses": {
                name: {"status": made.status, "reason": made.reason or None}
                for name, made in self._analyses.items()
            },
            "events": [to_record(happening.event) for happening in self._history.happenings],
        }

    def _last_words(self, attempt: Attempt) -> tuple[str, list[str]]:
        """Return what an attempt that ended badly said last, and on which stream."""
        if attempt.cause is None or attempt.state.is_live:
            return "", []
        tree, task = self._look.tree, self._history.task
        directory = evidence.directory_of(tree, task.index, attempt.number, attempt.token)
        if directory == tree.task(task.index) and attempt is not task.attempt:
            return "", []
        return evidence.last_words(directory, TAIL_LINES)

    def _directory(self, task: Task, attempt: Attempt) -> str:
        from hsm.cli.closing import near

        path = Projector(self._space.world.files, self._look.tree).directory(task, attempt)
        if path == self._look.tree.task(task.index) and attempt is not task.attempt:
            return "its files are gone"
        return near(path)


def _evidence(attempt: Attempt) -> str:
    return f"manifest {attempt.manifest[:16]}" if attempt.manifest else "no manifest"


def _params(task: Task) -> str:
    params = json.loads(task.params_json)
    return ", ".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in params.items())


def _standing_lines(space: Workspace, look: Look, found: Standing) -> Iterator[Line]:
    yield _labelled("why", found.why)
    if found.command:
        yield line(("  do      ", Tone.ACTIVE), space.command(found.command, look.tree))
    if found.advice:
        yield line(("  hint    ", Tone.ACTIVE), found.advice)


def _standing_record(space: Workspace, look: Look, found: Standing) -> dict[str, Any]:
    command = space.command(found.command, look.tree) if found.command else None
    return {"why": found.why, "command": command, "advice": found.advice or None}


def _labelled(label: str, text: str) -> Line:
    return line((f"  {label:8}", Tone.DIM), text)
