"""Transfers from a host, many times over: cut at random bytes, nothing is ever wrong at home."""

from pathlib import Path

import pytest

from tests.unit.compute.faraway import Faraway
from tests.unit.compute.test_collecting import cut_at_random

pytestmark = pytest.mark.integration


async def test_a_thousand_cuts_corrupt_nothing(tmp_path: Path) -> None:
    """However often a transfer is cut, no file has its name that is not whole, and all comes home."""
    far = Faraway(tmp_path)
    await cut_at_random(far, 1000)
    far.world.close()
