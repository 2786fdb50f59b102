"""`sweep_metadata.yaml`: where a sweep comes from, written once, for people and reports."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

from hsm._version import __version__
from hsm.core.projection import timestamp
from hsm.core.spec import SweepSpec
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire.yaml_text import yaml_lines


def write_metadata(
    world: World, tree: SweepTree, spec: SweepSpec, project: Path, command: Sequence[str], at: float
) -> None:
    """Write the sweep's origin."""
    content: dict[str, Any] = {
        "sweep_id": tree.sweep_id,
        "name": spec.name,
        "created_at": timestamp(at),
        "hsm": __version__,
        "python": sys.version.split()[0],
        "host": world.identity().host,
        "user": world.user(),
        "project": str(project),
        "command": list(command),
        "config_digest": spec.config_digest,
        "git": git_state(world, project),
        **{name: value for name, value in spec.metadata.items() if name in ("description", "tags")},
    }
    world.files.replace(str(tree.metadata), yaml_lines(content).encode("utf-8"))


def git_state(world: World, project: Path) -> dict[str, Any] | None:
    """Return commit and whether tracked files differ from it, None outside of git."""
    try:
        commit = world.run(["git", "rev-parse", "HEAD"], cwd=project)
        status = world.run(["git", "status", "--porcelain", "--untracked-files=no"], cwd=project)
    except (OSError, TimeoutExpired):
        return None
    if commit.returncode != 0:
        return None
    return {"commit": commit.stdout.decode().strip(), "dirty": bool(status.stdout.strip())}
