"""The sources that can be named on a command line: those of HSM, and those that plug-ins bring."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from hsm.compute.local import LocalSource
from hsm.core.errors import ConfigError, Problem, SourceError
from hsm.core.source import ComputeSource
from hsm.core.spec import Resources, SourceSpec
from hsm.core.world import World

GROUP = "hsm.sources"
Factory = Callable[[World, SourceSpec, Path, Resources], ComputeSource]


def build_source(world: World, spec: SourceSpec, project: Path, resources: Resources) -> ComputeSource:
    """Return the source that a spec names.

    Raises:
        ConfigError: there is no source of this kind.
        SourceError: a plug-in cannot be loaded.
    """
    if spec.kind == "local":
        return local(world, spec, project, resources)
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    entry = found.get(spec.kind)
    if entry is None:
        known = ["local", *found]
        close = difflib.get_close_matches(spec.kind, known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known kinds: {', '.join(sorted(known))}"
        raise ConfigError([Problem(where="--source", message=f"no source of kind {spec.kind!r}", hint=hint)])
    try:
        factory: Factory = entry.load()
    except (ImportError, AttributeError) as error:
        name = entry.dist.name if entry.dist else entry.value
        raise SourceError(spec.name, f"the plug-in {name} cannot be loaded: {error}") from error
    return factory(world, spec, project, resources)


def local(world: World, spec: SourceSpec, project: Path, resources: Resources) -> ComputeSource:
    """Return the source that is this machine."""
    return LocalSource(world, spec, project, cpus_per_task=resources.cpus)
