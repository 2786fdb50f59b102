"""Shared pieces of the long physics tests: double precision, and a place for measured figures."""

import os
from collections.abc import Callable

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import pytest

from hsm.physics import backend


@pytest.fixture(scope="session", autouse=True)
def _double_precision() -> None:
    """Let JAX keep float64."""
    backend.allow_double_precision()


@pytest.fixture(scope="session", name="figure")
def _figure() -> Callable[[str, str], None]:
    """Print a measured figure for docs/explanation/physics.md; `pytest -rP` shows it."""
    return lambda name, value: print(f"figure: {name}: {value}")
