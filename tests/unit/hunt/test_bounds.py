"""What bounds a hunt: forbidden sets, stop rules, shares, several objectives."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm.core.constraints import Constraints, parameter
from hsm.core.errors import ConfigError
from hsm.core.model import History, HuntOver, Outcome, OutcomeKind, Proposal, Screened, TaskResult
from hsm.core.pareto import dominates
from hsm.core.spec import Choices, Dimension, IntRange, Objective, Params, Rule, Shares, StopRules
from hsm.hunt import build_hunter
from hsm.hunt.bounded import bounded
from hsm.hunt.standing import front, scored_sets
from hsm.hunt.stopping import reason_to_stop
from tests.unit.hunt.hunting import ask, grid_spec, hunt_spec, number, play, proposed

RULE = Rule(condition="x > 0 and y > x", because="it diverges")
BOTH = pytest.mark.parametrize("hunter", ["random", "evolution"])


def scored(index: int, generation: int, score: float | None, **params: Any) -> TaskResult:
    kind = OutcomeKind.FAILED if score is None else OutcomeKind.SCORED
    outcome = Outcome(kind=kind, score=score, metrics={"f": score, "g": params.pop("g", None)})
    params = params or {"x": index / 100, "y": 0.0}
    return TaskResult(index=index, generation=generation, params=params, seed=0, label="", outcome=outcome)


@BOTH
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_nothing_forbidden_is_proposed_and_no_place_is_lost(hunter: str, seed: int) -> None:
    """Generations keep their size, every set permitted, where the objective draws into the forbidden."""
    spec = hunt_spec(hunter, generations=4, population=8, forbid=(RULE,))
    results = play(spec, lambda params, _seed: -number(params, "x") - number(params, "y"), seed=seed)
    assert len(results) == 32
    assert not any(0 < number(r.params, "x") < number(r.params, "y") for r in results)


@BOTH
def test_a_space_that_is_all_but_forbidden_ends_the_hunt_with_the_rule(hunter: str) -> None:
    """The reason names the rule and why it stands."""
    spec = hunt_spec(hunter, forbid=(Rule(condition="x > -99", because="none is stable"),))
    with pytest.raises(HuntOver, match=r"forbidden: x > -99 \(none is stable\)"):
        build_hunter(spec).ask(History(generation=1), Random(1))


def test_a_small_space_is_searched_for_what_is_permitted() -> None:
    """The one permitted point among 2,000 is found, and then the hunt is over."""
    space: dict[str, Dimension] = {"n": IntRange(low=1, high=1_000), "m": Choices(values=("a", "b"))}
    spec = hunt_spec("random", space, forbid=(Rule(condition="n != 77 or m == 'a'"),))
    assert [dict(r.params) for r in play(spec, lambda _params, _seed: 1.0)] == [{"n": 77, "m": "b"}]


def test_a_grid_leaves_out_and_counts_what_is_forbidden() -> None:
    """A grid stays lazy; what its rules forbid is counted when it has been walked."""
    spec = grid_spec({"k": (1, 2, 3), "n": (1, 2)}, forbid=(Rule(condition="k + n > 4"),), seeds=2)
    proposals = build_hunter(spec).ask(History(generation=1), Random(0))
    assert isinstance(proposals, Screened)
    assert [p.params["k"] for p in proposals] == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3]
    assert proposals.forbidden == 2


class _Stubborn:
    """A plug-in's hunter that knows of no rules: x = 0, 1, 2, ... or what chance gives."""

    def __init__(self, width: int) -> None:
        self.width = width

    def ask(self, history: History, rng: Random) -> Iterator[Proposal]:
        return (Proposal(params={"x": rng.randrange(self.width)}) for _ in range(4))


def test_the_hunter_of_a_plug_in_is_asked_again_for_what_is_forbidden() -> None:
    """Forbidden places are filled with other proposals, a bounded number of times; the rest is counted."""
    spec = hunt_spec("random", forbid=(Rule(condition="x < 50"),))
    full = bounded(_Stubborn(100), spec).ask(History(generation=1), Random(4))
    assert isinstance(full, Screened)
    assert [number(p.params, "x") >= 50 for p in full] == [True] * 4
    rare = bounded(_Stubborn(52), spec).ask(History(generation=1), Random(1))
    assert isinstance(rare, Screened)
    assert 0 < len(list(rare)) < 4
    assert rare.forbidden == 4 - len(list(rare))
    with pytest.raises(HuntOver, match="x < 50"):
        bounded(_Stubborn(9), spec).ask(History(generation=1), Random(1))


def test_rules_reach_into_parameters_that_are_maps() -> None:
    """A dotted name is a parameter of that name, or a key of one; the constants count too."""
    params: Params = {"solver.tol": 1, "grid": {"size": {"n": 8}}}
    names = ("solver.tol", "grid.size.n", "grid.size.m")
    assert [parameter(params, name) for name in names[:2]] == [1, 8]
    assert Constraints.of([Rule(condition="grid.size.m > 0")]).permit(params)
    assert not Constraints.of([Rule(condition="grid.size.n > 2 and solver.tol == 1")]).permit(params)


def hunted(stop: StopRules, *results: TaskResult, generation: int, **more: Any) -> str:
    spec = hunt_spec(population=more.pop("population", 4), stop=stop, **more)
    return reason_to_stop(History(generation=generation, results=results), spec)


