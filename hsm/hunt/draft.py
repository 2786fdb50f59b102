"""A generation being drafted: no parameter set twice, constants beneath, replicates innermost."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from random import Random

from hsm.core.model import History, Proposal
from hsm.core.spec import Params, SweepSpec, Value
from hsm.hunt.space import Genome, Space
from hsm.hunt.values import params_key

TRIES = 64
"""Draws that may hit known parameter sets before a finite space is searched for the unknown ones."""

SEARCHABLE = 20_000
"""Largest finite space that is searched for what has not been proposed yet."""


def replicate(params: Params, *, seeds: int, label: str = "") -> Iterator[Proposal]:
    """Yield one proposal for each replicate of a parameter set."""
    return (Proposal(params=params, seed=seed, label=label) for seed in range(seeds))


@dataclass(slots=True, kw_only=True)
class Draft:
    """The parameter sets of one generation. Knows every set of the history, and takes only new ones.

    The engine would record a known set as REUSED and run nothing: a place of the generation wasted.
    """

    spec: SweepSpec
    space: Space
    known: set[Hashable] = field(default_factory=set)
    proposals: list[Proposal] = field(default_factory=list)

    @classmethod
    def after(cls, history: History, spec: SweepSpec, space: Space) -> Draft:
        """Begin the generation that follows `history`."""
        return cls(spec=spec, space=space, known={params_key(result.params) for result in history.results})

    def add(self, draw: Callable[[], Genome], rng: Random, *, label: str) -> bool:
        """Add the first new set that `draw` gives; False when nothing new is to be had any more."""
        for _ in range(TRIES):
            if self._take(self.space.decode(draw()), label):
                return True
        return self._add_any(rng, label)

    def _add_any(self, rng: Random, label: str) -> bool:
        size = self.space.size
        if size is None or size > SEARCHABLE:
            return self._take(self.space.decode(self.space.random(rng)), label)
        fresh = [point for point in self.space.points() if self._key(point) not in self.known]
        return bool(fresh) and self._take(rng.choice(fresh), label)

    def _take(self, own: dict[str, Value], label: str) -> bool:
        key = self._key(own)
        if key in self.known:
            return False
        self.known.add(key)
        self.proposals.extend(replicate(self._whole(own), seeds=self.spec.seeds, label=label))
        return True

    def _whole(self, own: dict[str, Value]) -> dict[str, Value]:
        return {**self.spec.parameters, **own}

    def _key(self, own: dict[str, Value]) -> Hashable:
        return params_key(self._whole(own))
