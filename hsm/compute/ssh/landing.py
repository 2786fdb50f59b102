"""Landing: where what comes from a host is put, and what may be put there.

An attempt's directory at home, the room on its disk, and the check of a manifest before anything of it is
written. Paths are relative to the attempt's directory. All of this blocks.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hsm.wire.files import BLOCK_BYTES, Files, Kind, write_all
from hsm.wire.manifest import OUTSIDE, Entry, is_safe

PARTIAL = ".partial"
"""What the name of a file that is not whole ends in, but for logs, which people read while they grow."""
GROWING = frozenset({"stdout.log", "stderr.log"})
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ZEROS = bytes(BLOCK_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an attempt may be at most; one that is more has failed. `reserve_bytes` stay free on the disk."""

    files: int = 1_000_000
    bytes: int = 4 << 40
    depth: int = 64
    reserve_bytes: int = 16 << 20


class Room:
    """The room on the disk of home, looked at often enough that nothing ever fills it."""

    step_bytes = 8 << 20

    def __init__(self, files: Files, directory: str, reserve_bytes: int) -> None:
        self._files = files
        self._directory = directory
        self._reserve_bytes = reserve_bytes
        self._left = 0

    def take(self, size: int) -> None:
        """Note that so many bytes will be written.

        Raises:
            OSError: there is no room for them (ENOSPC).
        """
        self._left -= size
        if self._left < 0:
            free = self._files.free_bytes(self._directory) - self._reserve_bytes - size
            if free < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._directory)
            self._left = min(free, self.step_bytes)


class Wrong(Exception):
    """The host says what no agent and no relay says, in words for the user."""


@dataclass(slots=True)
class Part:
    """The beginning of a file that is at home, under the name `at`."""

    at: str
    size: int
    sha256: Any
    fd: int | None = None


class Landing:
    """An attempt's directory at home, as it is filled. One file at most is open."""

    def __init__(self, files: Files, home: str, room: Room) -> None:
        self.present: set[str] = set()
        """The files and links that were there before; what is put in their place replaces them."""
        self._files = files
        self._home = home
        self._room = room
        self._folders = {""}
        self._open: Part | None = None

    def write(self, path: str, data: bytes) -> None:
        """Write a whole file."""
        self._room.take(len(data))
        self._make_folder(_above(path))
        try:
            self._files.write_new(f"{self._home}/{path}", data)
        except OSError:
            self._files.remove(f"{self._home}/{path}")
            raise

    def begin(self, at: str) -> Part:
        """Begin a file that comes in pieces."""
        self._make_folder(_above(at))
        self.remove(at)
        self.close()
        part = Part(at, 0, hashlib.sha256(), self._files.create(f"{self._home}/{at}"))
        self.present.add(at)
        self._open = part
        return part

    def append(self, part: Part, data: bytes, zeros: int) -> None:
        """Go on with a file: with bytes, or with so many zeros, which are left out on the disk."""
        if part.fd is None:
            self.close()
            part.fd, self._open = self._files.open_append(f"{self._home}/{part.at}"), part
            self._files.truncate(part.fd, part.size)
        if data:
            self._room.take(len(data))
            write_all(self._files, part.fd, data)
            part.sha256.update(data)
        else:
            self._files.truncate(part.fd, part.size + zeros)
            for size in _in_blocks(zeros):
                part.sha256.update(_ZEROS[:size])
        part.size += len(data) or zeros

    def hashed(self, at: str, size: int) -> Part:
        """Return what is there under a name as the beginning of a file."""
        sha256 = hashlib.sha256()
        for block in self._files.chunks(f"{self._home}/{at}"):
            sha256.update(block)
        return Part(at, size, sha256)

    def remove(self, at: str) -> None:
        """Remove a file, or a link, that may be there."""
        if self._open is not None and self._open.at == at:
            self.close()
        if at in self.present:
            self._files.remove(f"{self._home}/{at}")

    def finish(self, at: str, path: str) -> None:
        """Give a file its name."""
        self._files.rename(f"{self._home}/{at}", f"{self._home}/{path}")

    def _make_folder(self, folder: str) -> None:
        """Make a folder and those above it; none of them may be anything else."""
        if folder in self._folders:
            return
        self._make_folder(_above(folder))
        kind = self._files.kind(f"{self._home}/{folder}")
        if kind is None:
            self._files.make_directory(f"{self._home}/{folder}")
        elif kind is not Kind.DIRECTORY:
            raise Wrong(f"{folder!a} is no directory at home")
        self._folders.add(folder)

    def close(self) -> None:
        """Let go of the file that is open; what is there stays."""
        if self._open is not None and self._open.fd is not None:
            self._files.close(self._open.fd)
            self._open.fd = None
        self._open = None


def check(entries: Sequence[Entry], limits: Limits) -> None:
    """Check that a manifest lists nothing but files that may be written into the attempt's directory.

    Raises:
        Wrong: it does, or they are too many or too large.
    """
    if len(entries) > limits.files:
        raise Wrong(f"its manifest lists {len(entries)} files, more than {limits.files}")
    paths: set[str] = set()
    folders: set[str] = set()
    for entry in entries:
        wrong = _wrong_with(entry, paths, limits)
        if wrong:
            raise Wrong(f"its manifest lists {entry.path[:200]!a}, {wrong}")
        paths.add(entry.path)
        folder = _above(entry.path)
        while folder and folder not in folders:
            folders.add(folder)
            folder = _above(folder)
    both = paths & folders
    if both:
        raise Wrong(f"its manifest lists {min(both)!a} as a file and as a folder")
    total = sum(entry.size for entry in entries)
    if total > limits.bytes:
        raise Wrong(f"its files are {total / 1e9:.0f} GB together, more than {limits.bytes / 1e9:.0f} GB")


def _wrong_with(entry: Entry, before: Collection[str], limits: Limits) -> str:
    path = entry.path
    if not is_safe(path):
        return "which leads out of its directory"
    if path in before:
        return "and lists it twice"
    if path.partition("/")[0] in OUTSIDE:
        return "which no manifest may list"
    if entry.size < 0 or not _SHA256.fullmatch(entry.sha256):
        return "with a size or a digest that is none"
    if path.count("/") >= limits.depth:
        return f"which is more than {limits.depth} folders deep"
    return ""


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _in_blocks(size: int) -> Iterator[int]:
    while size > 0:
        yield min(size, BLOCK_BYTES)
        size -= BLOCK_BYTES
