"""Settings that hold for every sweep, in layers: environment, project, user, site.

Each layer may say the same things, and each is checked by itself, so that a wrong value is told also
where a stronger layer hides it. What a sweep file says is stronger than all of them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import reduce
from pathlib import Path

from hsm.config.reader import parse, read_file
from hsm.config.tree import Node, Place, Report, moved, overlaid
from hsm.config.words import did_you_mean
from hsm.core.errors import ConfigError

FILE_NAME = "hsm.yaml"
PREFIX = "HSM_"
SWEEP_KEYS = ("resources", "timeout", "grace", "retry", "max_failure_rate")
"""Keys of a sweep file that may be set for every sweep."""
KEYS = ("outputs", "ssh_config", "sources", *SWEEP_KEYS)
_FROM = "environment variable "


class Layer(StrEnum):
    """Where a value may come from, the strongest first."""

    FLAG = "flag"
    SWEEP = "sweep file"
    ENVIRONMENT = "environment"
    PROJECT = "project"
    USER = "user"
    SITE = "site"
    DEFAULT = "default"


def files(root: Path, environment: Mapping[str, str]) -> Iterator[tuple[Layer, Path]]:
    """Yield every file that may hold settings, the strongest first, there or not."""
    yield Layer.PROJECT, root / FILE_NAME
    home = environment.get("HOME", "")
    own = _absolute(environment.get("XDG_CONFIG_HOME", "")) or (Path(home) / ".config" if home else None)
    if own is not None:
        yield Layer.USER, own / "hsm" / "config.yaml"
    for word in (environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"):
        folder = _absolute(word)
        if folder is not None:
            yield Layer.SITE, folder / "hsm" / "config.yaml"


def _absolute(word: str) -> Path | None:
    """Return a folder; a relative one counts for nothing, as the XDG base directory rules have it."""
    return Path(word) if word.startswith("/") else None


def read_layers(root: Path, environment: Mapping[str, str], report: Report) -> list[Node]:
    """Return every layer that says something, the strongest first; what is wrong is noted."""
    read = [_environment(environment, report)]
    for _, path in files(root, environment):
        if path.exists():
            try:
                read.append(read_file(path)[1])
            except ConfigError as error:
                report.problems.extend(error.problems)
    return [node for node in read if node.value is not None]


def layered(layers: Sequence[Node]) -> Node:
    """Return what all layers say together."""
    return reduce(_beneath, layers, Node(Place(""), {}))


def _beneath(top: Node, base: Node) -> Node:
    return overlaid(top, _without_rivals(top, base))


def _without_rivals(top: Node, base: Node) -> Node:
    """Return a layer less the `venv` or `conda` of a source for which a stronger layer chose one."""
    strong, weak = (
        node.value.get("sources") if isinstance(node.value, dict) else None for node in (top, base)
    )
    if not strong or not weak or not isinstance(strong.value, dict) or not isinstance(weak.value, dict):
        return base
    sources = dict(weak.value)
    for name, source in strong.value.items():
        other = sources.get(name)
        chosen = isinstance(source.value, dict) and {"venv", "conda"} & set(source.value)
        if chosen and other is not None and isinstance(other.value, dict):
            kept = {key: node for key, node in other.value.items() if key not in ("venv", "conda")}
            sources[name] = Node(other.place, kept, key=other.key)
    assert isinstance(base.value, dict)  # noqa: S101 - `weak` was found in it
    return Node(base.place, {**base.value, "sources": Node(weak.place, sources, key=weak.key)}, key=base.key)


def misspelt(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield variables that set nothing, but are almost called like one that does, with that one's name.

    Others of this prefix belong to tasks, or to other people's programs.
    """
    known = {f"{PREFIX}{key.upper()}" for key in KEYS}
    for name in sorted(environment.keys() - known):
        if name.startswith(PREFIX) and "__" not in name:
            for near in difflib.get_close_matches(name.removeprefix(PREFIX).lower(), KEYS, n=1, cutoff=0.8):
                yield name, f"{PREFIX}{near.upper()}"


def layer_of(place: Place, root: Path, environment: Mapping[str, str]) -> Layer:
    """Return the layer in which something was written."""
    if place.source == "--source" or place.source.startswith("override '"):
        return Layer.FLAG
    if place.source.startswith(_FROM):
        return Layer.ENVIRONMENT
    known = {str(path): layer for layer, path in reversed(list(files(root, environment)))}
    return known.get(place.source, Layer.SWEEP)


def _environment(environment: Mapping[str, str], report: Report) -> Node:
    """Return what the variables `HSM_KEY` and `HSM_SECTION__KEY` say."""
    tree = Node(Place(_FROM.strip()), None)
    for name, value in sorted(environment.items()):
        path = name.removeprefix(PREFIX).lower().split("__")
        is_setting = name.startswith(PREFIX) and value and (len(path) > 1 or path[0] in KEYS)
        if not is_setting:
            continue  # other variables of this prefix belong to tasks, or to other people's programs
        place = Place(f"{_FROM}{name}")
        if path[0] not in KEYS:
            near = did_you_mean(path[0], KEYS).replace("`", "")
            hint = near or f"settings are {', '.join(f'{PREFIX}{key.upper()}' for key in KEYS)}"
            report.add(place, f"no setting is called {'.'.join(path)!a}", hint)
            continue
        try:
            node = moved(parse(value, place.source), place)
        except ConfigError as error:
            report.problems.extend(error.problems)
            continue
        for part in reversed(path):
            node = Node(place, {part: node}, key=place)
        tree = overlaid(node, tree) if tree.value is not None else node
    return tree
