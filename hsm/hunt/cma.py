"""The `cmaes` hunter: covariance matrix adaptation, for continuous spaces whose dimensions interact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from random import Random
from typing import TYPE_CHECKING

from hsm.core.spec import SweepSpec
from hsm.hunt.guided import SEED_BITS, Draw, GuidedHunter, Replay, Told, load, need, need_population
from hsm.hunt.options import Number, Word, read_options
from hsm.hunt.random_search import hunt_of, refuse_several
from hsm.hunt.space import Genome, Space

if TYPE_CHECKING:
    from cmaes import CMA

LEAST_POPULATION = 4
OPTIONS: Mapping[str, Number | Word] = {"sigma": Number(default=0.3, low=1e-6, high=10.0)}
"""`sigma` is the first step, in shares of each range."""


def build(spec: SweepSpec) -> GuidedHunter:
    """Build the hunter of a sweep.

    Raises:
        ConfigError: an option, the population or the objectives are wrong, or the package is missing.
    """
    hunt = hunt_of(spec)
    settings = read_options(hunt.options, OPTIONS)
    refuse_several(hunt)
    need_population(hunt, LEAST_POPULATION)
    need("cmaes", hunt.hunter)
    space = Space(dimensions=hunt.space)
    return GuidedHunter(spec=spec, hunt=hunt, space=space, settings=settings, model=adapted)


def adapted(replay: Replay, rng: Random) -> Draw:
    """Tell a new optimiser every generation; what it then draws depends on nothing but that and its seed."""
    optimiser = _optimiser(replay, rng.getrandbits(SEED_BITS))
    for generation in _generations(replay.told, replay.hunt.population):
        optimiser.tell(generation)

    def draw() -> Genome:
        return tuple(map(float, optimiser.ask()))

    return draw


def _optimiser(replay: Replay, seed: int) -> CMA:
    numpy = load("numpy")
    size = len(replay.space.dimensions)
    optimiser: CMA = load("cmaes").CMA(
        mean=numpy.full(size, 0.5),
        sigma=replay.settings.number("sigma"),
        bounds=numpy.array([[0.0, 1.0]] * size),
        seed=seed,
        population_size=replay.hunt.population,
    )
    return optimiser


def _generations(told: Sequence[Told], population: int) -> Iterator[list[tuple[object, float]]]:
    """Yield each generation that has a score; whatever has none is as bad as its worst.

    The optimiser only compares, so that says no more than that they are not to be followed.
    """
    numpy = load("numpy")
    for _, group in groupby(told, lambda one: one.entry.generation):
        members = list(group)
        scored = [one for one in members if one.is_scored]
        if not scored:
            continue
        worst = max(scored, key=lambda one: one.entry.costs[0])
        costs = [(one.genome, (one if one.is_scored else worst).entry.costs[0]) for one in members]
        costs += [(worst.genome, worst.entry.costs[0])] * (population - len(costs))
        yield [(numpy.array(genome), cost) for genome, cost in costs[:population]]
