"""Initial fields: the same physical field at every resolution that can hold it.

- `noise`: Σ_m a_m exp(2πi m·x/L) over |m_x|, |m_y| ≤ 16, a_m complex normal with envelope exp(−k²/2k0²),
  scaled to an expected root mean square of `init_amp`. Drawn in a fixed order, whatever N; a grid with N/4 ≤
  16 drops the modes that it cannot hold.
- `uniform`: init_amp exp(i init_phase).
- `plane_wave`: F exp(i(q·x + init_phase)), the exact solution of the equation for q = 2π(init_mode_x,
  init_mode_y)/L.
- `vortex_lattice`: √μ (sin qx + i sin qy), four vortices per cell, of zero total charge.
"""

import numpy as np

from hsm.physics.draws import Purpose, complex_normals
from hsm.physics.grid import Complex2D, Grid
from hsm.physics.parameters import InitialKind, Params, plane_wave_density

NOISE_REACH = 16  # the largest mode number of the initial noise


def initial_band(p: Params, grid: Grid) -> Complex2D:
    """Return the stored band of the initial field, shape (M, M)."""
    if p.init_kind is InitialKind.NOISE:
        return _noise(p, grid)
    return grid.band(_formula(p, grid))


def _formula(p: Params, grid: Grid) -> Complex2D:
    x, y = np.meshgrid(grid.coordinates(), grid.coordinates(), indexing="ij")
    unit = 2 * np.pi / p.L
    if p.init_kind is InitialKind.PLANE_WAVE:
        angle = unit * (p.init_mode_x * x + p.init_mode_y * y) + p.init_phase
        field: Complex2D = np.sqrt(plane_wave_density(p)) * np.exp(1j * angle)
    elif p.init_kind is InitialKind.VORTEX_LATTICE:
        q = unit * p.init_cells
        field = np.sqrt(p.mu) * (np.sin(q * x) + 1j * np.sin(q * y))
    else:
        field = np.full(x.shape, p.init_amp * np.exp(1j * p.init_phase))
    return field


def _noise(p: Params, grid: Grid) -> Complex2D:
    side = 2 * NOISE_REACH + 1
    m = np.arange(-NOISE_REACH, NOISE_REACH + 1)
    k2 = (2 * np.pi / p.L) ** 2 * (m[:, None] ** 2 + m[None, :] ** 2)
    envelope = np.exp(-k2 / (2 * p.init_k0**2))
    drawn = complex_normals(p.seed, Purpose.INITIAL_NOISE, side * side).reshape(side, side)
    amplitudes = p.init_amp / np.sqrt(np.sum(envelope**2)) * envelope * drawn
    band = np.zeros((grid.modes, grid.modes), np.complex128)
    held = m[np.abs(m) < grid.points // 4]
    stored = held + grid.points // 4
    band[np.ix_(stored, stored)] = grid.points**2 * amplitudes[np.ix_(held + NOISE_REACH, held + NOISE_REACH)]
    return band
