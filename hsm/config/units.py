"""Durations (`90s`, `1h30m`, `HH:MM:SS`) and sizes (`1GiB`, `500MB`): reading and writing."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from hsm.core.errors import ConfigError, Problem

DURATION_FORM = "a duration such as 90s, 10m, 1h30m, 2d or 01:30:00"
SIZE_FORM = "a size such as 500MB or 1GiB"

_SECONDS: Mapping[str, int] = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_UNITS = re.compile(r"(?:([0-9.]+)d)? ?(?:([0-9.]+)h)? ?(?:([0-9.]+)m)? ?(?:([0-9.]+)s)?")
_CLOCK = re.compile(r"(?:([0-9]+)-)?([0-9]+):([0-5][0-9]):([0-5][0-9](?:\.[0-9]+)?)")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)")
_BYTES: Mapping[str, int] = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
_MAX = 1 << 62

DURATION_PATTERN = rf"^(?:(?=.){_UNITS.pattern}|{_CLOCK.pattern})$"
SIZE_PATTERN = rf"^[0-9]+(?:\.[0-9]+)? ?(?:{'|'.join(_BYTES)})$"
"""What an editor takes for a duration and a size."""


def duration(text: str) -> float:
    """Return a duration in seconds.

    Raises:
        ConfigError: it is none, or it has no unit.
    """
    seconds = _duration(text.strip())
    if seconds is None or not math.isfinite(seconds) or seconds > _MAX:
        raise _unfit(text, DURATION_FORM, _duration_hint(text.strip()))
    return seconds


def _duration(text: str) -> float | None:
    if match := _CLOCK.fullmatch(text):
        days, hours, minutes, seconds = match.groups()
        return int(days or 0) * 86400.0 + int(hours) * 3600.0 + int(minutes) * 60.0 + float(seconds)
    match = _UNITS.fullmatch(text)
    if not match or not text or text.endswith(" "):
        return None
    try:
        amounts = [float(group or 0) for group in match.groups()]
    except ValueError:
        return None
    return math.fsum(amount * unit for amount, unit in zip(amounts, _SECONDS.values(), strict=True))


def _duration_hint(text: str) -> str:
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", text):
        return f"add the unit: {text}s or {text}m"
    if match := re.fullmatch(r"([0-9]+):([0-9]{1,2})", text):
        return f"is it {match[1]}m{match[2]}s or {match[1]}h{match[2]}m?"
    return ""


def size(text: str) -> int:
    """Return a size in bytes. `MB` is 10^6, `MiB` is 2^20.

    Raises:
        ConfigError: it is none, or its unit is missing or doubtful.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match or match[2] not in _BYTES or float(match[1]) * _BYTES[match[2]] > _MAX:
        raise _unfit(text, SIZE_FORM, _size_hint(match) if match else "")
    return round(float(match[1]) * _BYTES[match[2]]) if "." in match[1] else int(match[1]) * _BYTES[match[2]]


def _size_hint(match: re.Match[str]) -> str:
    letter = match[2][:1].upper()
    if not letter:
        return f"add the unit: {match[1]}MiB or {match[1]}GiB"
    if letter in "KMGT" and match[2] not in _BYTES:
        return f"did you mean {match[1]}{letter}iB (powers of 1024) or {match[1]}{letter}B (powers of 1000)?"
    return ""


def _unfit(text: str, expected: str, hint: str) -> ConfigError:
    return ConfigError([Problem(where="", message=f"{ascii(text)[:80]} is not {expected}", hint=hint)])


def render_duration(seconds: float) -> str:
    """Return the shortest text that `duration` reads as exactly this number of seconds."""
    for letter, unit in _SECONDS.items():
        if seconds >= unit and seconds % unit == 0:
            return f"{int(seconds // unit)}{letter}"
    text = f"{seconds:.18f}".rstrip("0").rstrip(".") if seconds < 1e-4 else repr(float(seconds))
    return f"{text}s"


def render_size(count: int) -> str:
    """Return the shortest text that `size` reads as exactly this number of bytes."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if count and count % _BYTES[unit] == 0:
            return f"{count // _BYTES[unit]}{unit}"
    return f"{count}B"
