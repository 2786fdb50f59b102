"""What exponential integrators share: contour means, and the state that a step advances.

Coefficients of exponential integrators are entire functions of z = hL with a removable singularity at 0. They
are evaluated as the mean over a circle around z, which is exact for such functions and avoids their
cancellation near 0. L is complex here, so the circle must be full and the mean complex: the usual half circle
with a real part is right for real L only, and silently lowers the order to one.

Reference: A.-K. Kassam and L. N. Trefethen, SIAM J. Sci. Comput. 26, 1214 (2005).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hsm.physics.grid import ComplexField

CONTOUR_POINTS = 32


def circle_mean(function: Callable[[ComplexField], ComplexField], z: ComplexField) -> ComplexField:
    """Return the mean of an entire function over a full circle of 32 points around each z: its value at z.

    The radius is 1, or 2 where 1/2 < |z| < 3/2: the circle then keeps a distance of at least 1/2 from w = 0,
    where the quotients cancel (a unit circle around |z| = 1 would pass through it).
    """
    size = np.abs(z)
    radius = np.where((size > 0.5) & (size < 1.5), 2.0, 1.0)
    directions = np.exp(2j * np.pi * (np.arange(CONTOUR_POINTS) + 0.5) / CONTOUR_POINTS)
    total = np.zeros_like(z)
    for direction in directions:  # one by one: 32 copies of a large grid would not fit in memory
        total += function(z + radius * direction)
    return total / CONTOUR_POINTS


@partial(jax.tree_util.register_dataclass, data_fields=["v", "past"], meta_fields=[])
@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that the next step depends on beside its number: the band v, and what a stepper remembers.

    past, newest first: nothing (ETDRK4 in flat space, shape (0,)), the last three N(v) (ETDAB4, shape (3, M,
    …)) or the last metric fields (`gravity`, shape (n, N, …)).
    """

    v: Array
    past: Array


@partial(jax.tree_util.register_dataclass, data_fields=["iterations", "failures", "steepest"], meta_fields=[])
@dataclass(frozen=True, slots=True, kw_only=True)
class Toll:
    """What some steps cost and met.

    iterations: conjugate-gradient iterations; failures: elliptic solves that did not converge; steepest: the
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
