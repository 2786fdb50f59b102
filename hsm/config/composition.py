"""Composing a sweep file with its defaults list and the overrides of the command line.

The files are read strictly first, so that every value knows its place. Hydra then composes only the
shape, in which each scalar and list is an opaque word; the values are put back by these words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsm.config.functions import Interval, Misused, Points, as_axis, as_dimension
from hsm.config.reader import read_file
from hsm.config.schema import KNOWN_PATHS
from hsm.config.tree import Node, Place, Report, graft
from hsm.config.words import did_you_mean, escaped, key_shown, shown
from hsm.core.errors import ConfigError, Problem
from hsm.core.spec import Value
from hsm.core.template import TemplateError, hydra_argument

if TYPE_CHECKING:
    from hsm.config.hydra_port import ReadOverride

_PLACE_KEY = "$hsm-place$"
_WORD = "hsm_value_"
_OPEN_MAPS = ("sweep.grid.", "hunt.space.", "parameters.", "metadata.", "program.variables.", "hunt.options.")
_PARAMETER_MAPS = (("sweep", "grid"), ("hunt", "space"), ("parameters",))
_DOT = "$-dot-$"


class Shelf:
    """The YAML files beside a sweep file and in the project's root, and every value read from them."""

    def __init__(self, primary: Path, text: str, root: Node, folders: Sequence[Path]) -> None:
        from hsm.config.hydra_port import PRIMARY  # noqa: PLC0415 - Hydra costs 0.4 s

        self.primary = primary.resolve()
        self.folders = [folder.resolve() for folder in folders]
        self.read = {PRIMARY: (text, root)}
        self.values: list[Node] = []
        self.dotted: set[str] = set()

    def _file(self, config_path: str) -> Path | None:
        name = config_path.removesuffix(".yaml") + ".yaml"
        for folder in self.folders:
            path = (folder / name).resolve()
            if path.is_relative_to(folder) and path.is_file():
                return path
        return None

    def is_config(self, config_path: str) -> bool:
        return config_path in self.read or self._file(config_path) is not None

    def is_group(self, config_path: str) -> bool:
        return config_path == "" or bool(self.options(config_path))

    def options(self, config_path: str) -> list[str]:
        inside = ((folder / config_path, folder) for folder in self.folders)
        folders = [path for path, folder in inside if path.resolve().is_relative_to(folder) and path.is_dir()]
        return sorted({item.stem for path in folders for item in path.glob("*.yaml")})

    def header(self, config_path: str) -> str:
        return self._tree(config_path)[0][:512]

    def _tree(self, config_path: str) -> tuple[str, Node]:
        if config_path not in self.read:
            path = self._file(config_path)
            if path is None or path == self.primary:
                where = escaped(str(self.primary))
                raise ConfigError(
                    [Problem(where=where, message=f"defaults: {shown(config_path)} is the file itself")]
                )
            self.read[config_path] = read_file(path)
        return self.read[config_path]

    def shape(self, config_path: str) -> dict[str, Any]:
        node = self._tree(config_path)[1]
        if not isinstance(node.value, dict):
            message = f"the file holds {node.kind}; expected a map"
            raise ConfigError([Problem(where=str(node.place), message=message)])
        if "hydra" in node.value:
            where = str(node.value["hydra"].key_place)
            message = "settings of Hydra have no meaning here"
            raise ConfigError([Problem(where=where, message=message, hint="remove `hydra:`")])
        shape = self._shape(Node(node.place, {k: v for k, v in node.value.items() if k != "defaults"}))
        if "defaults" in node.value:
            shape["defaults"] = checked_defaults(node.value["defaults"])
        return shape

    def _shape(self, node: Node) -> dict[str, Any]:
        shape: dict[str, Any] = {_PLACE_KEY: self.word(Node(node.place, None, key=node.key))}
        for key, item in node.value.items() if isinstance(node.value, dict) else ():
            if "." in key:  # to Hydra a dot leads into a map
                self.dotted.add(key)
            name = key.replace(".", _DOT)
            shape[name] = self._shape(item) if isinstance(item.value, dict) else self.word(item)
        return shape

    def word(self, node: Node) -> str:
        """Return the opaque word that stands for a value."""
        self.values.append(node)
        return f"{_WORD}{len(self.values) - 1}"

    def tree(self, shape: dict[str, Any]) -> Node:
        """Return the values put back into a composed shape."""
        head = self.value(shape[_PLACE_KEY]) if _PLACE_KEY in shape else None
        items = {
            name.replace(_DOT, "."): self.tree(item) if isinstance(item, dict) else self.value(item)
            for name, item in shape.items()
            if name != _PLACE_KEY
        }
        first = head or next(iter(items.values()), Node(Place(escaped(str(self.primary)), 1, 1), None))
        return Node(first.place, items, key=first.key)

    def value(self, word: str) -> Node:
        """Return the value that an opaque word stands for."""
        return self.values[int(word.removeprefix(_WORD))]

    def defaults(self) -> Iterator[tuple[str, Place]]:
        """Yield what the defaults lists read so far choose, each with its place."""
        for _, node in list(self.read.values()):
            listed = node.value.get("defaults") if isinstance(node.value, dict) else None
            for entry in listed.value if listed is not None and isinstance(listed.value, tuple) else ():
                if isinstance(entry.value, dict):
                    yield from ((f"{key}/{item.value}", item.place) for key, item in entry.value.items())
                else:
                    yield str(entry.value), entry.place


