"""Numbers, times and counts as a person reads them in a terminal."""

from __future__ import annotations

from datetime import datetime

from hsm.core.monitor import Eta

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400


def duration(seconds: float | None) -> str:
    """Return a duration in at most two units: `0.4 s`, `45 s`, `1 min 12 s`, `3 h 5 min`, `2 d 4 h`."""
    if seconds is None:
        return "not known"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, size, below, part in (
        ("d", DAY_S, "h", HOUR_S),
        ("h", HOUR_S, "min", MINUTE_S),
        ("min", MINUTE_S, "s", 1),
    ):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit} {rest} {below}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def size(count: int) -> str:
    """Return a number of bytes: `12 B`, `3.4 kB`, `2.0 GB`."""
    for unit, unit_bytes in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= unit_bytes:
            return f"{count / unit_bytes:.1f} {unit}"
    return f"{count} B"


def rough(seconds: float) -> str:
    """Return a duration in one unit, for what is an estimate: `40 s`, `12 min`, `3.5 h`, `2.1 d`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * MINUTE_S:
        return f"{round(seconds / MINUTE_S)} min"
    if seconds < 36 * HOUR_S:
        return f"{seconds / HOUR_S:.1f} h"
    return f"{seconds / DAY_S:.1f} d"


def eta(value: Eta) -> str:
    """Return a time to go with its range, all in one unit: `~12 min (9 to 16 min)`."""
    unit, size = next(
        (unit, size)
        for unit, size, limit_s in (
            ("s", 1, 90),
            ("min", MINUTE_S, 90 * MINUTE_S),
            ("h", HOUR_S, 36 * HOUR_S),
            ("d", DAY_S, float("inf")),
        )
        if value.high_s < limit_s
    )
    digits = 0 if unit == "s" or value.likely_s >= 10 * size else 1
    low, likely, high = (
        f"{max(seconds / size, 1 if unit == 's' else 0):.{digits}f}"
        for seconds in (value.low_s, value.likely_s, value.high_s)
    )
    return f"~{likely} {unit}" if low == high else f"~{likely} {unit} ({low} to {high} {unit})"


def rate(per_second: float | None) -> str:
    """Return a rate in a unit that leaves digits to read: `12/s`, `3.4/min`, `0.8/h`."""
    if per_second is None:
        return ""
    for unit, size in (("s", 1), ("min", MINUTE_S)):
        if per_second * size >= 1:
            return f"{per_second * size:.3g}/{unit}"
    return f"{per_second * HOUR_S:.2g}/h"


def plural(count: int, noun: str) -> str:
    """Return `1 task`, `1,200 tasks`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def clock(at: float | None) -> str:
    """Return the time of day where the user is."""
    return "" if at is None else f"{datetime.fromtimestamp(at).astimezone():%H:%M:%S}"


def moment(at: float | None) -> str:
    """Return day and time where the user is."""
    return "" if at is None else f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M}"


def moment_s(at: float | None) -> str:
    """Return day and time to the second where the user is."""
    return "" if at is None else f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M:%S}"


def clipped(text: str, width: int, mark: str = "…") -> str:
    """Return text cut to `width` characters, with a mark where something is missing."""
    return text if len(text) <= width else text[: max(0, width - len(mark))] + mark
