"""The density spectrum, its peaks and its null, on fields whose spectra are known."""

from math import tau

import numpy as np
import pytest
from scipy import special
from scipy.signal import find_peaks

from hsm.physics.draws import Purpose
from hsm.physics.measure import structure
from hsm.physics.measure.chance import NotComputable, Stream
from hsm.physics.measure.spectrum import (
    are_peaks,
    excess,
    log_chance,
    lowest_peaks,
    shell_means,
    shells,
    spectrum,
)
from tests.unit.physics import made

EPSILON = 2.0**-52


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_shells_hold_every_mode_once(dimension: int) -> None:
    """Parseval: over all modes the shells, with their numbers of modes, have the variance of the field."""
    m2 = made.k_squared(16, dimension)
    field = np.fft.ifftn(np.fft.fftn(np.random.default_rng(1).normal(size=m2.shape)) * (m2 < 4.4**2)).real
    parts = shells(16, dimension)
    assert shell_means(field) @ parts.modes[1:] == pytest.approx(field.var(), rel=1e-12)
    assert parts.modes[1] == {1: 2, 2: 8, 3: 18}[dimension]  # round(|m|) = 1: √2 too


def test_white_noise_has_a_flat_spectrum() -> None:
    """Each shell has the variance over the number of points, within the scatter of its modes."""
    means = shell_means(np.random.default_rng(2).normal(size=(128, 128)))
    modes = shells(128, 2).modes[1:]
    pulls = (means * 128**2 - 1) / np.sqrt(2 / modes)
    assert abs(pulls).max() < 4
    assert np.std(pulls) == pytest.approx(1, abs=0.35)


def test_a_single_cosine_is_one_peak_at_its_wave_number() -> None:
    """What rounding leaves beside it is neither a peak nor a background."""
    rho = 2 + np.cos(tau * 7 * made.X / made.N)
    found = spectrum(rho, made.L, EPSILON)
    assert np.flatnonzero(are_peaks(found.above)).tolist() == [6]
    assert structure.peak(found)["structure_peak_k"] == pytest.approx(tau * 7 / made.L, rel=1e-9)
    assert structure.height(found)["structure_peak_excess"] > 20


def test_a_perfect_lattice_peaks_at_its_reciprocal_vector() -> None:
    """A hexagon of three waves would do as well; here a square of five cells a side."""
    rho = 2 + np.cos(tau * 5 * made.X / made.N) + np.cos(tau * 5 * made.Y / made.N)
    artifact = made.artifact(np.sqrt(rho))
    assert structure.peak(artifact.spectrum)["structure_peak_k"] == pytest.approx(tau * 5 / made.L, rel=1e-9)
    assert structure.peak_null(artifact.spectrum, artifact.key).p < 0.002


def test_a_uniform_density_has_no_spectrum() -> None:
    """Rounding is not structure: of a plane wave nothing is scored."""
    wave = made.plane_wave(3, 2)
    with pytest.raises(NotComputable, match="uniform"):
        spectrum(np.abs(wave) ** 2, made.L, EPSILON)
    single = np.abs(wave.astype(np.complex64)).astype(float) ** 2
    with pytest.raises(NotComputable, match="uniform"):
        spectrum(single, made.L, float(np.finfo(np.complex64).eps))


def test_a_spectrum_that_falls_has_no_peak() -> None:
    """A number for it would be the size of the box."""
    field = made.gaussian_field(3, np.exp(-made.k_squared() / 8)).real
    with pytest.raises(NotComputable, match="longest"):
        structure.peak(spectrum(4 + field, made.L, EPSILON))


def test_the_top_of_a_fall_is_no_height() -> None:
    """Of chance with a narrow spectrum: the second shell may be the strongest, but no background is known."""
    power, reasons = np.exp(-made.k_squared() / 2.25), []
    for seed in range(40):
        found = made.artifact(made.gaussian_field(seed, power)).spectrum
        with pytest.raises(NotComputable) as caught:
            structure.height(found)
        reasons.append(caught.value.reason)
        assert np.isnan(structure.heights(found.log_power[None])[0])
    assert any("shell 2 is not within 4 … 13; use a larger L" in reason for reason in reasons)


def test_the_background_of_a_fall_is_the_fall_where_a_height_is_known() -> None:
    """The median of a window that is reflected at an end; nearer to the ends a straight fall stands out."""
    fall = excess(-3.0 * np.arange(16.0)[None])[0]
    assert np.abs(fall[structure.EDGE : -structure.EDGE]).max() == 0
    assert fall[structure.EDGE - 1] > 2
    assert fall[-structure.EDGE] < -2


def test_peaks_are_those_of_scipy() -> None:
    """Local maxima with a prominence of 0.1, in every row, whatever its noise."""
    rows = np.random.default_rng(4).normal(size=(200, 40)) * np.linspace(0.02, 0.5, 200)[:, None]
    for row, found in zip(rows, are_peaks(rows), strict=True):
        assert np.flatnonzero(found).tolist() == find_peaks(row, prominence=0.1)[0].tolist()


def test_lowest_peaks_are_taken_in_order_and_refined() -> None:
    """Of a row with enough the first ones, at the top of a parabola; a row with fewer has none."""
    at = np.arange(40.0)
    bumps = sum(np.maximum(0, 1 - (at - centre) ** 2 / 4) for centre in (5.25, 12, 20.5, 30))
    rows = np.stack([bumps, np.where(at < 15, bumps, 0)])
    assert lowest_peaks(rows, 3)[0] == pytest.approx([5.25, 12, 20.5], abs=1e-9)
    assert np.isnan(lowest_peaks(rows, 3)[1]).all()


def test_spectrum_null_has_the_background_and_the_scatter_of_its_modes() -> None:
    """The median of the draws is the background; their variance is that of χ² over its degrees of freedom."""
    found = spectrum(3 + np.random.default_rng(5).normal(size=(128, 128)), made.L, EPSILON)
    drawn = found.null(Stream(7, Purpose.SPECTRUM_NULL), 4000)
    assert np.median(drawn, axis=0) == pytest.approx(found.log_power - found.above, abs=0.06)
    assert np.exp(drawn)[:, 5:].std(axis=0) / np.exp(drawn)[:, 5:].mean(axis=0) == pytest.approx(
        np.sqrt(2 / found.modes[5:]), rel=0.1
    )


def test_running_median_does_not_see_a_ring() -> None:
    """A peak of one shell stands whole above the background; a constant stays nothing."""
    flat = np.zeros((1, 30))
    flat[0, 12] = 2.0
    assert excess(flat)[0, 12] == 2.0
    assert excess(np.full((1, 30), 5.0)).max() == 0


@pytest.mark.parametrize(("modes", "accuracy"), [((2.0,), 1e-4), ((8.0, 12.0, 96.0, 1e5), 1e-6)])
def test_chance_of_the_null_is_the_inverse_of_its_distribution(
    modes: tuple[float, ...], accuracy: float
) -> None:
    """Out to what 53 random bits can reach: ln(χ²/median) of so many degrees of freedom."""
    low = np.geomspace(2.0**-54, 0.5, 5001)
    uniform = np.tile(np.concatenate([low, 1 - low[low > 2.0**-53]])[:, None], (1, len(modes)))
    half = np.array(modes) / 2
    exact = np.log(special.gammaincinv(half, uniform) / special.gammaincinv(half, 0.5))
    assert np.abs(log_chance(modes, uniform) - exact).max() < accuracy
