"""What compiling took, as programs tell it in their own `provenance.json`, and what was saved of it.

docs/reference/program-contract.md names the fields.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hsm.core.model import Task
from hsm.core.states import TaskStatus
from hsm.report.evidence import PROVENANCE_BYTES, read_inside
from hsm.report.performance import Spread, spread, tidy

SILENT = 25
"""After so many results in a row whose programs tell nothing of compiling no more are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one run tells: whether it found its program compiled, and what compiling or loading it took."""

    is_hit: bool
    took_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Runs that found their program alike; `took_s` is of those that tell it."""

    count: int
    took_s: Spread | None

    @property
    def total_s(self) -> float | None:
        """What compiling took of them all together."""
        return None if self.took_s is None else self.took_s.mean * self.took_s.n

    @property
    def record(self) -> dict[str, object]:
        """The numbers as they are written."""
        return {"runs": self.count, "took_s": self.took_s and self.took_s.record}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """Runs that compiled and runs that found their program compiled, of `read` results of `results`."""

    compiled: Runs
    found: Runs
    read: int
    results: int

    @property
    def saved_s(self) -> float | None:
        """What was saved: the difference of the medians, for each run that found its program compiled.

        None where either median is not known.
        """
        compiled, found = self.compiled.took_s, self.found.took_s
        if compiled is None or found is None:
            return None
        return max(0.0, compiled.p50 - found.p50) * self.found.count

    @property
    def record(self) -> Mapping[str, object]:
        """The numbers as they are written."""
        return {
            "compiled": self.compiled.record,
            "found_compiled": self.found.record,
            "saved_s": tidy(self.saved_s),
            "results_read": self.read,
            "results": self.results,
        }


def read_compilation(root: Path, tasks: Iterable[Task], *, most: int) -> Compilation | None:
    """Return what the results of these tasks tell of compiling, None if nothing; at most `most` are read."""
    results = [task for task in tasks if task.status is TaskStatus.SEALED]
    told, read, silent = [], 0, 0
    for task in results[:most]:
        one = read_told(root, f"tasks/{task.task_id}")
        read += 1
        silent = silent + 1 if one is None else 0
        told += [] if one is None else [one]
        if silent >= SILENT:
            break
    if not told:
        return None
    return Compilation(
        compiled=_runs(one for one in told if not one.is_hit),
        found=_runs(one for one in told if one.is_hit),
        read=read,
        results=len(results),
    )


def _runs(told: Iterator[Told]) -> Runs:
    found = list(told)
    return Runs(count=len(found), took_s=spread([one.took_s for one in found if one.took_s is not None]))


def read_told(root: Path, place: str) -> Told | None:
    """Return what the report in a task's folder tells of compiling, None if nothing that can be used."""
    found = read_inside(root, root / place / "provenance.json", last_bytes=PROVENANCE_BYTES)
    if found is None or found[1] > PROVENANCE_BYTES:
        return None
    try:
        timing = json.loads(found[0])["program"]["timing"]
        is_hit, took_s = timing["compilation_cache_hit"], timing.get("compile_s")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not isinstance(is_hit, bool):
        return None
    return Told(is_hit=is_hit, took_s=_seconds(took_s))


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
