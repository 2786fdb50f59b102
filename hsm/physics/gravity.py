"""ETDRK4 in a curved space: D∇²ψ becomes DΔ_gψ, and the metric follows the density.

    d = 2, Ω = y:      Δ_g ψ = Ω^{−2}∇²ψ
    d = 3, Ω = y²:     Δ_g ψ = Ω^{−2}(∇²ψ + ∇lnΩ·∇ψ) = y^{−5}[∇²(yψ) − ψ∇²y]

αD∇² is stepped implicitly and D(Δ_g − α∇²) explicitly, which is stable while Ω^{−2} ≤ 1.6 α (`stability`): α
is a little more than the largest Ω^{−2}, and is planned anew when that moves (`due`).

When the metric is solved for:

- `stage`: at every stage of every step. Order four; the reference.
- `extrapolated`: once per step, at its start; the later stages get the cubic through the metrics of the
  last four steps, order four again. A solve starts from the quartic through the last five. The first five
  steps are by stage, and so is every step before which the cubic was wrong by more than `trust` of the metric
  somewhere: vortices that annihilate bend space within a few steps, and a metric that is continued past that
  is none.
- `frozen`: once per step, and kept for the whole step. Order one: a comparison.
- `algebraic`: Ω² = (ρ_ref/ρ)^a at every stage, without constraint: the closure of earlier codes.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hsm.physics.elliptic import Constraint, Solution, conformal
from hsm.physics.etdrk4 import RungeKutta
from hsm.physics.exponential import State, Toll
from hsm.physics.parameters import MetricMode, Params
from hsm.physics.transforms import to_band, to_points

HALF = np.array([35, -35, 21, -5]) / 16  # the cubic through four equal steps, half a step ahead of the newest
AHEAD = np.array([4, -6, 4, -1])  # a whole step ahead
TRUST = 0.02  # the largest surprise, as a share of y, after which the next metrics are foreseen
LEAP = 2.0  # a metric that is foreseen has at most grown or shrunk by this factor since the newest
Past = tuple[Array, ...]
REMEMBERED = {
    MetricMode.EXTRAPOLATED: 5,
    MetricMode.STAGE: 1,
    MetricMode.FROZEN: 1,
    MetricMode.ALGEBRAIC: 1,
}


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["diffusion", "alpha", "spreading", "k_squared_gauged"],
    meta_fields=[],
)
@dataclass(frozen=True, slots=True, kw_only=True)
class Bending:
    """D(Δ_g − α∇²)ψ. diffusion: D; alpha: α, scalars.

    spreading: Dk² (M, …) of the band; k_squared_gauged: (N, …) of gauged fields in three dimensions, or None.
    """

    diffusion: Array
    alpha: Array
    spreading: Array
    k_squared_gauged: Array | None

    def __call__(self, v: Array, psi: Array, shape: "Shape") -> Array:
        """Return the change on the points."""
        spread = to_points(self.spreading * v, psi.shape[0])
        if self.k_squared_gauged is None or shape.y is None:
            return (self.alpha - shape.factor) * spread
        curved = jnp.fft.ifftn(self.k_squared_gauged * jnp.fft.fftn(shape.y * psi)) + shape.factor * psi
        return self.alpha * spread - self.diffusion * (curved / shape.y**5)


class Shape(NamedTuple):
    """A metric as the diffusion needs it: Ω^{−2} alone in two dimensions; ∇²y and y in three."""

    factor: Array
    y: Array | None


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["scheme", "rates", "bending", "constraint", "power", "trust"],
    meta_fields=["mode"],
)
@dataclass(frozen=True, slots=True, kw_only=True)
class Curved(RungeKutta):
    """ETDRK4 with a metric; it remembers the metric field y at the start of its last step.

    With `extrapolated` it remembers those of the last three steps, newest first, and what the cubic and the
    quartic say of the next one: the quartic is where the next solve starts.

    power: a of the algebraic metric. trust: `TRUST`, or a negative number: nothing is foreseen.
    """

    bending: Bending
    constraint: Constraint
    power: Array
    trust: Array
    mode: MetricMode

    def step(self, state: State, t: Array) -> tuple[State, Toll]:
        psi = to_points(state.v, self.points)
        y, toll = self.metric(_density(psi), state.past[-1])
        begun = (state.v, psi)
        if self.mode is not MetricMode.EXTRAPOLATED:
            advanced = self._foreseen if self.mode is MetricMode.FROZEN else self._by_stage
            v, toll = advanced(t, *begun, (y,), toll)
            return State(v=v, past=(y,)), toll
        one, two, three, foreseen, _ = state.past
        # of one quotient: XLA reduces what is at hand ten times as fast as what it has to make
        share = foreseen / y
        surprise = jnp.maximum(jnp.max(share) - 1, 1 - jnp.min(share))
        ahead, guess = _ahead((y, one, two, three), foreseen)
        known = (y, one, two, three, ahead)
        v, toll = jax.lax.cond(surprise <= self.trust, self._foreseen, self._by_stage, t, *begun, known, toll)
        return State(v=v, past=(y, one, two, ahead, guess)), toll

    def _foreseen(self, t: Array, v: Array, psi: Array, past: Past, toll: Toll) -> tuple[Array, Toll]:
        """Advance with metrics that do not depend on the later stages."""
        shapes = self._later(past)

        def evaluate(v: Array, t: Array, stage: int, none: None) -> tuple[Array, None]:
            return self.change(v, to_points(v, self.points) if stage else psi, t, shapes[stage]), none

        return self.scheme.advance(v, t, evaluate, None)[0], toll

    def _by_stage(self, t: Array, v: Array, psi: Array, past: Past, toll: Toll) -> tuple[Array, Toll]:
        """Advance with a metric solved for at every stage."""

        def evaluate(
            v: Array, t: Array, stage: int, memory: tuple[Array, Toll]
        ) -> tuple[Array, tuple[Array, Toll]]:
            if stage == 0:
                return self.change(v, psi, t, self.shape(past[0])), memory
            field, (known, toll) = to_points(v, self.points), memory
            known, more = self.metric(_density(field), known)
            return self.change(v, field, t, self.shape(known)), (known, toll + more)

        v, (_, toll) = self.scheme.advance(v, t, evaluate, (past[0], toll))
        return v, toll

    def metric(self, density: Array, guess: Array) -> tuple[Array, Toll]:
        """Return the metric field of a density |ψ|² on the points."""
        if self.mode is MetricMode.ALGEBRAIC:
            y = self._algebraic(density)
            return y, self._toll(y, jnp.int32(0), jnp.bool_(False))
        found = self.constraint.solve(density, guess)
        return found.y, self._toll(found.y, found.iterations, found.failed)

    def shape(self, y: Array) -> Shape:
        """Return the metric of a field y; computed once, however often it is used."""
        if y.ndim == 2:
            return Shape(jax.lax.optimization_barrier(y**-2), None)
        return Shape(*jax.lax.optimization_barrier((self.constraint.laplacian(y), y)))

    def _later(self, past: Past) -> tuple[Shape, Shape, Shape, Shape]:
        """Return the metric of every stage, where those of the later ones do not depend on these stages."""
        now = self.shape(past[0])
        if self.mode is MetricMode.FROZEN:
            return now, now, now, now
        half, ahead = self.shape(_continued(HALF, past[:4])), self.shape(past[4])
        return now, half, half, ahead

    def change(self, v: Array, psi: Array, t: Array, shape: Shape) -> Array:
        """Return N(v, t), the band of f(ψ) + D(Δ_g − α∇²)ψ + S."""
        change = self.rates.nonlinear(psi) + self.bending(v, psi, shape)
        return self.rates.forced(to_band(change, v.shape[0]), t)

    def _algebraic(self, density: Array) -> Array:
        rho = density + self.constraint.vacuum
        reference = jnp.mean(rho) if self.constraint.reference is None else self.constraint.reference
        omega: Array = (reference / rho) ** (self.power / 2)
        return omega if rho.ndim == 2 else jnp.sqrt(omega)

    def _toll(self, y: Array, iterations: Array, failed: Array) -> Toll:
        return Toll(
            iterations=iterations,
            failures=failed.astype(jnp.int32),
            steepest=(conformal(y.min(), y.ndim) ** -2).astype(jnp.float32),
        )


def initial_metric(stepper: Curved, v: Array) -> Array:
    """Return the metric y of a band, from a cold start; if there is none the first step will say so."""
    density = _density_of_band(v, stepper.points)
    guess: Array = _cold(stepper.constraint, density)
    if stepper.mode is MetricMode.ALGEBRAIC:
        return stepper.metric(density, guess)[0]
    found: Solution = _solved(stepper.constraint, density, guess)
    return found.y


def observed(stepper: Curved, state: State) -> Array:
    """Return the metric x that acts on a state: with `frozen` that of the start of the last step."""
    if stepper.mode is MetricMode.FROZEN:
        return _deviation(state.past[0])
    density = _density_of_band(state.v, stepper.points)
    if stepper.mode is MetricMode.ALGEBRAIC:
        return _deviation(stepper.metric(density, state.past[0])[0])
    found: Solution = _solved(stepper.constraint, density, state.past[0])
    return found.x


def _deviation(y: Array) -> Array:
    return jnp.log(y) if y.ndim == 2 else y - 1


def steepest(y: np.ndarray) -> float:
    """Return the largest Ω^{−2} of a metric field."""
    return float(conformal(y.min(), y.ndim) ** -2.0)


@jax.jit
def _solved(constraint: Constraint, density: Array, guess: Array) -> Solution:
    return constraint.solve(density, guess)


@jax.jit
def _cold(constraint: Constraint, density: Array) -> Array:
    return constraint.cold(density)


@partial(jax.jit, static_argnames="points")
def _density_of_band(v: Array, points: int) -> Array:
    return _density(to_points(v, points))


def bending(p: Params, alpha: float, real: np.dtype[np.floating]) -> Bending:
    """Build the explicit part of the diffusion for a share alpha that is implicit."""
    grid, kind = p.grid, np.result_type(real, np.complex64)
    return Bending(
        diffusion=jax.device_put(np.asarray(p.equation.diffusion, kind)),
        alpha=jax.device_put(np.asarray(alpha, real)),
        spreading=jax.device_put((p.equation.diffusion * grid.k_squared()).astype(kind)),
        k_squared_gauged=jax.device_put(grid.k_squared_gauged().astype(real)) if p.dim == 3 else None,
    )


LADDER = 1.25
"""Shares of implicit diffusion are powers of this number: small changes of the metric plan nothing anew."""


def planned(steepest: float) -> float:
    """Return the share α of implicit diffusion for a largest Ω^{−2}: a tenth above it, on the ladder."""
    if not math.isfinite(steepest):
        return 1.0
    return float(LADDER ** math.ceil(math.log(1.1 * steepest, LADDER) - 1e-9))


def due(steepest: float, alpha: float) -> bool:
    """Say whether α should be planned anew; a steepest of 0 means that no metric was met."""
    return steepest > 1.4 * alpha or 0 < steepest < 0.4 * alpha


def untenable(steepest: float, alpha: float) -> bool:
    """Say whether steps that were taken with α must be repeated with a larger one."""
    return steepest > 1.6 * alpha


def _density(psi: Array) -> Array:
    return psi.real**2 + psi.imag**2


def _continued(weights: np.ndarray, past: Past) -> Array:
    """Return the metric that earlier ones lead to."""
    return _bounded(_combined(weights, past), past[0])


def _ahead(past: Past, foreseen: Array) -> tuple[Array, Array]:
    """Return the metric a step ahead by the cubic through the last four, and by the quartic through five.

    foreseen: what the cubic before said of the newest. What it was wrong by is the fourth difference, and the
    cubic with it is the quartic.
    """
    cubic = _combined(AHEAD, past)
    return _bounded(cubic, past[0]), _bounded(cubic + (past[0] - foreseen), past[0])


def _bounded(ahead: Array, y: Array) -> Array:
    """Keep a metric that follows y, however wildly it moves, near it: Ω stays positive."""
    return jnp.clip(ahead, y / LEAP, y * LEAP)


def _combined(weights: np.ndarray, past: Past) -> Array:
    return sum(
        (float(weight) * field for weight, field in zip(weights[1:], past[1:], strict=True)),
        start=float(weights[0]) * past[0],
    )
