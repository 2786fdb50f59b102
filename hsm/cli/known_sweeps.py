"""The sweeps that this user has run, wherever they are: one small file for each, under the user's state.

It only helps to find sweeps. Nothing depends on it, and what cannot be written or read is passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hsm.core.tree import SweepTree
from hsm.core.world import World

FORGET_S = 90 * 86400.0
"""An entry whose sweep is gone is forgotten when it was not used for so long."""
MAX_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSweep:
    """A sweep that was run from here: where it is, and when an engine last took it."""

    root: Path
    at: float

    @property
    def is_there(self) -> bool:
        """Whether its files can be seen from here."""
        try:
            return (self.root / ".hsm" / "FORMAT").is_file()
        except OSError:
            return False


class KnownSweeps:
    """The register of one user."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> KnownSweeps:
        """Return the register of the user whose environment this is."""
        given = environment.get("XDG_STATE_HOME", "")
        home = environment.get("HOME") or "/nonexistent"
        state = Path(given) if given.startswith("/") else Path(home) / ".local" / "state"
        return cls(state / "hsm" / "sweeps")

    def note(self, world: World, tree: SweepTree) -> None:
        """Note that an engine takes a sweep now. It is no harm if that fails."""
        root = str(tree.root.resolve())
        content = json.dumps({"root": root, "at": world.now()}) + "\n"
        with suppress(OSError):
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            world.files.replace(str(self._path(root)), content.encode())

    def all(self, now: float) -> list[KnownSweep]:
        """Return every sweep, the one used last at the end; those that are gone for long are forgotten."""
        found = sorted(self._entries(), key=lambda entry: (entry.at, str(entry.root)))
        kept = []
        for entry in found:
            if entry.is_there or now - entry.at < FORGET_S:
                kept.append(entry)
            else:
                with suppress(OSError):
                    self._path(str(entry.root)).unlink()
        return kept

    def _path(self, root: str) -> Path:
        return self._directory / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}.json"

    def _entries(self) -> Iterator[KnownSweep]:
        try:
            paths = sorted(self._directory.glob("*.json"))
        except OSError:
            return
        for path in paths:
            try:
                with path.open("rb") as file:
                    content = json.loads(file.read(MAX_BYTES))
                yield KnownSweep(root=Path(content["root"]), at=float(content["at"]))
            except (OSError, ValueError, KeyError, TypeError):
                continue  # not ours, or damaged: it names no sweep
