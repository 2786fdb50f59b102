"""Moments as text: ISO 8601 in UTC with milliseconds, the way every file of a sweep says when."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import lru_cache


def timestamp(at: float) -> str:
    """Return a moment, in seconds since the epoch, as `2026-11-22T10:28:28.123+00:00`."""
    second, milliseconds = divmod(int(at * 1000), 1000)
    return f"{_second(second)}.{milliseconds:03d}+00:00"


@lru_cache(maxsize=64)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
