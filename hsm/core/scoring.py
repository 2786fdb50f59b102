"""Scoring: the verdict on a task that is final, by the objective of its hunt. Pure."""

from __future__ import annotations

from hsm.core.model import Outcome, OutcomeKind, Task
from hsm.core.spec import Direction, HuntSpec
from hsm.core.states import TaskStatus


def score(task: Task, hunt: HuntSpec | None) -> Outcome:
    """Return the score of a final task, or why it has none. Without a hunt nothing is scored."""
    if task.status is not TaskStatus.SEALED:
        return Outcome(kind=OutcomeKind.FAILED, reason=task.reason or str(task.status))
    if hunt is None:
        return Outcome(kind=OutcomeKind.NOT_SCORABLE, reason="the sweep has no objective")
    metrics, metric = task.metrics or {}, hunt.objective.metric
    value = metrics.get(metric)
    if value is not None:
        return Outcome(kind=OutcomeKind.SCORED, score=value)
    missing = f"{metric} is null" if metric in metrics else f"no metric {metric!r} was written"
    return Outcome(kind=OutcomeKind.NOT_SCORABLE, reason=task.reason or missing)


def beats(value: float, best: float, direction: Direction) -> bool:
    """Tell whether a score is better than the best so far; an equal one is not."""
    return value > best if direction is Direction.MAXIMIZE else value < best
