"""The sources that can be named on a command line: those of HSM, and those that plug-ins bring."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path

from hsm.compute.local import LocalSource
from hsm.core.errors import ConfigError, Problem
from hsm.core.plugins import plugins
from hsm.core.source import ComputeSource
from hsm.core.spec import Resources, SourceSpec
from hsm.core.world import World

GROUP = "hsm.sources"
Factory = Callable[[World, SourceSpec, Path, Resources], ComputeSource]


def build_source(world: World, spec: SourceSpec, project: Path, resources: Resources) -> ComputeSource:
    """Return the source that a spec names.

    Raises:
        ConfigError: there is no source of this kind.
        PluginError: a plug-in cannot be loaded.
    """
    own = OWN.get(spec.kind)
    if own is not None:
        return own(world, spec, project, resources)
    found = {plugin.name: plugin for plugin in plugins(GROUP)}
    plugin = found.get(spec.kind)
    if plugin is None:
        known = [*OWN, *filter(None, found)]
        close = difflib.get_close_matches(spec.kind, known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known kinds: {', '.join(sorted(known))}"
        raise ConfigError([Problem(where="--source", message=f"no source of kind {spec.kind!r}", hint=hint)])
    factory: Factory = plugin.load()
    return factory(world, spec, project, resources)


def local(world: World, spec: SourceSpec, project: Path, resources: Resources) -> ComputeSource:
    """Return the source that is this machine."""
    return LocalSource(world, spec, project, cpus_per_task=resources.cpus)


def ssh(world: World, spec: SourceSpec, project: Path, resources: Resources) -> ComputeSource:
    """Return the source that is a host with sshd.

    Raises:
        ConfigError: an option of the source cannot be used.
    """
    from hsm.compute.ssh.reaches import make_reach  # noqa: PLC0415 - most sweeps need none of it
    from hsm.compute.ssh.source import SSHSource  # noqa: PLC0415

    return SSHSource(world, spec, make_reach(world, spec, project), cpus_per_task=resources.cpus)


OWN: Mapping[str, Factory] = {"local": local, "ssh": ssh}
