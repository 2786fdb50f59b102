"""What a history is worth: its parameter sets, scored over their replicates."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from hsm.core.model import History, Metrics, OutcomeKind, TaskResult
from hsm.core.pareto import Costs, costs, fronts, ranking
from hsm.core.spec import Objective, Params
from hsm.hunt.values import params_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A parameter set of the history; `scores` has one mean over all its seeds for each objective.

    `scores` is empty, and so are `costs` (smaller is better), where a seed has failed or is not scorable:
    a mean over the seeds that went well would prefer the sets whose bad runs crash.
    """

    params: Params
    generation: int
    scores: tuple[float, ...]
    costs: Costs
    metrics: Metrics

    @property
    def score(self) -> float:
        """The first objective."""
        return self.scores[0]


@dataclass(slots=True)
class _Replicates:
    params: Params
    generation: int
    results: dict[int, TaskResult] = field(default_factory=dict)


def known_sets(history: History, *, seeds: int, objectives: Sequence[Objective]) -> list[Known]:
    """Return every parameter set of the history, in task order."""
    sets: dict[Hashable, _Replicates] = {}
    for result in history.results:
        entry = sets.setdefault(params_key(result.params), _Replicates(result.params, result.generation))
        entry.results.setdefault(result.seed, result)  # a set proposed twice has the same result
    return [_known(entry, seeds, objectives) for entry in sets.values()]


def scored_sets(history: History, *, seeds: int, objectives: Sequence[Objective]) -> list[Known]:
    """Return the parameter sets that have a score, in task order."""
    return [entry for entry in known_sets(history, seeds=seeds, objectives=objectives) if entry.scores]


def standing(history: History, *, seeds: int, objectives: Sequence[Objective]) -> list[Known]:
    """Return the parameter sets that have a score, best first, ties in task order.

    With several objectives: by front, within a front the loneliest first.
    """
    return best_first(scored_sets(history, seeds=seeds, objectives=objectives))


def best_first(scored: Sequence[Known], wanted: int | None = None) -> list[Known]:
    """Return scored sets, best first: all, or at least the `wanted` best."""
    points = [entry.costs for entry in scored]
    if not points or len(points[0]) == 1:
        return sorted(scored, key=lambda entry: entry.costs)
    return [scored[index] for index in ranking(points, wanted)]


def front(scored: Sequence[Known]) -> list[Known]:
    """Return the sets that no other dominates; with one objective those that share the best score."""
    first = next(fronts([entry.costs for entry in scored]), [])
    return [scored[index] for index in first]


def _known(entry: _Replicates, seeds: int, objectives: Sequence[Objective]) -> Known:
    each = [_scores(result, objectives) for result in entry.results.values()]
    is_whole = len(each) == seeds and all(each)
    scores = tuple(map(fmean, zip(*each, strict=True))) if is_whole else ()
    return Known(
        params=entry.params,
        generation=entry.generation,
        scores=scores,
        costs=costs(scores, objectives) if scores else (),
        metrics=_mean_metrics(list(entry.results.values())),
    )


def _mean_metrics(results: Sequence[TaskResult]) -> Metrics:
    every = [result.outcome.metrics for result in results]
    first = every[0] if every else {}
    if len(every) == 1:
        return first
    columns = {name: [metrics.get(name) for metrics in every] for name in first}
    return {
        name: fmean(numbers) if len(numbers := [v for v in column if v is not None]) == len(column) else None
        for name, column in columns.items()
    }


def _scores(result: TaskResult, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """Return one finite number for each objective, or nothing."""
    outcome = result.outcome
    if outcome.kind is not OutcomeKind.SCORED:
        return ()
    values = [outcome.score, *(outcome.metrics.get(objective.metric) for objective in objectives[1:])]
    scores = tuple(value for value in values if value is not None and math.isfinite(value))
    return scores if len(scores) == len(objectives) else ()
