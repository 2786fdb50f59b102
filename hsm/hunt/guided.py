"""Hunters that ask a library: for each generation its model is built anew, by telling it all again.

Nothing of a library is ever stored. What it is told comes in task order, its seed comes from the hunt's
random numbers, so the same history gives the same proposals: after a kill, on another machine, whichever
task ended first.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from types import ModuleType
from typing import Protocol, TypeAlias, assert_never

from hsm.core.errors import ConfigError, Problem
from hsm.core.model import History, Proposal
from hsm.core.spec import HuntSpec, Shares, SweepSpec
from hsm.hunt.draft import Draft
from hsm.hunt.labels import Label, labels
from hsm.hunt.options import Settings
from hsm.hunt.space import Genome, Space
from hsm.hunt.standing import Known, best_first, known_sets
from hsm.hunt.variation import Variation

REPLAYED = 10_000
"""At most so many of the latest parameter sets are told again: what a replay costs is bounded."""

SEED_BITS = 32

TRIES = 16
"""Draws from a model that may hit known or forbidden sets; each costs more than one of chance."""

Draw: TypeAlias = "Callable[[], Genome]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One parameter set of the history in the unit cube. Without costs it failed or is not scorable."""

    genome: Genome
    entry: Known

    @property
    def is_scored(self) -> bool:
        """Whether it has a score."""
        return bool(self.entry.costs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """All that a model may learn from: the parameter sets of the history, in task order."""

    spec: SweepSpec
    hunt: HuntSpec
    space: Space
    settings: Settings
    told: Sequence[Told]

    @property
    def scored(self) -> list[Told]:
        """The sets that have a score."""
        return [told for told in self.told if told.is_scored]


class Model(Protocol):
    """Learns from a replay and gives a way to draw genomes, at its own leisure and cost."""

    def __call__(self, replay: Replay, rng: Random) -> Draw:
        """Return the way to draw."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedHunter:
    """Draws what exploits from a model, what explores from the whole space, and leaps from the best sets.

    While nothing is scored, a whole generation explores.
    """

    spec: SweepSpec
    hunt: HuntSpec
    space: Space
    settings: Settings
    model: Model
    shares: Shares = Shares(explore=0.0, exploit=1.0, wildcat=0.0)  # noqa: RUF009 (frozen)

    def ask(self, history: History, rng: Random) -> Sequence[Proposal]:
        """Return one generation, shorter where a finite space is exhausted."""
        if history.generation > self.hunt.generations:
            return []
        draft = Draft.after(history, self.spec, self.space)
        replay = self._replay(history)
        exploit = self.model(replay, rng)
        for label in self._labels(history.generation, replay):
            draw = partial(self._draw, label, exploit, replay, rng)
            if not draft.add(draw, rng, label=label, tries=TRIES):
                break
        return draft.done()

    def _labels(self, generation: int, replay: Replay) -> list[Label]:
        if not replay.scored:
            return [Label.EXPLORE] * self.hunt.population
        shares = self.hunt.shares or self.shares
        return labels(shares, population=self.hunt.population, bred=generation - 2)

    def _draw(self, label: Label, exploit: Draw, replay: Replay, rng: Random) -> Genome:
        match label:
            case Label.EXPLORE if replay.scored:
                return self.space.random(rng)
            case Label.EXPLORE | Label.EXPLOIT:
                return exploit()  # nothing is scored yet: the model begins in its own way
            case Label.WILDCAT:
                return self._leap(replay, rng)
            case _:
                assert_never(label)

    def _leap(self, replay: Replay, rng: Random) -> Genome:
        size = max(2, self.hunt.population // 3)
        genomes = {id(told.entry): told.genome for told in replay.scored}
        best = best_first([told.entry for told in replay.scored], size)[:size]
        pool = [genomes[id(entry)] for entry in best]
        return Variation.of(self.space, pool, scale=1.0, rate=1.0).leap(rng.choice(pool), rng)

    def _replay(self, history: History) -> Replay:
        known = known_sets(history, seeds=self.spec.seeds, objectives=self.hunt.objectives)[-REPLAYED:]
        pairs = [(entry, self.space.encode(entry.params)) for entry in known]
        told = [Told(genome=genome, entry=entry) for entry, genome in pairs if genome is not None]
        return Replay(spec=self.spec, hunt=self.hunt, space=self.space, settings=self.settings, told=told)


def need(package: str, hunter: str, module: str = "") -> None:
    """Say that a package of the extra is not installed, before anything runs.

    Raises:
        ConfigError: it is not.
    """
    if importlib.util.find_spec(module or package) is None:
        message = f"the hunter `{hunter}` needs the package `{package}`, which is not installed"
        raise ConfigError([Problem(where="hunt.hunter", message=message, hint="pip install 'hsm[hunt]'")])


def load(module: str) -> ModuleType:
    """Import a module of the extra; late, because some take seconds."""
    return importlib.import_module(module)


def need_population(hunt: HuntSpec, least: int) -> None:
    """Refuse a population that is too small for a hunter.

    Raises:
        ConfigError: it is.
    """
    if hunt.population < least:
        message = f"is {hunt.population}; the hunter `{hunt.hunter}` needs at least {least}"
        raise ConfigError([Problem(where="hunt.population", message=message)])
