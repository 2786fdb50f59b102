"""The transforms of the compiled code against those of the host."""

import jax.numpy as jnp
import numpy as np
import pytest

from hsm.physics.grid import Grid
from hsm.physics.transforms import filtered, to_band, to_points, upright


@pytest.mark.parametrize(
    ("dimension", "points", "degree", "single"),
    [
        (1, 64, 3, False),
        (2, 32, 3, False),
        (2, 30, 5, False),
        (2, 144, 3, False),
        (3, 16, 3, False),
        (3, 16, 7, False),
        (2, 128, 3, True),
        (2, 256, 3, True),
    ],
)
def test_band_and_points_agree_with_the_host(dimension: int, points: int, degree: int, single: bool) -> None:
    """In every dimension, for large and small fields, any degree and both precisions."""
    grid = Grid(points=points, length=5.0, dimension=dimension, degree=degree)
    rng = np.random.default_rng(3)
    shape = (grid.modes,) * dimension
    band = np.where(grid.active(), rng.normal(size=shape) + 1j * rng.normal(size=shape), 0)
    kind, coarser = (np.complex64, 1e8) if single else (np.complex128, 1)
    field = np.asarray(to_points(jnp.asarray(band.astype(kind)), points))
    assert field.dtype == kind
    assert np.abs(grid.ungauged(upright(field)) - grid.field(band)).max() < 1e-12 * coarser / points
    back = np.where(grid.active(), np.asarray(to_band(jnp.asarray(field), grid.modes)), 0)
    assert np.abs(back - band).max() < 1e-11 * coarser
    assert np.abs(grid.band(grid.field(band)) - band).max() < 1e-11


@pytest.mark.parametrize("degree", [3, 5, 7])
def test_products_of_the_degree_do_not_alias(degree: int) -> None:
    """The band is the largest that is exact: the same product on three times the points agrees."""
    grid = Grid(points=48, length=5.0, dimension=1, degree=degree)
    assert (degree + 1) * (grid.reach - 1) < 48 <= (degree + 1) * grid.reach
    rng = np.random.default_rng(5)
    band = np.where(grid.active(), rng.normal(size=grid.modes) + 1j * rng.normal(size=grid.modes), 0)
    psi = grid.field(band)
    wide = np.zeros(3 * 48, complex)
    wide[grid.mode_numbers()] = band * 3
    fine = np.fft.ifft(wide)
    power = degree // 2
    coarse_product = np.fft.fft(np.abs(psi) ** (2 * power) * psi)[grid.mode_numbers()]
    fine_product = np.fft.fft(np.abs(fine) ** (2 * power) * fine)[grid.mode_numbers()] / 3
    inside = grid.active()
    scale = np.abs(fine_product).max()
    assert np.abs(coarse_product - fine_product)[inside].max() < 1e-12 * scale


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_filter_multiplies_the_spectrum(dimension: int) -> None:
    """A wave is multiplied by the symbol at its wave number."""
    grid = Grid(points=16, length=4.0, dimension=dimension)
    unit = 2 * np.pi / 4
    wave = np.cos(unit * sum((n + 1) * x for n, x in enumerate(grid.mesh())) + 0.3)
    k2 = unit**2 * sum((n + 1) ** 2 for n in range(dimension))
    got = np.asarray(filtered(jnp.asarray(wave), jnp.asarray(-grid.k_squared_real())))
    assert np.abs(got + k2 * wave).max() < 1e-11
