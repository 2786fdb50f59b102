"""A generation being drafted: no set twice, none forbidden, constants beneath, replicates innermost."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from random import Random

from hsm.core.constraints import Constraints
from hsm.core.model import History, HuntOver, Proposal
from hsm.core.spec import Params, SweepSpec, Value
from hsm.hunt.space import Genome, Space
from hsm.hunt.values import params_key

TRIES = 64
"""Draws that may hit known or forbidden parameter sets before the hunter's own way of drawing is given up."""

LAST_TRIES = 2_000
"""Draws from the whole space that may then hit known or forbidden sets before nothing is left to propose."""

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
    constraints: Constraints = field(default_factory=lambda: Constraints.of(()))

    @classmethod
    def after(cls, history: History, spec: SweepSpec, space: Space) -> Draft:
        """Begin the generation that follows `history`."""
        known = {params_key(result.params) for result in history.results}
        rules = spec.hunt.forbid if spec.hunt else ()
        return cls(spec=spec, space=space, known=known, constraints=Constraints.of(rules))

    def add(self, draw: Callable[[], Genome], rng: Random, *, label: str, tries: int = TRIES) -> bool:
        """Add the first new set that `draw` gives; False when nothing new is to be had any more."""
        for _ in range(tries):
            if self._take(self.space.decode(draw()), label):
                return True
        return self._add_any(rng, label)

    def done(self) -> list[Proposal]:
        """Return what was drafted.

        Raises:
            HuntOver: that is nothing, because nothing is left.
        """
        if self.proposals:
            return self.proposals
        if self.constraints.broken:
            raise HuntOver(f"all but everything that is left is forbidden: {self.constraints.words}")
        raise HuntOver("every point of the space has been proposed")

    def _add_any(self, rng: Random, label: str) -> bool:
        size = self.space.size
        if size is not None and size <= SEARCHABLE:
            fresh = [point for point in self.space.points() if self._is_new(point)]
            return bool(fresh) and self._take(rng.choice(fresh), label)
        return any(self._take(self.space.decode(self.space.random(rng)), label) for _ in range(LAST_TRIES))

    def _take(self, own: dict[str, Value], label: str) -> bool:
        if not self._is_new(own):
            return False
        self.known.add(self._key(own))
        self.proposals.extend(replicate(self._whole(own), seeds=self.spec.seeds, label=label))
        return True

    def _is_new(self, own: dict[str, Value]) -> bool:
        return self._key(own) not in self.known and self.constraints.permit(self._whole(own))

    def _whole(self, own: dict[str, Value]) -> dict[str, Value]:
        return {**self.spec.parameters, **own}

    def _key(self, own: dict[str, Value]) -> Hashable:
        return params_key(self._whole(own))
