"""The `sweep:` section: grid, paired groups, exclusions. Axes are read, never multiplied out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hsm.config.kinds import PARAMETER_FORM, PARAMETER_NAME
from hsm.config.rules import read_forbid
from hsm.config.section import Section
from hsm.config.tree import Node, Place
from hsm.config.words import did_you_mean, key_shown, shown
from hsm.core.spec import Axis, GridSpec, Params, Value
from hsm.wire.canonical import canonical_json

KEYS = ("grid", "paired", "exclude", "forbid", "seeds")
MAX_POINTS = 100_000
_PAIRED_EXAMPLE = "for example `paired: [{size: {width: [1, 2], height: [3, 4]}}]`"


@dataclass(frozen=True, slots=True)
class _Named:
    """One swept parameter: its name and the nodes of its values."""

    name: str
    items: tuple[Node, ...]
    values: tuple[Value, ...]


def identity(value: Value) -> object:
    """Return something that is equal for equal values only: 1, 1.0 and true are three."""
    if value is None or isinstance(value, bool | int | float | str):
        return (type(value), value)
    return canonical_json(value)


def flat_names(section: Section) -> Iterator[tuple[str, Node]]:
    """Yield the parameters of a section; maps inside maps make dotted names."""
    for key, node in section.nodes.items():
        if isinstance(node.value, dict):
            inner = Section(node, section.below(key), section.report)
            yield from ((f"{key}.{name}", found) for name, found in flat_names(inner))
        else:
            yield key, node


def check_name(section: Section, name: str, place: Place) -> None:
    """Note a parameter name that no command line could carry."""
    if not PARAMETER_NAME.fullmatch(name) or len(name) > 128:
        tame = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("._-")[:64]
        hint = f"for example `{tame}`" if PARAMETER_NAME.fullmatch(tame) else "begin with a letter"
        section.note(
            place, f"{key_shown(name)} cannot be a parameter's name; expected {PARAMETER_FORM}", hint
        )


def swept_names(section: Section) -> Iterator[tuple[str, Place]]:
    """Yield every swept name with its place, repeats included."""
    groups = [section.section("grid"), *(group for _, group in _groups(section))]
    return ((name, node.key_place) for group in groups for name, node in flat_names(group))


def read_grid(section: Section) -> GridSpec:
    """Return the axes, grid keys in their order, then the paired groups; and the exclusions."""
    named = _all_named(section.section("grid"))
    axes = [Axis(names=(found.name,), points=tuple((value,) for value in found.values)) for found in named]
    for index, item in enumerate(section.items("paired")):
        _check_paired(section, index, item)
    axes.extend(axis for label, group in _groups(section) if (axis := _group(label, group)) is not None)
    known = {
        name: {identity(point[index]): point[index] for point in axis.points}
        for axis in axes
        for index, name in enumerate(axis.names)
    }
    return GridSpec(axes=tuple(axes), exclude=tuple(_exclude(section, known)), forbid=read_forbid(section))


def _all_named(section: Section) -> list[_Named]:
    read = [_named(section, name, node) for name, node in flat_names(section)]
    for found in read:
        if found is not None:
            label = section.name(found.name)
            _check_repeats(section, label, found.items, [(value,) for value in found.values])
    return [found for found in read if found is not None]


def _named(section: Section, name: str, node: Node) -> _Named | None:
    check_name(section, name, node.key_place)
    label = section.name(name)
    items = section.listed(node, label)
    if node.value == ():
        section.note(
            node.place, f"{label} is []; expected at least one value", "give it one, or remove the key"
        )
    if len(items) > MAX_POINTS:
        section.note(node.place, f"{label} has {len(items)} values; the limit is {MAX_POINTS}")
    return _Named(name, items, tuple(item.plain() for item in items)) if items else None


def _check_repeats(
    section: Section, label: str, items: tuple[Node, ...], points: list[tuple[Value, ...]]
) -> None:
    seen: dict[object, int] = {}
    for index, point in enumerate(points):
        first = seen.setdefault(tuple(map(identity, point)), index)
        if first != index:
            what = shown(point[0] if len(point) == 1 else list(point))
            message = f"{label} holds {what} twice (values {first + 1} and {index + 1})"
            section.note(items[index].place, message, "remove one; replicates are made by `sweep.seeds`")
            return


def _check_paired(section: Section, index: int, item: Node) -> None:
    groups = item.value.values() if isinstance(item.value, dict) else ()
    if not groups or not all(isinstance(group.value, dict) for group in groups):
        name = section.name(f"paired[{index}]")
        message = f"{name} is {shown(item.plain())}; expected a group's name over a map of lists"
        section.note(item.place, message, _PAIRED_EXAMPLE)


def _groups(section: Section) -> Iterator[tuple[str, Section]]:
    node = section.nodes.get("paired")
    for index, item in enumerate(node.value if node and isinstance(node.value, tuple) else ()):
        groups = item.value if isinstance(item.value, dict) else {}
        for label, group in groups.items():
            if isinstance(group.value, dict):
                yield label, Section(group, section.below(f"paired[{index}].{label}"), section.report)


def _group(label: str, group: Section) -> Axis | None:
    flat = list(flat_names(group))
    named = [found for name, node in flat if (found := _named(group, name, node)) is not None]
    if not flat:
        group.note(group.place, f"the paired group {key_shown(label)} names no parameter", _PAIRED_EXAMPLE)
    if not named or len(named) < len(flat):
        return None
    lengths = {found.name: len(found.values) for found in named}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        hint = "give every key of a group the same number of values, or move a key to `sweep.grid`"
        group.note(
            group.place, f"the paired group {key_shown(label)} has lists of unequal length ({told})", hint
        )
        return None
    points = list(zip(*(found.values for found in named), strict=True))
    _check_repeats(group, f"the paired group {key_shown(label)}", named[0].items, points)
    return Axis(names=tuple(lengths), points=tuple(points))


def _exclude(section: Section, known: Mapping[str, Mapping[object, Value]]) -> Iterator[Params]:
    for index, item in enumerate(section.items("exclude")):
        path = f"exclude[{index}]"
        if not isinstance(item.value, dict) or not item.value:
            message = f"{section.name(path)} is {shown(item.plain())}; expected a map of parameters to values"
            section.note(item.place, message, "for example `exclude: [{k: 0.1, n: 64}]`")
            continue
        for name, node in item.value.items():
            _check_rule(section, f"{path}.{name}", name, node, known)
        yield {name: node.plain() for name, node in item.value.items()}


def _check_rule(
    section: Section, path: str, name: str, node: Node, known: Mapping[str, Mapping[object, Value]]
) -> None:
    label = section.name(path)
    if name not in known:
        hint = did_you_mean(name, known) or "a rule can only name parameters that are swept here"
        section.note(node.key_place, f"{label}: no such parameter is swept", hint)
        return
    value = node.plain()
    if identity(value) in known[name]:
        return
    values = list(known[name].values())
    same = [other for other in values if other == value]
    hint = f"write it as there: {shown(same[0])}" if same else f"its values are {shown(values)}"
    section.note(node.place, f"{label} is {shown(value)}, which {key_shown(name)} never is", hint)
