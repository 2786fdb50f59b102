"""The balance of mass: what the steps did against what the equation says."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

import hsm.physics.balance
from hsm.physics.balance import LEAST, STEPS, Ledger, residual
from hsm.physics.parameters import Params
from hsm.physics.scores import largest_rise, metrics
from tests.unit.physics import made, solving

ROWS = ("t", "mass", "rate")


def balance(p: Params, h: float, steps: int) -> Mapping[str, NDArray[np.float64]]:
    """Return the balance of the last steps of a run."""
    rows = solving.run(p, h, steps)[-1].balance
    return dict(zip(ROWS, np.array(rows).reshape(-1, 3).T, strict=True))


def found(p: Params, h: float, duration: float = 2.0) -> float:
    value = residual(balance(p, h, round(duration / h)))
    assert value is not None
    return value


@pytest.mark.slow
@pytest.mark.parametrize("given", [{}, {"source_s0": 0.3, "source_omega": 1.0}], ids=["free", "driven"])
def test_mass_is_balanced_to_the_order_of_the_steps(given: dict[str, object]) -> None:
    """With every term on, and with a source, the residual falls at least as h^3.5 and is small."""
    p = solving.every_term(2, **given)
    coarse, fine = found(p, 0.1), found(p, 0.05)
    assert fine < 3e-6
    assert np.log2(coarse / fine) > 3.5


def test_a_wrong_gain_is_seen_as_large_as_it_is() -> None:
    """Rates of a gain that is 1 % larger leave 2 · 0.01 unbalanced: the residual is a growth rate of mass."""
    p, wrong = (solving.make(mu=mu, init_amp=0.4) for mu in (1.0, 1.01))
    rows = balance(p, 0.05, 40)
    psi = solving.solve(p, 0.05, 40)
    band = p.grid.band(psi)
    right_row, wrong_row = (Ledger(params=each).row(2.0, band, None) for each in (p, wrong))
    assert right_row[1:] == pytest.approx((rows["mass"][-1], rows["rate"][-1]), rel=1e-9)
    assert (wrong_row[2] - right_row[2]) / right_row[1] == pytest.approx(0.02, rel=1e-6)
    shifted = {**rows, "rate": rows["rate"] + 0.02 * rows["mass"]}
    assert residual(shifted) == pytest.approx(0.02, rel=1e-4)


def test_the_last_steps_are_balanced_and_no_more() -> None:
    """Five states, h apart, up to the end; those of the chunk where it is shorter; too few give no number."""
    p = solving.make(init_amp=0.4)
    assert balance(p, 0.1, 20)["t"] == pytest.approx([1.6, 1.7, 1.8, 1.9, 2.0])
    assert balance(p, 0.1, 20)["t"].size == STEPS + 1
    short = balance(p, 0.1, 2)
    assert short["t"] == pytest.approx([0.0, 0.1, 0.2])
    assert residual(short) is not None
    assert residual(balance(p, 0.1, LEAST - 1)) is None


def test_balancing_changes_no_bit_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps taken one by one are the steps of a chunk."""
    p = solving.make(init_amp=0.4)
    balanced = solving.solve(p, 0.1, 20)
    monkeypatch.setattr(hsm.physics.balance, "STEPS", 0)
    assert np.array_equal(solving.solve(p, 0.1, 20), balanced)
    assert len(solving.run(p, 0.1, 20)[-1].balance) == 1


def test_a_run_without_balance_says_why() -> None:
    """Null and a reason, not 0."""
    scores = metrics(made.artifact(made.plane_wave(1, 0)))
    assert scores["mass_balance_residual"] is None
    assert "too few steps" in scores["reasons"]["mass_balance_residual"]  # type: ignore[index]


def test_the_lyapunov_functional_is_watched_only_where_it_is_one() -> None:
    """Where b = c and nothing drives the field it must fall; elsewhere its rise means nothing and is null."""
    wave = made.plane_wave(1, 0)
    frames: list[dict[str, float | None]] = [
        {**made.artifact(wave).frames[0], "free_energy": value} for value in (-1.0, -4.0, -3.0, -5.0)
    ]
    falls = metrics(made.artifact(wave, frames=frames, b=0.5, c=0.5))
    assert falls["lyapunov_rise"] == pytest.approx(1 / 5)
    assert largest_rise([3.0, 2.0, 1.0]) == largest_rise([3.0]) == 0
    for given, why in (
        ({"b": 2.0, "c": -1.0}, "no gradient flow"),
        ({"b": 0.5, "c": 0.5, "source_kind": "uniform"}, "source"),
        ({"b": 0.5, "c": 0.5, "chi": 1.0}, "no gradient flow"),
        ({"b": 0.5, "c": 0.5, "kappa": 0.1}, "curved"),
    ):
        scores = metrics(made.artifact(wave, frames=frames, **given))
        assert scores["lyapunov_rise"] is None
        assert why in scores["reasons"]["lyapunov_rise"]  # type: ignore[index]


def test_free_energy_falls_along_a_gradient_flow_and_not_along_others() -> None:
    """B = c against b ≠ c, from the same start: the positive and the negative control."""
    rises = {}
    for c in (0.7, -2.0):
        p = solving.make(b=0.7, c=c, init_amp=0.4)
        psi = [solving.solve(p, 0.1, steps) for steps in range(100, 200, 10)]
        rises[c] = largest_rise([p.equation.free_energy(each, p.grid) or 0.0 for each in psi])
    assert rises[0.7] == 0
    assert rises[-2.0] > 1e-3
