"""Even coverage of the space without looking at results: Sobol's sequence and Latin hypercubes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from random import Random
from typing import Self

from hsm.core.model import History, Proposal
from hsm.core.spec import HuntSpec, SweepSpec
from hsm.hunt.draft import Draft
from hsm.hunt.labels import Label
from hsm.hunt.options import read_options
from hsm.hunt.random_search import hunt_of, refuse_shares
from hsm.hunt.space import Genome, Space

SEEDS = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Coverage:
    """Fills a generation with the points of a design; a known or forbidden one is replaced by chance."""

    spec: SweepSpec
    hunt: HuntSpec
    space: Space

    @classmethod
    def from_spec(cls, spec: SweepSpec) -> Self:
        """Build the hunter of a sweep.

        Raises:
            ConfigError: for every unknown option; this hunter has none, and it only explores.
        """
        hunt = hunt_of(spec)
        read_options(hunt.options, {})
        refuse_shares(hunt)
        return cls(spec=spec, hunt=hunt, space=Space(dimensions=hunt.space))

    def ask(self, history: History, rng: Random) -> Sequence[Proposal]:
        """Return one generation, shorter where a finite space is exhausted."""
        if history.generation > self.hunt.generations:
            return []
        draft = Draft.after(history, self.spec, self.space)
        design = self.points(history.generation, rng)
        for point in design:
            draws = chain([point], iter(partial(self.space.random, rng), ()))
            if not draft.add(partial(next, draws), rng, label=Label.EXPLORE):
                break
        return draft.done()

    def points(self, generation: int, rng: Random) -> Iterator[Genome]:
        """Yield the points of a generation in the unit cube."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class SobolHunter(_Coverage):
    """Walks one scrambled Sobol sequence, generation after generation.

    The sequence belongs to the seed of the hunt, not to the generation: all generations together cover
    the space as evenly as one would, which is what makes it worth its name.
    """

    def points(self, generation: int, rng: Random) -> Iterator[Genome]:
        """Yield the next points of the sequence."""
        from scipy.stats import qmc  # noqa: PLC0415 (takes two seconds)

        sequence = qmc.Sobol(len(self.space.dimensions), seed=self.hunt.seed % SEEDS)
        if generation > 1:
            sequence.fast_forward((generation - 1) * self.hunt.population)
        for _ in range(self.hunt.population):
            yield tuple(map(float, sequence.random(1)[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class LatinHypercubeHunter(_Coverage):
    """Each generation is a Latin hypercube: every dimension cut into `population` parts, each met once."""

    def points(self, generation: int, rng: Random) -> Iterator[Genome]:
        """Yield the points of a new hypercube."""
        from scipy.stats import qmc  # noqa: PLC0415 (takes two seconds)

        cube = qmc.LatinHypercube(len(self.space.dimensions), seed=rng.getrandbits(32))
        for point in cube.random(self.hunt.population):
            yield tuple(map(float, point))
