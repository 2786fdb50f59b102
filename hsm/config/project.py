"""The project: the folder that holds `hsm.yaml`, where results go, and what holds for every sweep there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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

    `ssh_config` is the file that says how hosts are reached, where it is not the user's own.
    `settings` is what all layers say, each value with its place; a sweep's file lies over it.
    """

    root: Path
    outputs: Path
    sources: Mapping[str, SourceSpec] = field(default_factory=dict)
    ssh_config: str | None = None
    settings: Node = field(default=Node(Place(""), {}), compare=False, repr=False)

    @property
    def known(self) -> Mapping[str, SourceSpec]:
        """The sources, and under the name of a kind what holds for those of it that are not among them."""
        return {**_of_all_hosts(self.ssh_config), **self.sources}

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
    project = replace(read_settings(settings, root, report), settings=settings)
    report.check()
    return project


def read_settings(node: Node, root: Path, report: Report) -> Project:
    """Return the project that settings describe, with everything else checked."""
    section = Section(node, "", report).only(KEYS)
    outputs = section.read("outputs", text, DEFAULT_OUTPUTS)
    ssh_config = section.read("ssh_config", text, None)
    schema.read_limits(section)
    sources: dict[str, SourceSpec] = {}
    inner = section.section("sources")
    for name in inner.nodes:
        source = _source(inner, name, root)
        if source is not None:
            base = _of_all_hosts(ssh_config).get(source.kind)
            options = {**base.options, **source.options} if base else source.options
            sources[source.name] = replace(source, options=options)
    return Project(root=root, outputs=root / outputs, sources=sources, ssh_config=ssh_config)


def _of_all_hosts(ssh_config: str | None) -> dict[str, SourceSpec]:
    return {"ssh": SourceSpec(kind="ssh", options={"ssh_config": ssh_config})} if ssh_config else {}


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
