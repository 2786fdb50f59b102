"""The periodic square, its active Fourier band, and the transforms between them.

Storage. A field ψ(x) = Σ_m ψ̂_m exp(2πi m·x/L) with |m_x|, |m_y| < N/4 is kept as an M × M array, M = N/2,
whose index j holds m = j − N/4; the row and the column of m = −N/4 are zero. Entries carry numpy's forward
scaling, N² ψ̂_m. With this storage padding is a trailing pad, and an inverse transform gives ψ(x) exp(2πi
(N/4)(x+y)/L): a gauge factor of modulus 1 that commutes with every term of the equation, so it is only undone
where a field leaves the solver (`ungauged`).

Dealiasing. Cubic products of modes |m| < N/4 reach |m| ≤ 3(N/4 − 1), whose aliases m ± N fall outside the
band, so the truncation back to the band is exact.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

Real2D = NDArray[np.floating]
Complex2D = NDArray[np.complexfloating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """N × N points x_j = jL/N on [0, L)², first axis x, second axis y. N is a multiple of 4."""

    points: int
    length: float

    @property
    def modes(self) -> int:
        """M = N/2, the stored modes per axis (one of them always zero)."""
        return self.points // 2

    def mode_numbers(self) -> NDArray[np.int64]:
        """Return the integer mode number m of each stored index, shape (M,)."""
        return np.arange(self.modes) - self.points // 4

    def active(self) -> NDArray[np.bool_]:
        """Return where a stored mode may be non-zero, shape (M, M)."""
        inside = np.abs(self.mode_numbers()) < self.points // 4
        return inside[:, None] & inside[None, :]

    def k_squared(self) -> Real2D:
        """Return |k|² of each stored mode, shape (M, M), 1/length²."""
        k2 = (2 * np.pi / self.length * self.mode_numbers()) ** 2
        return k2[:, None] + k2[None, :]

    def k_squared_real(self) -> Real2D:
        """Return |k|² in the layout of a real transform of the full grid, shape (N, N/2 + 1), 1/length²."""
        kx = 2 * np.pi * np.fft.fftfreq(self.points, self.length / self.points)
        ky = 2 * np.pi * np.fft.rfftfreq(self.points, self.length / self.points)
        return kx[:, None] ** 2 + ky[None, :] ** 2

    def coordinates(self) -> NDArray[np.floating]:
        """Return x_j along one axis, shape (N,), length."""
        return np.arange(self.points) * (self.length / self.points)

    def band(self, field: Complex2D) -> Complex2D:
        """Project a physical field (N, N) onto the active band (M, M), in double precision on the host."""
        spectrum = np.fft.fft2(np.asarray(field, np.complex128) * self._gauge())[: self.modes, : self.modes]
        return np.where(self.active(), spectrum, 0)

    def field(self, band: Complex2D) -> Complex2D:
        """Evaluate a band (M, M) as a physical field (N, N) on the host; the inverse of `band`."""
        return self.ungauged(np.fft.ifft2(band, s=(self.points, self.points)))

    def ungauged(self, field: Complex2D) -> Complex2D:
        """Undo the gauge factor of `to_grid`; keeps the precision of the argument."""
        return (field * np.conj(self._gauge())).astype(field.dtype)

    def _gauge(self) -> Complex2D:
        quarter_turns = np.array([1, 1j, -1, -1j])[np.arange(self.points) % 4]  # exp(2πi (N/4) j/N), exactly
        gauge: Complex2D = quarter_turns[:, None] * quarter_turns[None, :]
        return gauge


def to_grid(band: Array) -> Array:
    """Evaluate a band (M, M) on the full grid (2M, 2M); the result carries the gauge factor."""
    modes = band.shape[0]
    return jnp.fft.ifft2(jnp.pad(band, ((0, modes), (0, modes))))


def to_band(field: Array) -> Array:
    """Truncate a gauged field (2M, 2M) to M modes per axis; the caller zeroes the lines m = −N/4."""
    modes = field.shape[0] // 2
    return jnp.fft.fft2(field)[:modes, :modes]
