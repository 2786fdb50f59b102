"""Packed tasks: what became of a task as one line of JSON, a third of the size of the objects it stands for.

A row holds the values of a task's own fields in the order of `FIELDS`; what its plan says of it is not in it.
Rows written by another version are read by the names of the fields that they came with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from hsm.core.model import Attempt, Exit, Task
from hsm.core.states import AttemptState, Cause, TaskStatus

T = TypeVar("T", Attempt, Exit, Task)

PLANNED = frozenset({"index", "config_hash", "task_key", "params_json", "seed", "generation", "label"})
"""What a task's plan says of it; `index` and `generation` follow from the plan's place."""

Fields = Mapping[str, Sequence[str]]

_TASK = ("status", *(f.name for f in fields(Task) if f.name not in PLANNED and f.name != "status"))
_ATTEMPT = tuple(f.name for f in fields(Attempt))
_EXIT = tuple(f.name for f in fields(Exit))
FIELDS: Fields = {"task": _TASK, "attempt": _ATTEMPT, "exit": _EXIT}
_ENCODE = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, separators=(",", ":"), check_circular=False
).encode
_STATUSES = {str(status).encode(): status for status in TaskStatus}
_STATES = {str(state): state for state in AttemptState}
_CAUSES = {str(cause): cause for cause in Cause}


def pack(task: Task) -> bytes:
    """Return the row of a task."""
    attempts = [_attempt_values(attempt) for attempt in task.attempts]
    values = [attempts if name == "attempts" else getattr(task, name) for name in _TASK]
    return _ENCODE(values).encode("ascii")


def _attempt_values(attempt: Attempt) -> list[Any]:
    values = [getattr(attempt, name) for name in _ATTEMPT]
    found = attempt.exit
    if found is not None:
        values[_EXIT_PLACE] = [getattr(found, name) for name in _EXIT]
    return values


_EXIT_PLACE = _ATTEMPT.index("exit")


def status_of(row: bytes) -> TaskStatus:
    """Return the status of a packed task without unpacking the rest."""
    return _STATUSES[row[2 : row.index(b'"', 2)]]


def unpack(row: bytes, planned: Task) -> Task:
    """Return the task of a row; `planned` is the same task as its plan has it.

    Raises:
        ValueError, KeyError, TypeError: it is no row of this version.
    """
    return _task(planned, dict(zip(_TASK, json.loads(row), strict=True)))


def repack(row: bytes, written: Fields, planned: Task) -> bytes:
    """Return a row as this version writes it; `written` names the fields that it has.

    Raises:
        ValueError, KeyError, TypeError: it cannot be understood.
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
    return pack(_task(planned, values))


def _task(planned: Task, values: dict[str, Any]) -> Task:
    values["status"] = TaskStatus(values["status"])
    values["attempts"] = tuple([_attempt(items) for items in values["attempts"]])
    return _made(
        Task, {name: values[name] if name in values else getattr(planned, name) for name in _DEFAULTS[Task]}
    )


def _attempt(items: list[Any]) -> Attempt:
    values = dict(zip(_ATTEMPT, items, strict=True))
    values["state"] = _STATES[values["state"]]
    if values["cause"] is not None:
        values["cause"] = _CAUSES[values["cause"]]
    if values["exit"] is not None:
        values["exit"] = _made(Exit, dict(zip(_EXIT, values["exit"], strict=True)))
    return _made(Attempt, values)


def _made(cls: type[T], values: Mapping[str, Any]) -> T:
    """Return an object of its fields, at a third of the cost of its constructor."""
    made = object.__new__(cls)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


_DEFAULTS: Mapping[type, Mapping[str, Any]] = {
    cls: {f.name: None if f.default is MISSING else f.default for f in fields(cls)}
    for cls in (Task, Attempt, Exit)
}
