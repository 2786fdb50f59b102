"""The evolutionary hunter: the best of the whole history breed the next generation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Self, assert_never

from hsm.core.errors import ConfigError, Problem
from hsm.core.model import History, Proposal
from hsm.core.spec import HuntSpec, Shares, SweepSpec
from hsm.hunt.draft import Draft
from hsm.hunt.labels import Label, labels
from hsm.hunt.options import WHERE, Number, Settings, Word, read_options
from hsm.hunt.random_search import hunt_of
from hsm.hunt.space import Genome, Space
from hsm.hunt.standing import best_first, scored_sets
from hsm.hunt.variation import Variation, blend, uniform

OPTIONS: Mapping[str, Number | Word] = {
    "parents": Number(default=0, low=0, high=100_000, integer=True),
    "tournament": Number(default=2, low=1, high=1_000, integer=True),
    "crossover": Word(default="blend", words=("blend", "uniform")),
    "crossover_rate": Number(default=0.9, low=0.0, high=1.0),
    "mutation_rate": Number(default=0.5, low=0.0, high=1.0),
    "mutation_scale": Number(default=1.0, low=0.0, high=10.0),
    "explore": Number(default=0.1, low=0.0, high=1.0),
    "wildcat": Number(default=0.1, low=0.0, high=1.0),
}
"""What `hunt.options` may hold. `parents: 0` stands for a third of the population, at least eight."""

LEAST_PARENTS = 8
"""Fewer agree too soon: the steps are as wide as the parents differ, and the search would stand still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breeding:
    """A pool of parents, best first, and the ways to draw a new genome from it."""

    space: Space
    settings: Settings
    pool: Sequence[Genome]
    change: Variation
    rng: Random

    def draw(self, label: Label) -> Genome:
        """Draw a genome in the way that a label stands for."""
        match label:
            case Label.EXPLORE:
                return self.space.random(self.rng)
            case Label.EXPLOIT:
                return self.change.mutate(self._child(), self.rng)
            case Label.WILDCAT:
                return self.change.leap(self._parent(), self.rng)
            case _:
                assert_never(label)

    def _parent(self) -> Genome:
        """Select by tournament: the pool is sorted, so the smallest of the drawn indices wins."""
        draws = [self.rng.randrange(len(self.pool)) for _ in range(self.settings.count("tournament"))]
        return self.pool[min(draws)]

    def _child(self) -> Genome:
        mother, father = self._parent(), self._parent()
        if self.rng.random() >= self.settings.number("crossover_rate"):
            return mother
        if self.settings.word("crossover") == "uniform":
            return uniform(mother, father, self.rng)
        return blend(mother, father, self.space, self.rng)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvolutionHunter:
    """Tournament selection, crossover and mutation in the unit cube of the space.

    Elitism: the pool of parents is the best of all generations, not of the last one. A good parameter
    set therefore stays a parent until better ones displace it, and is never proposed again, which would
    run nothing. With several objectives the best are the first Pareto fronts, the loneliest sets of each
    first. Failed and not-scorable sets are never parents; while nothing is scored, the hunter explores.
    The shares of explorers and wildcats hold over the hunt, however small a population is.
    """

    spec: SweepSpec
    hunt: HuntSpec
    space: Space
    settings: Settings

    @classmethod
    def from_spec(cls, spec: SweepSpec) -> Self:
        """Build the hunter of a sweep.

        Raises:
            ConfigError: for every unknown or impossible option.
        """
        hunt = hunt_of(spec)
        settings = read_options(hunt.options, OPTIONS)
        refuse_two_shares(hunt)
        return cls(spec=spec, hunt=hunt, space=Space(dimensions=hunt.space), settings=settings)

    def ask(self, history: History, rng: Random) -> Sequence[Proposal]:
        """Return one generation, shorter where a finite space is exhausted."""
        if history.generation > self.hunt.generations:
            return []
        draft = Draft.after(history, self.spec, self.space)
        breeding = self._breeding(history, rng)
        for label in self._labels(history.generation, breeding.pool):
            if not draft.add(partial(breeding.draw, label), rng, label=label):
                break
        return draft.done()

    def _breeding(self, history: History, rng: Random) -> Breeding:
        pool = self._pool(history)
        rate, scale = self.settings.number("mutation_rate"), self.settings.number("mutation_scale")
        change = Variation.of(self.space, pool, scale=scale, rate=rate)
        return Breeding(space=self.space, settings=self.settings, pool=pool, change=change, rng=rng)

    def _pool(self, history: History) -> list[Genome]:
        """Return the parents, best first; sets from outside the space (an older sweep file) cannot be."""
        scored = scored_sets(history, seeds=self.spec.seeds, objectives=self.hunt.objectives)
        fit = [(entry, genome) for entry in scored if (genome := self.space.encode(entry.params)) is not None]
        genomes = {id(entry): genome for entry, genome in fit}
        size = self.settings.count("parents") or max(LEAST_PARENTS, math.ceil(self.hunt.population / 3))
        return [genomes[id(entry)] for entry in best_first([entry for entry, _ in fit], size)[:size]]

    def _labels(self, generation: int, pool: Sequence[Genome]) -> list[Label]:
        if not pool:
            return [Label.EXPLORE] * self.hunt.population
        shares = self.hunt.shares or own_shares(self.settings)
        return labels(shares, population=self.hunt.population, bred=generation - 2)


def own_shares(settings: Settings) -> Shares:
    """Return the shares that the options give; what neither explores nor leaps exploits."""
    explore, wildcat = settings.number("explore"), settings.number("wildcat")
    return Shares(explore=explore, exploit=max(0.0, 1.0 - explore - wildcat), wildcat=wildcat)


def refuse_two_shares(hunt: HuntSpec) -> None:
    """Refuse a hunt whose shares are given twice.

    Raises:
        ConfigError: `hunt.shares` is there, and so is an option that says the same.
    """
    twice = [name for name in ("explore", "wildcat") if hunt.shares is not None and name in hunt.options]
    if twice:
        hint = "keep `hunt.shares`"
        message = "`hunt.shares` is given too"
        raise ConfigError([Problem(where=f"{WHERE}.{name}", message=message, hint=hint) for name in twice])
