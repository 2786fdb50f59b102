"""Coherence and correlation of fields for which theory says what they are."""

from math import sqrt, tau

import numpy as np
import pytest

from hsm.physics.draws import Purpose
from hsm.physics.grid import Grid
from hsm.physics.measure.chance import NotComputable
from hsm.physics.measure.coherence import (
    RANGE,
    correlation_by_distance,
    correlation_length,
    local_coherence,
    order_of,
)
from hsm.physics.metrics import defect_count, diagnose, phase_coherence
from hsm.physics.scores import metrics
from tests.unit.physics import made

GRID = Grid(points=made.N, length=made.L)
SPACING = made.L / made.N
WHITE = np.exp(1j * np.random.default_rng(1).uniform(0, tau, (made.N, made.N)))


def test_local_coherence_of_plane_waves_falls_with_their_wave_number() -> None:
    """exp(−ℓ²q²): 1 for a uniform phase, whatever the modulus."""
    for m in (0, 1, 3, 6):
        q = tau * m / made.L
        wave = (2 + np.sin(tau * made.Y / made.N)) * made.plane_wave(m, 0)
        assert local_coherence(wave, GRID) == pytest.approx(np.exp(-((RANGE * q) ** 2)), rel=1e-9)


def test_local_coherence_of_chance_is_the_share_of_the_range() -> None:
    """(dx/(2√π ℓ))² in two dimensions."""
    assert local_coherence(WHITE, GRID) == pytest.approx((SPACING / (2 * sqrt(np.pi) * RANGE)) ** 2, rel=0.3)


@pytest.mark.parametrize(
    ("grid", "why"), [(Grid(points=64, length=15), "too small"), (Grid(points=64, length=200), "too coarse")]
)
def test_local_coherence_needs_a_box_and_a_grid_for_its_range(grid: Grid, why: str) -> None:
    """Else the number would be about the box or about the spacing."""
    with pytest.raises(NotComputable, match=why):
        local_coherence(WHITE, grid)


def test_correlation_length_of_a_gaussian_field_is_that_of_its_spectrum() -> None:
    """A spectrum exp(−k²s²) has the correlation exp(−r²/4s²), which is 1/e at 2s."""
    s, grid = 1.5, Grid(points=128, length=64.0)
    power = np.exp(-grid.k_squared_full() * s**2)
    phases = np.exp(1j * np.random.default_rng(2).uniform(0, tau, power.shape))
    assert correlation_length(np.fft.ifftn(np.sqrt(power) * phases), grid) == pytest.approx(2 * s, rel=0.01)
    found = [correlation_length(made.gaussian_field(seed, power), grid) for seed in range(12)]
    assert np.mean(found) == pytest.approx(2 * s, rel=0.05)


def test_correlation_does_not_see_a_plane_wave_or_the_size_of_the_field() -> None:
    """|⟨ψ*(x)ψ(x+r)⟩|/⟨ρ⟩ is the same for ψ and 3ψe^{iqx}."""
    field = made.gaussian_field(3, np.exp(-made.k_squared() / 50))
    one, other = (
        correlation_by_distance(field)[1],
        correlation_by_distance(3 * field * made.plane_wave(4, 1))[1],
    )
    assert one == pytest.approx(other, abs=1e-12)


def test_no_correlation_length_outside_of_what_the_grid_can_tell() -> None:
    """White noise forgets itself at once, a plane wave never: neither gets a number."""
    with pytest.raises(NotComputable, match="within one grid spacing"):
        correlation_length(WHITE, GRID)
    with pytest.raises(NotComputable, match="over half the box"):
        correlation_length(made.plane_wave(2, 1), GRID)


def test_pcs_of_a_plane_wave_is_one_and_is_not_significant() -> None:
    """Its surrogates are plane waves too: 1 is reached by chance, and p says so."""
    found = metrics(made.artifact(made.plane_wave(3, -2)))
    assert found["pcs"] == pytest.approx(1)
    assert (found["pcs_p_value"], found["pcs_local_p_value"]) == (1.0, 1.0)


def test_order_that_chance_does_not_have_is_told_from_its_surrogates() -> None:
    """A uniform phase under a rough modulus: surrogates have the same spectrum and no such phase."""
    rough = 0.2 + np.abs(made.gaussian_field(4, np.exp(-made.k_squared() / 60)))
    found = metrics(made.artifact(rough))
    assert found["pcs"] == pytest.approx(1)
    assert found["pcs_p_value"] == pytest.approx(0.01)
    assert found["pcs_local"] == pytest.approx(1)
    assert found["pcs_local_p_value"] == pytest.approx(0.01)
    assert found["defect_count"] == 0
    assert found["defect_density_null"] > 0  # type: ignore[operator]


def test_a_field_that_is_not_finite_has_no_scores_and_says_so() -> None:
    """No number is made of NaN, and JSON gets none."""
    field = made.plane_wave(1, 1).copy()
    field[3, 4] = np.nan
    found = metrics(made.artifact(field, seen=[diagnose(made.plane_wave(1, 1), 16)]))
    for name in ("pcs_local", "correlation_length", "structure_peak_k", "log_prime_sse", "pcs_p_value"):
        assert found[name] is None
        assert found["reasons"][name] == "the final field is not finite"  # type: ignore[index]


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_fields_measured_together_have_the_scores_that_each_has_alone(dimension: int) -> None:
    """pcs, pcs_local and the defects of a stack, as the null measures them."""
    grid = Grid(points=32, length=16.0, dimension=dimension)
    rng = np.random.default_rng(5)
    fields = rng.normal(size=(3, *grid.shape)) + 1j * rng.normal(size=(3, *grid.shape))
    alone = [[phase_coherence(psi), local_coherence(psi, grid), defect_count(psi)] for psi in fields]
    assert order_of(fields, grid) == pytest.approx(np.array(alone), rel=1e-9)


def test_surrogates_drawn_together_are_those_drawn_one_by_one() -> None:
    """How many are drawn at once changes none of them: the null of a field is what it was."""
    artifact = made.artifact(made.gaussian_field(6, np.exp(-made.k_squared() / 60)))
    drawn = artifact.surrogates.fields(Purpose.COHERENCE_NULL)
    alone = [order_of(next(drawn)[None], artifact.params.grid)[0] for _ in range(30)]
    assert artifact.order_null[:30] == pytest.approx(np.array(alone), rel=1e-6)
