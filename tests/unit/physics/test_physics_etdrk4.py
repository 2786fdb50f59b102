"""The integrator: its coefficients and its order."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import factorial, tau

import numpy as np
import pytest

from hsm.physics import contour
from hsm.physics.contour import circle_mean, circle_means
from hsm.physics.etdrk4 import etdrk4
from hsm.physics.parameters import Params
from hsm.physics.plan import plan
from tests.unit.physics.solving import order, shown, sncgl

Solve = Callable[..., np.ndarray]
Make = Callable[..., Params]
Figure = Callable[[str, str], None]


H = 0.7
# around zero, around the radius where a unit circle would meet the origin, and far out
POINTS = np.array(
    [
        0,
        1e-9,
        0.3j,
        -0.4 + 0.2j,
        -1,
        *np.exp(1j * tau * np.array([0.0, 1 / 64, 0.25, 0.4])),
        1.4j,
        -3 + 8j,
        -40 - 55j,
    ]
)


def phi(order: int, z: complex) -> complex:
    """Return φ_k(z) = Σ_j z^j/(j+k)!, by its series near zero and by recursion elsewhere."""
    if abs(z) < 3:
        return sum(z**j / factorial(j + order) for j in range(40))
    value = np.exp(z)
    for k in range(order):
        value = (value - 1 / factorial(k)) / z
    return complex(value)


@pytest.mark.parametrize("z", POINTS)
def test_coefficients_equal_the_phi_functions(z: complex) -> None:
    """Each coefficient is its combination of φ-functions at complex z, to rounding."""
    scheme = etdrk4(np.array([[z / H]]), np.array([[True]]), H, np.dtype(np.float64))
    p1, p2, p3 = (phi(k, z) for k in (1, 2, 3))
    expected = {
        "whole": np.exp(z),
        "half": np.exp(z / 2),
        "q": H * phi(1, z / 2) / 2,
        "f1": H * (p1 - 3 * p2 + 4 * p3),
        "f2_twice": 2 * H * (p2 - 2 * p3),
        "f3": H * (4 * p3 - p2),
    }
    for name, value in expected.items():
        assert complex(getattr(scheme, name)[0, 0]) == pytest.approx(value, rel=1e-12, abs=1e-13), name


def test_how_many_points_of_a_circle_are_evaluated_together_changes_no_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Runs at one resolution and sizes of a batch have the same coefficients, whatever fits the cache."""
    together = circle_mean(np.exp, POINTS)
    monkeypatch.setattr(contour, "AT_ONCE", 3 * POINTS.size)
    assert circle_mean(np.exp, POINTS).tobytes() == together.tobytes()


def test_means_that_share_a_circle_are_what_each_has_alone() -> None:
    """Coefficients may not depend on which others are asked for with them."""
    both = circle_means(lambda w: (np.exp(w), w**2 / 3), POINTS)
    alone = circle_mean(np.exp, POINTS), circle_mean(lambda w: w**2 / 3, POINTS)
    assert [mean.tobytes() for mean in both] == [mean.tobytes() for mean in alone]
    assert [mean.tobytes() for mean in circle_means(partial(contour.phi, 2), POINTS)] == [
        circle_mean(function, POINTS).tobytes()
        for function in (lambda w: (np.exp(w) - 1) / w, lambda w: (np.exp(w) - (1 + w)) / w**2)
    ]


def test_the_steppers_of_a_plan_are_built_once(params: Make) -> None:
    """Their coefficients take some milliseconds, and are asked for by the cache's key and by the run."""
    prepared = plan(params(T=1))
    prepared.structure()
    assert prepared.program(1.0) is prepared.program(1.0)
    assert replace(prepared, schedule=replace(prepared.schedule, h=0.01)).program(1.0).main.h == 0.01


def test_order_on_an_exact_plane_wave(solve: Solve, params: Make, figure: Figure) -> None:
    """The error against the exact plane wave falls with the fourth power of the step."""
    p = params(init_kind="plane_wave", init_mode_x=1, init_mode_y=1, b=2, c=-1, chi=0.3, d_chi=1.5, ell=2)
    start = solve(p, 0.1, 0)
    steps, errors = [0.2, 0.1, 0.05], []
    for h in steps:
        end = solve(p, h, round(4 / h))
        errors.append(float(np.abs(end - start * np.exp(-1j * frequency(p) * 4)).max()))
    figure(
        "plane wave, T = 4: order; errors at h = 0.2, 0.1, 0.05",
        f"{order(steps, errors):.2f}; {shown(errors)}",
    )
    assert 3.9 <= order(steps, errors) <= 4.2


def frequency(p: Params) -> float:
    """Return ω = bq² + cF² − χ d_χ (Ĝ − 1) of the plane wave of the initial mode numbers."""
    q2 = (tau / p.L) ** 2 * (p.init_mode_x**2 + p.init_mode_y**2)
    coupling = sncgl(p).chi * (np.exp(-(sncgl(p).ell ** 2) * q2 / 2) - 1)
    return sncgl(p).b * q2 + sncgl(p).c * (sncgl(p).mu - q2 + coupling) - sncgl(p).d_chi * coupling


def test_order_in_turbulence_with_every_term_on(solve: Solve, params: Make, figure: Figure) -> None:
    """The error against a fine reference is of order four where nothing is symmetric or stationary."""
    source = {"source_kind": "sites", "source_s0": 0.3, "source_omega": 2}
    p = params(b=1, c=-2, eta=0.3, sigma=1.0, chi=0.4, d_chi=2, **source)
    developed = solve(p, 0.1, 200)
    assert np.std(np.abs(developed) ** 2) > 0.2
    reference = solve(p, 0.003125, 640, developed)
    steps, errors = [0.05, 0.025, 0.0125], []
    for h in steps:
        end = solve(p, h, round(2 / h), developed)
        errors.append(float(np.linalg.norm(end - reference) / np.linalg.norm(reference)))
    name = "turbulence, all terms, T = 2: order; errors at h = 0.05, 0.025, 0.0125"
    figure(name, f"{order(steps, errors):.2f}; {shown(errors)}")
    assert 3.9 <= order(steps, errors) <= 4.2
    assert errors[0] < 1e-5
