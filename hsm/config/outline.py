"""What the readers ask of a configuration, heard while they read an almost empty one.

There is no second list of keys: a key that a reader takes is a key of the outline, with the form it takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hsm.config.project import read_settings
from hsm.config.schema import read_spec
from hsm.config.tree import Place, Report, graft
from hsm.core.spec import Value

_NOWHERE = Place("")
_SWEEPS: tuple[Value, ...] = (
    {"sweep": {}, "sources": [{"source": "local"}], "analyses": {"NAME": {"command": ["?"]}}},
    {"hunt": {"objective": {}}},
    {"hunt": {"objective": [{}]}},
)
_PROJECT: Value = {"sources": {"local": {}}}


class Outline(Report):
    """A report that also keeps what is known, what it takes, and what must be there, by dotted path."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, list[str]] = {}
        self.forms: dict[str, Mapping[str, Any]] = {}
        self.defaults: dict[str, object] = {}
        self.required: dict[str, list[str]] = {}

    def allow(self, path: str, keys: Sequence[str]) -> None:
        self.known.setdefault(path, list(keys))

    def declare(self, path: str, schema: Mapping[str, Any], default: object = None) -> None:
        if len(schema) > 1 or path not in self.forms:  # that it is a map or a list is often said twice
            self.forms[path] = schema
        if default is not None:
            self.defaults[path] = default

    def require(self, path: str, key: str) -> None:
        words = self.required.setdefault(path, [])
        if key not in words:
            words.append(key)


def sweep_outline() -> Outline:
    """Return the outline of a sweep file."""
    outline = Outline()
    for sample in _SWEEPS:
        read_spec(graft(sample, _NOWHERE), {}, Path("/"), outline)
    return outline


def settings_outline() -> Outline:
    """Return the outline of `hsm.yaml` and of the files of user and site."""
    outline = Outline()
    read_settings(graft(_PROJECT, _NOWHERE), Path("/"), outline)
    return outline
