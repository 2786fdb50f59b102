"""Command templates: `{name}` is replaced by a value's text, and nothing else ever happens.

It is not `str.format`: no attributes, no indices, no formats, so a value can neither be called nor
looked into. `{a.b}` reads the parameter `a.b`, or the key `b` of the parameter `a`; `{{` and `}}` are
braces. Also here: how a value is written for a program that reads Hydra's `name=value` arguments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from hsm.core.errors import ExitCode, HsmError
from hsm.core.spec import Value

RESERVED = ("project", "config_hash", "task_id", "seed", "results", "params")
"""Placeholders that HSM fills in itself."""

FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
_SPECIAL = re.compile(r"\{\{|\}\}|\{|\}")


class TemplateError(HsmError):
    """A template that cannot be read, or a name that it asks for in vain. `column` counts from 1."""

    code: ClassVar[str] = "config.template"
    exit_code: ClassVar[ExitCode] = ExitCode.USAGE

    def __init__(self, message: str, *, column: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.column = column


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that stays as it is, doubled braces already made single."""

    text: str


@dataclass(frozen=True, slots=True)
class Field:
    """A placeholder. `column` is that of its opening brace, counted from 1."""

    name: str
    column: int = 1


Part: TypeAlias = Literal | Field


def parse_template(text: str) -> list[Part]:
    """Split a template into literal text and fields.

    Raises:
        TemplateError: a brace stands alone, or what is in braces is not a name.
    """
    parts: list[Part] = []
    literal = ""
    position = 0
    while match := _SPECIAL.search(text, position):
        literal += text[position : match.start()]
        position = match.end()
        if len(match.group()) == 2:
            literal += match.group()[0]
            continue
        field, position = _field(text, match.start())
        if literal:
            parts.append(Literal(literal))
        parts.append(field)
        literal = ""
    literal += text[position:]
    return [*parts, Literal(literal)] if literal else parts


def _field(text: str, start: int) -> tuple[Field, int]:
    column = start + 1
    if text[start] == "}":
        raise TemplateError("'}' without '{'", column=column, hint="a brace that is meant is written '}}'")
    end = text.find("}", start)
    if end < 0:
        raise TemplateError(
            "'{' is never closed", column=column, hint="a brace that is meant is written '{{'"
        )
    name = text[start + 1 : end]
    if not FIELD_NAME.fullmatch(name):
        raise TemplateError(
            f"'{{{ascii(name)[1:-1]}}}' is not a placeholder: only a name, such as {{k}} or {{model.width}}",
            column=column,
            hint="braces that are meant are written '{{' and '}}'",
        )
    return Field(name, column), end + 1


def field_names(parts: Sequence[Part]) -> Iterator[str]:
    """Yield the names that a template asks for."""
    return (part.name for part in parts if isinstance(part, Field))


def render_argument(parts: Sequence[Part], values: Mapping[str, Value]) -> str:
    """Return the text of a template with every field replaced by its value.

    Raises:
        TemplateError: a field has no value.
    """
    return "".join(
        part.text if isinstance(part, Literal) else value_text(_look_up(part, values)) for part in parts
    )


def value_text(value: Value) -> str:
    """Return a value as a program reads it: true, null, shortest floats, lists and maps as compact JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _look_up(field: Field, values: Mapping[str, Value]) -> Value:
    found, value = find_value(field.name, values)
    if not found:
        raise TemplateError(f"'{{{field.name}}}' has no value", column=field.column)
    return value


def find_value(name: str, values: Mapping[str, Value]) -> tuple[bool, Value]:
    """Return whether `name` has a value, and the value: the flat name first, then key by key."""
    if name in values:
        return True, values[name]
    for index, character in enumerate(name):
        inner = values.get(name[:index]) if character == "." else None
        if isinstance(inner, Mapping):
            found, value = find_value(name[index + 1 :], inner)
            if found:
                return True, value
    return False, None


_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_KEYWORDS = frozenset({"true", "false", "null", "nan", "inf"})
_BEFORE_QUOTE = re.compile(r"(\\*)('|\Z)")
_BEFORE_INTERPOLATION = re.compile(r"(\\*)\$\{")
_KEY_SPECIAL = re.compile(r"[\\()\[\]{}:=, \t]")
_KEY_PLAIN = re.compile(r"[A-Za-z0-9_/\-\\+.$%*@?|()\[\]{}:=, \t]*")
_KEY_OTHER_TYPE = re.compile(
    r"[+-]?[0-9._]+(?:[eE][+-]?[0-9_]+)?|[+-]?(?:inf|nan)|true|false|null", re.IGNORECASE
)


def hydra_argument(name: str, value: Value) -> str:
    """Return `name=value` such that Hydra's override grammar reads exactly this value.

    Raises:
        TemplateError: a map has a key that the grammar cannot say.
    """
    return f"{name}={_hydra_value(value)}"


def _hydra_value(value: Value) -> str:
    if isinstance(value, str):
        return _hydra_text(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_hydra_key(key)}:{_hydra_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(_hydra_value, value)) + "]"
    return value_text(value)


def _hydra_text(text: str) -> str:
    if _BARE.fullmatch(text) and text.lower() not in _KEYWORDS:
        return text
    # OmegaConf halves the backslashes before an interpolation; an odd number keeps it from being one.
    text = _BEFORE_INTERPOLATION.sub(r"\1\1\\${", text)
    # Hydra halves those before a quote, the closing one included.
    return "'" + _BEFORE_QUOTE.sub(lambda m: m[1] * 2 + (r"\'" if m[2] else ""), text) + "'"


def _hydra_key(key: str) -> str:
    if not key or not _KEY_PLAIN.fullmatch(key) or _KEY_OTHER_TYPE.fullmatch(key) or key != key.strip():
        raise TemplateError(
            f"the key {key!a} of a map cannot be written as a Hydra argument",
            column=1,
            hint="use letters, digits and underscores, or let the program read the file params.yaml",
        )
    return _KEY_SPECIAL.sub(lambda m: "\\" + m[0], key)
