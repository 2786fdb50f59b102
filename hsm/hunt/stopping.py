"""Why a hunt should end before its last generation: the rules of `hunt.stop`. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from hsm.core.model import History
from hsm.core.spec import Direction, HuntSpec, Objective, SweepSpec
from hsm.hunt.space import Space
from hsm.hunt.standing import Known, best_first, front, scored_sets


def reason_to_stop(history: History, spec: SweepSpec) -> str:
    """Return why no generation `history.generation` should be proposed, or nothing."""
    hunt = spec.hunt
    if hunt is None or history.generation == 1:
        return ""
    return next(_reasons(history, spec, hunt), "")


def tasks_left(history: History, spec: SweepSpec) -> int | None:
    """Return how many tasks the budget still allows, in whole parameter sets; None without a budget."""
    if spec.hunt is None or spec.hunt.stop.tasks is None:
        return None
    return max(0, spec.hunt.stop.tasks - len(history.results)) // spec.seeds * spec.seeds


def _reasons(history: History, spec: SweepSpec, hunt: HuntSpec) -> Iterator[str]:
    if tasks_left(history, spec) == 0:
        yield f"the budget of {hunt.stop.tasks} tasks is spent"
    scored = scored_sets(history, seeds=spec.seeds, objectives=hunt.objectives)
    if hunt.stop.target:
        yield from _reached(scored, hunt)
    if hunt.stop.no_improvement is not None:
        yield from _stale(scored, history.generation - 1, hunt.stop.no_improvement)
    if history.generation > 2 and len(scored) >= hunt.population:
        elite = best_first(scored)[: max(2, math.ceil(hunt.population / 2))]
        yield from _agreed(elite, hunt)


def _reached(scored: Sequence[Known], hunt: HuntSpec) -> Iterator[str]:
    wanted = [(i, o, hunt.stop.target[o.metric]) for i, o in _numbered(hunt) if o.metric in hunt.stop.target]
    for entry in scored:
        if all(_is_reached(entry.scores[i], value, o.direction) for i, o, value in wanted):
            told = ", ".join(f"{o.metric} = {entry.scores[i]:.6g}" for i, o, _ in wanted)
            yield f"the target is reached: {told}"


def _numbered(hunt: HuntSpec) -> list[tuple[int, Objective]]:
    return list(enumerate(hunt.objectives))


def _is_reached(score: float, wanted: float, direction: Direction) -> bool:
    return score >= wanted if direction is Direction.MAXIMIZE else score <= wanted


def _stale(scored: Sequence[Known], done: int, patience: int) -> Iterator[str]:
    """A late set improved on the early ones if it, or what dominates it, is on the front of all."""
    if done <= patience:
        return
    early = {entry.costs for entry in scored if entry.generation <= done - patience}
    late = [entry for entry in front(scored) if entry.generation > done - patience]
    if all(entry.costs in early for entry in late):
        plural = "s" if patience > 1 else ""
        yield f"no improvement in {patience} generation{plural}"


def _agreed(elite: Sequence[Known], hunt: HuntSpec) -> Iterator[str]:
    limit, found = hunt.stop.objective_spread, 0.0
    if limit is not None:
        found = max(max(column) - min(column) for column in zip(*(e.scores for e in elite), strict=True))
        if found <= limit:
            yield f"converged: the best {len(elite)} sets differ by {found:.3g} in {hunt.objective.metric}"
    limit = hunt.stop.parameter_spread
    genomes = [Space(dimensions=hunt.space).encode(entry.params) for entry in elite]
    known = [genome for genome in genomes if genome is not None]
    if limit is not None and len(known) == len(elite):
        found = max((max(column) - min(column) for column in zip(*known, strict=True)), default=0.0)
        if found <= limit:
            yield f"converged: the best {len(elite)} sets lie within {found:.2%} of every range"
