"""Canonical JSON: one text per value, on every machine, so that a hash of it is an identity.

UTF-8, keys sorted by code point, no spaces, shortest float repr, `-0.0` written as `0.0`. Integers and
floats stay distinct. Refused: NaN and infinities, keys that are not strings, strings that are not NFC
or hold NUL or lone surrogates, integers of more than 64 bits, depth over 32, text over 1 MiB.
"""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any

MAX_DEPTH = 32
MAX_BYTES = 1 << 20
MAX_INT = 1 << 63


class NotCanonical(ValueError):
    """A value that canonical JSON cannot say. `path` names the place, `$` being the root."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


_ENCODE = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), check_circular=False
).encode


def canonical_json(value: Any) -> str:
    """Return the canonical JSON text of a value.

    Raises:
        NotCanonical: the value holds something that has no canonical text.
    """
    text = _ENCODE(_checked(value, "$", 0))
    size = len(text) if text.isascii() else len(text.encode("utf-8"))
    if size > MAX_BYTES:
        raise NotCanonical("$", f"{size} bytes of JSON; the limit is {MAX_BYTES}")
    return text


def _checked(value: Any, path: str, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return _checked_text(value, path)
    if kind is bool or value is None:
        return value
    if kind is int or kind is float:
        return _checked_number(value, path)
    if depth >= MAX_DEPTH:
        raise NotCanonical(path, f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, dict):
        return {
            _checked_key(key, path): _checked(item, f"{path}.{key}", depth + 1) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_checked(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
    raise NotCanonical(path, f"a {kind.__name__} has no JSON form")


def _checked_number(value: Any, path: str) -> Any:
    if type(value) is int:
        if not -MAX_INT <= value < MAX_INT:
            raise NotCanonical(path, "integer of more than 64 bits; write it as a string")
        return value
    if not math.isfinite(value):
        raise NotCanonical(path, f"{value} is not a finite number")
    return value + 0.0  # -0.0 becomes 0.0


def _checked_key(key: Any, path: str) -> str:
    if type(key) is not str:
        raise NotCanonical(path, f"key {key!r} is not a string")
    return _checked_text(key, path)


def _checked_text(text: str, path: str) -> str:
    if text.isascii():
        if "\0" in text:
            raise NotCanonical(path, "text holds a NUL character")
        return text
    if "\0" in text or any(0xD800 <= ord(ch) < 0xE000 for ch in text):
        raise NotCanonical(path, "text holds a NUL character or a lone surrogate")
    if not unicodedata.is_normalized("NFC", text):
        raise NotCanonical(path, "text is not in Unicode normal form C")
    return text
