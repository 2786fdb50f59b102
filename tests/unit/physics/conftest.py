"""Shared pieces of the physics tests: double precision, and a solver for given steps."""

import os
from collections.abc import Callable

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hsm.physics import backend
from hsm.physics.etdrk4 import FlatRungeKutta, etdrk4
from hsm.physics.exponential import State
from hsm.physics.grid import ComplexField
from hsm.physics.initial import initial_band
from hsm.physics.parameters import Params, read_params
from hsm.physics.rates import rates
from hsm.physics.simulate import advance

DOUBLE = np.dtype(np.float64)


@pytest.fixture(scope="session", autouse=True)
def _double_precision() -> None:
    """Let JAX keep float64."""
    backend.allow_double_precision()


def solve(p: Params, h: float, steps: int, start: ComplexField | None = None) -> ComplexField:
    """Return ψ(x) after `steps` steps of ETDRK4; `start` is a physical field."""
    grid = p.grid
    v = initial_band(p, grid) if start is None else grid.band(start)
    scheme = etdrk4(p.equation.linear_symbol(grid), grid.active(), h, DOUBLE)
    stepper = FlatRungeKutta(scheme=scheme, rates=rates(p, DOUBLE))
    state, _, _ = advance(
        stepper, State(v=jax.device_put(v), past=jnp.zeros(0)), np.int64(0), np.int64(steps)
    )
    return grid.field(np.asarray(state.v))


@pytest.fixture(scope="session", name="solve")
def _solve() -> Callable[..., ComplexField]:
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
