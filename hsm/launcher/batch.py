"""One batch of jobs as a sweep: Hydra's overrides become parameters with names, beside the very text.

The parameters are for people, tables and reports; what is run is the text in `hydra.overrides`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from hsm.config import render_duration
from hsm.core.spec import Params, Value
from hsm.wire.canonical import NotCanonical, canonical_json

NUMBER = "hydra.job.num"
OVERRIDES = "hydra.overrides"
TAKEN = ("project",)
"""Names that the command template fills in by itself."""

Read: TypeAlias = Callable[[str], tuple[str, Any]]
"""Splits an override into its key, without `+` or `~`, and its value."""

_FOREIGN = re.compile(r"[^A-Za-z0-9_.-]+")
_DOTS = re.compile(r"\.{2,}")
_NO_NAME = re.compile(r"[^a-z0-9]+")


def jobs_section(job_overrides: Sequence[Sequence[str]], first: int, read: Read) -> tuple[Params, Params]:
    """Return the `sweep` and the `parameters` section for a batch whose first job has this number.

    What all jobs have alike is a constant. A job that lacks an override that others have gets null.
    """
    jobs = [dict(map(read, overrides)) for overrides in job_overrides]
    names = parameter_names(key for job in jobs for key in job)
    columns: dict[str, list[Value]] = {
        name: [shown(job.get(key)) for job in jobs] for key, name in names.items()
    }
    constants = {name: column[0] for name, column in columns.items() if _is_constant(column)}
    varied: dict[str, Value] = {name: column for name, column in columns.items() if name not in constants}
    varied[NUMBER] = [str(first + place) for place in range(len(jobs))]  # a name, no quantity to plot
    varied[OVERRIDES] = [json.dumps(list(overrides)) for overrides in job_overrides]
    return {"paired": [{"jobs": varied}]}, constants


def _is_constant(column: Sequence[Value]) -> bool:
    return len({json.dumps(value, sort_keys=True) for value in column}) == 1


def parameter_names(keys: Iterable[str]) -> dict[str, str]:
    """Return a parameter's name for each override key: all different, and none the beginning of another."""
    names: dict[str, str] = {}
    taken = {*TAKEN, NUMBER, OVERRIDES}
    for key in dict.fromkeys(keys):
        name = _tame(key)
        while name in taken:
            name += "_value"
        names[key] = name
        taken.add(name)
    for key, name in names.items():
        names[key] = _apart(name, taken)
        taken.add(names[key])
    return names


def _tame(key: str) -> str:
    words = _DOTS.sub(".", _FOREIGN.sub("_", key.replace("/", "."))).strip(".")
    name = words if re.match(r"[A-Za-z_]", words) else f"_{words}"
    return name[:100].rstrip(".")


def _apart(name: str, taken: set[str]) -> str:
    """Return a name under which no other one lies: a config group stands beside keys within it."""
    if not any(other.startswith(f"{name}.") for other in taken):
        return name
    while name in taken or any(other.startswith(f"{name}.") for other in taken):
        name += "_value"
    return name


def shown(value: Any) -> Value:
    """Return a value as a parameter can hold it; what JSON cannot say is shown as text."""
    try:
        canonical_json(value)
    except (NotCanonical, TypeError):
        return ascii(value) if isinstance(value, str) else ascii(str(value)).strip("'")
    plain: Value = value
    return plain


def sweep_name(application: str, tag: str, first: int) -> str:
    """Return a sweep's name: the application, a tag that all batches of a multirun share, the first job."""
    tame = _NO_NAME.sub("-", application.lower()).strip("-") or "hydra"
    return f"{tame[:40]}-{tag}-{first}"


def document(
    *,
    name: str,
    program: Params,
    section: tuple[Params, Params],
    settings: Mapping[str, Any],
    metadata: Params,
) -> dict[str, Value]:
    """Return the whole sweep as a sweep file would say it."""
    swept, constants = section
    retry = {cause: limit for cause, limit in settings["retry"].items() if limit is not None}
    resources = {key: value for key, value in settings["resources"].items() if value is not None}
    words = [*([settings["source"]] if settings["source"] else []), *settings["sources"]]
    found: dict[str, Value] = {
        "name": name,
        "program": program,
        "sweep": swept,
        "parameters": constants,
        "resources": resources,
        "grace": render_duration(settings["grace_s"]),
        "retry": retry,
        "max_failure_rate": settings["max_failure_rate"],
        "sources": words or ["local"],
        "metadata": metadata,
    }
    if settings["timeout_s"] is not None:
        found["timeout"] = render_duration(settings["timeout_s"])
    return found
