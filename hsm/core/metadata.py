"""`sweep_metadata.yaml`: where a sweep comes from, written once, for people and reports."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hsm._version import __version__
from hsm.core.job import Origin
from hsm.core.program import git_state
from hsm.core.spec import SweepSpec
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire.instants import timestamp
from hsm.wire.yaml_text import yaml_lines


def write_metadata(world: World, tree: SweepTree, spec: SweepSpec, origin: Origin, at: float) -> None:
    """Write the sweep's origin."""
    content: dict[str, Any] = {
        "sweep_id": tree.sweep_id,
        "name": spec.name,
        "created_at": timestamp(at),
        "hsm": __version__,
        "python": sys.version.split()[0],
        "host": world.identity().host,
        "user": world.user(),
        "project": str(origin.project),
        "command": list(origin.command),
        "config_digest": spec.config_digest,
        "git": _git(world, origin.project),
        **{name: value for name, value in spec.metadata.items() if name in ("description", "tags")},
    }
    world.files.replace(str(tree.metadata), yaml_lines(content).encode("utf-8"), durable=True)


def _git(world: World, project: Path) -> dict[str, Any] | None:
    state = git_state(world, project)
    return None if state is None else {"commit": state.commit, "dirty": state.is_dirty}
