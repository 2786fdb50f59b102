"""Hearing: when word last came from where attempts run far away, so that what is shown can tell its age."""

from __future__ import annotations

from pathlib import Path

from hsm.wire.files import Files

STALE_S = 5.0
"""What is older is shown with its age; word comes twice a second."""


def _path(sweep_dir: Path, source: str) -> str:
    return f"{sweep_dir}/.hsm/agents/{source}/heard"


def note_heard(files: Files, sweep_dir: Path, source: str, at: float) -> None:
    """Write down that word has come at this time."""
    files.replace(_path(sweep_dir, source), f"{at:.3f}\n".encode())


def age_s(files: Files, sweep_dir: Path, source: str, now: float) -> float | None:
    """Return how long ago word came, None where what is shown is what is there."""
    text = files.read(_path(sweep_dir, source), 0, 64)
    try:
        return max(0.0, now - float(text)) if text else None
    except ValueError:
        return None


def staleness(files: Files, sweep_dir: Path, source: str, now: float) -> float | None:
    """Return the age of what is shown, None where that is next to nothing."""
    age = age_s(files, sweep_dir, source, now)
    return age if age is not None and age >= STALE_S else None
