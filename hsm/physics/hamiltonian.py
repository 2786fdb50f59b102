"""How well the metric in use satisfies the Hamiltonian constraint, in double precision on the host.

    d = 2, Ω = e^x:    H = −2e^{−2x}∇²x + 2κ(ρ_ref − ρ e^{−3x})
    d = 3, Ω = x²:     H = −8x^{−5}∇²x + 2κ(ρ_ref − ρ x^{−8})

The first term is the scalar curvature R of the metric, so that in two dimensions ∫R dV = 0 (Gauss and
Bonnet). h_norm = sqrt(⟨Ω^d H²⟩/⟨Ω^d⟩)/(2κρ_ref), the root mean square over proper volume, has no dimension.
It is measured on a grid that is refined twofold by zero padding: on its own grid H shows the tolerance of the
solver only, not what the grid leaves out.
"""

from dataclasses import dataclass

import numpy as np

from hsm.physics.grid import ComplexField, RealField
from hsm.physics.parameters import Params


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """h_norm on the refined grid, its largest value there, and h_norm on the grid of the run."""

    l2: float
    linf: float
    own: float


def violation(p: Params, psi: ComplexField, x: RealField) -> Violation:
    """Measure the constraint for a field psi and a metric field x, both of shape (N, …)."""
    psi, x = np.asarray(psi, np.complex128), np.asarray(x, np.float64)
    mean = float(np.mean(np.abs(psi) ** 2)) + p.rho_vac
    reference = mean if p.rho_ref is None else p.rho_ref
    fine = _norms(p, refined(psi), refined(x).real, reference)
    return Violation(l2=fine[0], linf=fine[1], own=_norms(p, psi, x, reference)[0])


def _norms(p: Params, psi: ComplexField, x: RealField, reference: float) -> tuple[float, float]:
    density = np.abs(psi) ** 2 + p.rho_vac
    if x.ndim == 2:
        matter, volume = density * np.exp(-3 * x), np.exp(2 * x)
    else:
        matter, volume = density / x**8, x**6
    h = curvature(x, p.L) + 2 * p.kappa * (reference - matter)
    scale = 2 * p.kappa * reference
    rms = np.sqrt(np.mean(volume * h**2) / np.mean(volume))
    return float(rms / scale), float(np.max(np.abs(h)) / scale)


def curvature(x: RealField, length: float) -> RealField:
    """Return the scalar curvature R of the metric of x (N, …), 1/length²."""
    return -2 * np.exp(-2 * x) * laplacian(x, length) if x.ndim == 2 else -8 * laplacian(x, length) / x**5


def laplacian(x: RealField, length: float) -> RealField:
    """Return ∇²x of a periodic field (N, …), 1/length²."""
    k2 = (2 * np.pi * np.fft.fftfreq(x.shape[0], length / x.shape[0])) ** 2
    whole = sum(k2.reshape([-1 if axis == a else 1 for axis in range(x.ndim)]) for a in range(x.ndim))
    return np.fft.ifftn(-whole * np.fft.fftn(x)).real


def refined(field: ComplexField | RealField) -> ComplexField:
    """Return a periodic field on twice as many points per axis, by zero padding; the mode N/2 is left out."""
    points, d = field.shape[0], field.ndim
    m = np.r_[0 : points // 2, -(points // 2 - 1) : 0]
    wide = np.zeros((2 * points,) * d, np.complex128)
    wide[np.ix_(*[m] * d)] = np.fft.fftn(field)[np.ix_(*[m] * d)]
    fine: ComplexField = np.fft.ifftn(wide) * 2**d
    return fine
