"""The deterministic source S(x, t) = s0 exp(iω_s t) P(x).

P is 1 (`uniform`) or Σ_j exp(iθ_j) G(x − x_j) (`sites`), G the Gaussian exp(−|x|²/2w²) summed over its
periodic images, which, unlike the nearest image alone, has no kink half a box away.
"""

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from hsm.physics.draws import Purpose, uniforms
from hsm.physics.grid import ComplexField, Grid
from hsm.physics.parameters import Params, SourceKind

IMAGES = 3  # enough for w up to L/4


def profile(p: Params, grid: Grid) -> ComplexField:
    """Return the band of s0 P(x), shape (M, …); zero where there is no source."""
    shape = np.zeros(grid.shape, np.complex128)
    if p.source_kind is SourceKind.UNIFORM:
        shape += 1
    elif p.source_kind is SourceKind.SITES:
        for *place, phase in sites(p):
            shape += np.exp(1j * phase) * reduce(np.multiply.outer, [_bump(p, grid, x) for x in place])
    return grid.band(p.source_s0 * shape)


def sites(p: Params) -> tuple[tuple[float, ...], ...]:
    """Return the coordinates and the phase of every site: those given, else those drawn from the seed."""
    if p.source_positions:
        return p.source_positions
    columns = p.dim + 1
    drawn = uniforms(p.seed, Purpose.SOURCE_SITES, columns * p.source_sites).reshape(-1, columns)
    scale = np.array([*[p.L] * p.dim, 2 * np.pi])
    return tuple(tuple(row) for row in (scale * drawn).tolist())


def _bump(p: Params, grid: Grid, centre: float) -> NDArray[np.floating]:
    images = np.arange(-IMAGES, IMAGES + 1) * p.L
    distance = (grid.coordinates() - centre)[:, None] % p.L + images
    bump: NDArray[np.floating] = np.exp(-(distance**2) / (2 * p.source_width**2)).sum(axis=1)
    return bump
