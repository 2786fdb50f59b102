"""What HSM has on a host: one directory, ROOT, everything in it made by HSM.

ROOT/HSM                       says that the directory is ours
ROOT/agents/<SHA-256>/         the agent itself
ROOT/objects/<2>/<SHA-256>     contents of project files, read-only
ROOT/bundles/<digest>/         projects that attempts start from, read-only, of hard links to objects
ROOT/sweeps/<sweep>/           attempts that run, and what they left that is not home yet
"""

from __future__ import annotations

import os
from typing import List

from hsm.compute.agent.relay import Refusal
from hsm.wire.files import Files, Kind, Name
from hsm.wire.names import SWEEP_ID

MARKER = "HSM"
NAMES = frozenset({MARKER, "agents", "objects", "bundles", "sweeps"})
TEXT = b"HSM made this directory and everything in it. `hsm source clean` removes it.\n"


class Premises:
    """ROOT on this host. Nothing is made or removed in one that is not ours."""

    def __init__(self, files: Files, root: str) -> None:
        self.files = files
        self.root = root
        self.objects = os.path.join(root, "objects")
        self.bundles = os.path.join(root, "bundles")
        self.sweeps = os.path.join(root, "sweeps")
        self.agents = os.path.join(root, "agents")

    def check(self) -> None:
        """Refuse a directory that HSM did not make.

        Raises:
            Refusal: it is a link, of another user, or holds what is not ours.
        """
        files, root = self.files, self.root
        kind = files.kind(root)
        if kind is not Kind.DIRECTORY:
            raise Refusal(f"{root} is no directory" if kind else f"there is no {root}", is_final=True)
        if not files.is_own(root):
            raise Refusal(f"{root} belongs to another user", is_final=True)
        marked = files.kind(os.path.join(root, MARKER)) is Kind.FILE and files.is_own(
            os.path.join(root, MARKER)
        )
        foreign = sorted(set(files.list(root)) - NAMES)
        if foreign and not marked:
            raise Refusal(f"{root} was not made by HSM: {foreign[0]!a:.100} is in it", is_final=True)

    def settle(self) -> None:
        """Make the directory ours, unless it is, and private.

        Raises:
            Refusal: it is not, and cannot be.
        """
        files = self.files
        files.make_directories(self.root)
        self.check()
        marker = os.path.join(self.root, MARKER)
        if not files.exists(marker):
            files.set_mode(self.root, 0o700)
            files.write_new(marker, TEXT)
        for directory in (self.objects, self.bundles, self.sweeps):
            files.make_directories(directory)

    def names(self, directory: str) -> List[Name]:
        """Return what is in one of the directories, nothing where it has not been made."""
        return self.files.scan(directory) if self.files.kind(directory) is Kind.DIRECTORY else []

    def sweep(self, sweep_id: object) -> str:
        """Return where a sweep lies.

        Raises:
            Refusal: it is not the id of a sweep.
        """
        if not isinstance(sweep_id, str) or not SWEEP_ID.fullmatch(sweep_id):
            raise Refusal(f"no sweep has the id {sweep_id!a:.100}")
        return os.path.join(self.sweeps, sweep_id)


def remove_tree(files: Files, path: str) -> None:
    """Remove a directory and all below it, though it is read-only; no link is followed, nothing may be there.

    Raises:
        OSError: something in it cannot be removed.
    """
    if files.kind(path) is not Kind.DIRECTORY:
        return
    _open_up(files, path)
    files.remove_tree(path)


def _open_up(files: Files, path: str) -> None:
    files.set_mode(path, 0o700)
    for name in files.scan(path):
        if name.kind is Kind.DIRECTORY:
            _open_up(files, os.path.join(path, name.name))
