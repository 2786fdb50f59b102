"""What a history is worth: its parameter sets, scored over their replicates, best first."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from statistics import fmean

from hsm.core.model import History, OutcomeKind, TaskResult
from hsm.core.spec import Direction, Params
from hsm.hunt.values import params_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A parameter set and its score: the mean over all its seeds, in the objective's own sense."""

    params: Params
    score: float


@dataclass(slots=True)
class _Replicates:
    params: Params
    scores: dict[int, float] = field(default_factory=dict)


def standing(history: History, *, seeds: int, direction: Direction) -> list[Scored]:
    """Return the parameter sets that have a score, best first, ties in task order.

    A set has a score when each of its seeds has one. A set with a failed or a not-scorable seed has
    none: a mean over the seeds that went well would prefer the sets whose bad runs crash.
    """
    sets = _by_params(history)
    whole = [entry for entry in sets.values() if len(entry.scores) == seeds]
    scored = [Scored(params=entry.params, score=fmean(entry.scores.values())) for entry in whole]
    sign = -1.0 if direction is Direction.MAXIMIZE else 1.0
    return sorted(scored, key=lambda entry: sign * entry.score)


def _by_params(history: History) -> dict[Hashable, _Replicates]:
    sets: dict[Hashable, _Replicates] = {}
    for result in history.results:
        score = _score(result)
        if score is not None:
            entry = sets.setdefault(params_key(result.params), _Replicates(result.params))
            entry.scores.setdefault(result.seed, score)  # a set proposed twice has the same result
    return sets


def _score(result: TaskResult) -> float | None:
    outcome = result.outcome
    if outcome.kind is not OutcomeKind.SCORED or outcome.score is None or not math.isfinite(outcome.score):
        return None
    return outcome.score
