"""Contents of project files on a host, by SHA-256.

An object that has its name is whole and durable: it is written, hashed and synced under another one first.
Any number of relays may do this at a time, each with a `word` of its own.
"""

from __future__ import annotations

import os
from typing import List, NamedTuple, Sequence

from hsm.compute.agent.premises import Premises
from hsm.compute.agent.relay import Refusal
from hsm.wire.bundle import MAX_OBJECT_BYTES, SHA256, Item, ItemKind
from hsm.wire.files import Kind
from hsm.wire.hashing import sha256_hex
from hsm.wire.manifest import hash_file

FEW_FILES = 8
"""So many are synced one by one; more, with all else of the file system."""

PROGRAM = ".x"
"""Ends the name of a copy that may be executed: hard links share their mode."""


class Part(NamedTuple):
    """Bytes of an object: from `start` on, of `size` in all."""

    sha256: str
    start: int
    size: int
    data: bytes


class Objects:
    """The objects below ROOT."""

    def __init__(self, premises: Premises, word: str) -> None:
        self._files = premises.files
        self._directory = premises.objects
        self._word = word

    def path(self, sha256: str) -> str:
        """Return where an object lies."""
        return os.path.join(self._directory, sha256[:2], sha256)

    def take(self, parts: Sequence[Part]) -> None:
        """Write parts of objects; what is whole by that gets its name.

        Raises:
            Refusal: a part does not follow what is there, or the whole has another SHA-256.
            OSError: there is no room.
        """
        try:
            self._settle([part.sha256 for part in parts if self._write(part)])
        except BaseException:
            for part in parts:
                self._files.remove(self._draft(part.sha256))
            raise

    def _draft(self, sha256: str) -> str:
        if not SHA256.fullmatch(sha256):
            raise Refusal(f"no object is called {sha256!a:.100}")
        return os.path.join(self._directory, f".{sha256}.{self._word}")

    def _write(self, part: Part) -> bool:
        """Write one part; True when the object is whole."""
        draft, files, end = self._draft(part.sha256), self._files, part.start + len(part.data)
        if not 0 <= end <= part.size <= MAX_OBJECT_BYTES:
            raise Refusal(f"object {part.sha256} has no bytes up to {end}")
        if part.start == 0:
            files.write_new(draft, part.data)
        elif files.kind(draft) is Kind.FILE and files.length(draft) == part.start:
            files.append(draft, part.data)
        else:
            raise Refusal(f"object {part.sha256} does not go on at byte {part.start}")
        if end < part.size:
            return False
        actual = sha256_hex(part.data) if part.start == 0 else self._hash(draft)
        if actual != part.sha256:
            raise Refusal(f"what came as object {part.sha256} is {actual}")
        return True

    def _settle(self, whole: Sequence[str]) -> None:
        """Make objects durable and read-only, and then known by their names."""
        files = self._files
        if len(whole) > FEW_FILES:
            files.sync_filesystem(self._directory)
        for sha256 in whole:
            draft = self._draft(sha256)
            if len(whole) <= FEW_FILES:
                files.sync_file(draft)
            files.set_mode(draft, 0o444)
            try:
                files.rename(draft, self.path(sha256))
            except FileNotFoundError:  # the first of its folder
                files.make_directories(os.path.dirname(self.path(sha256)))
                files.rename(draft, self.path(sha256))

    def _hash(self, path: str) -> str:
        return hash_file(self._files, os.path.dirname(path), os.path.basename(path)).sha256

    def lacking(self, items: Sequence[Item]) -> List[Item]:
        """Return an item of each content that is not here, by reading those that are; a damaged one goes."""
        wanted = {item.content: item for item in items if item.kind is not ItemKind.LINK}
        return [item for sha256, item in wanted.items() if not self._is_whole(self.path(sha256), sha256)]

    def _is_whole(self, path: str, sha256: str) -> bool:
        try:
            if self._hash(path) == sha256:
                return True
        except OSError:
            if not self._files.exists(path):
                return False
        self._files.remove(path)
        return False

    def source(self, item: Item) -> str:
        """Return the object that a file or program of a bundle is to be a link of.

        Raises:
            OSError: it is not here, or there is no room for the copy that can be executed.
        """
        path = self.path(item.content)
        if item.kind is not ItemKind.PROGRAM:
            return path
        program, draft, files = path + PROGRAM, f"{self._draft(item.content)}{PROGRAM}", self._files
        if not self._is_whole(program, item.content):
            try:
                files.write_new(draft, files.contents(path))
                files.sync_file(draft)
                files.set_mode(draft, 0o555)
                files.rename(draft, program)
            finally:
                files.remove(draft)
        return program
