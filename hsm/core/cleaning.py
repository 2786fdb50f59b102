"""Text of others made fit for a terminal. Apart from all else, for every command prints."""

from __future__ import annotations

import re

_CONTROLS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def clean(text: str) -> str:
    """Return text with every control and direction character escaped, fit for a terminal and one line."""
    return _CONTROLS.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)
