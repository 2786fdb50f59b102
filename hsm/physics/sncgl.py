"""The S-NCGL equation: sourced, non-locally coupled, complex Ginzburg-Landau.

    ∂_t ψ = μψ + (1+ib)∇²ψ − (1+ic)[(1−η)|ψ|² + η G_σ∗|ψ|²]ψ + χ(1+i d_χ)(G_ℓ∗ψ − ψ) + S(x, t)

G_a is the normalised periodic Gaussian, Ĝ_a(k) = exp(−a²k²/2). The share η moves saturation from local to
non-local without moving the uniform state |ψ|² = μ. The χ term is the non-local coupling of Kuramoto's
oscillator media. The source S is added by the solver (`source`).

The uniform part of the saturation, s = μ, is moved from f to L ("shifted splitting"): both sides stay exact,
and what is left for the explicit part vanishes at |ψ|² = μ, which makes the error at a given step 13 to 40
times smaller.

References: I. S. Aranson and L. Kramer, Rev. Mod. Phys. 74, 99 (2002), for the local equation and its sign
convention; Y. Kuramoto, Prog. Theor. Phys. 94, 321 (1995), for the non-local coupling.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hsm.physics.equation import Equation, Nonlinear
from hsm.physics.grid import ComplexField, Grid
from hsm.physics.rules import Real, parameter

if TYPE_CHECKING:
    from jax import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Sncgl(Equation):
    """The S-NCGL equation for one parameter set; field names are the names users write."""

    mu: float = parameter(1.0, Real(low=0, high=10), "gain of the uniform state, 1/time")
    b: float = parameter(2.0, Real(low=-10, high=10), "linear dispersion")
    c: float = parameter(-1.0, Real(low=-10, high=10), "nonlinear dispersion")
    eta: float = parameter(0.0, Real(low=0, high=1), "non-local share of the saturation")
    sigma: float = parameter(
        1.5, Real(low=0, high=1e3), "range of the non-local saturation, length; at most L/4"
    )
    chi: float = parameter(0.0, Real(low=0, high=10), "non-local linear coupling, 1/time")
    d_chi: float = parameter(0.0, Real(low=-10, high=10), "dispersion of the non-local linear coupling")
    ell: float = parameter(
        1.5, Real(low=0, high=1e3), "range of the non-local linear coupling, length; at most L/4"
    )

    def linear_symbol(self, grid: Grid) -> ComplexField:
        """Return L(k) = μ − s(1+ic) − (1+ib)k² + χ(1+i d_χ)(Ĝ_ℓ(k) − 1)."""
        k2 = grid.k_squared()
        coupling = self.chi * (1 + 1j * self.d_chi) * np.expm1(-(self.ell**2) * k2 / 2)
        return self.mu - self.mu * (1 + 1j * self.c) - (1 + 1j * self.b) * k2 + coupling

    def nonlinear(self, grid: Grid, real: np.dtype[np.floating]) -> Nonlinear:
        """Return f(ψ) = −(1+ic)[(1−η)|ψ|² + η G_σ∗|ψ|² − s]ψ; the filter is left out where η = 0."""
        from jax import tree_util

        complex_ = np.result_type(real, np.complex64)
        shift, gain = np.asarray(self.mu, real), np.asarray(1 + 1j * self.c, complex_)
        if not self.eta:
            return tree_util.Partial(local, shift, gain)
        gaussian = np.exp(-(self.sigma**2) * grid.k_squared_real() / 2)
        blur = ((1 - self.eta) + self.eta * gaussian).astype(real)
        return tree_util.Partial(blurred, shift, gain, blur)

    @property
    def diffusion(self) -> complex:
        return 1 + 1j * self.b

    @property
    def density(self) -> float:
        return self.mu

    def rate(self, density: float) -> complex:
        return -(1 + 1j * self.c) * (density - self.mu)

    def wave_density(self, k_squared: float) -> float:
        """Return F² = μ − q² + χ(Ĝ_ℓ(q) − 1)."""
        return self.mu - k_squared + self.chi * math.expm1(-(self.ell**2) * k_squared / 2)

    def free_energy(self, psi: ComplexField, grid: Grid) -> float:
        """Return ∫ |∇ψ|² − μρ + χ(ρ − ψ* G_ℓ∗ψ) + ½(1−η)ρ² + ½η ρ G_σ∗ρ.

        It never rises where b = c and, if χ > 0, d_χ = c: the equation is then −(1+ic) times its gradient,
        seen from a frame that turns.
        """
        k2 = grid.k_squared_full()
        linear, rho = k2 - self.mu, psi.real.astype(float) ** 2 + psi.imag.astype(float) ** 2
        saturation = grid.spectrum(rho)
        if self.chi:
            linear -= self.chi * np.expm1(-(self.ell**2) * k2 / 2)
        if self.eta:
            saturation *= (1 - self.eta) + self.eta * np.exp(-(self.sigma**2) * k2 / 2)
        mean = np.sum(linear * grid.spectrum(psi)) + np.sum(saturation) / 2
        return float(mean) * grid.length**grid.dimension

    @property
    def is_gradient_flow(self) -> bool:
        return self.b == self.c and (self.chi == 0 or self.d_chi == self.c)

    def conflicts(self, length: float) -> Iterator[tuple[tuple[str, ...], str]]:
        for name, reach in (("sigma", self.sigma), ("ell", self.ell)):
            if reach > length / 4:
                yield (
                    (name, "L"),
                    f"{name}: {reach:g} is more than a quarter of the box, L/4 = {length / 4:g}",
                )


def local(shift: "Array", gain: "Array", psi: "Array") -> "Array":
    """Return −gain (|ψ|² − shift)ψ on the points."""
    return gain * ((shift - psi.real**2 - psi.imag**2) * psi)


def blurred(shift: "Array", gain: "Array", blur: "Array", psi: "Array") -> "Array":
    """Return −gain (blur∗|ψ|² − shift)ψ on the points; `blur` in the layout of a real transform."""
    from hsm.physics.transforms import filtered

    return gain * ((shift - filtered(psi.real**2 + psi.imag**2, blur)) * psi)
