"""Packed tasks: what became of a task as one line of JSON, a third of the size of the objects it stands for.

A row holds the values of a task's own fields in the order of `FIELDS`; what its plan says of it is not in it.
Rows written by another version are read by the names of the fields that they came with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from operator import attrgetter
from typing import Any

from hsm.core.layout import Layout
from hsm.core.model import Attempt, Exit, Task
from hsm.core.states import AttemptState, Cause, TaskStatus

PLANNED = ("index", "config_hash", "task_key", "params_json", "seed", "generation", "label")
"""What a task's plan says of it; `index` and `generation` follow from the plan's place."""

Fields = Mapping[str, Sequence[str]]

_TASK = ("status", *(f.name for f in fields(Task) if f.name not in PLANNED and f.name != "status"))
_TASKS = Layout(Task, (*_TASK, *PLANNED))
_ATTEMPTS = Layout(Attempt)
_EXITS = Layout(Exit)
FIELDS: Fields = {"task": _TASK, "attempt": _ATTEMPTS.names, "exit": _EXITS.names}
_own_values = attrgetter(*_TASK)
_planned_values = attrgetter(*PLANNED)
_STATUS_AT, _ATTEMPTS_AT = _TASK.index("status"), _TASK.index("attempts")
_STATE_AT, _CAUSE_AT, _EXIT_AT = map(_ATTEMPTS.names.index, ("state", "cause", "exit"))
_encode = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, separators=(",", ":"), check_circular=False
).encode
_decode = json.JSONDecoder().decode
_STATUSES = {str(status).encode(): status for status in TaskStatus}
_STATES = {str(state): state for state in AttemptState}
_CAUSES = {str(cause): cause for cause in Cause}


def pack(task: Task) -> bytes:
    """Return the row of a task."""
    values = list(_own_values(task))
    values[_ATTEMPTS_AT] = [_attempt_values(attempt) for attempt in task.attempts]
    return _encode(values).encode("ascii")


def _attempt_values(attempt: Attempt) -> list[Any]:
    values = list(_ATTEMPTS.values(attempt))
    if attempt.exit is not None:
        values[_EXIT_AT] = _EXITS.values(attempt.exit)
    return values


def status_of(row: bytes) -> TaskStatus:
    """Return the status of a packed task without unpacking the rest."""
    return _STATUSES[row[2 : row.index(b'"', 2)]]


def unpack(row: bytes, planned: Task) -> Task:
    """Return the task of a row; `planned` is the same task as its plan has it.

    Raises:
        ValueError, KeyError, TypeError, IndexError: it is no row of this version.
    """
    return _task(planned, _decode(row.decode("ascii")))


def repack(row: bytes, written: Fields, planned: Task) -> bytes:
    """Return a row as this version writes it; `written` names the fields that it has.

    Raises:
        ValueError, KeyError, TypeError, IndexError: it cannot be understood.
    """
    values = dict(zip(written["task"], json.loads(row), strict=True))
    attempts = [dict(zip(written["attempt"], items, strict=True)) for items in values["attempts"]]
    for attempt in attempts:
        if attempt["exit"] is not None:
            exit_ = dict(zip(written["exit"], attempt["exit"], strict=True))
            attempt["exit"] = [exit_.get(name, default) for name, default in _DEFAULTS[Exit].items()]
    values["attempts"] = [
        [attempt.get(name, default) for name, default in _DEFAULTS[Attempt].items()] for attempt in attempts
    ]
    own = [values.get(name, default) for name, default in zip(_TASK, _own_values(planned), strict=True)]
    return pack(_task(planned, own))


def _task(planned: Task, values: list[Any]) -> Task:
    values[_STATUS_AT] = TaskStatus(values[_STATUS_AT])
    values[_ATTEMPTS_AT] = tuple([_attempt(items) for items in values[_ATTEMPTS_AT]])
    return _TASKS.make((*values, *_planned_values(planned)))


def _attempt(values: list[Any]) -> Attempt:
    values[_STATE_AT] = _STATES[values[_STATE_AT]]
    if values[_CAUSE_AT] is not None:
        values[_CAUSE_AT] = _CAUSES[values[_CAUSE_AT]]
    if values[_EXIT_AT] is not None:
        values[_EXIT_AT] = _EXITS.make(values[_EXIT_AT])
    return _ATTEMPTS.make(values)


_DEFAULTS: Mapping[type, Mapping[str, Any]] = {
    cls: {f.name: None if f.default is MISSING else f.default for f in fields(cls)} for cls in (Attempt, Exit)
}
