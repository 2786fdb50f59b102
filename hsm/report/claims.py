"""What programs say that their scores can claim: `results/claims.json` of a task, read with suspicion.

docs/reference/program-contract.md has its form. A file that is not of this form is passed over, whole.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hsm.core.model import Task
from hsm.core.states import TaskStatus
from hsm.report.evidence import read_inside

NAME = "claims.json"
SCHEMA = 1
BYTES = 1 << 18
CLAIMANTS = 3
SCORES, NULLS, BINS = 40, 6, 200
"""Of a larger file nothing is shown: no page needs so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Null:
    """The draws of one null as a histogram from `low` to `high`, with the score that they are compared with.

    `counts` are those of bins of equal width, of equal width in the logarithm where `is_log`. `draws` of
    which `without_score` have none. `p`, `reached` and `low_is_good` are None where nothing is tested.
    """

    about: str
    score: float
    low: float
    high: float
    is_log: bool
    counts: tuple[int, ...]
    draws: int
    without_score: int
    low_is_good: bool | None
    reached: int | None
    p: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One score of one task, what it can claim and what it cannot; `p_value`: the metric, if there is one.

    `reason`: why there is no value, where that is told.
    """

    name: str
    value: float | None
    unit: str
    can: str
    cannot: str
    p_value: str
    nulls: tuple[Null, ...]
    reason: str = ""


def claimants(
    tasks: Sequence[Task], ranking: Iterable[Task], p_values: Iterable[Sequence[float | None]]
) -> Iterator[Task]:
    """Yield the results whose claims are shown: the best, and those with the smallest of each p-value.

    `p_values`: of each name, one value for each task, in task order.
    """
    found = list(islice((task for task in ranking if task.status is TaskStatus.SEALED), CLAIMANTS))
    for values in p_values:
        known = [(value, at) for at, value in enumerate(values) if value is not None]
        own = (tasks[at] for _, at in sorted(known) if tasks[at].status is TaskStatus.SEALED)
        found += islice(own, CLAIMANTS)
    yield from {task.index: task for task in found}.values()


def claims_of(root: Path, tasks: Iterable[Task]) -> dict[str, tuple[Claim, ...]]:
    """Return what the results of these tasks claim, by their ids; those that claim nothing are left out."""
    read = ((task.task_id, read_claims(root, f"tasks/{task.task_id}")) for task in tasks)
    return {task_id: claims for task_id, claims in read if claims}


def read_claims(root: Path, place: str) -> tuple[Claim, ...]:
    """Return what the claims of the task's folder `place` inside `root` say; nothing where there are none."""
    found = read_inside(root, root / place / "results" / NAME, last_bytes=BYTES)
    if found is None or found[1] > BYTES:
        return ()
    try:
        content = json.loads(found[0])
        if content["schema"] != SCHEMA or len(content["scores"]) > SCORES:
            return ()
        return tuple(_claim(name, entry) for name, entry in content["scores"].items())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ()


def _claim(name: str, entry: Mapping[str, object]) -> Claim:
    nulls = entry["nulls"]
    if not isinstance(nulls, list) or len(nulls) > NULLS:
        raise ValueError(name)
    return Claim(
        name=name,
        value=_optional(entry["value"]),
        unit=_text(entry["unit"]),
        can=_text(entry["can"]),
        cannot=_text(entry["cannot"]),
        p_value="" if entry["p_value"] is None else _text(entry["p_value"]),
        nulls=tuple(_null(each) for each in nulls),
        reason=_text(entry.get("reason") or ""),
    )


def _null(entry: Mapping[str, object]) -> Null:
    low, high, is_log = _number(entry["low"]), _number(entry["high"]), bool(entry["log"])
    if not low < high or (is_log and low <= 0):
        raise ValueError("the ends of a histogram")
    low_is_good = entry["low_is_good"]
    return Null(
        about=_text(entry["about"]),
        score=_number(entry["score"]),
        low=low,
        high=high,
        is_log=is_log,
        counts=_counts(entry["counts"]),
        draws=_whole(entry["draws"]),
        without_score=_whole(entry["without_score"]),
        low_is_good=None if low_is_good is None else bool(low_is_good),
        reached=None if entry["reached"] is None else _whole(entry["reached"]),
        p=_optional(entry["p"]),
    )


def _counts(value: object) -> tuple[int, ...]:
    if not isinstance(value, Sequence) or not 0 < len(value) <= BINS:
        raise ValueError("the bins of a histogram")
    return tuple(_whole(each) for each in value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _optional(value: object) -> float | None:
    return None if value is None else _number(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(value)
    return float(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(value)
    return value
