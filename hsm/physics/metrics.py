"""What is measured on a field, in double precision on the host; every figure is dimensionless unless said.

- mean_rho, max_rho: mean and maximum of ρ = |ψ|².
- pcs, phase coherence score: max_q |Σ_x e^{iθ(x)} e^{−iq·x}|² / n² with θ = arg ψ and n points. 1 for any
  plane wave; about ln(n)/n for n independent random phases, which is its null level; 0.02 to 0.06 in defect
  turbulence.
- spectral_tail: share of Σ|ψ̂|² at |m|∞ > 0.9 K, the outermost tenth of the active band |m_i| < K: how much
  resolution is left.
- defect_count: number of plaquettes around which the phase turns by ±2π. In two dimensions these are the
  vortices of either sign, which add up to zero; in three dimensions the plaquettes of all three orientations
  that a vortex line pierces; in one dimension there are none.
- h_norm, h_norm_linf, h_norm_own: how far the metric is from satisfying its constraint (`hamiltonian`); None
  in flat space.
- step_error: relative error of a step, per unit time (`simulate`); None where it was not looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hsm.physics.hamiltonian import Violation

Field = NDArray[np.complexfloating]
AREA_UNIT = 1e4  # defect densities are counted per this area, length²


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """The figures of one field."""

    mean_rho: float
    max_rho: float
    pcs: float
    spectral_tail: float
    defect_count: int
    h_norm: float | None = None
    h_norm_linf: float | None = None
    h_norm_own: float | None = None
    step_error: float | None = None


def diagnose(
    psi: Field, reach: int, violated: Violation | None = None, step_error: float | None = None
) -> Diagnostics:
    """Measure one field on all its points; modes |m_i| < reach are active.

    `violated`: of the constraint by field and metric, None in flat space.
    """
    psi = np.asarray(psi, np.complex128)
    rho = psi.real**2 + psi.imag**2
    return Diagnostics(
        mean_rho=float(rho.mean()),
        max_rho=float(rho.max()),
        pcs=phase_coherence(psi),
        spectral_tail=spectral_tail(psi, reach),
        defect_count=defect_count(psi),
        h_norm=None if violated is None else violated.l2,
        h_norm_linf=None if violated is None else violated.linf,
        h_norm_own=None if violated is None else violated.own,
        step_error=step_error,
    )


def phase_coherence(psi: Field) -> float:
    """Return the share of the phase field e^{iθ} in its strongest plane wave, from 1/n to 1."""
    return float(np.max(np.abs(np.fft.fftn(unit_phases(psi))) ** 2) / psi.size**2)


def unit_phases(psi: Field) -> Field:
    """Return e^{iθ}; where ψ is zero, 1."""
    modulus = np.abs(psi)
    if not (modulus > 0).all():
        psi, modulus = np.where(modulus > 0, psi, 1), np.where(modulus > 0, modulus, 1)
    phases, inverse = np.empty_like(psi), 1 / modulus  # the quotient to the last bit, in a tenth of the time
    np.multiply(psi.real, inverse, out=phases.real)
    np.multiply(psi.imag, inverse, out=phases.imag)
    return phases


def spectral_tail(psi: Field, reach: int) -> float:
    """Return the share of the spectrum in the outermost tenth of the active band; 0 for a zero field."""
    power = np.abs(np.fft.fftn(psi)) ** 2
    m = np.abs(np.fft.fftfreq(psi.shape[0], 1 / psi.shape[0]))
    outer = reduce(np.maximum.outer, [m] * psi.ndim) > 0.9 * reach
    total = float(power.sum())
    return float(power[outer].sum()) / total if total > 0 else 0.0


def defect_count(psi: Field) -> int:
    """Return the number of plaquettes, of every orientation, around which the phase turns."""
    return sum(int(np.count_nonzero(defects(psi, axes))) for axes in combinations(range(psi.ndim), 2))


def defects(psi: Field, axes: tuple[int, int] = (0, 1)) -> NDArray[np.bool_]:
    """Return around which plaquettes along two axes the phase turns, shape (N, …)."""
    around: NDArray[np.bool_] = np.abs(_turn(psi, axes)) > np.pi
    return around


def windings(psi: Field, axes: tuple[int, int] = (0, 1)) -> NDArray[np.int64]:
    """Return the turns of the phase around each plaquette along two axes, shape (N, …): −1, 0 or 1.

    Entry (i, j) is the square from x_ij to its next neighbours. Each edge is computed once and shared by its
    two squares, so the sum over the torus is exactly zero.
    """
    turns: NDArray[np.int64] = np.rint(_turn(psi, axes) / (2 * np.pi)).astype(np.int64)
    return turns


def _turn(psi: Field, axes: tuple[int, int]) -> NDArray[np.floating]:
    """Return by how much the phase rises around each plaquette, radians: multiples of 2π up to rounding."""
    theta, (one, other) = np.angle(psi), axes
    along_one, along_other = _wrap(_rise(theta, one)), _wrap(_rise(theta, other))
    turn = _rise(along_other, one)
    turn -= _rise(along_one, other)
    return turn


def _rise(values: NDArray[np.floating], axis: int) -> NDArray[np.floating]:
    """Return by how much the next value along a periodic axis is larger than each."""
    rise = np.empty_like(values)
    here, there = values.swapaxes(axis, 0), rise.swapaxes(axis, 0)
    np.subtract(here[1:], here[:-1], out=there[:-1])
    np.subtract(here[0], here[-1], out=there[-1])
    return rise


def _wrap(angle: NDArray[np.floating]) -> NDArray[np.floating]:
    turns = np.rint(angle / (2 * np.pi))
    turns *= 2 * np.pi
    wrapped: NDArray[np.floating] = np.subtract(angle, turns, out=turns)
    return wrapped


def defect_density(history: Sequence[Diagnostics], area: float) -> float:
    """Return the mean number of defects per 10⁴ units of area over the frames of the second half of a run.

    `area`: of all plaquettes together, length²: L² in two dimensions, 3NL² in three.
    """
    late = history[len(history) // 2 :]
    return AREA_UNIT / area * float(np.mean([frame.defect_count for frame in late]))
