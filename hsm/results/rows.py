"""One task as one row: cells by column name, ready for any table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from hsm.core.model import Attempt
from hsm.core.spec import SweepSpec, Value
from hsm.core.tree import SweepTree
from hsm.results.analysed import analysed, numbers_of
from hsm.results.columns import ANALYSIS, METRIC, PARAM
from hsm.results.settled import Settled, settled_tasks
from hsm.wire import names
from hsm.wire.files import Files
from hsm.wire.instants import timestamp

Cell: TypeAlias = Value
Row: TypeAlias = "dict[str, Cell]"


def rows(files: Files, tree: SweepTree, spec: SweepSpec) -> Iterator[Row]:
    """Yield a row for each task that has been planned, in task order, as soon as the ledger allows.

    Raises:
        HsmError: the sweep cannot be read.
    """
    sweep_id, tasks = tree.sweep_id, str(tree.tasks)
    analyses = analysed(files, tree, spec, whole=True)
    for settled in settled_tasks(files, tree, spec):
        row = row_of(settled, sweep_id, tasks)
        row.update((ANALYSIS + name, value) for name, value in numbers_of(analyses, settled.result))
        yield row


def row_of(settled: Settled, sweep_id: str, tasks: str) -> Row:
    """Return the row of a task whose sweep has its tasks in the folder `tasks`.

    What is not known is left out; a metric that is null is None.
    """
    task, result = settled
    row: Row = {"meta.sweep": sweep_id, "meta.task": task.task_id, "meta.status": str(task.status)}
    params: Mapping[str, Value] = json.loads(task.params_json)
    for name, value in params.items():
        row[PARAM + name] = value
    for name, number in (result.metrics or {}).items():
        row[METRIC + name] = number
    row["meta.seed"] = task.seed
    row["meta.generation"] = task.generation
    row["meta.attempts"] = len(task.attempts)
    row["meta.config_hash"] = task.config_hash
    row["meta.path"] = f"{tasks}/{result.task_id}"
    if task.label:
        row["meta.label"] = task.label
    if task.reuses is not None:
        row["meta.reuses"] = names.task_id(task.reuses)
    if task.attempt is not None:
        _add_attempt(row, task.attempt)
    reason = task.reason or (task.attempt.reason if task.attempt else "")
    if reason:
        row["meta.reason"] = reason
    return row


def _add_attempt(row: Row, attempt: Attempt) -> None:
    row["meta.source"] = attempt.source
    if attempt.started_at is not None:
        row["meta.started_at"] = timestamp(attempt.started_at)
    if attempt.ended_at is not None:
        row["meta.ended_at"] = timestamp(attempt.ended_at)
    if attempt.cause is not None:
        row["meta.cause"] = str(attempt.cause)
    end = attempt.exit
    if end is None:
        return
    row["meta.wall_s"] = end.wall_s
    row["meta.max_rss_bytes"] = end.max_rss_bytes
    if end.code is None:
        row["meta.signal"] = end.signal
    else:
        row["meta.exit_code"] = end.code
