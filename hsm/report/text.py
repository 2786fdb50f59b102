"""Values as a reader wants to see them: numbers, durations, sizes, and text that cannot play tricks."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from hsm.core.spec import Value

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_URL_LOGIN = re.compile(r"://[^/\s@]+@")
_SECRET_NAME = re.compile(r"passw|secret|token|credential|api_?key|private_?key", re.IGNORECASE)

REDACTED = "(redacted)"


def visible(text: str, *, keep: str = "") -> str:
    r"""Return `text` with control, bidirectional and other invisible characters written out (`\x1b`).

    Characters in `keep` (line ends and tabs of a log, say) stay as they are.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char in keep or unicodedata.category(char) not in _HIDDEN else _written_out(char)
        for char in text
    )


def _written_out(char: str) -> str:
    code = ord(char)
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char)
    if named:
        return named
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shorten(text: str, limit: int) -> str:
    """Return `text` in at most `limit` characters, with an ellipsis where it was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def redact(text: str) -> str:
    """Take the login out of every URL: a remote's address may carry a token."""
    return _URL_LOGIN.sub("://…@", text)


def redact_named(name: str, value: str) -> str:
    """Return a value of the metadata, or a notice where its name says that it is a secret."""
    return REDACTED if _SECRET_NAME.search(name) else redact(value)


def plain(value: Value) -> str:
    """Return a parameter value in full: text as it is if there is any, everything else as JSON."""
    if isinstance(value, str) and value:
        return value
    return json.dumps(_jsonable(value), ensure_ascii=False)


def _jsonable(value: Value) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {name: _jsonable(item) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [_jsonable(item) for item in value]
    return value


def number(value: float, *, digits: int = 5) -> str:
    """Return a number in at most `digits` significant digits; whole numbers in full."""
    if isinstance(value, int):
        return str(value)
    return f"{value:.{digits}g}" if math.isfinite(value) else str(value)


def column(values: Sequence[float]) -> list[str]:
    """Format the numbers of one table column alike, so that right alignment lines up their digits."""
    if all(isinstance(value, int) for value in values):
        return [str(value) for value in values]
    if any(abs(value) >= 1e9 for value in values):
        return [f"{value:.3e}" for value in values]
    exact = next((d for d in range(7) if all(round(value, d) == value for value in values)), None)
    decimals = _decimals(values) if exact is None else exact
    return [f"{value:.3e}" if decimals is None else f"{value:.{decimals}f}" for value in values]


def _decimals(values: Sequence[float]) -> int | None:
    """Return the decimals that leave the largest value four digits and the smallest three; None if many."""
    sizes = [math.floor(math.log10(abs(value))) for value in values if value and math.isfinite(value)]
    if not sizes:
        return 1
    decimals = max(0, 3 - max(sizes), 2 - min(sizes))
    return decimals if decimals <= 5 else None


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: `4 min 12 s`, `1 d 3 h`."""
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.1f} s"
    rest = round(seconds)
    if rest < 60:
        return f"{rest} s"
    for (unit, name), (small, minor) in pairwise(_UNITS):
        if rest >= unit:
            return f"{rest // unit} {name} {rest % unit // small} {minor}"
    return f"{rest} s"


_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def size(count: float) -> str:
    """Return a number of bytes in a binary unit."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.3g} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1024
    return f"{count:.3g} TiB"


def moment(at: float | None) -> str:
    """Return a time in UTC to the second."""
    if at is None:
        return "not known"
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def count(amount: int, noun: str, plural: str = "") -> str:
    """Return `1 task`, `2,000 tasks`."""
    return f"{amount:,} {noun if amount == 1 else plural or noun + 's'}"
