"""Metrics on fields whose figures are known."""

from math import tau
from typing import Any

import numpy as np
import pytest

from hsm.physics import outcome
from hsm.physics.metrics import (
    Diagnostics,
    defect_density,
    defects,
    diagnose,
    phase_coherence,
    spectral_tail,
    unit_phases,
    windings,
)
from hsm.physics.outcome import Ending
from hsm.physics.scores import metrics, names
from hsm.physics.status import Status
from tests.unit.physics import made

N = 64
X, Y = np.meshgrid(np.arange(N), np.arange(N), indexing="ij")


def test_phase_coherence_of_any_plane_wave_is_one() -> None:
    """The score looks for the strongest wave, not for a uniform phase, and does not see the amplitude."""
    wave = (2 + 0.5 * np.sin(tau * Y / N)) * np.exp(1j * tau * (5 * X - 3 * Y) / N)
    assert phase_coherence(wave) == pytest.approx(1, abs=1e-12)


def test_phase_coherence_of_random_phases_is_at_its_null_level() -> None:
    """The score of n random phases is about ln(n)/n: the maximum of n exponentials of mean 1/n."""
    rng = np.random.default_rng(3)
    found = [phase_coherence(np.exp(1j * rng.uniform(0, tau, (N, N)))) for _ in range(40)]
    null = (np.log(N * N) + np.euler_gamma) / N**2
    assert np.mean(found) == pytest.approx(null, rel=0.12)


