"""What holds for every hunter that HSM ships, those of libraries included, over real libraries."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm.core.errors import ConfigError
from hsm.core.model import History, Outcome, OutcomeKind, Proposal, TaskResult
from hsm.core.spec import Choices, Dimension, FloatRange, IntRange, Objective, Params, Rule, Shares, SweepSpec
from hsm.hunt import build_hunter
from hsm.hunt.registry import BUILT_IN
from hsm.hunt.values import params_key
from tests.unit.hunt.hunting import hunt_spec, number, outcome, play, proposed, tell

HUNTERS = sorted(set(BUILT_IN) - {"grid"})
LEARNERS = sorted(set(HUNTERS) - {"random", "sobol", "latin-hypercube"})
SEVERAL = ("evolution", "nsga2", "random", "tpe")
EVERY = pytest.mark.parametrize("hunter", HUNTERS)
SPACE: dict[str, Dimension] = {
    "b": FloatRange(low=0.0, high=3.0),
    "mu": FloatRange(low=1e-4, high=1.0, log=True),
    "n": IntRange(low=8, high=512, log=True),
    "steps": IntRange(low=-2, high=2),
    "mode": Choices(values=("x", 1, True)),
}
FORBIDDEN = Rule(condition="b > 1 and steps == 0")
OPTIONS: dict[str, Params] = {
    "quality-diversity": {"measures": {"b": [0, 3], "g": [0, 4]}},
    "tpe": {"startup": 6},
    "gp": {"startup": 6, "candidates": 32},
}


def spec_of(hunter: str, **more: Any) -> SweepSpec:
    given = {"population": 6, "generations": 4, "forbid": (FORBIDDEN,), **more}
    space = given.pop("space", SPACE)
    return hunt_spec(hunter, space, options=OPTIONS.get(hunter), **given)


def fits(params: Params) -> bool:
    numbers = [number(params, name) for name in ("b", "mu", "n", "steps")]
    bounds = [(0.0, 3.0), (1e-4, 1.0), (8, 512), (-2, 2)]
    types = [type(params[name]) for name in ("b", "mu", "n", "steps")]
    return (
        types == [float, float, int, int]
        and all(low <= value <= high for value, (low, high) in zip(numbers, bounds, strict=True))
        and repr(params["mode"]) in ("'x'", "1", "True")
        and not (numbers[0] > 1 and numbers[3] == 0)
    )


def judged(proposals: list[Proposal], rng: Random, *, generation: int, after: int) -> tuple[TaskResult, ...]:
    """Return results of every kind: two of three scored, the others failed or not scorable."""
    told = []
    for index, proposal in enumerate(proposals, start=after + 1):
        score = number(proposal.params, "b") + abs(number(proposal.params, "steps"))
        verdict = Outcome(kind=OutcomeKind.SCORED, score=score, metrics={"f": score, "g": rng.uniform(0, 4)})
        kind = rng.choice([OutcomeKind.SCORED] * 4 + [OutcomeKind.FAILED, OutcomeKind.NOT_SCORABLE])
        if kind is not OutcomeKind.SCORED:
            verdict = Outcome(kind=kind, reason="exit code 1")
        told.append(
            TaskResult(
                index=index,
                generation=generation,
                params=proposal.params,
                seed=proposal.seed,
                label=proposal.label,
                outcome=verdict,
            )
        )
    return tuple(told)


@EVERY
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**6))
def test_a_hunt_is_a_pure_function_within_its_space(hunter: str, seed: int) -> None:
    """Same history, same proposals: asked twice, by a new hunter, whatever was asked in between; all legal.

    Nothing but the history enters, so neither the order in which tasks ended nor a kill can change a hunt.
    """
    spec, chance = spec_of(hunter), Random(seed)
    hunter_once = build_hunter(spec)
    results: tuple[TaskResult, ...] = ()
    asked: list[tuple[History, int, list[Proposal]]] = []
    for generation in range(1, 5):
        history = History(generation=generation, results=results)
        proposals = proposed(hunter_once, history, Random(f"{seed}/{generation}"))
        asked.append((history, generation, proposals))
        results += judged(proposals, chance, generation=generation, after=len(results))
    assert len(results) == 24
    assert all(fits(result.params) for result in results)
    assert len({params_key(result.params) for result in results}) == 24
    for history, generation, proposals in reversed(asked):
        assert proposed(build_hunter(spec), history, Random(f"{seed}/{generation}")) == proposals


@EVERY
def test_a_hunt_in_which_everything_fails_explores_to_its_end(hunter: str) -> None:
    """Without any score every generation is whole, and nothing is called exploitation."""
    results = play(spec_of(hunter), lambda _params, _seed: None)
    assert [len(results), {result.label for result in results}] == [24, {"explore"}]


@EVERY
def test_equal_scores_and_a_tiny_space_end_in_good_order(hunter: str) -> None:
    """A flat objective over 12 points is searched wholly, no point twice."""
    space: dict[str, Dimension] = {"n": IntRange(low=1, high=4), "b": Choices(values=(0, 1, 2))}
    results = play(spec_of(hunter, space=space, forbid=()), lambda _params, _seed: 1.0)
    assert len(results) == len({params_key(result.params) for result in results}) == 12


@pytest.mark.parametrize("hunter", LEARNERS)
def test_the_shares_of_a_hunt_are_kept(hunter: str) -> None:
    """Explorers, exploiters and wildcats get their shares of what follows the first score."""
    shares = Shares(explore=0.25, exploit=0.5, wildcat=0.25)
    spec = spec_of(hunter, population=8, shares=shares, forbid=())
    first = judged(
        proposed(build_hunter(spec), History(generation=1), Random(1)), Random(3), generation=1, after=0
    )
    told = proposed(build_hunter(spec), History(generation=2, results=first), Random(2))
    labels = [proposal.label for proposal in told]
    assert [labels.count(word) for word in ("explore", "exploit", "wildcat")] == [2, 4, 2]


@pytest.mark.parametrize("hunter", HUNTERS)
def test_several_objectives_are_followed_or_refused(hunter: str) -> None:
    """A hunter that follows one objective says so before anything runs."""
    spec = spec_of(hunter, further=(Objective(metric="g"),))
    if hunter not in SEVERAL and hunter in LEARNERS:
        with pytest.raises(ConfigError, match="follows one objective"):
            build_hunter(spec)
        return
    results: tuple[TaskResult, ...] = ()
    for generation in range(1, 4):
        proposals = proposed(build_hunter(spec), History(generation=generation, results=results), Random(1))
        results += judged(proposals, Random(5), generation=generation, after=len(results))
    assert len(results) == 18


@pytest.mark.parametrize("hunter", ["cmaes", "tpe", "gp", "nsga2"])
def test_a_learner_finds_what_is_good(hunter: str) -> None:
    """With 80 tasks on a bowl in two dimensions the best is far better than the median of random search."""
    options = {"gp": {"candidates": 64}}.get(hunter)
    spec = hunt_spec(hunter, population=8, generations=5 if hunter == "gp" else 10, options=options)
    found = play(spec, lambda p, _seed: (number(p, "x") - 2) ** 2 + (number(p, "y") + 1) ** 2)
    assert min(result.outcome.score or 0.0 for result in found) < 0.2  # random search: about 0.4


def test_diversity_keeps_what_is_alone_in_its_kind() -> None:
    """Where all good sets lie at one end, the other end is bred from too; evolution has left it by then."""
    late: dict[str, int] = {}
    for hunter, options in (
        ("quality-diversity", {"measures": {"x": [-5, 5], "y": [-5, 5]}}),
        ("evolution", {}),
    ):
        spec = hunt_spec(hunter, population=12, generations=8, options={**options})
        results = play(spec, lambda params, _seed: number(params, "x"))
        late[hunter] = sum(
            number(r.params, "x") > 0 for r in results if r.generation > 5 and r.label == "exploit"
        )
    assert late["quality-diversity"] > 8 > late["evolution"]


@pytest.mark.parametrize("hunter", ["cmaes", "nsga2", "quality-diversity", "evolution"])
def test_a_replay_of_a_long_history_is_bounded(hunter: str) -> None:
    """Telling 2,000 sets anew takes a second at most, which is nothing to a generation of simulations."""
    spec = spec_of(hunter, population=20, generations=200, forbid=())
    rng = Random(1)
    proposals = [
        Proposal(
            params={"b": rng.uniform(0, 3), "mu": 10 ** rng.uniform(-4, 0), "n": 9, "steps": 0, "mode": "x"}
        )
        for _ in range(2_000)
    ]
    results = judged(proposals, rng, generation=1, after=0)
    history = History(
        generation=101,
        results=[replace(result, generation=1 + index // 20) for index, result in enumerate(results)],
    )
    build_hunter(spec).ask(History(generation=1), Random(1))  # imports what it needs
    began = time.perf_counter()
    assert len(proposed(build_hunter(spec), history, Random(1))) == 20
    assert time.perf_counter() - began < 5.0


@pytest.mark.parametrize(
    ("hunter", "package"),
    [
        ("cmaes", "cmaes"),
        ("tpe", "optuna"),
        ("nsga2", "optuna"),
        ("gp", "sklearn"),
        ("quality-diversity", "ribs"),
    ],
)
def test_a_missing_extra_is_named_with_its_cure(
    hunter: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the package the hunter is refused before anything runs."""
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == package else real(name, *rest)
    )
    with pytest.raises(ConfigError) as caught:
        build_hunter(spec_of(hunter))
    assert "is not installed" in caught.value.message
    assert caught.value.hint == "pip install 'hsm[hunt]'"


