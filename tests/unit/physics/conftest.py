"""Shared pieces of the physics tests: double precision, and a place for measured figures."""

import os
from collections.abc import Callable

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import pytest

from hsm.physics import backend
from hsm.physics.grid import ComplexField
from hsm.physics.parameters import Params
from tests.unit.physics import solving


@pytest.fixture(scope="session", autouse=True)
def _double_precision() -> None:
    """Let JAX keep float64."""
    backend.allow_double_precision()


@pytest.fixture(scope="session", name="solve")
def _solve() -> Callable[..., ComplexField]:
    return solving.solve


@pytest.fixture(scope="session", name="figure")
def _figure() -> Callable[[str, str], None]:
    """Print a measured figure for docs/explanation/physics.md; `pytest -rP` shows it."""
    return lambda name, value: print(f"figure: {name}: {value}")


@pytest.fixture(scope="session", name="params")
def _params() -> Callable[..., Params]:
    """Return validated parameters on a small grid."""
    return solving.make
