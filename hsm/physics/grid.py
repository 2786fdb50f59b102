"""The periodic box, its active Fourier band, and how both are stored.

Storage. A field ψ(x) = Σ_m ψ̂_m exp(2πi m·x/L) whose mode numbers all satisfy |m_i| < K is kept as an array of
M = 2K entries per axis, whose index j holds m = j − K; entries with some m_i = −K are zero. Entries carry
numpy's forward scaling, N^d ψ̂_m. With this storage padding is a trailing pad, and an inverse transform gives
ψ(x) exp(2πi K Σx_i/L): a gauge factor of modulus 1. It commutes with everything that treats the phase of ψ
alike everywhere, so it is only undone where a field leaves the solver (`ungauged`).

Dealiasing. Products of degree p of modes |m| < K reach |m| ≤ p(K − 1), whose aliases m ± N stay outside the
band if (p + 1)(K − 1) < N: the truncation back to the band is then exact. K is the largest such number, N/4
for a cubic term.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

RealField = NDArray[np.floating]
ComplexField = NDArray[np.complexfloating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """N points per axis, x_j = jL/N on [0, L)^d, and a band exact exact for products of `degree` factors."""

    points: int
    length: float
    dimension: int = 2
    degree: int = 3

    @property
    def reach(self) -> int:
        """K: active modes are |m_i| < K."""
        return -(-self.points // (self.degree + 1))

    @property
    def modes(self) -> int:
        """M = 2K, the stored modes per axis (one of them always zero)."""
        return 2 * self.reach

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a field on the points."""
        return (self.points,) * self.dimension

    @property
    def plaquette_area(self) -> float:
        """The area of all plaquettes together: L² in two dimensions, 3NL² in three, length²."""
        return self.length**2 if self.dimension < 3 else 3 * self.points * self.length**2

    def mode_numbers(self) -> NDArray[np.int64]:
        """Return the integer mode number m of each stored index along an axis, shape (M,)."""
        return np.arange(self.modes) - self.reach

    def active(self) -> NDArray[np.bool_]:
        """Return where a stored mode may be non-zero, shape (M, …)."""
        inside = np.abs(self.mode_numbers()) < self.reach
        return reduce(np.logical_and.outer, [inside] * self.dimension)

    def k_squared(self) -> RealField:
        """Return |k|² of each stored mode, shape (M, …), 1/length²."""
        return outer_sum([(2 * np.pi / self.length * self.mode_numbers()) ** 2] * self.dimension)

    def k_squared_real(self) -> RealField:
        """Return |k|² in the layout of a real transform of the points, shape (N, …, N/2 + 1), 1/length²."""
        spacing = self.length / self.points
        whole = (2 * np.pi * np.fft.fftfreq(self.points, spacing)) ** 2
        half = (2 * np.pi * np.fft.rfftfreq(self.points, spacing)) ** 2
        return outer_sum([whole] * (self.dimension - 1) + [half])

    def k_squared_full(self) -> RealField:
        """Return |k|² in the layout of a complex transform of the points, shape (N, …), 1/length²."""
        k = 2 * np.pi * np.fft.fftfreq(self.points, self.length / self.points)
        return outer_sum([k**2] * self.dimension)

    def spectrum(self, field: ComplexField | RealField) -> RealField:
        """Return |f̂_k|² of a field on the points in that layout; its sum is the mean of |f|²."""
        amplitudes = np.fft.fftn(np.asarray(field, np.complex128)) / field.size
        return amplitudes.real**2 + amplitudes.imag**2

    def k_squared_gauged(self) -> RealField:
        """Return |k|² of each mode of a gauged field on all the points, shape (N, …), 1/length²."""
        m = (np.arange(self.points) - self.reach + self.points // 2) % self.points - self.points // 2
        return outer_sum([(2 * np.pi / self.length * m) ** 2] * self.dimension)

    def coordinates(self) -> NDArray[np.floating]:
        """Return x_j along one axis, shape (N,), length."""
        return np.arange(self.points) * (self.length / self.points)

    def mesh(self) -> list[NDArray[np.floating]]:
        """Return the coordinates of every point, one array of `shape` per axis, length."""
        return list(np.meshgrid(*[self.coordinates()] * self.dimension, indexing="ij"))

    def band(self, field: ComplexField) -> ComplexField:
        """Project a physical field (N, …) onto the active band (M, …), in double precision on the host."""
        spectrum = np.fft.fftn(np.asarray(field, np.complex128) * self._gauge())
        return np.where(self.active(), spectrum[(slice(self.modes),) * self.dimension], 0)

    def field(self, band: ComplexField) -> ComplexField:
        """Evaluate a band (M, …) as a physical field (N, …) on the host; the inverse of `band`."""
        axes = range(self.dimension)
        return self.ungauged(np.fft.ifftn(band, s=self.shape, axes=axes))

    def ungauged(self, field: ComplexField) -> ComplexField:
        """Undo the gauge factor of a field on the points; keeps the precision of the argument."""
        return (field * np.conj(self._gauge())).astype(field.dtype)

    def _gauge(self) -> ComplexField:
        turns = np.arange(self.points) * self.reach % self.points
        phase = np.exp(2j * np.pi * turns / self.points)
        if 4 * self.reach == self.points:
            phase = np.array([1, 1j, -1, -1j])[np.arange(self.points) % 4]  # exactly
        return reduce(np.multiply.outer, [phase] * self.dimension)


def outer_sum(axes: Sequence[NDArray[Any]]) -> RealField:
    """Return the array whose entry (i, j, …) is the sum of the i-th, j-th, … entry of each axis."""
    return reduce(np.add.outer, axes)