def checked_defaults(node: Node) -> list[Any]:
    """Return a defaults list that Hydra may see.

    Raises:
        ConfigError: an entry has another form, an interpolation, or is about Hydra itself.
    """
    report = Report()
    if not isinstance(node.value, tuple):
        report.add(
            node.place, f"`defaults` is {shown(node.plain())}; expected a list", "defaults: [base, _self_]"
        )
    for entry in node.value if isinstance(node.value, tuple) else ():
        entries = entry.value if isinstance(entry.value, dict) else {"": entry}
        for key, item in entries.items():
            texts = item.value if isinstance(item.value, tuple) else (item,)
            if len(entries) != 1 or not all(isinstance(text.value, str | None) for text in texts):
                report.add(
                    entry.place, f"`defaults` holds {shown(entry.plain())}", "write `name` or `group: name`"
                )
            elif any("${" in str(text.value) for text in texts) or "${" in key:
                report.add(entry.place, "interpolations are not evaluated in `defaults`", "name the file")
            elif "hydra/" in f"{key}/{item.value}":
                report.add(
                    entry.place, f"{shown(entry.plain())}: Hydra does not run the program here", "remove it"
                )
    report.check()
    plain = node.plain()
    listed = list(plain) if isinstance(plain, list) else []
    # Said outright, because Hydra warns while it still tells an older rule from this one.
    return listed if "_self_" in listed else [*listed, "_self_"]


def compose_file(shelf: Shelf, overrides: Sequence[str], report: Report) -> Node:
    """Return the tree of a shelf's primary file composed with its defaults list and with overrides."""
    read = [found for line in overrides if (found := _read(line, report)) is not None]
    if any(_inside_parameters(override.key) for override in read):
        _composed(shelf, [], report)  # so that every dotted name is known
    lines = [(_line(shelf, override, report), override) for override in read]
    return shelf.tree(_composed(shelf, [(line, override) for line, override in lines if line], report))


def override_place(line: str) -> Place:
    """Return the place of a value that stands in an override."""
    return Place(f"override '{escaped(line)[:200]}'")


def _read(line: str, report: Report) -> ReadOverride | None:
    from hsm.config.hydra_port import read_override  # noqa: PLC0415 - Hydra costs 0.4 s

    try:
        override = read_override(line)
        _check_key(override)
    except Misused as error:
        report.add(override_place(line), error.message, error.hint)
        return None
    return override


def _check_key(override: ReadOverride) -> None:
    first = override.key.replace("/", ".").partition(".")[0]
    if not override.key:
        raise Misused("names no key", "an override is written key=value")
    if first in ("hydra", "defaults"):
        raise Misused(
            f"`{first}` cannot be overridden here", "HSM has its own settings: see `hsm sweep run --help`"
        )
    if override.kind == "~" and override.has_value and "/" not in override.key:
        raise Misused("a deletion takes no value", f"write ~{override.key}")


def _inside_parameters(key: str) -> bool:
    parts = tuple(key.split("."))
    return any(parts[: len(path)] == path and len(parts) > len(path) + 1 for path in _PARAMETER_MAPS)


def _line(shelf: Shelf, override: ReadOverride, report: Report) -> str:
    """Return the override as Hydra shall see it: values as opaque words, dotted names as one key."""
    if "/" in override.key or override.package is not None or shelf.is_group(override.key):
        return override.line
    kind = "++" if override.kind == "" and override.key in KNOWN_PATHS else override.kind.value
    key = _one_key(shelf, override.key)
    if override.kind == "~":
        return f"~{key}"
    place = override_place(override.line)
    try:
        node = _turned(override, place)
        shape = _shape_of(shelf, node, swept=isinstance(override.element, Points | Interval))
        return f"{kind}{hydra_argument(key, shape)}"
    except Misused as error:
        report.add(place, error.message, error.hint)
    except TemplateError as error:
        report.add(place, error.message, "write it into the file")
    return ""


