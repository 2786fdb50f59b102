"""What the tests of the simulator share: a search for garbage after each sweep that is a short one."""

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def _little_garbage_to_look_through() -> None:
    """Let no simulation look again, when it is over, at what was there before the tests of a module."""
    gc.collect()
    gc.freeze()
