"""The real cubic-quintic-septic equation: bistable, with dissipative solitons.

    ∂_t ψ = D∇²ψ + (−η + iω0)ψ + (aρ + sρ² + fρ³)ψ        ρ = |ψ|²

Decay η > 0 against the gain a > 0 makes zero stable and a dense state stable too; f < 0 bounds it. The
coefficients of the powers are real, so the phase turns at ω0 everywhere and only diffuses otherwise.

It is also the example of a second equation: this file is all there is to it, and it is found by the name of
its entry point, as that of a plug-in is.

Reference: B. A. Malomed, Physica D 29, 155 (1987), for the cubic-quintic equation.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hsm.physics.equation import Equation, Nonlinear
from hsm.physics.grid import ComplexField, Grid
from hsm.physics.rules import Real, parameter

if TYPE_CHECKING:
    from jax import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class CubicQuintic(Equation):
    """The equation for one parameter set; field names are the names users write."""

    degree: ClassVar[int] = 7

    D: float = parameter(1.0, Real(low=1e-3, high=100), "diffusion, length²/time")
    decay: float = parameter(0.1, Real(low=0, high=10), "η, decay of a weak field, 1/time")
    omega0: float = parameter(0.0, Real(low=-100, high=100), "turning of the phase, radians/time")
    a: float = parameter(0.5, Real(low=-10, high=10), "cubic gain")
    s: float = parameter(0.0, Real(low=-10, high=10), "quintic gain")
    f: float = parameter(-0.5, Real(low=-10, high=0), "septic gain, not positive: it bounds the field")

    def linear_symbol(self, grid: Grid) -> ComplexField:
        """Return L(k) = −η + iω0 − Dk²."""
        symbol: ComplexField = (1j * self.omega0 - self.decay) - self.D * grid.k_squared()
        return symbol

    def nonlinear(self, grid: Grid, real: np.dtype[np.floating]) -> Nonlinear:
        """Return f(ψ) = (aρ + sρ² + fρ³)ψ."""
        from jax import tree_util

        return tree_util.Partial(gain, *(np.asarray(value, real) for value in (self.a, self.s, self.f)))

    @property
    def diffusion(self) -> complex:
        return self.D

    @property
    def density(self) -> float:
        """The largest uniform density, or 1 where there is none but zero."""
        return self.wave_density(0.0) or 1.0

    def rate(self, density: float) -> complex:
        return density * (self.a + density * (self.s + density * self.f))

    def free_energy(self, psi: ComplexField, grid: Grid) -> float:
        """Return ∫ D|∇ψ|² + ηρ − aρ²/2 − sρ³/3 − fρ⁴/4, which never rises (ω0 is the turn of a frame)."""
        linear = self.D * grid.k_squared_full() + self.decay
        rho = psi.real.astype(float) ** 2 + psi.imag.astype(float) ** 2
        powers = rho**2 * (self.a / 2 + rho * (self.s / 3 + rho * self.f / 4))
        mean = np.sum(linear * grid.spectrum(psi)) - np.mean(powers)
        return float(mean) * grid.length**grid.dimension

    @property
    def is_gradient_flow(self) -> bool:
        return True

    def wave_density(self, k_squared: float) -> float:
        """Return the largest root of aρ + sρ² + fρ³ = η + Dq², or 0 if there is none."""
        roots = np.roots([self.f, self.s, self.a, -self.decay - self.D * k_squared])
        return max((float(root.real) for root in roots if abs(root.imag) < 1e-9), default=0.0)


def gain(a: "Array", s: "Array", f: "Array", psi: "Array") -> "Array":
    """Return (aρ + sρ² + fρ³)ψ on the points."""
    rho = psi.real**2 + psi.imag**2
    return rho * (a + rho * (s + rho * f)) * psi
