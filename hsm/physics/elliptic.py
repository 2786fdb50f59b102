"""The metric of a density: the constant-mean-curvature constraint, solved by Newton's method.

The metric is conformally flat, g_ij = Ω²δ_ij, on a slice whose extrinsic curvature K_ij = (K/d) g_ij is
constant and whose density is scaled as ρ_phys = Ω^{−(d+1)}ρ (York's scaling). The Hamiltonian constraint then
reads

    d = 2, Ω = e^x:    ∇²x = F = κ (ρ_ref e^{2x} − ρ e^{−x})
    d = 3, Ω = (1+x)²: ∇²x = F = (κ/4)(ρ_ref (1+x)⁵ − ρ (1+x)^{−3})

with K² = 4κρ_ref in two dimensions and 3κρ_ref in three. V = ∂F/∂x > 0, so the positive solution is unique,
and no condition on the mean of ρ is needed; without the expansion term (K = 0) a torus has no solution at
all. With ρ_ref = ⟨ρ⟩ a uniform density leaves space flat, and Ω − 1 is linear in κ.

x is 0 in flat space, so that rounding is relative to what bends it. For the field equation a metric is y, of
whose powers F is made: Ω = y in two dimensions, y² in three.

A solve begins with a fixed-point step, (m − ∇²)x = mg − F(g) from a guess g with m midway between the least
and the largest V: it costs what ∇²g would, and leaves a better x whose ∇²x = mx − mg + F(g) is known. It goes
on with such steps while r = ∇²x − F is within `NEAR` tolerances and each leaves at most `CONTRACTION` of
it: near the goal they are the cheapest, and from a good guess one or two reach it. Else Newton: (V − ∇²)δ =
r, until rms(r) ≤ tol κρ_ref. Each correction by conjugate gradients, preconditioned by (k² + ⟨V⟩)^{−1}. For
z = (⟨V⟩ − ∇²)^{−1}s the product (V − ∇²)z is (V − ⟨V⟩)z + s, and that of the search direction follows by its
own recurrence. Every step and every iteration is two real FFTs, no more.

References: J. W. York, J. Math. Phys. 14, 456 (1973); H. P. Pfeiffer, gr-qc/0412002, for the conformal
method.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hsm.physics.grid import Grid
from hsm.physics.parameters import Params
from hsm.physics.transforms import filtered

NEWTON_LIMIT = 20
GRADIENT_LIMIT = 50
INNER = 1e-3  # residual of a correction, as a share of that of the equation
GRADIENT_SHARE = 0.9  # of the outer tolerance, below which a correction need not go
LARGEST_TURN = 1.0  # of ln Ω
NEAR = 30.0  # tolerances: a residual this small is left to fixed-point steps, while each …
CONTRACTION = 0.3  # … leaves at most this share of it


class Solution(NamedTuple):
    """A metric (N, …) as x and as y, what it cost, and whether the constraint holds to the tolerance.

    iterations: fixed-point steps after the first, and iterations of conjugate gradients.
    """

    x: Array
    y: Array
    iterations: Array
    failed: Array


class _Reached(NamedTuple):
    x: Array
    y: Array
    residual: Array
    size: Array  # rms of the residual
    before: Array  # and that of the round before
    rounds: Array
    iterations: Array


class _Gradient(NamedTuple):
    delta: Array
    residual: Array
    direction: Array
    product: Array  # (V − ∇²) direction
    power: Array  # <residual, P residual> of the round before
    size: Array
    rounds: Array


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["kappa", "reference", "vacuum", "tolerance", "k_squared"],
    meta_fields=["dimension"],
)
@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """The constraint of one parameter set. Scalars in the precision of the run.

    kappa: 1/(density length²); reference: ρ_ref, None for the mean; vacuum: added to every density;
    tolerance: of rms(r)/(κρ_ref); k_squared: (N, …, N/2 + 1), 1/length².
    """

    kappa: Array
    reference: Array | None
    vacuum: Array
    tolerance: Array
    k_squared: Array
    dimension: int

    def solve(self, density: Array, guess: Array) -> Solution:
        """Return the metric field y of |ψ|² (N, …), from a guess that is near it."""
        rho = density + self.vacuum
        reference = self._reference(rho)
        scale = self.kappa * reference
        begun = self._approached(guess, rho, reference, scale)

        def going_on(state: _Reached) -> Array:
            return (state.size > self.tolerance * scale) & (state.rounds < NEWTON_LIMIT)

        def improved(state: _Reached) -> _Reached:
            slope = self._slope(state.y, rho, reference)
            goal = jnp.maximum(INNER * state.size, GRADIENT_SHARE * self.tolerance * scale)
            delta, left, rounds = self._corrected(slope, state.residual, goal)
            share = self._cautious(state.y, delta)
            x = state.x + share * delta
            y = self._powered(x)
            # (V − ∇²)δ = r − left, so ∇²δ is known without a transform
            bent = (
                self._force(state.y, rho, reference) - self._force(y, rho, reference) + share * slope * delta
            )
            residual = state.residual + share * (left - state.residual) + bent
            spent = (state.rounds + 1, state.iterations + rounds)
            return _Reached(x, y, residual, _rms(residual), state.size, *spent)

        end = jax.lax.while_loop(going_on, improved, begun)
        return Solution(end.x, end.y, end.iterations, ~(end.size <= self.tolerance * scale))

    def cold(self, density: Array) -> Array:
        """Return the root of F at the mean density, everywhere: where a solve starts that knows no better."""
        rho = density + self.vacuum
        ratio = jnp.mean(rho) / self._reference(rho)
        return jnp.full_like(rho, ratio ** (1 / 3 if self.dimension == 2 else 1 / 8))

    def laplacian(self, field: Array) -> Array:
        """Return ∇² of a field on the points."""
        return filtered(field, -self.k_squared)

    def _approached(self, guess: Array, rho: Array, reference: Array, scale: Array) -> _Reached:
        """Return what fixed-point steps from a guess y reach: one, and more while they nearly get there."""
        slope = self._slope(guess, rho, reference)
        middle = (jnp.max(slope) + jnp.min(slope)) / 2
        inverse = 1 / (self.k_squared + middle)
        goal = self.tolerance * scale

        def reached(right: Array, x: Array, y: Array, before: Array, iterations: Array) -> _Reached:
            residual = middle * x - right - self._force(y, rho, reference)
            return _Reached(x, y, residual, _rms(residual), before, jnp.int32(0), iterations)

        def going_on(state: _Reached) -> Array:
            is_near = (state.size > goal) & (state.size <= NEAR * goal)
            return is_near & (state.size <= CONTRACTION * state.before)

        def improved(state: _Reached) -> _Reached:
            right = middle * state.x - self._force(state.y, rho, reference)
            x = filtered(right, inverse)
            y = state.y * _near_exp(x - state.x) if self.dimension == 2 else 1 + x
            return reached(right, x, y, state.size, state.iterations + 1)

        near = _near_log(guess) if self.dimension == 2 else guess - 1
        right = middle * near - self._force(guess, rho, reference)
        x = filtered(right, inverse)
        start = reached(right, x, self._powered(x), jnp.asarray(jnp.inf, goal.dtype), jnp.int32(0))
        end: _Reached = jax.lax.while_loop(going_on, improved, start)
        return end

    def _reference(self, rho: Array) -> Array:
        return jnp.mean(rho) if self.reference is None else self.reference

    def _powered(self, x: Array) -> Array:
        # behind a barrier, else XLA makes other exponentials of its powers: one costs as much as five passes
        y: Array = jax.lax.optimization_barrier(jnp.exp(x) if self.dimension == 2 else 1 + x)
        return y

    def _force(self, y: Array, rho: Array, reference: Array) -> Array:
        if self.dimension == 2:
            return self.kappa * (reference * y**2 - rho / y)
        return self.kappa / 4 * (reference * y**5 - rho / y**3)

    def _slope(self, y: Array, rho: Array, reference: Array) -> Array:
        if self.dimension == 2:
            return self.kappa * (2 * reference * y**2 + rho / y)
        return self.kappa / 4 * (5 * reference * y**4 + 3 * rho / y**4)

    def _cautious(self, y: Array, delta: Array) -> Array:
        """Return the share of a correction that may be taken at once: all of it, unless it is huge."""
        turn = jnp.max(jnp.abs(delta)) if self.dimension == 2 else 2 * jnp.max(jnp.abs(delta) / y)
        return jnp.minimum(1.0, LARGEST_TURN / turn).astype(y.dtype)

    def _corrected(self, slope: Array, right: Array, goal: Array) -> tuple[Array, Array, Array]:
        """Solve (V − ∇²)δ = right to rms `goal`; return δ, what is left of the right side, and the rounds."""
        mean = jnp.mean(slope)
        inverse, rest = 1 / (self.k_squared + mean), slope - mean

        def going_on(state: _Gradient) -> Array:
            return (state.size > goal) & (state.rounds < GRADIENT_LIMIT)

        def improved(state: _Gradient) -> _Gradient:
            z = filtered(state.residual, inverse)
            power = jnp.vdot(state.residual, z)
            share = power / state.power
            direction = z + share * state.direction
            product = rest * z + state.residual + share * state.product
            length = power / jnp.vdot(direction, product)
            residual = state.residual - length * product
            delta = state.delta + length * direction
            return _Gradient(delta, residual, direction, product, power, _rms(residual), state.rounds + 1)

        # the first round, which is mostly the only one, has no direction before it: nothing to carry in
        z = filtered(right, inverse)
        power, product = jnp.vdot(right, z), rest * z + right
        length = power / jnp.vdot(z, product)
        residual = right - length * product
        start = _Gradient(length * z, residual, z, product, power, _rms(residual), jnp.int32(1))
        end = jax.lax.while_loop(going_on, improved, start)
        return end.delta, end.residual, end.rounds


def conformal(y: Any, dimension: int) -> Any:
    """Return Ω of a metric field y, or of one value of it."""
    return y if dimension == 2 else y**2


def _near_log(y: Array) -> Array:
    """Return about log y, which is enough for a guess: 2 artanh((y − 1)/(y + 1)) by its first terms.

    Good to 1e-7 for Ω from 1/2 to 2. XLA's own logarithm would cost as much as two iterations.
    """
    z = (y - 1) / (y + 1)
    square = z * z
    series = sum((square**power / (2 * power + 1) for power in range(1, 6)), start=jnp.ones_like(z))
    return 2 * z * series


def _near_exp(x: Array) -> Array:
    """Return e^x of what a fixed-point step adds where it is near: a few tolerances.

    The fourth power of these, which is left out, is nothing beside one of them.
    """
    return 1 + x * (1 + x * (1 / 2 + x / 6))


def _rms(field: Array) -> Array:
    size: Array = jnp.sqrt(jnp.mean(field**2))
    return size


def constraint(p: Params, grid: Grid, real: np.dtype[np.floating]) -> Constraint:
    """Build the constraint of a parameter set, its arrays in the precision `real`."""
    single = real == np.float32
    tolerance = p.metric_tol if p.metric_tol is not None else (1e-5 if single else 1e-6)

    def number(value: float) -> Array:
        array: Array = jax.device_put(np.asarray(value, real))
        return array

    return Constraint(
        kappa=number(p.kappa),
        reference=None if p.rho_ref is None else number(p.rho_ref),
        vacuum=number(p.rho_vac),
        tolerance=number(tolerance),
        k_squared=jax.device_put(grid.k_squared_real().astype(real)),
        dimension=grid.dimension,
    )
