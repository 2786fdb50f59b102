"""How children differ from their parents: crossover and mutation in the unit cube."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import pstdev

from hsm.core.spec import Choices, IntRange
from hsm.hunt.space import Genome, Space

SMALLEST_STEP = 1e-3
"""Least width of a mutation, in units of a dimension's range: a pool of twins must be able to leave."""

BLEND = 0.5
"""How far a blend may leave the interval between two parents, in units of its length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """The spread of a pool of parents and the strength of change, per dimension of the cube."""

    space: Space
    widths: Genome
    rate: float

    @classmethod
    def of(cls, space: Space, pool: Sequence[Genome], *, scale: float, rate: float) -> Variation:
        """Measure a pool: mutation is `scale` standard deviations of the parents wide.

        The step so follows the search: wide while the parents disagree, narrow once they agree.
        """
        columns = list(zip(*pool, strict=True)) or [(0.5,)] * len(space.dimensions)
        dimensions = space.dimensions.values()
        steps = [max(scale * pstdev(column), SMALLEST_STEP) for column in columns]
        widths = [
            max(step, 1.0 / (dimension.high - dimension.low + 1)) if isinstance(dimension, IntRange) else step
            for dimension, step in zip(dimensions, steps, strict=True)
        ]
        return cls(space=space, widths=tuple(widths), rate=rate)

    def mutate(self, genome: Genome, rng: Random) -> Genome:
        """Change each coordinate with probability `rate`, and one of them in any case."""
        forced = rng.randrange(len(genome)) if genome else 0
        changes = [rng.random() < self.rate or index == forced for index in range(len(genome))]
        return tuple(
            self._step(index, unit, rng) if change else unit
            for index, (unit, change) in enumerate(zip(genome, changes, strict=True))
        )

    def leap(self, genome: Genome, rng: Random) -> Genome:
        """Move every coordinate by a heavy-tailed (Cauchy) step: mostly near, now and then far away."""
        categorical = self._categorical
        return tuple(
            rng.random() if categorical[index] else reflect(unit + self.widths[index] * _cauchy(rng))
            for index, unit in enumerate(genome)
        )

    def _step(self, index: int, unit: float, rng: Random) -> float:
        if self._categorical[index]:
            return rng.random()
        return reflect(rng.gauss(unit, self.widths[index]))

    @property
    def _categorical(self) -> list[bool]:
        return [isinstance(dimension, Choices) for dimension in self.space.dimensions.values()]


def uniform(mother: Genome, father: Genome, rng: Random) -> Genome:
    """Take each coordinate from one parent or the other."""
    return tuple(rng.choice(pair) for pair in zip(mother, father, strict=True))


def blend(mother: Genome, father: Genome, space: Space, rng: Random) -> Genome:
    """Draw each coordinate between the parents or somewhat beyond; choices come from one of them.

    The blend crossover BLX-alpha of Eshelman and Schaffer (Foundations of Genetic Algorithms 2, 1993).
    """
    pairs = zip(space.dimensions.values(), mother, father, strict=True)
    return tuple(
        rng.choice((one, other))
        if isinstance(dimension, Choices)
        else reflect(one + (other - one) * rng.uniform(-BLEND, 1.0 + BLEND))
        for dimension, one, other in pairs
    )


def reflect(unit: float) -> float:
    """Fold a coordinate that left the cube back into it, as a mirror at the bound would.

    Clamping instead would pile the children up on the bounds.
    """
    folded = math.fmod(abs(unit), 2.0)
    return 2.0 - folded if folded > 1.0 else folded


def _cauchy(rng: Random) -> float:
    return math.tan(math.pi * (rng.random() - 0.5))
