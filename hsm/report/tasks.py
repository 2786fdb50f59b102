"""The table of tasks: one row each, up to a limit, numbers lined up."""

from __future__ import annotations

from collections.abc import Sequence

from hsm.core.model import Task
from hsm.report.columns import CELL, HEAD, Column, value_column
from hsm.report.html import Markup, code, join, note, section, short, table, tag
from hsm.report.links import task_link
from hsm.report.states import badge
from hsm.report.text import count, plain
from hsm.report.view import ReportView, has_result, params_of

PARAMS = 16
METRICS = 12
CONSTANTS = 24
FIXED = 8
CELLS = 6_000


def task_table(view: ReportView) -> Markup:
    """Return the section with the table."""
    tasks = _rows(view)
    if not tasks:
        return section("tasks", "Tasks", note("This sweep has no tasks yet."))
    columns = [*_identity(view, tasks), *_params(view, tasks), *_metrics(view, tasks), *_effort(tasks)]
    rows = [tag("tr", *(column.cells[row] for column in columns)) for row in range(len(tasks))]
    label = f"{count(len(tasks), 'task')} of {len(view.tasks):,}"
    shown = table([column.head for column in columns], rows, label=label)
    return section("tasks", "Tasks", _constants(view), shown, _rest(view), _narrowed(view))


def _rows(view: ReportView) -> list[Task]:
    most = _most(view)
    if len(view.tasks) <= most:
        return list(view.tasks)
    return [task for _, task in zip(range(most), view.ranking(), strict=False)]


def _most(view: ReportView) -> int:
    """Return how many rows there may be: fewer of them where they are wide, so that the page stays small."""
    columns = FIXED + min(len(view.varying), PARAMS) + min(len(view.metric_names), METRICS)
    return min(view.limits.rows, CELLS // columns)


def _identity(view: ReportView, tasks: Sequence[Task]) -> list[Column]:
    columns = [
        Column(title="task", cells=[tag("td", task_link(task)) for task in tasks]),
        Column(title="status", cells=[tag("td", badge(task.status)) for task in tasks]),
    ]
    if view.spec.hunt:
        columns.append(_numbers("generation", [task.generation for task in tasks]))
        columns.append(Column(title="label", cells=[short(task.label, CELL, "td") for task in tasks]))
    if view.spec.seeds > 1:
        columns.append(_numbers("seed", [task.seed for task in tasks]))
    return columns


def _numbers(title: str, values: Sequence[int]) -> Column:
    return Column(title=title, cells=[tag("td", str(value), class_="n") for value in values], numeric=True)


def _params(view: ReportView, tasks: Sequence[Task]) -> list[Column]:
    params = [params_of(task) for task in tasks]
    return [
        value_column(name, [own.get(name) for own in params], [name in own for own in params])
        for name in view.varying[:PARAMS]
    ]


def _metrics(view: ReportView, tasks: Sequence[Task]) -> list[Column]:
    metrics = [view.metrics(task) for task in tasks]
    done = [has_result(task) for task in tasks]
    return [
        value_column(
            name,
            [own.get(name) for own in metrics],
            [name in own and ended for own, ended in zip(metrics, done, strict=True)],
        )
        for name in view.metric_names[:METRICS]
    ]


def _effort(tasks: Sequence[Task]) -> list[Column]:
    walls = [task.attempt.exit.wall_s if task.attempt and task.attempt.exit else None for task in tasks]
    sources = [task.attempt.source if task.attempt else "" for task in tasks]
    return [
        value_column("wall time (s)", walls, [wall is not None for wall in walls]),
        Column(title="source", cells=[short(source, CELL, "td") for source in sources]),
        _numbers("attempts", [len(task.attempts) for task in tasks]),
    ]


def _constants(view: ReportView) -> Markup | None:
    if not view.spec.parameters:
        return None
    named = sorted(view.spec.parameters.items())
    pairs = [
        join(" ", short(f"{name} = {plain(value)}", CELL + HEAD, "code", "chip"))
        for name, value in named[:CONSTANTS]
    ]
    more = f" and {len(named) - CONSTANTS:,} more in sweep_config.yaml" if named[CONSTANTS:] else None
    return note("The same in every task:", *pairs, more)


def _rest(view: ReportView) -> Markup | None:
    most = _most(view)
    left = len(view.tasks) - most
    if left <= 0:
        return None
    which = "the best first" if view.best() else "in task order"
    return note(
        f"The table shows {most:,} tasks, {which}. The other {left:,} are in ",
        code("task_mapping.yaml"),
        f" and under {count(len(view.tasks), 'directory', 'directories')} in ",
        code("tasks/"),
        ".",
    )


def _narrowed(view: ReportView) -> Markup | None:
    params, metrics = len(view.varying) - PARAMS, len(view.metric_names) - METRICS
    if params <= 0 and metrics <= 0:
        return None
    parts = [
        count(params, "more parameter") if params > 0 else "",
        count(metrics, "more metric") if metrics > 0 else "",
    ]
    said = " and ".join(part for part in parts if part)
    return note(f"{said} of each task: see params.yaml and metrics.json in its directory.")