def test_phase_coherence_of_half_and_half() -> None:
    """Two plane waves on equal halves of the box score a quarter each."""
    wave = np.where(X < N // 2, 1, np.exp(1j * tau * 8 * Y / N))
    assert phase_coherence(wave) == pytest.approx(0.25, abs=1e-12)


def test_phase_coherence_of_a_zero_field_is_defined() -> None:
    """Zero modulus has phase zero: no division by zero."""
    assert phase_coherence(np.zeros((8, 8), complex)) == 1


@pytest.mark.parametrize(("mode", "tail"), [(14, 0.0), (15, 0.2), (-15, 0.2)])
def test_spectral_tail_is_the_share_of_the_outer_tenth(mode: int, tail: float) -> None:
    """At N = 64 the band ends below 16 and its outer tenth begins above 14.4."""
    field = 2 + np.exp(1j * tau * mode * X / N)
    assert spectral_tail(field, N // 4) == pytest.approx(tail, abs=1e-12)
    assert spectral_tail(field.T, N // 4) == pytest.approx(tail, abs=1e-12)


def planted(charges: dict[tuple[float, float], int]) -> np.ndarray:
    """Return a smooth periodic phase field with the given vortices (their charges must add up to zero)."""
    psi = np.ones((N, N), complex)
    for (x, y), charge in charges.items():
        factor = np.ones((N, N), complex)
        for shift in range(-3, 4):  # images along y; the product over x is closed by the sine
            z = np.pi * ((X - x) + 1j * (Y - y + shift * N)) / N
            factor = factor * np.sin(z) / np.exp(np.abs(z.imag))
        psi = psi * (factor if charge > 0 else factor.conj())
    return psi


def test_planted_vortices_are_found_with_their_charges_and_places() -> None:
    """Each vortex is one plaquette of its charge, and nothing else is."""
    charges = {(10.4, 20.6): 1, (40.3, 20.6): -1, (25.5, 50.2): 1, (55.5, 44.5): -1}
    found = windings(planted(charges))
    expected = np.zeros((N, N), int)
    for (x, y), charge in charges.items():
        expected[int(x), int(y)] = charge
    assert np.array_equal(found[1:-1, 1:-1], expected[1:-1, 1:-1])


def test_total_winding_is_exactly_zero_on_the_torus() -> None:
    """Every edge is shared by two plaquettes, also for white noise with hundreds of defects."""
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(N, N)) + 1j * rng.normal(size=(N, N))
    found = windings(noise)
    assert np.count_nonzero(found) > 500
    assert found.sum() == 0
    assert set(np.unique(found)) == {-1, 0, 1}


@pytest.mark.parametrize("kind", [np.complex64, np.complex128])
def test_phases_are_the_quotient_by_the_modulus_to_the_last_bit(kind: type[np.complexfloating]) -> None:
    """Scores may not change with how a quotient is taken; where the field is zero it is 1."""
    rng = np.random.default_rng(5)
    psi = (rng.normal(size=(N, N)) + 1j * rng.normal(size=(N, N))).astype(kind)
    assert unit_phases(psi).tobytes() == (psi / np.abs(psi)).tobytes()
    psi[3, 5] = 0
    phases = unit_phases(psi)
    assert phases[3, 5] == 1
    assert phases.dtype == kind
    assert np.abs(np.abs(phases) - 1).max() < 1e-6


def test_defects_are_where_the_phase_winds() -> None:
    """Both in noise, with hundreds of either charge."""
    rng = np.random.default_rng(6)
    noise = rng.normal(size=(N, N)) + 1j * rng.normal(size=(N, N))
    assert np.array_equal(defects(noise), windings(noise) != 0)


def test_vortex_lattice_has_four_vortices_a_cell() -> None:
    """ψ = sin qx + i sin qy with two cells a side has sixteen vortices."""
    lattice = np.sin(2 * tau * (X + 0.3) / N) + 1j * np.sin(2 * tau * (Y + 0.3) / N)
    assert diagnose(lattice, N // 4).defect_count == 16


def test_densities_are_those_of_the_field() -> None:
    """mean_rho and max_rho are the mean and maximum of |ψ|²."""
    figures = diagnose(2j + np.cos(tau * X / N), N // 4)
    assert figures.mean_rho == pytest.approx(4.5)
    assert figures.max_rho == pytest.approx(5)


def seen(**changed: Any) -> Diagnostics:
    figures: dict[str, Any] = {
        "mean_rho": 0.7,
        "max_rho": 1.5,
        "pcs": 0.05,
        "spectral_tail": 1e-9,
        "defect_count": 20,
        **changed,
    }
    return Diagnostics(**figures)


AREA = 1e4


def scores(ending: Ending, *figures: Diagnostics) -> dict[str, Any]:
    """Return the content of metrics.json of a plane wave's history with these figures."""
    return metrics(made.artifact(made.plane_wave(1, 0), ending=ending, seen=figures, L=100.0))


def test_defect_density_is_the_mean_of_the_second_half_per_area() -> None:
    """Early frames do not count, and the unit of area is 10⁴."""
    history = [seen(defect_count=n) for n in (900, 900, 10, 20)]
    assert defect_density(history, 50.0**2) == pytest.approx(15 * 4)


def test_scores_of_a_good_run_are_numbers() -> None:
    """A run that ended well has these scores and no reason; in flat space there is no constraint."""
    found = scores(outcome.completed(10, 50), seen(spectral_tail=1e-8), seen())
    expected = {
        "status": "ok",
        "reason": None,
        "pcs": 0.05,
        "mean_rho": 0.7,
        "defect_count": 20,
        "defect_density": 20.0,
        "spectral_tail": 1e-8,
        "sdg_h_norm_l2": None,
    }
    assert expected.items() <= found.items()


def test_every_null_has_its_reason_and_nothing_else_has_one() -> None:
    """Whatever a run did, each score is a finite number or null with a sentence."""
    for ending in (
        outcome.completed(10, 50),
        outcome.dead(5.0, 25, 1e-9, 1e-6),
        outcome.metric_failed(3.0, 15),
    ):
        found = scores(ending, seen())
        assert set(found) == {"status", "reason", "reasons", *names()}
        assert {name for name in names() if found[name] is None} == set(found["reasons"])
        assert all(len(reason) > 10 for reason in found["reasons"].values())
        assert all(np.isfinite(found[name]) for name in names() if found[name] is not None)


def test_a_run_that_lost_resolution_has_no_scores_but_its_tail() -> None:
    """The reason says what to do."""
    ending = outcome.underresolved(5.0, 25, 3e-5, 1e-5)
    assert ending.reason is not None
    assert "more points" in ending.reason
    found = scores(ending, seen(), seen(spectral_tail=3e-5))
    assert (found["status"], found["spectral_tail"]) == ("underresolved_space", 3e-5)
    assert {name for name in names() if found[name] is not None} == {"spectral_tail"}


def test_a_field_that_died_out_has_no_phase_to_score() -> None:
    """Below a mean density of 1e-6 the phase means nothing."""
    found = scores(outcome.dead(5.0, 25, 1e-9, 1e-6), seen(mean_rho=1e-9))
    assert (found["status"], found["mean_rho"]) == ("dead", 1e-9)
    assert {name for name in names() if found[name] is not None} == {"mean_rho", "mass"}


@pytest.mark.parametrize(
    "ending",
    [
        outcome.blown_up(3.0, 15, float("nan")),
        outcome.metric_failed(3.0, 15),
        outcome.stopped(Status.CANCELLED, 3.0, 15),
        outcome.stopped(Status.TIMEOUT, 3.0, 15),
    ],
)
def test_a_run_that_did_not_complete_has_no_scores(ending: Ending) -> None:
    """No sentinel numbers: null, with the status and a reason."""
    found = scores(ending, seen())
    assert found["status"] == ending.status.value
    assert "t = 3" in str(found["reason"])
    assert {found[name] for name in names()} == {None}
