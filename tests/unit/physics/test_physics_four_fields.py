"""Four fields whose scores theory knows: white noise, one cosine, a perfect lattice, scrambled phases."""

from math import pi, tau
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hsm.physics.draws import Purpose
from hsm.physics.measure.gaussian import zero_density
from hsm.physics.measure.surrogates import Surrogates
from hsm.physics.scores import metrics
from tests.unit.physics import made

POINTS = made.N**2
SPACING = made.L / made.N
UNIT = tau / made.L
P_VALUES = ("pcs_p_value", "pcs_local_p_value", "structure_peak_p_value", "log_prime_p_value")


def scores(psi: NDArray[Any]) -> dict[str, Any]:
    return metrics(made.artifact(psi))


def noise(seed: int) -> NDArray[np.complexfloating]:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(made.N, made.N)) + 1j * rng.normal(size=(made.N, made.N))) / np.sqrt(2)


@pytest.mark.slow
def test_white_noise() -> None:
    """Order at the level of chance, a third of the plaquettes defects, no length, nothing believed."""
    every = [scores(noise(seed)) for seed in range(6)]

    def mean(name: str) -> float:
        return float(np.mean([found[name] for found in every]))

    assert mean("mean_rho") == pytest.approx(1, abs=0.03)
    assert mean("pcs") == pytest.approx((np.log(POINTS) + 0.577) / POINTS, rel=0.25)
    assert mean("pcs_local") == pytest.approx(SPACING**2 / (4 * pi * 2**2), rel=0.1)
    assert mean("defect_count") == pytest.approx(POINTS / 3, rel=0.02)
    assert mean("defect_density_null") == pytest.approx(1e4 / made.L**2 * POINTS / 3, rel=0.02)
    for found in every:
        assert "one grid spacing" in found["reasons"]["correlation_length"]
        assert all(found[name] is None or found[name] > 0.01 for name in P_VALUES)
        peak = found["structure_peak_excess"]
        assert peak is None or peak < 1.5, "e^1.5 times the background would be no noise"


def test_one_cosine() -> None:
    """A phase in full order without defects, one ring at its wave number, too few of them for primes."""
    found = scores(np.sqrt(2 + np.cos(tau * 7 * made.X / made.N)))
    assert found["mean_rho"] == pytest.approx(2)
    assert found["pcs"] == pytest.approx(1)
    assert found["pcs_local"] == pytest.approx(1)
    assert (found["defect_count"], found["log_prime_peaks"]) == (0, 1)
    assert found["structure_peak_k"] == pytest.approx(7 * UNIT, rel=1e-6)
    assert found["structure_peak_p_value"] < 0.01
    assert "remembers itself" in found["reasons"]["correlation_length"]
    assert "too few peaks" in found["reasons"]["log_prime_p_value"]


def test_a_perfect_lattice() -> None:
    """Four vortices a cell, the phase in four equal waves, a ring at twice their wave number."""
    cells = 4
    q = tau * cells / made.N
    psi = np.sin(q * (made.X + 0.3)) + 1j * np.sin(q * (made.Y + 0.4))
    found = scores(psi)
    assert found["mean_rho"] == pytest.approx(1)
    assert found["defect_count"] == 4 * cells**2
    assert found["defect_density"] == pytest.approx(1e4 * 4 * cells**2 / made.L**2)
    assert found["structure_peak_k"] == pytest.approx(2 * cells * UNIT, rel=1e-6)
    assert found["structure_peak_p_value"] < 0.01
    fine = tau * (np.arange(512) + 0.5) / 512
    real, imaginary = np.sin(fine)[:, None], np.sin(fine)[None, :]
    wave = np.mean(real / np.hypot(real, imaginary) * np.sin(fine)[:, None])
    assert found["pcs"] == pytest.approx(wave**2, rel=0.02)
    assert found["log_prime_sse"] is None


@pytest.mark.slow
def test_scrambled_phases() -> None:
    """With the spectrum of another field: the same length, and as many defects as theory says."""
    field = made.gaussian_field(1, np.exp(-made.k_squared() / 60))
    own = scores(field)["correlation_length"]
    drawn = Surrogates(field, 7).fields(Purpose.FIELD_NULL)
    every = [scores(np.asarray(next(drawn), np.complex128)) for _ in range(8)]
    for found in every:
        assert found["correlation_length"] == pytest.approx(own, rel=1e-3)
        assert found["mean_rho"] == pytest.approx(1, rel=1e-3)
        assert found["structure_peak_p_value"] is None or found["structure_peak_p_value"] > 0.005
    grid = made.artifact(field).params.grid
    defects = np.mean([found["defect_count"] for found in every])
    assert defects == pytest.approx(zero_density(field, grid) * made.L**2, rel=0.12)
    p = [found["pcs_p_value"] for found in every]
    assert 0.15 < np.mean(p) < 0.85, "phases of chance are reached by phases of chance"
