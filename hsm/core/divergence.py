"""Divergence: whether two attempts of one task have the same results.

Results are what stands under `results/`, and `metrics.json`. Logs and reports hold times and differ anyway.
The manifests tell, so that no artifact is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hsm.core.events import ResultsDiverged
from hsm.core.model import Attempt, Task
from hsm.core.projection import Projector
from hsm.core.states import AttemptState
from hsm.wire import manifest
from hsm.wire.files import Files
from hsm.wire.manifest import Entry

METRICS = "metrics.json"
RESULTS = "results/"
TOLD = 5
"""So many of the files that differ are told by name."""
LOOKS = 3
"""An attempt may be moved aside meanwhile: so often its directory is looked for."""


@dataclass(frozen=True, slots=True)
class Rival:
    """An attempt that ended with results although its task had, or once had had, those of another one."""

    task: Task
    attempt: Attempt
    other: Attempt


def earlier_result(task: Task, attempt: Attempt) -> Attempt | None:
    """Return the attempt whose results those of `attempt` are to be compared with, None where there is none.

    To a superseded attempt that is the task's result; to a result, the damaged one that it replaces.
    """
    if attempt.cause is not None or not _has_manifest(attempt):
        return None
    if attempt.state is AttemptState.SUPERSEDED:
        other = task.attempt if task.attempt and task.attempt.state is AttemptState.SEALED else None
    else:
        corrupt = [one for one in task.attempts if one.state is AttemptState.CORRUPT]
        other = corrupt[-1] if corrupt else None
    return other if other is not None and _has_manifest(other) else None


def _has_manifest(attempt: Attempt) -> bool:
    return attempt.manifest not in (None, manifest.NO_FILES)


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


def divergence_of(files: Files, projector: Projector, rival: Rival, at: float) -> ResultsDiverged | None:
    """Return what is to be recorded of a second result. Blocks.

    None where both agree, and where a manifest is damaged or gone.
    """
    later = _listed(files, projector, rival.task, rival.attempt)
    earlier = _listed(files, projector, rival.task, rival.other)
    if later is None or earlier is None:
        return None
    return divergence(
        rival.task.index,
        attempt=rival.attempt.number,
        of=rival.other.number,
        later=later,
        earlier=earlier,
        at=at,
    )


def _listed(files: Files, projector: Projector, task: Task, attempt: Attempt) -> list[Entry] | None:
    for _ in range(LOOKS):
        found = manifest.read(files, str(projector.directory(task, attempt)), attempt.manifest or "")
        if not isinstance(found, manifest.Mismatch):
            return found.entries
    return None
