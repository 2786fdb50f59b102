"""Where a sweep came from, as it wrote that down when it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hsm.core.tree import SweepTree

MAX_METADATA_BYTES = 1 << 20


def metadata_of(tree: SweepTree) -> dict[str, Any]:
    """Return what `sweep_metadata.yaml` says, nothing when it is gone or damaged."""
    import yaml  # noqa: PLC0415 - looking at a sweep must not cost it

    try:
        with tree.metadata.open("rb") as file:
            content = yaml.safe_load(file.read(MAX_METADATA_BYTES))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def project_of(tree: SweepTree, otherwise: Path) -> Path:
    """Return the project folder that a sweep was started in, another when that is not on this machine."""
    recorded = metadata_of(tree).get("project")
    if isinstance(recorded, str) and Path(recorded).is_dir():
        return Path(recorded)
    return otherwise
