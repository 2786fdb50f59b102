"""Files that are either whole or absent: written beside their final name, synced, then renamed.

Those of a run that HSM started need not be synced: it hashes them when the process has ended, and makes all
of them durable with one call before they become a result.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path


def part_of(path: Path) -> Path:
    """Return the name a file has until it is complete."""
    return path.with_name(path.name + ".part")


def publish(path: Path, *, synced: bool = True) -> None:
    """Give the complete part of `path` its final name, durably if `synced`."""
    part = part_of(path)
    if synced:
        _sync(part)
    part.replace(path)
    if synced:
        _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes, *, synced: bool = True) -> None:
    """Write a whole file."""
    part_of(path).write_bytes(content)
    publish(path, synced=synced)


def write_json(path: Path, content: Mapping[str, object], *, synced: bool = True) -> None:
    """Write a JSON object; NaN and infinities are refused, because JSON has none."""
    write_bytes(path, json_text(content).encode(), synced=synced)


def json_text(content: Mapping[str, object]) -> str:
    """Return a JSON object as text, as it is written to files."""
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
