"""log_prime_sse and its nulls: what they find, and what they refuse to find."""

import numpy as np
import pytest

from hsm.physics.draws import Purpose
from hsm.physics.measure import log_prime, surrogates
from hsm.physics.measure.chance import NotComputable, Stream, compare
from hsm.physics.measure.log_prime import TARGETS, drawn_targets, misfit
from hsm.physics.measure.spectrum import excess
from hsm.physics.scores import metrics
from tests.unit.physics import made


def test_misfit_is_zero_at_the_logarithms_and_has_one_scale() -> None:
    """Any multiple of them fits; a shift does not."""
    assert misfit(np.array([TARGETS, 17.3 * TARGETS])) == pytest.approx(0, abs=1e-28)
    assert float(misfit(TARGETS + 0.5)) > 0.005


def test_misfit_takes_peaks_in_order() -> None:
    """The i-th peak belongs to the i-th prime: equal gaps do not fit, however they are matched."""
    x = np.arange(1.0, 6.0)
    scale = x @ TARGETS / (x @ x)
    assert float(misfit(x)) == pytest.approx(np.mean((scale * x - TARGETS) ** 2))


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the nulls 999 times where a run would draw 9,999."""
    monkeypatch.setattr(log_prime, "DRAWS", 999)
    monkeypatch.setattr(surrogates, "WORK", 499 * 128**2)


@pytest.mark.slow
def test_planted_rings_are_found() -> None:
    """On a background without noise, sse is below 5e-4 and all three nulls are beaten."""
    found = metrics(made.artifact(made.ringed(1, 1.0), L=64.0))
    assert isinstance(found["log_prime_sse"], float)
    assert found["log_prime_sse"] < 5e-4
    for name in ("log_prime_p_spectrum", "log_prime_p_targets", "log_prime_p_field"):
        assert found[name] <= 0.004, name  # type: ignore[operator]
    assert found["log_prime_p_value"] == max(
        found[name]  # type: ignore[type-var]
        for name in ("log_prime_p_spectrum", "log_prime_p_targets", "log_prime_p_field")
    )


def test_surrogates_have_the_rings_that_the_spectrum_of_the_field_has() -> None:
    """A field of uniform phase hands its rings down; one whose phases are of chance does not."""
    field = made.ringed(1, 4.0)
    rings = np.rint(12.5 * TARGETS).astype(int) - 1
    own = made.artifact(np.abs(field), L=64.0)
    none = made.artifact(field, L=64.0)
    for artifact, low, high in ((own, 0.8, 2.5), (none, -0.1, 0.1)):
        heights = excess(artifact.surrogates.density_spectra(30))[:, rings].mean()
        assert low < heights < high
        assert artifact.spectrum.above[rings].min() > 0.8


def test_too_few_peaks_are_no_score() -> None:
    """Four rings do not become a good fit to five primes, nor one ring a perfect one."""
    rho = 4 + sum(np.cos(2 * np.pi * m * made.X / made.N) for m in (3, 6, 9, 12))
    found = metrics(made.artifact(np.sqrt(rho)))
    assert (found["log_prime_sse"], found["log_prime_peaks"]) == (None, 4)
    assert "4, 5 are needed" in found["reasons"]["log_prime_sse"]  # type: ignore[index]
    assert found["log_prime_p_value"] is None


def test_the_same_artifact_has_the_same_p_values_and_another_seed_others() -> None:
    """Draws are keyed by the parameters of the run."""
    field = made.gaussian_field(2, 1 / (1 + made.k_squared(96) / 64))
    once, again, other = (
        [null.p for null in log_prime.nulls(a.spectrum, a.surrogates, a.key).values()]
        for a in (made.artifact(field, seed=seed) for seed in (1, 1, 2))
    )
    assert once == again
    assert once != other


def test_target_null_keeps_the_ends_and_the_order() -> None:
    """Only the gaps between are of chance, and uniform: the middle target is, on average, half way."""
    drawn = drawn_targets(Stream(1, Purpose.TARGET_NULL).uniforms(2000, 3))
    assert (drawn[:, 0] == TARGETS[0]).all()
    assert (drawn[:, -1] == TARGETS[-1]).all()
    assert (np.diff(drawn) >= 0).all()
    assert drawn[:, 2].mean() == pytest.approx((TARGETS[0] + TARGETS[-1]) / 2, abs=0.03)
    assert len(np.unique(misfit(TARGETS, drawn))) == 2000


def test_p_values_count_the_score_itself_and_are_exact() -> None:
    """(1 + reached)/(1 + draws): never 0; and a null without scores has no p-value."""
    draws = np.linspace(0, 1, 999)
    assert compare(-1, lambda n: draws[:n], 999, low_is_good=True).p == 1 / 1000
    assert compare(2, lambda n: draws[:n], 999, low_is_good=True).p == 1.0
    assert compare(0.5, lambda n: draws[:n], 999, low_is_good=False).p == pytest.approx(0.5, abs=0.51)
    with pytest.raises(NotComputable, match="only 0 of"):
        compare(0.5, lambda n: np.full(n, np.nan), 999, low_is_good=True)


def test_draws_stop_early_only_where_chance_reaches_the_score() -> None:
    """The first 199 settle it if ten of them reach it, else all are drawn."""
    asked: list[int] = []

    def draw(count: int) -> np.ndarray:
        asked.append(count)
        return np.arange(count) / count

    assert compare(0.5, draw, 9_999, low_is_good=True).p == pytest.approx(0.5, abs=0.01)
    assert asked == [199]
    compare(0.001, draw, 9_999, low_is_good=True)
    assert asked == [199, 199, 9_800]


def test_uniform_scores_have_valid_p_values() -> None:
    """With the early stop, p ≤ α has a chance of at most α (here within four standard errors)."""
    rng = np.random.default_rng(6)
    found = np.array([compare(rng.random(), rng.random, 999, low_is_good=True).p for _ in range(4000)])
    for alpha in (0.01, 0.05, 0.1, 0.3):
        assert np.mean(found <= alpha) <= alpha + 4 * np.sqrt(alpha / 4000)
        assert np.mean(found <= alpha) >= 0.8 * alpha
