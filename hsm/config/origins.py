"""Where each value of a resolved sweep comes from: flag, file with line, environment variable, or default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hsm.config.project import DEFAULT_OUTPUTS, Project
from hsm.config.settings import Layer, layer_of
from hsm.config.tree import Node, Place
from hsm.config.units import duration
from hsm.core.spec import SourceSpec, SweepSpec, Value

_OPEN = ("sweep.grid", "hunt.space")
_RECURSED = ("program", "sweep", "sweep.grid", "hunt", "hunt.space", "hunt.objective", "resources", "retry")
_OF_A_SOURCE = ("slots", "python", "venv", "conda", "modules", "setup", "variables", "options")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One value: its dotted path, what it is, the layer that won, and where exactly it stands there."""

    path: str
    value: Value
    layer: Layer
    where: str = ""


class Origins:
    """The values of a sweep or of the settings alone, each traced to the place that it was read from."""

    def __init__(self, project: Project, environment: Mapping[str, str], tree: Node | None = None) -> None:
        self.project = project
        self.environment = environment
        self.tree = tree or project.settings

    def of_sweep(self, spec: SweepSpec, *, flags: bool) -> Iterator[Origin]:
        """Yield every value of a sweep; `flags` tells whether its sources were named by a flag."""
        special = {"sources", "timeout"}
        for key in (key for key in spec.document if key not in special):
            yield from self._below(key, spec.document[key])
        if spec.timeout_s is not None:
            yield self._timeout(spec)
        for index, source in enumerate(spec.sources):
            yield from self._of_source(index, source, flags=flags)
        yield self.outputs()

    def of_settings(self) -> Iterator[Origin]:
        """Yield every setting that some layer names."""
        yield self.outputs()
        found = self.tree.value if isinstance(self.tree.value, dict) else {}
        for key, node in found.items():
            if key != "outputs":
                yield from self._leaves(key, node)

    def outputs(self) -> Origin:
        """Return where sweeps are kept."""
        node = _inner(self.project.settings, "outputs")
        value = node.plain() if node else DEFAULT_OUTPUTS
        return self._origin("outputs", value, node)

    def _leaves(self, path: str, node: Node) -> Iterator[Origin]:
        if isinstance(node.value, dict) and node.value:
            for key, inner in node.value.items():
                yield from self._leaves(f"{path}.{key}", inner)
        else:
            yield self._origin(path, node.plain(), node)

    def _below(self, path: str, value: Value) -> Iterator[Origin]:
        if isinstance(value, Mapping) and value and path in _RECURSED:
            for key, item in value.items():
                yield from self._below(f"{path}.{key}", item)
        elif isinstance(value, Mapping) and value and path in ("parameters", "metadata"):
            yield from (
                self._origin(f"{path}.{key}", item, self._find(path, key)) for key, item in value.items()
            )
        else:
            parent = next((name for name in _OPEN if path.startswith(f"{name}.")), "")
            found = self._find(parent, path[len(parent) + 1 :]) if parent else self._find(*_split(path))
            yield self._origin(path, value, found)

    def _timeout(self, spec: SweepSpec) -> Origin:
        """Return the smaller one of `timeout` and `resources.walltime`, with the place of that one."""
        node, walltime = self._find("", "timeout"), self._find("resources", "walltime")
        is_own = node is not None and duration(str(node.value)) == spec.timeout_s
        return self._origin("timeout", spec.document["timeout"], node if is_own else walltime)

    def _find(self, parent: str, name: str) -> Node | None:
        node: Node | None = self.tree
        for part in parent.split(".") if parent else ():
            node = _inner(node, part)
        return _named(node, name)

    def _of_source(self, index: int, source: SourceSpec, *, flags: bool) -> Iterator[Origin]:
        listed = None if flags else _item(_inner(self.tree, "sources"), index)
        known = _inner(_inner(self.project.settings, "sources"), source.name)
        path = f"sources[{index}]"
        word = _inner(listed, "source") or listed
        yield self._placed(path, source.name, word.place if word else Place("--source"))
        for key in _OF_A_SOURCE:
            node = _inner(listed, key) or _inner(known, key)
            if key == "slots" and source.slots is not None:
                by_word = word is None or str(word.value).endswith(f":{source.slots}")
                place = (word.place if word else Place("--source")) if node is None or by_word else node.place
                yield self._placed(f"{path}.slots", source.slots, place)
            elif node is not None:
                yield self._placed(f"{path}.{key}", node.plain(), node.place)

    def _origin(self, path: str, value: Value, node: Node | None) -> Origin:
        if node is None:
            return Origin(path=path, value=value, layer=Layer.DEFAULT)
        return self._placed(path, value, node.place)

    def _placed(self, path: str, value: Value, place: Place) -> Origin:
        layer = layer_of(place, self.project.root, self.environment)
        return Origin(path=path, value=value, layer=layer, where=_near(place))


def _near(place: Place) -> str:
    """Return file and line, the file from the current folder where it lies beneath."""
    if not place.line:
        return place.source
    path, here = Path(place.source), Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return f"{shown}:{place.line}"


def _split(path: str) -> tuple[str, str]:
    head, _, last = path.rpartition(".")
    return head, last


def _inner(node: Node | None, key: str) -> Node | None:
    return node.value.get(key) if node is not None and isinstance(node.value, dict) else None


def _item(node: Node | None, index: int) -> Node | None:
    items = node.value if node is not None and isinstance(node.value, tuple) else ()
    return items[index] if index < len(items) else None


def _named(node: Node | None, name: str) -> Node | None:
    """Return what a dotted name leads to: the flat name first, then map by map."""
    found = _inner(node, name)
    if found is not None:
        return found
    for index, character in enumerate(name):
        if character == "." and (inner := _inner(node, name[:index])) is not None:
            return _named(inner, name[index + 1 :])
    return None
