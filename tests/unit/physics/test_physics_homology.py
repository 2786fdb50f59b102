"""Persistent homology of densities whose topology is known."""

from math import log, tau

import numpy as np
import pytest

pytest.importorskip("gudhi", reason="GUDHI IS NOT INSTALLED: pip install 'hsm[topology]'")

from hsm.physics.measure.gaussian import euler_characteristic
from hsm.physics.measure.homology import Feature, betti, diagram, summary
from tests.unit.physics import made

N = 32
X, Y = np.meshgrid(np.arange(N), np.arange(N), indexing="ij")


def bump(x: float, y: float, height: float, width: float = 2.0) -> np.ndarray:
    apart = [(axis - centre + N / 2) % N - N / 2 for axis, centre in ((X, x), (Y, y))]
    return height * np.exp(-(apart[0] ** 2 + apart[1] ** 2) / (2 * width**2))


@pytest.mark.parametrize(("dimension", "numbers"), [(2, [1, 2, 1]), (3, [1, 3, 3, 1])])
def test_the_essential_features_are_those_of_the_torus(dimension: int, numbers: list[int]) -> None:
    """Of any density, of noise too."""
    features = diagram(np.random.default_rng(1).random((8,) * dimension))
    essential = [sum(f.dimension == d and f.death is None for f in features) for d in range(dimension + 1)]
    assert essential == numbers


def test_three_bumps_are_three_parts_born_at_their_heights() -> None:
    """The two lower ones die where they meet another; one of them wraps around the border."""
    rho = bump(16, 16, 3.0) + bump(0, 8, 2.0) + bump(8, 28, 1.0)
    parts = [each for each in diagram(rho) if each.dimension == 0 and each.persistence > 0.1]
    assert [each.birth for each in parts] == pytest.approx([3.0, 2.0, 1.0], rel=1e-3)
    assert [each.death is None for each in parts] == [True, False, False]
    assert [betti(diagram(rho), level, 0) for level in (2.5, 1.5, 0.5)] == [1, 2, 3]


def test_a_ring_is_a_loop() -> None:
    """It lasts from the lowest place of its crest to the floor of the hole in it."""
    radius = np.hypot(X - 16, Y - 16)
    rho = np.exp(-((radius - 8) ** 2) / 4)
    loops = [each for each in diagram(rho) if each.dimension == 1 and each.death is not None]
    assert loops[0].birth > 0.85
    assert loops[0].death == pytest.approx(rho[16, 16], abs=1e-12)
    assert betti(diagram(rho), 0.5, 1) == 1


def test_at_a_low_level_there_is_a_loop_for_each_vortex_and_one_more() -> None:
    """The torus without n discs has first Betti number n + 1."""
    psi = np.sin(tau * 2 * (X + 0.3) / N) + 1j * np.sin(tau * 2 * (Y + 0.3) / N)
    assert betti(diagram(np.abs(psi) ** 2), 0.3, 1) == 16 + 1


def test_betti_numbers_alternate_to_the_euler_characteristic() -> None:
    """At every level of a Gaussian field, counted by another program of other cells."""
    field = made.gaussian_field(2, np.exp(-made.k_squared(N) / 12)).real
    features = diagram(field)
    for level in np.linspace(-1.5, 1.5, 9):
        numbers = [betti(features, level, d) for d in range(3)]
        assert numbers[0] - numbers[1] + numbers[2] == euler_characteristic(field, level - 1e-12)


def test_persistence_is_stable() -> None:
    """No persistence changes by more than twice the largest change of the density."""
    rho = bump(16, 16, 3.0) + bump(4, 8, 2.0)
    noise = 0.01 * np.random.default_rng(3).uniform(-1, 1, rho.shape)
    quiet, loud = (
        [f.persistence for f in diagram(each) if 0.1 < f.persistence < np.inf] for each in (rho, rho + noise)
    )
    assert len(quiet) == len(loud)
    assert np.abs(np.subtract(quiet, loud)).max() <= 0.02


def test_summary_counts_what_outlasts_a_threshold() -> None:
    """Essential features have no persistence to add; two equal ones have the entropy ln 2."""
    features = [
        Feature(dimension=0, birth=3.0, death=None),
        Feature(dimension=0, birth=2.0, death=1.0),
        Feature(dimension=1, birth=1.5, death=0.5),
        Feature(dimension=1, birth=1.0, death=0.99),
    ]
    found = summary(features, 0.1)
    assert (found["features_0"], found["features_1"]) == (1, 1)
    assert found["total_persistence_1"] == pytest.approx(1.0)
    assert found["persistence_entropy"] == pytest.approx(log(2))
