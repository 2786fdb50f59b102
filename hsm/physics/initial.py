"""Initial fields: the same physical field at every resolution that can hold it.

- `noise`: Σ_m a_m exp(2πi m·x/L) over |m_i| ≤ 16, a_m complex normal with envelope exp(−k²/2k0²), scaled to
  an expected root mean square of `init_amp`. Drawn in a fixed order, whatever N; a grid whose band ends
  before 16 drops the modes that it cannot hold.
- `uniform`: init_amp exp(i init_phase).
- `plane_wave`: F exp(i(q·x + init_phase)), an exact solution of the equation, for q = 2π init_mode/L.
- `vortex_lattice`: √ρ (sin qx + i sin qy), four vortices per cell, of zero total charge; ρ is the density of
  the equation's uniform state. In three dimensions the vortices are straight lines along z.
"""

import numpy as np

from hsm.physics.draws import Purpose, complex_normals
from hsm.physics.grid import ComplexField, Grid, outer_sum
from hsm.physics.parameters import InitialKind, Params, plane_wave_density

NOISE_REACH = 16  # the largest mode number of the initial noise


def initial_band(p: Params, grid: Grid) -> ComplexField:
    """Return the stored band of the initial field, shape (M, …)."""
    if p.init_kind is InitialKind.NOISE:
        return _noise(p, grid)
    return grid.band(_formula(p, grid))


def _formula(p: Params, grid: Grid) -> ComplexField:
    mesh, unit = grid.mesh(), 2 * np.pi / p.L
    if p.init_kind is InitialKind.PLANE_WAVE:
        angle = unit * sum(m * x for m, x in zip(p.init_modes, mesh, strict=True)) + p.init_phase
        field: ComplexField = np.sqrt(plane_wave_density(p) or 0.0) * np.exp(1j * angle)
    elif p.init_kind is InitialKind.VORTEX_LATTICE:
        q = unit * p.init_cells
        field = np.sqrt(p.equation.density) * (np.sin(q * mesh[0]) + 1j * np.sin(q * mesh[1]))
    else:
        field = np.full(grid.shape, p.init_amp * np.exp(1j * p.init_phase))
    return field


def _noise(p: Params, grid: Grid) -> ComplexField:
    side = 2 * NOISE_REACH + 1
    m = np.arange(-NOISE_REACH, NOISE_REACH + 1)
    k2 = (2 * np.pi / p.L) ** 2 * outer_sum([m**2] * p.dim)
    envelope = np.exp(-k2 / (2 * p.init_k0**2))
    drawn = complex_normals(p.seed, Purpose.INITIAL_NOISE, side**p.dim).reshape((side,) * p.dim)
    amplitudes = p.init_amp / np.sqrt(np.sum(envelope**2)) * envelope * drawn
    band = np.zeros((grid.modes,) * p.dim, np.complex128)
    held = m[np.abs(m) < grid.reach]
    stored, taken = ([held + offset] * p.dim for offset in (grid.reach, NOISE_REACH))
    band[np.ix_(*stored)] = grid.points**p.dim * amplitudes[np.ix_(*taken)]
    return band
