"""The hunters `tpe` and `nsga2`: samplers of Optuna, asked and told in memory, no storage kept."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

from hsm.core.spec import Choices, SweepSpec
from hsm.hunt.guided import SEED_BITS, Draw, GuidedHunter, Replay, Told, load, need, need_population
from hsm.hunt.options import Number, Settings, Word, read_options
from hsm.hunt.random_search import hunt_of
from hsm.hunt.space import Genome, Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler

Sampler: TypeAlias = "Callable[[Replay, int], BaseSampler]"

TPE: Mapping[str, Number | Word] = {
    "startup": Number(default=10, low=1, high=100_000, integer=True),
    "candidates": Number(default=24, low=1, high=10_000, integer=True),
}
"""The first `startup` scored sets are drawn at random; then `candidates` are weighed for each draw."""

NSGA2: Mapping[str, Number | Word] = {
    "crossover_rate": Number(default=0.9, low=0.0, high=1.0),
    "swapping_rate": Number(default=0.5, low=0.0, high=1.0),
}

_GENERATION = "NSGAIISampler:generation"


def build_tpe(spec: SweepSpec) -> GuidedHunter:
    """Build the hunter of a sweep that models good and bad sets by their densities.

    Raises:
        ConfigError: an option is wrong, or the package is missing.
    """
    return _build(spec, TPE, _tpe)


def build_nsga2(spec: SweepSpec) -> GuidedHunter:
    """Build the hunter of a sweep that breeds by Pareto rank and crowding.

    Raises:
        ConfigError: an option or the population is wrong, or the package is missing.
    """
    need_population(hunt_of(spec), 2)
    return _build(spec, NSGA2, _nsga2)


def _build(spec: SweepSpec, options: Mapping[str, Number | Word], sampler: Sampler) -> GuidedHunter:
    hunt = hunt_of(spec)
    settings = read_options(hunt.options, options)
    need("optuna", hunt.hunter)

    def model(replay: Replay, rng: Random) -> Draw:
        return _asked(replay, sampler(replay, rng.getrandbits(SEED_BITS)))

    return GuidedHunter(
        spec=spec, hunt=hunt, space=Space(dimensions=hunt.space), settings=settings, model=model
    )


def _tpe(replay: Replay, seed: int) -> BaseSampler:
    settings: Settings = replay.settings
    with _quiet():
        sampler: BaseSampler = load("optuna.samplers").TPESampler(
            seed=seed,
            n_startup_trials=settings.count("startup"),
            n_ei_candidates=settings.count("candidates"),
            constant_liar=True,  # a generation is drawn at once: sets in flight count as poor ones
        )
    return sampler


def _nsga2(replay: Replay, seed: int) -> BaseSampler:
    with _quiet():
        sampler: BaseSampler = load("optuna.samplers").NSGAIISampler(
            seed=seed,
            population_size=replay.hunt.population,
            crossover_prob=replay.settings.number("crossover_rate"),
            swapping_prob=replay.settings.number("swapping_rate"),
        )
    return sampler


def _asked(replay: Replay, sampler: BaseSampler) -> Draw:
    """Tell a new study the history; every draw asks it once more."""
    ranges = _distributions(replay.space)
    study = _study(replay, sampler, ranges)

    def draw() -> Genome:
        with _quiet():
            found = study.ask(ranges).params
        return tuple(_unit(replay.space, name, found[name]) for name in ranges)

    return draw


def _study(replay: Replay, sampler: BaseSampler, ranges: Mapping[str, Any]) -> Study:
    optuna = load("optuna")
    with _quiet():
        study: Study = optuna.create_study(
            sampler=sampler, directions=["minimize"] * len(replay.hunt.objectives)
        )
        study.add_trials([_told(replay, one, place, ranges) for place, one in enumerate(replay.scored)])
        _select_in_order(study, sampler, len(replay.scored) // replay.hunt.population)
    return study


def _select_in_order(study: Study, sampler: BaseSampler, generations: int) -> None:
    """Let NSGA-II select generation by generation; by itself it would recurse once for each of them."""
    select = getattr(sampler, "get_parent_population", None)
    for generation in range(1, generations + 1):
        if select is not None:
            select(study, generation)


def _told(replay: Replay, one: Told, place: int, ranges: Mapping[str, Any]) -> Any:
    """Return a set as a finished trial. NSGA-II counts its generations by finished trials, and so do we."""
    pairs = zip(replay.space.dimensions.items(), one.genome, strict=True)
    params = {
        name: min(int(unit * len(dimension.values)), len(dimension.values) - 1)
        if isinstance(dimension, Choices)
        else unit
        for (name, dimension), unit in pairs
    }
    return load("optuna.trial").create_trial(
        params=params,
        distributions=dict(ranges),
        values=list(one.entry.costs),
        system_attrs={_GENERATION: place // replay.hunt.population},
    )


def _distributions(space: Space) -> dict[str, Any]:
    """Return the unit cube for Optuna: numbers by their coordinate, choices by their index."""
    kinds = load("optuna.distributions")
    return {
        name: kinds.CategoricalDistribution(tuple(range(len(dimension.values))))
        if isinstance(dimension, Choices)
        else kinds.FloatDistribution(0.0, 1.0)
        for name, dimension in space.dimensions.items()
    }


def _unit(space: Space, name: str, value: Any) -> float:
    dimension = space.dimensions[name]
    if isinstance(dimension, Choices):
        return (int(value) + 0.5) / len(dimension.values)
    return float(value)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's talk off the terminal: whoever drives a hunt is told by the ledger's events."""
    logging = load("optuna.logging")
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(before)
