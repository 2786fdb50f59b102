"""How values and words are shown to a person, and what they may have meant."""

from __future__ import annotations

import difflib
import json
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

SHOWN_LENGTH = 60


def shown(value: Any) -> str:
    """Return a value for a message: JSON, cut short, control and direction characters escaped."""
    text = escaped(json.dumps(value, ensure_ascii=False))
    if len(text) <= SHOWN_LENGTH:
        return text
    return f"{text[: SHOWN_LENGTH - 20]} ... {text[-14:]}"


def escaped(text: str) -> str:
    """Return text with everything that a terminal might obey or hide written as an escape."""
    return "".join(ch if ch.isprintable() else ch.encode("unicode_escape", "replace").decode() for ch in text)


def key_shown(key: str) -> str:
    """Return a key in backticks, anything beyond ASCII escaped, so that look-alikes show."""
    text = ascii(key)[1:-1]
    return f"`{text if len(text) <= SHOWN_LENGTH else text[:SHOWN_LENGTH] + '...'}`"


def listed(words: Iterable[str], last: str = "or") -> str:
    """Return `a, b or c`."""
    *head, tail = list(words) or ["nothing"]
    return f"{', '.join(head)} {last} {tail}" if head else tail


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean `x`?`` for the nearest known word, or nothing."""
    candidates = list(dict.fromkeys(known))
    folded = {candidate.lower(): candidate for candidate in candidates}
    near = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return f"did you mean `{folded[near[0]]}`?" if near else ""


def homes_of(key: str, homes: Mapping[str, str]) -> str:
    """Return where a misplaced key belongs, or nothing."""
    return f"it belongs in `{homes[key]}`" if key in homes else ""


def text_fault(text: str) -> str:
    """Return why a text cannot be a value (NUL, lone surrogate, not NFC), or nothing."""
    if "\0" in text:
        return "it holds a NUL character"
    if text.isascii():
        return ""
    if any(0xD800 <= ord(ch) < 0xE000 for ch in text):
        return "it holds a lone surrogate"
    if not unicodedata.is_normalized("NFC", text):
        return "it is not in Unicode normal form C"
    return ""
