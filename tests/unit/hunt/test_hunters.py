"""What holds for every hunter that searches a space: bounds, determinism, replicates, degenerate hunts."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm.core.model import History, Outcome, OutcomeKind, TaskResult
from hsm.core.spec import Choices, Dimension, FloatRange, IntRange, Params
from hsm.hunt import build_hunter
from hsm.hunt.draft import Draft
from hsm.hunt.space import Space
from hsm.hunt.values import params_key
from tests.unit.hunt.hunting import ask, hunt_spec, number, play, tell

MIXED: dict[str, Dimension] = {
    "b": FloatRange(low=0.0, high=3.0),
    "mu": FloatRange(low=1e-4, high=1.0, log=True),
    "n": IntRange(low=8, high=512, log=True),
    "steps": IntRange(low=-2, high=2),
    "mode": Choices(values=("x", 1, True)),
}
BOTH = pytest.mark.parametrize("hunter", ["random", "evolution"])


def mixed_score(params: Params, seed: int) -> float | None:
    b = number(params, "b")
    return None if b > 2.5 else b + seed


def within(params: Params) -> bool:
    numbers = [
        (params["b"], 0.0, 3.0),
        (params["mu"], 1e-4, 1.0),
        (params["n"], 8, 512),
        (params["steps"], -2, 2),
    ]
    types = [type(params[name]) for name in ("b", "mu", "n", "steps")]
    return (
        types == [float, float, int, int]
        and all(low <= value <= high for value, low, high in numbers)  # type: ignore[operator]
        and repr(params["mode"]) in ("'x'", "1", "True")
    )


@BOTH
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), seeds=st.integers(1, 3))
def test_proposals_stay_in_the_space(hunter: str, seed: int, seeds: int) -> None:
    """Whatever happens in a hunt, every proposal is a legal set with its constants and its seeds."""
    spec = hunt_spec(hunter, MIXED, generations=3, population=6, seeds=seeds, parameters={"fixed": "c"})
    results = play(spec, mixed_score, seed=seed)
    assert all(within(result.params) and result.params["fixed"] == "c" for result in results)
    assert [result.seed for result in results] == list(range(seeds)) * (len(results) // seeds)
    assert len(results) == 3 * 6 * seeds
    assert len({params_key(result.params) for result in results}) == 3 * 6


@BOTH
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_asking_is_a_pure_function(hunter: str, seed: int) -> None:
    """The same history and random state give the same proposals, from another hunter and asked twice."""
    spec = hunt_spec(hunter, MIXED, population=6)
    first = tell(ask(spec, seed=seed), mixed_score, generation=1)
    history = History(generation=2, results=first)
    hunter_once = build_hunter(spec)
    once = list(hunter_once.ask(history, Random(seed)))
    again = list(hunter_once.ask(history, Random(seed)))
    assert once == again == list(build_hunter(spec).ask(history, Random(seed)))
    assert once != list(build_hunter(spec).ask(history, Random(seed + 1)))


@BOTH
def test_a_hunt_ends_with_its_generations(hunter: str) -> None:
    """Nothing is proposed beyond the last generation."""
    spec = hunt_spec(hunter, generations=2)
    assert len(ask(spec, generation=2)) == 8
    assert ask(spec, generation=3) == []


@BOTH
def test_a_hunt_of_failures_goes_on_exploring(hunter: str) -> None:
    """While nothing is scored there are no parents, so the whole generation explores."""
    results = play(hunt_spec(hunter), lambda _params, _seed: None)
    assert len(results) == 32
    assert {result.label for result in results} == {"explore"}


@BOTH
def test_equal_scores_do_not_stop_a_hunt(hunter: str) -> None:
    """A flat objective is searched to the end, without repeating a parameter set."""
    results = play(hunt_spec(hunter), lambda _params, _seed: 1.0)
    assert len({params_key(result.params) for result in results}) == 32


@BOTH
def test_a_single_choice_is_proposed_once(hunter: str) -> None:
    """A space of one point is one proposal; then the hunt is over."""
    spec = hunt_spec(hunter, {"mode": Choices(values=("only",)), "x": FloatRange(low=1.0, high=1.0)})
    results = play(spec, lambda _params, _seed: 1.0)
    assert [dict(result.params) for result in results] == [{"mode": "only", "x": 1.0}]


@BOTH
def test_a_finite_space_is_covered_wholly(hunter: str) -> None:
    """A hunt with room for every point of a small space proposes every point, each once."""
    space: dict[str, Dimension] = {"n": IntRange(low=1, high=9), "m": Choices(values=(1, 2, 3))}
    results = play(hunt_spec(hunter, space, generations=9, population=4), lambda _params, _seed: 1.0)
    assert len(results) == len({params_key(result.params) for result in results}) == 27


@BOTH
def test_an_unsearchably_large_space_is_not_enumerated(hunter: str) -> None:
    """A space of 10^18 points costs no more than its proposals."""
    space: dict[str, Dimension] = {"n": IntRange(low=0, high=10**18)}
    assert len(play(hunt_spec(hunter, space), lambda _params, _seed: 1.0)) == 32


def test_a_stubborn_draw_in_a_large_space_falls_back_to_chance() -> None:
    """Where drawing gives known sets only, a space of 10^18 points is drawn from, not searched."""
    spec = hunt_spec("random", {"n": IntRange(low=0, high=10**18)})
    assert spec.hunt is not None
    draft = Draft(spec=spec, space=Space(dimensions=spec.hunt.space))
    added = [draft.add(lambda: (0.5,), Random(3), label="exploit") for _ in range(2)]
    assert added == [True, True]
    assert len({params_key(proposal.params) for proposal in draft.proposals}) == 2


@BOTH
def test_not_scorable_results_are_no_sentinels(hunter: str) -> None:
    """A result without a score steers the hunt no more than a failed one does."""
    spec = hunt_spec(hunter)
    first = tell(ask(spec), lambda params, _seed: number(params, "x"), generation=1)

    def spoil(kind: OutcomeKind) -> tuple[TaskResult, ...]:
        odd = Outcome(kind=kind, reason="no defects to count")
        return tuple(
            TaskResult(
                index=r.index,
                generation=1,
                params=r.params,
                seed=0,
                label=r.label,
                outcome=odd if r.index % 2 else r.outcome,
            )
            for r in first
        )

    failed, unscorable = spoil(OutcomeKind.FAILED), spoil(OutcomeKind.NOT_SCORABLE)
    assert ask(spec, failed, generation=2) == ask(spec, unscorable, generation=2)
