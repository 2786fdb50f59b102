"""What exponential integrators share: the state that a step advances, and what a step costs."""

from dataclasses import dataclass
from functools import partial
from typing import Protocol, Self

import jax
import jax.numpy as jnp
from jax import Array


@partial(jax.tree_util.register_dataclass, data_fields=["v", "past"], meta_fields=[])
@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that the next step depends on beside its number: the band v, and what a stepper remembers.

    past: nothing (ETDRK4 in flat space), the last three N(v), newest first (ETDAB4, each (M, …)), or metric
    fields (`gravity`, each (N, …)). A field each, not one array of all: then none is copied to be moved on.
    """

    v: Array
    past: tuple[Array, ...]


@partial(jax.tree_util.register_dataclass, data_fields=["iterations", "failures", "steepest"], meta_fields=[])
@dataclass(frozen=True, slots=True, kw_only=True)
class Toll:
    """What some steps cost and met.

    iterations: of elliptic solves (`elliptic.Solution`); failures: those that did not converge; steepest: the
    largest Ω⁻² that acted (0 in flat space).
    """

    iterations: Array
    failures: Array
    steepest: Array

    @classmethod
    def nothing(cls) -> Self:
        return cls(iterations=jnp.int32(0), failures=jnp.int32(0), steepest=jnp.float32(0))

    def __add__(self, other: "Toll") -> "Toll":
        return Toll(
            iterations=self.iterations + other.iterations,
            failures=self.failures + other.failures,
            steepest=jnp.maximum(self.steepest, other.steepest),
        )


class Stepper(Protocol):
    """Advances a state by one step; a pytree, so that its numbers are traced."""

    @property
    def h(self) -> Array:
        """The step, scalar float64, time."""
        ...

    @property
    def points(self) -> int:
        """N, the points per axis."""
        ...

    def step(self, state: State, t: Array) -> tuple[State, Toll]:
        """Advance the state from t to t + h."""
        ...
