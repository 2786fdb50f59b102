"""What an unquoted word in a YAML file means: YAML 1.2, and an error where YAML 1.1 would differ badly."""

from __future__ import annotations

import math
import re

from hsm.config.tree import Scalar

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_BASED = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NONFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_UNDERSCORED = re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?")
_BINARY = re.compile(r"[-+]?0b[01_]+")
_NUMBER_START = frozenset("+-.0123456789")
_MAX_INT = 1 << 63


class DoubtfulScalar(ValueError):
    """A word that means different things to different readers, or that no parameter can be."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def resolve(word: str) -> Scalar:
    """Return the value of an unquoted word.

    Raises:
        DoubtfulScalar: it must be written in another way.
    """
    if word in _NULL:
        return None
    if word in _BOOL:
        return _BOOL[word]
    if word[0] not in _NUMBER_START:
        return word
    return _number(word)


def _number(word: str) -> Scalar:
    if _INT.fullmatch(word) or _BASED.fullmatch(word):
        return _integer(word)
    _refuse_doubtful(word)
    return _real(word) if _FLOAT.fullmatch(word) else word


def _integer(word: str) -> int:
    value = int(word, 0) if len(word) < 25 else _MAX_INT
    if not -_MAX_INT <= value < _MAX_INT:
        raise DoubtfulScalar(f"`{word[:40]}` needs more than 64 bits", "write it as text, in quotes")
    return value


def _real(word: str) -> float:
    value = float(word)
    if math.isinf(value):
        raise DoubtfulScalar(f"`{word[:40]}` is too large for a number", "the largest is about 1.8e308")
    if value == 0 and re.match(r"[^eE]*[1-9]", word):
        raise DoubtfulScalar(
            f"`{word[:40]}` is too small for a number: it would be 0", "write 0.0 if so meant"
        )
    return value


def _refuse_doubtful(word: str) -> None:
    if _NONFINITE.fullmatch(word):
        raise DoubtfulScalar(
            f"`{word}` is not a finite number",
            "parameters must be finite; for a program that reads the word, quote it",
        )
    if _LEADING_ZERO.fullmatch(word):
        raise DoubtfulScalar(
            f"`{word}` {_octal_reading(word)}", f"write {int(word[:30])}, or '{word}' for text"
        )
    if "_" in word and _UNDERSCORED.fullmatch(word):
        digits = word.replace("_", "")
        raise DoubtfulScalar(
            f"`{word}` is a number to some readers of YAML and text to others",
            f"write {digits}, or '{word}' for text",
        )
    if _BINARY.fullmatch(word):
        raise DoubtfulScalar(
            f"`{word}` is a number to some readers of YAML and text to others",
            f"write {int(word.replace('_', ''), 2)}, or '{word}' for text",
        )


def _octal_reading(word: str) -> str:
    digits = word.lstrip("+-")
    if set(digits) <= set("01234567"):
        return f"is {int(digits[:30], 8)} to YAML 1.1 and {int(digits[:30])} to YAML 1.2"
    return f"is text to YAML 1.1 and {int(digits[:30])} to YAML 1.2"
