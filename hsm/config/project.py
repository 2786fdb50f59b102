"""The project: the folder that holds `hsm.yaml`, where results go, and what holds for every sweep there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hsm.config import schema
from hsm.config.kinds import text
from hsm.config.section import Section
from hsm.config.settings import FILE_NAME, KEYS, SWEEP_KEYS, layered, read_layers
from hsm.config.sources import ENVIRONMENT_KEYS, parse_words, read_environment
from hsm.config.tree import Node, Place, Report
from hsm.core.errors import ConfigError
from hsm.core.spec import SourceSpec

DEFAULT_OUTPUTS = "sweeps/outputs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project. `root` and `outputs` are absolute; `sources` maps a source's name to its defaults.

    `settings` is what all layers say, each value with its place; a sweep's file lies over it.
    """

    root: Path
    outputs: Path
    sources: Mapping[str, SourceSpec] = field(default_factory=dict)
    settings: Node = field(default=Node(Place(""), {}), compare=False, repr=False)

    @property
    def sweep_settings(self) -> Node:
        """What the settings say of the keys of a sweep file."""
        found = self.settings.value if isinstance(self.settings.value, dict) else {}
        return Node(self.settings.place, {key: node for key, node in found.items() if key in SWEEP_KEYS})

    @classmethod
    def bare(cls, start: Path) -> Project:
        """Return the project around a folder without any settings."""
        root = find_root(start)
        return cls(root=root, outputs=root / DEFAULT_OUTPUTS)


def find_root(start: Path) -> Path:
    """Return the nearest folder upwards with an `hsm.yaml`, else `start`."""
    start = start.absolute()
    return next((folder for folder in (start, *start.parents) if (folder / FILE_NAME).exists()), start)


def find_project(start: Path, environment: Mapping[str, str] | None = None) -> Project:
    """Return the project around a folder, with the settings of every layer.

    `environment` is that of this process unless another is given.

    Raises:
        ConfigError: everything that is wrong with any layer.
    """
    root = find_root(start)
    report = Report()
    layers = read_layers(root, os.environ if environment is None else environment, report)
    for layer in layers:
        read_settings(layer, root, report)
    report.check()
    settings = layered(layers)
    outputs, sources = read_settings(settings, root, report)
    report.check()
    return Project(root=root, outputs=outputs, sources=sources, settings=settings)


def read_settings(node: Node, root: Path, report: Report) -> tuple[Path, dict[str, SourceSpec]]:
    """Return where sweeps go and what each source needs, with everything else checked."""
    section = Section(node, "", report).only(KEYS)
    outputs = section.read("outputs", text, DEFAULT_OUTPUTS)
    schema.read_limits(section)
    sources: dict[str, SourceSpec] = {}
    inner = section.section("sources")
    for name in inner.nodes:
        source = _source(inner, name, root)
        if source is not None:
            sources[source.name] = source
    return root / outputs, sources


def _source(section: Section, name: str, root: Path) -> SourceSpec | None:
    node = section.nodes[name]
    try:
        words = parse_words(name)
    except ConfigError as error:
        section.note(node.key_place, f"{section.name(name)}: {error.message}", error.hint)
        return None
    if words.slots is not None:
        hint = f"write `{words.name}: {{slots: {words.slots}}}`"
        section.note(node.key_place, f"{section.name(name)}: expected a source's name without slots", hint)
    inner = Section(
        node if node.value is not None else Node(node.place, {}), section.below(name), section.report
    )
    return read_environment(inner.only(ENVIRONMENT_KEYS), words, root)