def _turned(override: ReadOverride, place: Place) -> Node:
    if not isinstance(override.element, Points | Interval):
        return graft(override.element, place)
    if override.key.startswith("sweep.grid."):
        return as_axis(override.element, place)
    if override.key.startswith("hunt.space."):
        return as_dimension(override.element, place)
    if isinstance(override.element, Points):
        raise Misused(
            "several values can stand only in `sweep.grid` and `hunt.space`", "write a list: key=[a, b]"
        )
    raise Misused("interval() can stand only in `hunt.space`")


def _shape_of(shelf: Shelf, node: Node, *, swept: bool) -> Value:
    if isinstance(node.value, dict) and not swept:
        return {key: _shape_of(shelf, item, swept=False) for key, item in node.value.items()}
    return shelf.word(node)


def _one_key(shelf: Shelf, key: str) -> str:
    """Return a key in which a parameter's dotted name is one part, if the files write it as one."""
    for path in _PARAMETER_MAPS:
        prefix = ".".join(path) + "."
        rest = key.removeprefix(prefix)
        for name in sorted(shelf.dotted, key=len, reverse=True):
            if key.startswith(prefix) and (rest == name or rest.startswith(f"{name}.")):
                return prefix + name.replace(".", _DOT) + rest[len(name) :]
    return key


def _composed(shelf: Shelf, lines: Sequence[tuple[str, ReadOverride]], report: Report) -> dict[str, Any]:
    """Return the composed shape; overrides that Hydra refuses are noted and left out."""
    from hsm.config import hydra_port  # noqa: PLC0415 - Hydra costs 0.4 s

    try:
        return hydra_port.compose(shelf, [line for line, _ in lines])
    except Misused as error:
        if not lines:
            raise ConfigError([_defaults_problem(shelf, error)]) from None
        refusal = error
    shape = _composed(shelf, [], report)
    if len(lines) == 1:
        _note_refusal(shelf, lines[0][1], refusal, shape, report)
        return shape
    good: list[str] = []
    for line, override in lines:
        try:
            shape = hydra_port.compose(shelf, [*good, line])
            good.append(line)
        except Misused as error:
            _note_refusal(shelf, override, error, shape, report)
    return shape


def _note_refusal(
    shelf: Shelf, override: ReadOverride, error: Misused, shape: dict[str, Any], report: Report
) -> None:
    message, hint = _refusal(override, error, shelf.tree(shape))
    report.add(override_place(override.line), message, hint)


def _defaults_problem(shelf: Shelf, error: Misused) -> Problem:
    chosen = getattr(error, "chosen", "")
    for name, place in shelf.defaults():
        if chosen and (name == chosen or chosen.endswith(f"/{name}")):
            return Problem(where=str(place), message=f"defaults: {error.message}", hint=error.hint)
    node = shelf.read[next(iter(shelf.read))][1]
    entry = node.value.get("defaults", node) if isinstance(node.value, dict) else node
    return Problem(where=str(entry.place), message=f"defaults: {error.message}", hint=error.hint)


def _refusal(override: ReadOverride, error: Misused, tree: Node) -> tuple[str, str]:
    """Return what is wrong with an override that Hydra refuses, and the fix."""
    head, _, last = override.key.rpartition(".")
    siblings = tree
    for part in head.split(".") if head else []:
        inner = siblings.value.get(part) if isinstance(siblings.value, dict) else None
        siblings = inner or Node(tree.place, {})
    known = siblings.value if isinstance(siblings.value, dict) else {}
    if override.kind == "+" and last in known:
        return f"{key_shown(override.key)} is there already", f"write {override.line[1:]}"
    if override.kind in ("", "~") and last not in known and not hasattr(error, "chosen"):
        return f"there is no key {key_shown(override.key)}", _key_hint(override, tree, known)
    return error.message, error.hint


def _key_hint(override: ReadOverride, tree: Node, known: Mapping[str, Node]) -> str:
    key = override.key
    if near := did_you_mean(key.rpartition(".")[2], known):
        return near
    if key.startswith(_OPEN_MAPS):
        return f"to add it, write +{override.line}" if override.kind == "" else ""
    paths = [*KNOWN_PATHS, *_parameter_paths(tree)]
    fuller = next((path for path in sorted(paths) if path.endswith(f".{key}")), "")
    return f"did you mean `{fuller}`?" if fuller else did_you_mean(key, paths)


def _parameter_paths(tree: Node) -> Iterator[str]:
    for path in _PARAMETER_MAPS:
        node: Node | None = tree
        for part in path:
            node = node.value.get(part) if node is not None and isinstance(node.value, dict) else None
        names = node.value if node is not None and isinstance(node.value, dict) else {}
        yield from (".".join([*path, name]) for name in names)