def test_a_budget_is_kept_to_the_task() -> None:
    """The last generation is cut to whole parameter sets, and nothing is asked for beyond the budget."""
    spec = hunt_spec("random", generations=9, population=4, seeds=2, stop=StopRules(tasks=21))
    assert len(play(spec, lambda _params, _seed: 1.0)) == 20
    told = tuple(scored(i, 1, 1.0) for i in range(1, 9))
    assert hunted(StopRules(tasks=8), *told, generation=2) == "the budget of 8 tasks is spent"
    assert not hunted(StopRules(tasks=9), *told, generation=2)


def test_a_target_is_reached_by_one_set_in_every_metric_named() -> None:
    """Better than wanted counts as reached; two sets that each reach half do not."""
    both = {"further": (Objective(metric="g"),)}
    halves = (scored(1, 1, 0.5, g=0.0), scored(2, 1, 2.0, g=9.0))
    stop = StopRules(target={"f": 1.0, "g": 5.0})
    assert not hunted(stop, *halves, generation=2, **both)
    assert hunted(stop, *halves, scored(3, 1, 0.9, g=6.0), generation=2, **both) == (
        "the target is reached: f = 0.9, g = 6"
    )


def test_a_hunt_without_improvement_ends() -> None:
    """Equal scores are no improvement; a new point of the front is one."""
    stop = StopRules(no_improvement=2)
    stale = (scored(1, 1, 1.0), scored(2, 2, 1.0), scored(3, 3, 2.0), scored(4, 3, None))
    assert hunted(stop, *stale, generation=4) == "no improvement in 2 generations"
    assert not hunted(stop, *stale[:2], generation=3)
    assert not hunted(stop, *stale, scored(5, 3, 0.5), generation=4)
    both = (scored(1, 1, 1.0, g=1.0), scored(2, 2, 3.0, g=3.0), scored(3, 3, 3.0, g=2.0))
    assert not hunted(stop, *both, generation=4, further=(Objective(metric="g"),))
    assert hunted(stop, *both[:1], scored(2, 3, 2.0, g=0.5), generation=4, further=(Objective(metric="g"),))


def test_a_hunt_whose_elite_agrees_has_converged() -> None:
    """Measured over the best half of a population of all that is scored, so that explorers do not matter."""
    near = [scored(i, 1 + i % 2, 1.0 + i / 1000, x=1.0 + i / 100, y=0.0) for i in range(1, 4)]
    far = [scored(i, 2, 50.0 * i, x=-5.0 + i, y=5.0) for i in range(4, 8)]
    assert hunted(StopRules(objective_spread=0.01), *near, *far, generation=3).startswith(
        "converged: the best 2"
    )
    assert "of every range" in hunted(StopRules(parameter_spread=0.01), *near, *far, generation=3)
    assert not hunted(StopRules(objective_spread=0.0001, parameter_spread=0.0001), *near, *far, generation=3)
    assert not hunted(StopRules(objective_spread=0.01), *near, *far, generation=2)


def test_shares_are_those_of_the_hunt() -> None:
    """`hunt.shares` holds over the hunt, and may not be given a second time as options."""
    shares = Shares(explore=0.25, exploit=0.5, wildcat=0.25)
    spec = hunt_spec(generations=5, population=8, shares=shares)
    labels = [r.label for r in play(spec, lambda params, _seed: number(params, "x")) if r.generation > 1]
    assert [labels.count(word) for word in ("explore", "exploit", "wildcat")] == [8, 16, 8]
    with pytest.raises(ConfigError, match="shares"):
        build_hunter(hunt_spec(shares=shares, options={"explore": 0.1}))
    with pytest.raises(ConfigError, match="only explores"):
        build_hunter(hunt_spec("random", shares=shares))


def test_evolution_finds_a_front() -> None:
    """With two objectives the sets gather along the trade-off between them, from end to end."""
    spec = hunt_spec("evolution", generations=15, population=12, further=(Objective(metric="g"),))
    results: tuple[TaskResult, ...] = ()
    for generation in range(1, 16):
        history = History(generation=generation, results=results)
        for proposal in proposed(build_hunter(spec), history, Random(generation)):
            x, y = number(proposal.params, "x"), number(proposal.params, "y")
            score, other = x**2 + y**2, -((x - 2) ** 2) - y**2  # minimised, maximised
            results += (scored(len(results) + 1, generation, score, g=other, x=x, y=y),)
    assert spec.hunt is not None
    sets = scored_sets(History(generation=16, results=results), seeds=1, objectives=spec.hunt.objectives)
    best = front(sets)
    assert not any(dominates(one.costs, other.costs) for one in sets for other in best)
    along = [number(entry.params, "x") for entry in best]
    assert len(best) > 20
    assert (min(along) < 0.3, max(along) > 1.7) == (True, True)
    assert max(abs(number(entry.params, "y")) for entry in best) < 0.6


def test_a_set_needs_all_its_objectives() -> None:
    """A set that lacks one of two metrics, or one of its seeds, is not scored."""
    objectives = (Objective(metric="f"), Objective(metric="g"))
    results = (scored(1, 1, 1.0), scored(2, 1, 1.0, g=2.0))
    found = scored_sets(History(generation=2, results=results), seeds=1, objectives=objectives)
    assert [entry.scores for entry in found] == [(1.0, 2.0)]
    assert not scored_sets(History(generation=2, results=results), seeds=2, objectives=objectives)


def test_a_rule_does_not_change_a_hunt_that_it_never_meets() -> None:
    """A hunt with a rule that forbids nothing proposes the same sets."""
    with_rule = hunt_spec(forbid=(Rule(condition="x > 99"),))
    assert ask(with_rule, seed=3) == ask(hunt_spec(), seed=3)
