"""Shared pieces of the physics tests: double precision, and a solver for given steps."""

import os
from collections.abc import Callable

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import numpy as np
import pytest

from hsm.physics import backend
from hsm.physics.equation import Sncgl
from hsm.physics.etdrk4 import etdrk4
from hsm.physics.grid import Complex2D, Grid
from hsm.physics.initial import initial_band
from hsm.physics.parameters import Params, read_params
from hsm.physics.simulate import advance

DOUBLE = np.dtype(np.float64)
STRIDE = 10  # steps per call: one compilation serves every test of a grid size and set of terms


@pytest.fixture(scope="session", autouse=True)
def _double_precision() -> None:
    """Let JAX keep float64."""
    backend.allow_double_precision()


def solve(p: Params, h: float, steps: int, start: Complex2D | None = None) -> Complex2D:
    """Return ψ(x) after `steps` steps, a multiple of STRIDE; `start` is a physical field."""
    assert steps % STRIDE == 0
    grid = Grid(points=p.N, length=p.L)
    equation = Sncgl(params=p, grid=grid)
    v = initial_band(p, grid) if start is None else grid.band(start)
    stepper = etdrk4(equation.linear_symbol(), h, DOUBLE)
    nonlinear = equation.nonlinear(DOUBLE)
    for step in range(0, steps, STRIDE):
        v, _ = advance(v, np.float64(step * h), stepper, nonlinear, steps=STRIDE)
    return grid.field(np.asarray(v))


@pytest.fixture(scope="session", name="solve")
def _solve() -> Callable[..., Complex2D]:
    return solve


@pytest.fixture(scope="session", name="figure")
def _figure() -> Callable[[str, str], None]:
    """Print a measured figure for docs/explanation/physics.md; `pytest -rP` shows it."""
    return lambda name, value: print(f"figure: {name}: {value}")


@pytest.fixture(scope="session", name="params")
def _params() -> Callable[..., Params]:
    """Return validated parameters on a small grid."""
    return lambda **given: read_params(
        {"N": 32, "L": 16.0, "T": 10.0, "save_every": 1.0, "dtype": "f64", **given}
    )
