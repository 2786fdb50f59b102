"""What was wrong with the scores of earlier codes of this kind, one test for each: it is not so here."""

from math import tau
from typing import Any

import numpy as np
import pytest
from scipy import special

from hsm.physics import outcome
from hsm.physics.draws import Purpose
from hsm.physics.measure.log_prime import TARGETS, drawn_targets, misfit
from hsm.physics.measure.spectrum import shell_means
from hsm.physics.measure.surrogates import Surrogates
from hsm.physics.metrics import diagnose
from hsm.physics.scores import metrics, names
from tests.unit.physics import made

RNG = np.random.default_rng(11)
NOISE = RNG.normal(size=(made.N, made.N)) + 1j * RNG.normal(size=(made.N, made.N))


def scores(psi: np.ndarray, **given: Any) -> dict[str, Any]:
    return metrics(made.artifact(psi, **given))


def reason(psi: np.ndarray, name: str, **given: Any) -> str:
    found = scores(psi, **given)
    assert found[name] is None
    return str(found["reasons"][name])


@pytest.mark.parametrize("points", [16, 64, 128])
def test_coherence_of_white_noise_is_not_one_on_small_grids(points: int) -> None:
    """A coherence estimated from one segment is 1 whatever the field; this one is at its null level."""
    noise = np.exp(1j * np.random.default_rng(points).uniform(0, tau, (points, points)))
    assert scores(noise)["pcs"] < 3 * np.log(points**2) / points**2


def test_scores_of_different_fields_differ() -> None:
    """A score that is 1.0 in every file, or a norm that is 0.0 in every file, correlates with nothing."""
    found = [scores(made.gaussian_field(seed, np.exp(-made.k_squared() / 60))) for seed in range(4)]
    for name in ("pcs", "pcs_local", "correlation_length", "defect_count"):
        assert len({each[name] for each in found}) > 2
    assert "flat" in reason(NOISE, "sdg_h_norm_l2")


def test_a_field_of_nan_has_no_scores() -> None:
    """It was published with a score: what is made of the field is null here, with the reason."""
    broken = np.full((made.N, made.N), np.nan + 0j)
    kept = [diagnose(made.plane_wave(1, 0), 16)]
    for name in ("log_prime_sse", "log_prime_p_value", "structure_peak_k", "correlation_length", "pcs_local"):
        assert "not finite" in reason(broken, name, seen=kept)


def test_one_peak_is_not_a_perfect_fit() -> None:
    """Scaling the only peak to the first target fits it exactly: the score was 0 for every single cosine."""
    assert "has 1, 5 are needed" in reason(np.sqrt(2 + np.cos(tau * 7 * made.X / made.N)), "log_prime_sse")


def test_smooth_chance_rarely_passes_for_primes() -> None:
    """Two thirds of smooth random fields passed; here the share with p ≤ 0.05 is that of chance."""
    rings = TARGETS * 12.5 + np.random.default_rng(3).normal(size=(2000, 5)) * 6
    rows = np.sort(np.abs(rings), axis=-1)
    null = np.sort(misfit(rows[1000:]))
    p = (1 + np.searchsorted(null, misfit(rows[:1000]), side="right")) / 1001
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.03)


def test_a_library_that_changed_is_an_error_and_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window function that SciPy removed turned every score into a sentinel: what breaks is told."""
    monkeypatch.delattr(special, "gammaincinv")
    with pytest.raises(AttributeError, match="gammaincinv"):
        scores(made.gaussian_field(2, 1 / (1 + made.k_squared(96) / 64)))


def test_a_small_misfit_alone_is_never_significant() -> None:
    """Look elsewhere: five rising numbers of chance are below 0.05 often, so a bare sse has no pass mark."""
    chance = np.sort(np.random.default_rng(4).uniform(1, 32, (4000, 5)), axis=-1)
    share = np.mean(misfit(chance) < 0.05)
    assert share > 0.2
    assert np.mean(misfit(chance) < 0.005) > 1e-4


def test_surrogates_keep_the_power_spectrum_of_the_field() -> None:
    """Phases without Hermitian symmetry, of which the real part is taken, keep a half of it at random."""
    surrogate = next(Surrogates(NOISE, 1).fields(Purpose.FIELD_NULL))
    assert np.abs(np.fft.fftn(surrogate)) == pytest.approx(np.abs(np.fft.fftn(NOISE)), rel=1e-3)


def test_the_field_null_can_reject() -> None:
    """Phases of ρ̂ drawn anew leave its spectrum, and with it every score, as it was; those of ψ̂ do not."""
    artifact = made.artifact(NOISE)
    observed = np.log(shell_means(np.abs(NOISE) ** 2))
    drawn = artifact.surrogates.density_spectra(20)
    assert drawn.std(axis=0).min() > 0.02
    assert np.abs(drawn - observed).max() > 0.2


def test_the_target_null_is_not_undone_by_sorting() -> None:
    """Shuffled targets, sorted by the matcher, are the targets: a null that was the score itself."""
    drawn = misfit(1.3 * TARGETS, drawn_targets(np.random.default_rng(5).random((1000, 3))))
    assert np.count_nonzero(drawn < 1e-9) == 0
    assert len(np.unique(drawn)) == 1000


def test_nulls_are_drawn_and_are_no_multiples_of_the_score() -> None:
    """They were the score times 10 and times 15; here they are three different shares of draws."""
    field = made.gaussian_field(2, 1 / (1 + made.k_squared(96) / 64))
    found = scores(field)
    parts = [found[f"log_prime_p_{name}"] for name in ("spectrum", "targets", "field")]
    assert len(set(parts)) == 3
    assert found["log_prime_p_value"] == max(parts)


def test_the_variance_of_the_density_is_no_score_of_primes() -> None:
    """1/(1 + 100 var) passed every field with var > 1.99: here the size of the density does not count."""
    field = made.gaussian_field(2, 1 / (1 + made.k_squared(96) / 64))
    assert scores(30 * field)["log_prime_sse"] == pytest.approx(scores(field)["log_prime_sse"], rel=1e-9)


def test_a_field_that_decayed_is_dead_and_not_certified() -> None:
    """<ρ> = 7.5e-8, flat to rounding: no spectrum, no phase, no score."""
    ending = outcome.dead(500.0, 2500, 7.5e-8, 1e-6)
    faint = np.sqrt(7.5e-8) * (1 + 1e-8 * NOISE)
    found = scores(faint, ending=ending)
    assert {name for name in names() if found[name] is not None} == {"mean_rho", "mass"}
    assert "uniform" in reason(faint, "log_prime_sse", epsilon=2.0**-23)


def test_no_score_is_a_sentinel() -> None:
    """No 996 … 1004 for what could not be computed, and no 0 or 1 either: null."""
    for psi in (NOISE, made.plane_wave(2, 0), np.ones((made.N, made.N), complex)):
        found = scores(psi)
        for name in names():
            assert (found[name] is None) == (name in found["reasons"])
            assert found[name] is None or not 900 < float(found[name]) < 1100
