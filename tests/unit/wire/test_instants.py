"""Moments as text."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from hsm.wire.instants import timestamp


@given(st.floats(0, 4e9))
def test_a_moment_is_told_to_the_millisecond(at: float) -> None:
    """What is written reads back as the same moment, in UTC, at most a millisecond early."""
    told = datetime.fromisoformat(timestamp(at))
    assert told.utcoffset() is not None
    assert -1e-6 <= at - told.timestamp() < 0.001 + 1e-6
    assert len(timestamp(at)) == len("2026-11-22T10:28:28.123+00:00")
