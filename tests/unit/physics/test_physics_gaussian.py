"""Defects and topology against the theory of Gaussian fields."""

from math import tau

import numpy as np
import pytest

from hsm.physics.grid import Grid
from hsm.physics.measure.gaussian import euler_characteristic, euler_density, zero_density
from hsm.physics.metrics import defect_count
from tests.unit.physics import made

GRID = Grid(points=256, length=100.0)


def power(width: float, stretch: float = 1.0) -> np.ndarray:
    k = tau * np.fft.fftfreq(GRID.points, GRID.length / GRID.points)
    return np.exp(-((stretch * k[:, None]) ** 2 + k[None, :] ** 2) / width**2)


@pytest.mark.parametrize("stretch", [1.0, 2.0])
def test_defect_density_of_gaussian_fields_is_that_of_theory(stretch: float) -> None:
    """Zeros per area are sqrt(det C)/2π: ⟨k²⟩/4π if isotropic, half of that if stretched twofold."""
    fields = [made.gaussian_field(seed, power(1.0, stretch)) for seed in range(8)]
    counted = np.mean([defect_count(field) for field in fields]) / GRID.length**2
    assert counted == pytest.approx(1 / (4 * np.pi) / stretch, rel=0.04)
    assert np.mean([zero_density(field, GRID) for field in fields]) == pytest.approx(counted, rel=0.04)


def test_zeros_do_not_move_with_a_plane_wave() -> None:
    """ψe^{iqx} has the zeros of ψ, and theory says the same of its spectrum."""
    field = made.gaussian_field(1, power(1.0))
    wave = np.exp(1j * tau * 9 * np.arange(GRID.points) / GRID.points)
    assert zero_density(field * wave, GRID) == pytest.approx(zero_density(field, GRID), rel=1e-9)


def test_euler_characteristic_of_gaussian_fields_is_that_of_theory() -> None:
    """At ν = −1, 0, 1, 2: within a tenth of the largest, and odd in ν."""
    fields = [made.gaussian_field(seed, power(1.0)).real for seed in range(12)]
    fields = [field / field.std() for field in fields]
    expected = [GRID.length**2 * euler_density(level, 1.0) for level in (-1.0, 0.0, 1.0, 2.0)]
    for level, mean in zip((-1.0, 0.0, 1.0, 2.0), expected, strict=True):
        found = np.mean([euler_characteristic(field, level) for field in fields])
        assert found == pytest.approx(mean, abs=0.07 * max(expected)), level


def test_euler_characteristic_of_known_shapes() -> None:
    """A disc 1, two discs 2, a ring 0, a band around the torus 0, a punctured torus −1, all of it 0."""
    x, y = made.X, made.Y
    disc = np.hypot(x - 20, y - 20) < 8
    ring = disc & (np.hypot(x - 20, y - 20) > 4)
    shapes = {
        "disc": disc,
        "discs": disc | (np.hypot(x - 50, y - 45) < 5),
        "ring": ring,
        "band": abs(x - 9) < 4,
    }
    found = {name: euler_characteristic(shape.astype(float), 0.5) for name, shape in shapes.items()}
    assert found == {"disc": 1, "discs": 2, "ring": 0, "band": 0}
    assert euler_characteristic((~disc).astype(float), 0.5) == -1
    assert euler_characteristic(np.ones((8, 8)), 0.5) == 0
    ball = np.zeros((8, 8, 8))
    ball[2:5, 2:5, 2:5] = 1
    assert euler_characteristic(ball, 0.5) == 1
    ball[3, 3, 3] = 0  # a hollow ball: a sphere
    assert euler_characteristic(ball, 0.5) == 2
