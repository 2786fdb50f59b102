"""Initial fields: the same physics at every resolution, the same bits for the same seed."""

from collections.abc import Callable

import numpy as np
import pytest

from hsm.physics.draws import Purpose, uniforms
from hsm.physics.grid import Grid
from hsm.physics.initial import initial_band
from hsm.physics.parameters import Params
from hsm.physics.source import profile, sites

Make = Callable[..., Params]


def field(p: Params) -> np.ndarray:
    grid = Grid(points=p.N, length=p.L)
    return grid.field(initial_band(p, grid))


@pytest.mark.parametrize("kind", ["noise", "uniform", "plane_wave", "vortex_lattice"])
def test_same_physical_field_at_two_resolutions(params: Make, kind: str) -> None:
    """The points that two grids share carry the same values."""
    coarse, fine = (field(params(N=n, L=32, seed=9, init_kind=kind, init_mode_y=-2)) for n in (72, 144))
    assert np.abs(coarse).max() > 0.01
    assert np.abs(fine[::2, ::2] - coarse).max() < 1e-13


def test_noise_has_the_stated_amplitude_and_range(params: Make) -> None:
    """The root mean square over seeds is init_amp, and no mode beyond 16 is excited."""
    squares = [np.mean(np.abs(field(params(N=96, L=64, init_amp=0.1, seed=seed))) ** 2) for seed in range(30)]
    assert np.sqrt(np.mean(squares)) == pytest.approx(0.1, rel=0.03)
    spectrum = np.abs(np.fft.fft2(field(params(N=96, init_k0=1000))))
    assert spectrum[16, -16] > 1e-3
    assert spectrum[17].max() < 1e-12


def test_noise_depends_on_the_seed_alone(params: Make) -> None:
    """Same seed, same bits; another seed, an uncorrelated field."""
    one, again, other = (field(params(N=96, seed=seed, init_k0=1000)) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert abs(np.vdot(one, other)) < 0.2 * np.vdot(one, one).real


def test_noise_of_a_given_seed_never_changes(params: Make) -> None:
    """A fixed value guards the stream against a change of generator or order."""
    grid = Grid(points=96, length=16.0)
    band = initial_band(params(N=96, L=16, seed=12345, init_amp=1, init_k0=1000), grid)
    assert band[24, 24] / 96**2 == pytest.approx(0.05285318477615543 - 0.011024687116363313j, abs=1e-12)


def test_drawn_sites_depend_on_the_seed_and_not_on_the_noise(params: Make) -> None:
    """Positions lie in the box, and the source is the same at two resolutions."""
    p = params(N=96, seed=4, source_kind="sites", source_s0=1.0, source_sites=3)
    drawn = np.array(sites(p))
    assert not np.array_equal(uniforms(4, Purpose.SOURCE_SITES, 9), uniforms(4, Purpose.INITIAL_NOISE, 9))
    assert drawn.shape == (3, 3)
    assert np.all((drawn >= 0) & (drawn < [p.L, p.L, 2 * np.pi]))
    coarse, fine = (Grid(points=n, length=p.L) for n in (96, 192))
    assert np.abs(fine.field(profile(p, fine))[::2, ::2] - coarse.field(profile(p, coarse))).max() < 1e-12
