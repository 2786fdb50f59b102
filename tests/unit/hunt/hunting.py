"""A hunt played in memory: build specs, ask, score, tell."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from hsm.core.model import History, Hunter, HuntOver, Outcome, OutcomeKind, Proposal, TaskResult
from hsm.core.spec import (
    Axis,
    Dimension,
    Direction,
    FloatRange,
    GridSpec,
    HuntSpec,
    Objective,
    Params,
    ProgramSpec,
    Rule,
    SweepSpec,
)
from hsm.hunt import build_hunter

Score = Callable[[Params, int], "float | None"]

BOUNDS = ("further", "forbid", "stop", "shares")

PLANE: dict[str, Dimension] = {"x": FloatRange(low=-5.0, high=5.0), "y": FloatRange(low=-5.0, high=5.0)}


def grid_spec(
    axes: dict[str, tuple[Any, ...]],
    *,
    exclude: tuple[Params, ...] = (),
    forbid: tuple[Rule, ...] = (),
    **more: Any,
) -> SweepSpec:
    parts = tuple(
        Axis(names=(name,), points=tuple((value,) for value in values)) for name, values in axes.items()
    )
    return sweep(grid=GridSpec(axes=parts, exclude=exclude, forbid=forbid), **more)


def hunt_spec(  # one argument for each thing that a test varies
    hunter: str = "evolution",
    space: dict[str, Dimension] | None = None,
    *,
    generations: int = 4,
    population: int = 8,
    direction: Direction = Direction.MINIMIZE,
    options: Params | None = None,
    **more: Any,
) -> SweepSpec:
    hunt = HuntSpec(
        hunter=hunter,
        space=PLANE if space is None else space,
        objective=Objective(metric="f", direction=direction),
        generations=generations,
        population=population,
        options=options or {},
        **{name: more.pop(name) for name in BOUNDS if name in more},
    )
    return sweep(hunt=hunt, **more)


def sweep(**more: Any) -> SweepSpec:
    return SweepSpec(name="test", program=ProgramSpec(command=("true",)), **more)


def ask(
    spec: SweepSpec, results: tuple[TaskResult, ...] = (), *, generation: int = 1, seed: int = 0
) -> list[Proposal]:
    history = History(generation=generation, results=results)
    return proposed(build_hunter(spec), history, Random(f"{seed}/{generation}"))


def proposed(hunter: Hunter, history: History, rng: Random) -> list[Proposal]:
    """Return a generation; an empty one when the hunt is over, whatever the reason."""
    try:
        return list(hunter.ask(history, rng))
    except HuntOver:
        return []


def tell(
    proposals: list[Proposal], score: Score, *, generation: int, after: int = 0
) -> tuple[TaskResult, ...]:
    return tuple(
        TaskResult(
            index=index,
            generation=generation,
            params=proposal.params,
            seed=proposal.seed,
            label=proposal.label,
            outcome=outcome(score(proposal.params, proposal.seed)),
        )
        for index, proposal in enumerate(proposals, start=after + 1)
    )


def number(params: Params, name: str) -> float:
    value = params[name]
    assert isinstance(value, int | float)
    return float(value)


def outcome(score: float | None) -> Outcome:
    if score is None:
        return Outcome(kind=OutcomeKind.FAILED, reason="exit code 1")
    return Outcome(kind=OutcomeKind.SCORED, score=score)


def play(spec: SweepSpec, score: Score, *, seed: int = 0) -> tuple[TaskResult, ...]:
    """Run a whole hunt: every task ends before the next generation is asked for."""
    hunter: Hunter = build_hunter(spec)
    results: tuple[TaskResult, ...] = ()
    for generation in range(1, 1_000):
        rng = Random(f"{seed}/{generation}")
        proposals = proposed(hunter, History(generation=generation, results=results), rng)
        if not proposals:
            return results
        results += tell(proposals, score, generation=generation, after=len(results))
    raise AssertionError("the hunt does not end")
