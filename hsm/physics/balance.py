"""The balance of mass over the last steps of a run: does what the steps did add up to what the equation says?

    d/dt ∫|ψ|² = 2 Re ∫ ψ*(D Δ_g ψ + the rest of Lψ + f(ψ) + S)

The left side is the change that the solver made, the right side is evaluated on the host in double precision
and integrated over the same steps by the closed Newton-Cotes rule through them (Boole's for four steps).

mass_balance_residual = |change − integral| / ∫∫|ψ|² dt, 1/time: the rate at which mass grows for no reason,
to be compared with the gain μ. What remains is the error of the steps, of order four in h, and rounding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hsm.physics.grid import ComplexField, Grid, RealField
from hsm.physics.hamiltonian import laplacian
from hsm.physics.parameters import Params, SourceKind
from hsm.physics.source import profile

STEPS = 4  # the last steps that are balanced, fewer where a chunk is shorter
LEAST = 2  # one step would be balanced by the trapezoid rule, whose own error is larger
WEIGHTS = {
    2: np.array([1, 4, 1]) / 3,
    3: np.array([1, 3, 3, 1]) * 3 / 8,
    4: np.array([7, 32, 12, 32, 7]) * 2 / 45,
}


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Evaluates both sides for the states of one run."""

    params: Params

    @property
    def _grid(self) -> Grid:
        return self.params.grid

    @cached_property
    def _symbol(self) -> ComplexField:
        return self.params.equation.linear_symbol(self._grid)

    @cached_property
    def _source(self) -> ComplexField | None:
        silent = self.params.source_kind is SourceKind.NONE
        return None if silent else profile(self.params, self._grid)

    def row(self, t: float, v: ComplexField, x: RealField | None) -> tuple[float, float, float]:
        """Return t, ∫|ψ|² and its rate for a band (M, …) and a metric field (N, …), None in flat space."""
        p, grid = self.params, self._grid
        size, volume = float(p.N**p.dim), p.L**p.dim
        v = np.where(grid.active(), np.asarray(v, np.complex128), 0)
        psi = grid.field(v)
        change = np.asarray(p.equation.nonlinear(grid, np.dtype(np.float64))(psi))  # type: ignore[arg-type]
        if x is not None:
            change = change + p.equation.diffusion * curved(psi, np.asarray(x, np.float64), p.L)
        band = self._symbol * v
        if self._source is not None:
            band = band + self._source * np.exp(1j * p.source_omega * t)
        gained = np.sum(v.conj() * band).real / size**2 + np.mean(psi.conj() * change).real
        return t, volume * float(np.sum(np.abs(v) ** 2)) / size**2, 2 * volume * float(gained)


def curved(psi: ComplexField, x: RealField, length: float) -> ComplexField:
    """Return (Δ_g − ∇²)ψ for a metric field x (see `gravity`)."""
    flat = _complex_laplacian(psi, length)
    if x.ndim == 2:
        return (np.exp(-2 * x) - 1) * flat
    return (_complex_laplacian(x * psi, length) - psi * laplacian(x, length)) / x**5 - flat


def _complex_laplacian(psi: ComplexField, length: float) -> ComplexField:
    return laplacian(psi.real, length) + 1j * laplacian(psi.imag, length)


def residual(balance: Mapping[str, NDArray[np.float64]]) -> float | None:
    """Return mass_balance_residual of the columns `t`, `mass`, `rate`; None: there are too few steps."""
    t, mass, rate = balance["t"], balance["mass"], balance["rate"]
    steps = t.size - 1
    if steps < LEAST:
        return None
    weights = WEIGHTS[steps] * (t[-1] - t[0]) / steps
    return float(abs(mass[-1] - mass[0] - weights @ rate) / (weights @ mass))
