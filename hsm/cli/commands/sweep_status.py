"""`hsm sweep status`: where a sweep stands."""

from __future__ import annotations

from pathlib import Path

import click

from hsm.cli import closing, forms, options, screen, tables, words
from hsm.cli.console import Console, Span, Tone
from hsm.cli.workspace import Look, Workspace, analysed_of, some_tasks, study
from hsm.core.errors import ExitCode
from hsm.core.model import Task
from hsm.core.projection import status_of
from hsm.core.selectors import is_selector
from hsm.core.standing import doubt_of
from hsm.core.states import SweepStatus, TaskStatus
from hsm.core.world import Identity

SHOWN_METRICS = 4
SILENT_S = 60.0
"""An engine on another host that has told nothing for so long may be dead."""


@forms.command(
    "sweep status",
    "sweep status heat-20260102 --tasks",
    "sweep status last --tasks failed",
    "sweep status last --json",
)
@options.sweep
@click.option(
    "-t",
    "--tasks",
    "tasks",
    is_flag=False,
    flag_value="all",
    metavar="[TASKS]",
    help="Show every task, or those named: 3, 20-30, failed, best:5, ...",
)
@options.outputs
@options.json_output
@click.pass_obj
def command(console: Console, *, reference: str, tasks: str | None, outputs: Path | None) -> ExitCode:
    """Show where a sweep stands: the last one, when none is named."""
    space = Workspace.here(outputs)
    reference, tasks = _meant(space, reference, tasks)
    look = study(space.world, space.find(reference)) if tasks else space.look(reference)
    chosen = some_tasks(space.world, look, [tasks])[1] if tasks else []
    if console.as_json:
        listed = {"task_list": [_record(look.tracker.task(index)) for index in chosen]} if tasks else {}
        content = {
            **closing.standing_of(look),
            **_engine(look),
            "analyses": closing.analyses_of(analysed_of(space.world, look)),
            **listed,
        }
        console.envelope("sweep.status", content)
        return ExitCode.FINE
    scene = screen.Scene(
        tree=look.tree,
        progress=look.progress,
        best_params=closing.best_params(look),
        notice=notice(space, look),
        analyses=analysed_of(space.world, look, telling=True),
    )
    for spans in screen.lines_of(scene, console.data_width, console.data_glyphs):
        console.data(*spans)
    if tasks:
        console.data()
        tables.write(
            console,
            ("task", "status", ">tries", "source", ">time", "result"),
            [task_cells(look, look.tracker.task(index)) for index in chosen],
        )
    return ExitCode.FINE


def _meant(space: Workspace, reference: str, tasks: str | None) -> tuple[str, str | None]:
    """Return sweep and tasks: in `--tasks ID` the word behind the option is the sweep."""
    if tasks is None or reference != "last" or is_selector(tasks):
        return reference, tasks
    is_sweep = tasks in ("last", "@") or any(tree.sweep_id.startswith(tasks) for tree in space.sweeps.all())
    return (tasks, "all") if is_sweep else (reference, tasks)


def notice(space: Workspace, look: Look) -> str:
    """Return what the user should know beside the numbers."""
    if look.claim is not None:
        who = look.claim.who
        return "" if space.world.is_alive(who) is not None else _far_away(space, look, who)
    if look.tracker.counts[TaskStatus.CORRUPT]:
        again = space.command("sweep complete ID --retry corrupt", look.tree)
        return f"damaged results can be run again: {again}"
    if look.status is SweepStatus.PARTIAL:
        return f"no engine drives it; go on: {space.command('sweep complete ID', look.tree)}"
    return ""


def _far_away(space: Workspace, look: Look, who: Identity) -> str:
    """Return what is known of an engine that cannot be asked whether it lives."""
    where = f"its engine is on {who.host}, pid {who.pid}"
    age_s = look.progress.age_s
    if age_s is None or age_s < SILENT_S:
        return f"{where}, and cannot be seen from here"
    again = space.command("sweep complete ID --takeover", look.tree)
    return f"silent for {words.rough(age_s)}; {where}; if that is dead: {again}"


def _engine(look: Look) -> dict[str, object]:
    claim = look.claim
    return {"engine": claim and {"host": claim.who.host, "pid": claim.who.pid, "epoch": claim.epoch}}


def _record(task: Task) -> dict[str, object]:
    import json

    state = task.attempt and str(task.attempt.state)
    return {**status_of(task), "attempt_state": state, "params": json.loads(task.params_json)}


def task_cells(look: Look, task: Task, *, now: float | None = None) -> list[str | Span]:
    """Return what a list of tasks shows of one; what runs shows since when, where `now` is given."""
    attempt = task.attempt
    wall = attempt.exit.wall_s if attempt and attempt.exit else None
    if (
        wall is None
        and now is not None
        and attempt
        and attempt.started_at
        and task.status is TaskStatus.RUNNING
    ):
        wall = max(0.0, now - attempt.started_at)
    return [
        task.task_id,
        screen.task_word(task.status),
        str(len(task.attempts)) if task.attempts or not task.status.is_final else "",
        attempt.source if attempt else "",
        words.duration(wall) if wall is not None else "",
        (_result(look, task), Tone.DIM),
    ]


def _result(look: Look, task: Task) -> str:
    """Return a task's numbers, or why it has none, and the parameters that not every task has alike."""
    import json

    params = json.loads(task.params_json)
    own = ", ".join(
        f"{key} = {_text(value)}" for key, value in params.items() if key not in look.spec.parameters
    )
    doubt = doubt_of(task, look.tracker)
    return f"{doubt or task.reason or _numbers(look, task)}  {own}".strip()


def _numbers(look: Look, task: Task) -> str:
    """Return the objective of a hunt, else the first numbers."""
    metrics = look.tracker.result_of(task).metrics or {}
    hunt = look.spec.hunt
    shown = [hunt.objective.metric] if hunt else list(metrics)[:SHOWN_METRICS]
    return ", ".join(f"{name} = {_text(metrics[name])}" for name in shown if name in metrics)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "null" if value is None else str(value)
