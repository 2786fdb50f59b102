"""Divergence: whether two attempts of one task have the same results. Pure, over two manifests.

Results are what stands under `results/`, and `metrics.json`. Logs and reports hold times and differ anyway.
"""

from __future__ import annotations

from collections.abc import Iterable

from hsm.core.events import ResultsDiverged
from hsm.wire.manifest import Entry

METRICS = "metrics.json"
RESULTS = "results/"
TOLD = 5
"""So many of the files that differ are told by name."""


def differing(first: Iterable[Entry], second: Iterable[Entry]) -> list[str]:
    """Return the results that are not the same bytes in both manifests, or are in one of them only."""
    one, other = _results(first), _results(second)
    return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))


def _results(entries: Iterable[Entry]) -> dict[str, str]:
    return {
        entry.path: entry.sha256
        for entry in entries
        if entry.path == METRICS or entry.path.startswith(RESULTS)
    }


def divergence(
    task: int, *, attempt: int, of: int, later: Iterable[Entry], earlier: Iterable[Entry], at: float
) -> ResultsDiverged | None:
    """Return what is to be recorded of an attempt's results beside those of attempt `of`, None when alike."""
    names = differing(later, earlier)
    if not names:
        return None
    return ResultsDiverged(
        task=task, attempt=attempt, of=of, files=tuple(names[:TOLD]), count=len(names), at=at
    )
