"""What is measured on a field, in double precision on the host; every figure is dimensionless unless said.

- mean_rho, max_rho: mean and maximum of ρ = |ψ|².
- pcs, phase coherence score: max_q |Σ_x e^{iθ(x)} e^{−iq·x}|² / N⁴ with θ = arg ψ. 1 for any plane wave;
  about ln(n)/n for n independent random phases, which is its null level; 0.02 to 0.06 in defect turbulence.
- spectral_tail: share of Σ|ψ̂|² at |m|∞ > 0.9 N/4, the outermost tenth of the active band: how much
  resolution is left.
- defect_count: number of plaquettes around which the phase turns by ±2π (vortices of either sign; they add up
  to zero).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


def diagnose(psi: Field) -> Diagnostics:
    """Measure one field, shape (N, N)."""
    psi = np.asarray(psi, np.complex128)
    rho = psi.real**2 + psi.imag**2
    return Diagnostics(
        mean_rho=float(rho.mean()),
        max_rho=float(rho.max()),
        pcs=phase_coherence(psi),
        spectral_tail=spectral_tail(psi),
        defect_count=int(np.count_nonzero(windings(psi))),
    )


def phase_coherence(psi: Field) -> float:
    """Return the share of the phase field e^{iθ} in its strongest plane wave, from 1/n to 1."""
    modulus = np.abs(psi)
    phase = np.divide(psi, modulus, out=np.ones_like(psi), where=modulus > 0)
    return float(np.max(np.abs(np.fft.fft2(phase)) ** 2) / psi.size**2)


def spectral_tail(psi: Field) -> float:
    """Return the share of the spectrum in the outermost tenth of the active band; 0 for a zero field."""
    points = psi.shape[0]
    power = np.abs(np.fft.fft2(psi)) ** 2
    m = np.abs(np.fft.fftfreq(points, 1 / points))
    outer = np.maximum(m[:, None], m[None, :]) > 0.9 * points / 4
    total = float(power.sum())
    return float(power[outer].sum()) / total if total > 0 else 0.0


def windings(psi: Field) -> NDArray[np.int64]:
    """Return the turns of the phase around each plaquette, shape (N, N): −1, 0 or 1.

    Entry (i, j) is the square from x_ij to its next neighbours. Each edge is computed once and shared by its
    two squares, so the sum over the torus is exactly zero.
    """
    theta = np.angle(psi)
    along_x = _wrap(np.roll(theta, -1, 0) - theta)
    along_y = _wrap(np.roll(theta, -1, 1) - theta)
    turn = along_x + np.roll(along_y, -1, 0) - np.roll(along_x, -1, 1) - along_y
    return np.rint(turn / (2 * np.pi)).astype(np.int64)


def _wrap(angle: NDArray[np.floating]) -> NDArray[np.floating]:
    wrapped: NDArray[np.floating] = angle - 2 * np.pi * np.rint(angle / (2 * np.pi))
    return wrapped


def defect_density(history: Sequence[Diagnostics], length: float) -> float:
    """Return the mean number of defects per 10⁴ units of area over the frames of the second half of a run."""
    late = history[len(history) // 2 :]
    return AREA_UNIT / length**2 * float(np.mean([frame.defect_count for frame in late]))
