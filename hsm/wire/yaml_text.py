"""YAML written by hand: one `key: value` line per entry, values as JSON that every YAML reader agrees on.

YAML 1.1 readers take `1e-05` for a string, `no` for a boolean and `1:30` for a number. So floats get a
point and a signed exponent, and every string is double-quoted.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, Mapping

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_RESERVED = frozenset(
    "y n yes no on off true false null none".split()  # what YAML 1.1 reads as something else
)
_PLAIN_TEXT = re.compile(r"[ !#-\[\]-~]*")  # what is quoted as it is
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")

_quote = json.JSONEncoder(ensure_ascii=False).encode


def yaml_value(value: Any) -> str:
    """Return a value in flow style, on one line."""
    if isinstance(value, str):
        return _text(value)
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value) if value is not True and value is not False else "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)}: {yaml_value(v)}" for k, v in value.items()) + "}"
    return "[" + ", ".join(yaml_value(item) for item in value) + "]"


def yaml_lines(mapping: Mapping[str, Any]) -> str:
    """Return a mapping as one line per key; an empty one as `{}`."""
    if not mapping:
        return "{}\n"
    return "".join(f"{_key(key)}: {yaml_value(value)}\n" for key, value in mapping.items())


@lru_cache(maxsize=4096)
def _key(key: str) -> str:
    plain = _PLAIN_KEY.fullmatch(key) and key.lower() not in _RESERVED
    return key if plain else _text(key)


def _float(value: float) -> str:
    text = repr(value)
    if text in ("nan", "inf", "-inf"):
        return "." + text if text[0] != "-" else "-.inf"
    mantissa, e, exponent = text.partition("e")
    if "." not in mantissa:
        mantissa += ".0"
    if e and exponent[0] not in "+-":
        exponent = "+" + exponent
    return mantissa + e + exponent


def _text(text: str) -> str:
    if _PLAIN_TEXT.fullmatch(text):
        return f'"{text}"'
    quoted = _quote(text)
    if quoted.isascii() and "\x7f" not in quoted:
        return quoted
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match.group()):04x}", quoted)
