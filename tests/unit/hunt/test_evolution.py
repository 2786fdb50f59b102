"""The evolutionary hunter: who becomes a parent, who is proposed, and that it pays."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.core.model import History, Outcome, OutcomeKind, TaskResult
from hsm.core.spec import Choices, Dimension, Direction, FloatRange, IntRange, Objective, Params
from hsm.hunt.standing import standing
from hsm.hunt.values import params_key
from hsm.hunt.variation import reflect
from tests.unit.hunt.hunting import ask, hunt_spec, number, play

MINIMIZED = (Objective(metric="f", direction=Direction.MINIMIZE),)


def sphere(params: Params, _seed: int = 0) -> float:
    return sum((number(params, name) - 0.7) ** 2 for name in params)


def rosenbrock(params: Params, _seed: int = 0) -> float:
    x = [number(params, name) for name in params]
    return sum(100 * (after - before**2) ** 2 + (1 - before) ** 2 for before, after in pairwise(x))


def result(index: int, params: Params, score: float | None, seed: int = 0) -> TaskResult:
    kind = OutcomeKind.FAILED if score is None else OutcomeKind.SCORED
    return TaskResult(
        index=index,
        generation=1,
        params=params,
        seed=seed,
        label="explore",
        outcome=Outcome(kind=kind, score=score),
    )


@pytest.mark.slow
@pytest.mark.parametrize("function", [sphere, rosenbrock])
@pytest.mark.parametrize("size", [2, 4])
def test_evolution_beats_random_search(function: object, size: int) -> None:
    """At equal budget over 30 seeds: the better median, and better in most of the paired hunts."""
    assert callable(function)
    space: dict[str, Dimension] = {f"x{i}": FloatRange(low=-5.0, high=5.0) for i in range(size)}
    best: dict[str, list[float]] = {}
    for hunter in ("random", "evolution"):
        spec = hunt_spec(hunter, space, generations=10, population=14)
        best[hunter] = [
            min(function(r.params) for r in play(spec, function, seed=seed)) for seed in range(30)
        ]
    wins = sum(bred < drawn for bred, drawn in zip(best["evolution"], best["random"], strict=True))
    assert median(best["evolution"]) < 0.8 * median(best["random"])
    assert wins >= 20  # a fair coin gives 20 of 30 or more with p = 0.05


@pytest.mark.parametrize("crossover", ["blend", "uniform"])
@pytest.mark.parametrize("direction", list(Direction))
def test_children_gather_where_the_objective_is_good(direction: Direction, crossover: str) -> None:
    """The search moves towards the better side, whichever that is."""
    spec = hunt_spec(direction=direction, generations=8, population=12, options={"crossover": crossover})
    results = play(spec, lambda params, _seed: number(params, "x"))
    late = median(number(r.params, "x") for r in results if r.generation > 5)
    assert late > 4.0 if direction is Direction.MAXIMIZE else late < -4.0


def test_choices_and_integers_are_searched_too() -> None:
    """A categorical and an integer optimum are found among 1,200 points with 150 tasks."""
    space: dict[str, Dimension] = {"mode": Choices(values=tuple("abcd")), "n": IntRange(low=1, high=300)}

    def score(params: Params, _seed: int) -> float:
        return abs(number(params, "n") - 210) + (0 if params["mode"] == "c" else 150)

    results = play(hunt_spec("evolution", space, generations=15, population=10), score)
    assert min(score(r.params, 0) for r in results) <= 2


def test_an_elite_stays_a_parent_and_is_never_proposed_again() -> None:
    """The only good set of generation 1 still breeds in generation 5, without being run twice."""
    spec = hunt_spec(generations=6, options={"explore": 0, "wildcat": 0, "parents": 1})
    good = {"x": 1.5, "y": -2.5}
    bad = tuple(result(i, {"x": -4.0 + i * 1e-3, "y": 4.0}, 9.0) for i in range(2, 30))
    proposals = ask(spec, (result(1, good, 0.0), *bad), generation=5)
    assert all(abs(number(p.params, "x") - 1.5) < 0.1 for p in proposals)
    assert params_key(good) not in {params_key(p.params) for p in proposals}


def test_failed_sets_are_never_parents() -> None:
    """With one scored set and many failed ones, every child descends from the scored one."""
    spec = hunt_spec(options={"explore": 0, "wildcat": 0})
    failed = tuple(result(i, {"x": 4.0, "y": 4.0 + i * 1e-3}, None) for i in range(2, 9))
    proposals = ask(spec, (result(1, {"x": -3.0, "y": -3.0}, 1e9), *failed), generation=2)
    assert all(number(p.params, "x") < -2.9 for p in proposals)


def test_a_set_is_scored_by_the_mean_of_all_its_seeds() -> None:
    """A set with a failed seed has no score, however good its other seeds were."""
    lucky, steady, poor = ({"x": value} for value in (1.0, 2.0, 3.0))
    results = (
        result(1, lucky, 0.0, seed=0),
        result(2, lucky, None, seed=1),
        result(3, poor, 8.0, seed=0),
        result(4, poor, 6.0, seed=1),
        result(5, steady, 1.0, seed=0),
        result(6, steady, 2.0, seed=1),
        result(7, steady, 1.0, seed=0),  # a reused result is not counted twice
    )
    ranked = standing(History(generation=2, results=results), seeds=2, objectives=MINIMIZED)
    assert [(entry.params["x"], entry.score) for entry in ranked] == [(2.0, 1.5), (3.0, 7.0)]


def test_scores_that_are_no_numbers_are_no_scores() -> None:
    """NaN and infinities never win, in either direction."""
    results = tuple(result(i, {"x": float(i)}, s) for i, s in enumerate((float("nan"), float("inf"), 1.0)))
    for direction in Direction:
        ranked = standing(
            History(generation=2, results=results),
            seeds=1,
            objectives=(Objective(metric="f", direction=direction),),
        )
        assert [entry.score for entry in ranked] == [1.0]


@given(explore=st.floats(0, 1), wildcat=st.floats(0, 1), population=st.integers(1, 30))
def test_shares_hold_over_the_hunt(explore: float, wildcat: float, population: int) -> None:
    """Explorers and wildcats get their share of all bred generations, also with tiny populations."""
    options = {"explore": explore, "wildcat": wildcat}
    spec = hunt_spec(generations=11, population=population, options=options)
    seen = (result(1, {"x": 0.0, "y": 0.0}, 1.0), result(2, {"x": 1.0, "y": 1.0}, 2.0))
    counts = Counter(p.label for g in range(2, 12) for p in ask(spec, seen, generation=g))
    assert sum(counts.values()) == 10 * population
    assert abs(counts["explore"] - 10 * population * explore) <= 1
    if explore + wildcat < 1:
        assert abs(counts["wildcat"] - 10 * population * wildcat) <= 10


def test_history_from_another_space_is_not_bred_from() -> None:
    """Sets that the space cannot express are ignored as parents, and the hunt goes on."""
    alien = tuple(result(i, {"x": 99.0, "z": i}, 0.0) for i in range(4))
    assert {p.label for p in ask(hunt_spec(), alien, generation=2)} == {"explore"}


def test_every_seed_of_a_set_is_proposed_together() -> None:
    """Replicates stand next to each other, in order."""
    proposals = ask(hunt_spec(seeds=3, population=2))
    assert [p.seed for p in proposals] == [0, 1, 2, 0, 1, 2]
    assert proposals[0].params == proposals[2].params != proposals[3].params


@given(unit=st.floats(-50, 50))
def test_steps_over_a_bound_come_back_inside(unit: float) -> None:
    """A reflected coordinate lies in the cube, and one inside does not move."""
    assert 0.0 <= reflect(unit) <= 1.0
    if 0.0 <= unit <= 1.0:
        assert reflect(unit) == unit
