"""The order in time of every integrator and metric mode, with every term on and a complex linear part."""

import pytest

from hsm.physics.grid import ComplexField
from hsm.physics.parameters import Params
from tests.unit.physics.solving import Figure, convergence, developed, every_term, shown, solve

pytestmark = pytest.mark.integration
SOURCE = {"source_kind": "sites", "source_s0": 0.3, "source_omega": 2, "source_sites": 3, "source_width": 2}
T = 1.0


def problem(dimension: int, **more: object) -> Params:
    return every_term(dimension, **SOURCE, **more)


def start(dimension: int) -> ComplexField:
    return developed(problem(dimension), 0.1, 60)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_runge_kutta_is_of_order_four_in_flat_space(dimension: int, figure: Figure) -> None:
    """In one, two and three dimensions."""
    slope, errors = convergence(problem(dimension), start(dimension), T, (20, 40, 80), 320)
    figure(f"order of ETDRK4, flat, {dimension}-D, h = 1/20, 1/40, 1/80", f"{slope:.2f}; {shown(errors)}")
    assert 3.9 <= slope <= 4.2


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_adams_bashforth_is_of_order_four_in_flat_space(dimension: int, figure: Figure) -> None:
    """Its reference is the other integrator, so that both converge to one solution."""
    fine = solve(problem(dimension), T / 640, 640, start(dimension))
    p = problem(dimension, integrator="etdab4")
    slope, errors = convergence(p, start(dimension), T, (40, 80, 160), fine)
    figure(f"order of ETDAB4, flat, {dimension}-D, h = 1/40, 1/80, 1/160", f"{slope:.2f}; {shown(errors)}")
    assert 3.8 <= slope <= 4.2


@pytest.mark.parametrize("dimension", [2, 3])
def test_metric_modes_have_their_orders(dimension: int, figure: Figure) -> None:
    """By stage and extrapolated 4, frozen 1, all against one fine solution with the metric by stage."""
    begin = start(dimension)

    def curved(mode: str) -> Params:
        return problem(dimension, kappa=0.3, metric=mode)

    fine = solve(curved("stage"), T / 320, 320, begin)
    bounds = {"stage": (3.9, 4.2), "extrapolated": (3.8, 4.3), "frozen": (0.9, 1.1)}
    counts = (40, 80, 160) if dimension == 2 else (20, 40, 80)
    for mode, (low, high) in bounds.items():
        slope, errors = convergence(curved(mode), begin, T, counts, fine)
        steps = ", ".join(f"1/{count}" for count in counts)
        figure(f"order with metric {mode}, {dimension}-D, h = {steps}", f"{slope:.2f}; {shown(errors)}")
        assert low <= slope <= high, mode
