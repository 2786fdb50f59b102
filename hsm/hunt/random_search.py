"""The random hunter: independent draws from the space, the yardstick of every other hunter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Self

from hsm.core.errors import ConfigError, Problem
from hsm.core.model import History, Proposal
from hsm.core.spec import HuntSpec, SweepSpec
from hsm.hunt.draft import Draft
from hsm.hunt.labels import Label
from hsm.hunt.options import read_options
from hsm.hunt.space import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomHunter:
    """Draws each generation uniformly (log dimensions: in the logarithm), no parameter set twice."""

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
        for _ in range(self.hunt.population):
            if not draft.add(lambda: self.space.random(rng), rng, label=Label.EXPLORE):
                break
        return draft.done()


def hunt_of(spec: SweepSpec) -> HuntSpec:
    """Return the hunt of a sweep.

    Raises:
        ConfigError: if the sweep has none.
    """
    if spec.hunt is None:
        hint = "give the hunter, its space and its objective under `hunt`"
        raise ConfigError([Problem(where="hunt", message="this sweep is no hunt", hint=hint)])
    return spec.hunt


def refuse_shares(hunt: HuntSpec) -> None:
    """Refuse shares for a hunter that only explores.

    Raises:
        ConfigError: the hunt has shares.
    """
    if hunt.shares is not None:
        hint = "remove them, or choose a hunter that learns, such as evolution"
        message = f"the hunter `{hunt.hunter}` only explores"
        raise ConfigError([Problem(where="hunt.shares", message=message, hint=hint)])


def refuse_several(hunt: HuntSpec) -> None:
    """Refuse several objectives for a hunter that follows one.

    Raises:
        ConfigError: the hunt has further objectives.
    """
    if hunt.further:
        hint = "give one, or choose evolution, nsga2 or tpe"
        message = f"the hunter `{hunt.hunter}` follows one objective, found {len(hunt.objectives)}"
        raise ConfigError([Problem(where="hunt.objective", message=message, hint=hint)])