@pytest.mark.parametrize(
    ("hunter", "more", "words"),
    [
        ("cmaes", {"population": 3}, "needs at least 4"),
        ("nsga2", {"population": 1}, "needs at least 2"),
        ("sobol", {"shares": Shares(explore=1, exploit=0, wildcat=0)}, "only explores"),
        ("latin-hypercube", {"options": {"cells": 3}}, "unknown option"),
        ("quality-diversity", {"options": {"measures": {"a": [0, 1]}}}, "two measures"),
        (
            "quality-diversity",
            {"options": {"measures": {"a": [0, 1], "c": [1, 0]}}},
            "expected \\[low, high\\]",
        ),
        ("gp", {"options": {"candidates": 1}}, "from 16"),
    ],
)
def test_what_a_hunter_cannot_do_is_refused(hunter: str, more: dict[str, Any], words: str) -> None:
    """Populations, options and shares that make no sense are told before anything runs."""
    with pytest.raises(ConfigError, match=words):
        build_hunter(hunt_spec(hunter, SPACE, **more))


def test_sobol_covers_the_space_over_all_its_generations() -> None:
    """64 points of four generations lie one in each of 64 equal strips, in either dimension."""
    results = play(hunt_spec("sobol", population=16, generations=4), lambda _params, _seed: 1.0)
    for name in ("x", "y"):
        strips: Iterable[int] = (int((number(r.params, name) + 5) / 10 * 64) for r in results)
        assert sorted(strips) == list(range(64))


def test_a_latin_hypercube_meets_every_part_of_every_range_once() -> None:
    """Each generation by itself."""
    results = play(hunt_spec("latin-hypercube", population=12, generations=2), lambda _params, _seed: 1.0)
    for half in (results[:12], results[12:]):
        for name in ("x", "y"):
            assert sorted(int((number(r.params, name) + 5) / 10 * 12) for r in half) == list(range(12))


def test_failed_sets_do_not_steer_a_covariance_towards_them() -> None:
    """Told as no better than the worst, whatever failed is left behind."""
    spec = hunt_spec("cmaes", population=8, generations=8)
    results = play(spec, lambda p, _seed: None if number(p, "x") < 0 else -number(p, "x"))
    late = [number(r.params, "x") for r in results if r.generation > 5]
    assert min(late) > 0
    assert tell([], lambda _p, _s: None, generation=1) == ()
    assert outcome(None).kind is OutcomeKind.FAILED
