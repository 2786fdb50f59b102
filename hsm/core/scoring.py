"""Scoring: the verdict on a task that is final, by the objectives of its hunt. Pure."""

from __future__ import annotations

from hsm.core.model import Outcome, OutcomeKind, Task
from hsm.core.spec import Direction, HuntSpec
from hsm.core.states import RESULTS


def score(task: Task, hunt: HuntSpec | None) -> Outcome:
    """Return the score of a final task, or why it has none. Without a hunt nothing is scored."""
    if task.status not in RESULTS:
        return Outcome(kind=OutcomeKind.FAILED, reason=task.reason or str(task.status))
    if hunt is None:
        return Outcome(kind=OutcomeKind.NOT_SCORABLE, reason="the sweep has no objective")
    metrics = task.metrics or {}
    missing = next((o.metric for o in hunt.objectives if metrics.get(o.metric) is None), None)
    if missing is None:
        return Outcome(kind=OutcomeKind.SCORED, score=metrics[hunt.objective.metric], metrics=metrics)
    why = f"{missing} is null" if missing in metrics else f"no metric {missing!r} was written"
    return Outcome(kind=OutcomeKind.NOT_SCORABLE, reason=task.reason or why, metrics=metrics)


def beats(value: float, best: float, direction: Direction) -> bool:
    """Tell whether a score is better than the best so far; an equal one is not."""
    return value > best if direction is Direction.MAXIMIZE else value < best
