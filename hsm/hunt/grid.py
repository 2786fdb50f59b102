"""The grid hunter: the product of the axes, less what is excluded, in one generation."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Self

from hsm.core.errors import ConfigError, Problem
from hsm.core.model import History, Proposal
from hsm.core.spec import GridSpec, Params, SweepSpec, Value
from hsm.hunt.draft import replicate
from hsm.hunt.values import typed_key


@dataclass(frozen=True, slots=True, kw_only=True)
class GridHunter:
    """Enumerates a grid lazily: the last axis changes fastest, and within a combination the seed."""

    grid: GridSpec
    parameters: Params
    seeds: int

    @classmethod
    def from_spec(cls, spec: SweepSpec) -> Self:
        """Build the hunter of a sweep.

        Raises:
            ConfigError: if the sweep has no grid.
        """
        if spec.grid is None:
            hint = "write the axes under `sweep.grid`, or choose another hunter"
            raise ConfigError(
                [Problem(where="hunt.hunter", message="the grid hunter needs a grid", hint=hint)]
            )
        return cls(grid=spec.grid, parameters=spec.parameters, seeds=spec.seeds)

    def ask(self, history: History, rng: Random) -> Iterator[Proposal]:
        """Yield the whole grid in generation 1 and nothing afterwards."""
        if history.generation == 1:
            for params in self._combinations():
                yield from replicate(params, seeds=self.seeds)

    def _combinations(self) -> Iterator[dict[str, Value]]:
        rules = [{name: typed_key(value) for name, value in rule.items()} for rule in self.grid.exclude]
        for points in product(*(axis.points for axis in self.grid.axes)):
            params = dict(self.parameters)
            for axis, point in zip(self.grid.axes, points, strict=True):
                params.update(zip(axis.names, point, strict=True))
            if not any(_matches(rule, params) for rule in rules):
                yield params


def _matches(rule: dict[str, Hashable], params: Params) -> bool:
    return all(name in params and typed_key(params[name]) == key for name, key in rule.items())
