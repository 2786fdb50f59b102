"""What stays on a host for the next sweep, and what goes by itself: bundles that were not used for long."""

from __future__ import annotations

import os
from typing import Dict, Iterator, List, NamedTuple, Set

from hsm.compute.agent.host import Host
from hsm.compute.agent.objects import PROGRAM
from hsm.compute.agent.premises import Premises, remove_tree
from hsm.compute.agent.shelf import Shelf
from hsm.wire.bundle import SHA256
from hsm.wire.files import Kind
from hsm.wire.names import SWEEP_ID

REFERENCE = "bundle"
"""The file in a sweep's `.hsm` that names the bundle which the sweep uses."""

KEPT_BUNDLES = 8
KEPT_BYTES = 4 << 30
OLD_S = 3600.0
"""A draft, or an object that nothing uses, may be in somebody's hands for so long."""


GONE = ".gone"
"""Ends the name of what is being removed."""


def is_gone(path: str) -> bool:
    """Tell whether a path is of something that was being removed."""
    name = os.path.basename(path)
    return name.startswith(".") and name.endswith(GONE)


class Removal(NamedTuple):
    """Something that goes: its place below ROOT, how many files, and the bytes that become free."""

    path: str
    files: int
    bytes: int


class Retention:
    """Knows what the sweeps on a host use, and lets go of the rest. A dry one lets go of nothing."""

    def __init__(self, host: Host, premises: Premises, shelf: Shelf, *, is_dry: bool = False) -> None:
        self._host = host
        self._files = host.files
        self._premises = premises
        self._shelf = shelf
        self.is_dry = is_dry

    def keep_few(self, newest: str) -> None:
        """Let go of the bundles beyond those that may stay; `newest` is one that stays."""
        spare = self._spare() - {newest}
        uses = self._shelf.digests()
        budget = KEPT_BYTES
        gone = []
        for count, digest in enumerate(sorted(uses, key=lambda name: uses[name].used_at, reverse=True), 1):
            budget -= uses[digest].bytes
            if digest in spare and (budget < 0 or count > KEPT_BUNDLES):
                gone.append(digest)
        if gone:
            list(self.removals(gone))

    def _spare(self) -> Set[str]:
        """Return the bundles that no sweep on this host uses."""
        used = set()
        for path in self.sweeps().values():
            reference = os.path.join(path, ".hsm", REFERENCE)
            used.add(self._files.read(reference, 0, 64).decode("ascii", "replace"))
        return set(self._shelf.digests()) - used

    def spare(self) -> List[str]:
        """Return the bundles that no sweep on this host uses, sorted."""
        return sorted(self._spare())

    def removals(self, bundles: List[str]) -> Iterator[Removal]:
        """Let go of bundles, of objects that no other one needs, and of old drafts; tell of each."""
        uses = self._shelf.digests()
        for digest in bundles:
            yield Removal(f"bundles/{digest}", uses[digest].files, 0)  # its bytes are those of the objects
            if not self.is_dry:
                self._shelf.remove(digest)
        yield from self._drafts(self._premises.bundles, "bundles")
        yield from self._drafts(self._premises.sweeps, "sweeps")
        yield from self._objects(self._shelf.known(set(uses) - set(bundles)))

    def _drafts(self, directory: str, name: str) -> Iterator[Removal]:
        for entry in self._premises.names(directory):
            path = os.path.join(directory, entry.name)
            if entry.name.startswith(".") and entry.kind is not Kind.LINK and self._is_old(path):
                yield self.take(path, f"{name}/{entry.name}")

    def _objects(self, needed: Set[str]) -> Iterator[Removal]:
        """Let go of every object that is not needed and not just coming, as one removal."""
        count = size = 0
        for path, sha256, length in self._known_objects():
            if sha256 not in needed and self._is_old(path):
                count, size = count + 1, size + length
                if not self.is_dry:
                    self._files.remove(path)
        if count:
            yield Removal("objects", count, size)
        yield from self._drafts(self._premises.objects, "objects")

    def _known_objects(self) -> "Iterator[tuple[str, str, int]]":
        for folder in self._premises.names(self._premises.objects):
            if len(folder.name) != 2 or folder.kind is not Kind.DIRECTORY:
                continue
            directory = os.path.join(self._premises.objects, folder.name)
            for name in self._files.scan(directory):
                sha256 = name.name.removesuffix(PROGRAM)
                if name.kind is Kind.FILE and SHA256.fullmatch(sha256):
                    yield os.path.join(directory, name.name), sha256, name.length

    def _is_old(self, path: str) -> bool:
        try:
            return self._host.now() - self._files.modified_ns(path) / 1e9 > OLD_S
        except FileNotFoundError:
            return False

    def take(self, path: str, name: str) -> Removal:
        """Remove a path, unless this is dry, and tell what goes with it under a name."""
        removal = self.measured(path, name)
        if not self.is_dry:
            self.remove(path)
        return removal

    def remove(self, path: str) -> None:
        """Remove a file or a directory, whatever it is, without following a link.

        What belongs to a sweep is put aside first: somebody who is late, a relay that was starting an agent
        say, finds no place any more in which to leave something.
        """
        if self._files.kind(path) is not Kind.DIRECTORY:
            self._files.remove(path)
            return
        sweeps = self._premises.sweeps
        if path.startswith(f"{sweeps}/") and not is_gone(path):
            gone = os.path.join(sweeps, f".{self._host.word()}{GONE}")
            self._files.set_mode(path, 0o700)  # else it cannot be moved elsewhere
            self._files.rename(path, gone)
            path = gone
        remove_tree(self._files, path)

    def measured(self, path: str, name: str) -> Removal:
        """Return what would go with a path."""
        count, size = self._measure(path)
        return Removal(name, count, size)

    def _measure(self, path: str) -> "tuple[int, int]":
        kind = self._files.kind(path)
        if kind is not Kind.DIRECTORY:
            return 1, self._files.length(path) if kind is Kind.FILE else 0
        count = size = 0
        for name in self._files.scan(path):
            if name.kind is Kind.DIRECTORY:
                inner = self._measure(os.path.join(path, name.name))
                count, size = count + inner[0], size + inner[1]
            else:
                count, size = count + 1, size + name.length
        return count, size

    def sweeps(self) -> Dict[str, str]:
        """Return the sweeps that have something on this host, with where."""
        return {
            name.name: os.path.join(self._premises.sweeps, name.name)
            for name in self._premises.names(self._premises.sweeps)
            if name.kind is Kind.DIRECTORY and SWEEP_ID.fullmatch(name.name)
        }
