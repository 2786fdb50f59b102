"""Room on the disk under an agent: what is held back for a day without any, and what to tell of one."""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from hsm.wire.files import Files

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
RESERVE_BYTES = 1 << 20
"""So much is held back: reports and records of many attempts, and word of the full disk."""

FULL_BYTES = 1 << 20
"""A disk with less than that free has no room for what programs write."""


class Room(NamedTuple):
    """What the file system of a directory still takes."""

    bytes: int
    files: int

    @property
    def is_full(self) -> bool:
        """Whether programs cannot be expected to do anything there."""
        return self.bytes < FULL_BYTES or self.files == 0

    @property
    def words(self) -> str:
        """How much that is, for people."""
        return f"{self.bytes / 1e6:.1f} MB free" + (", and not one more file" if self.files == 0 else "")


def room_at(files: Files, path: str) -> Room:
    """Return what there is at a path, or where it would be made.

    Raises:
        OSError: the file system does not tell.
    """
    while not files.is_directory(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return Room(files.free_bytes(path), files.free_files(path))


def full(path: str) -> OSError:
    """Return the error of a full disk."""
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def told(files: Files, error: OSError, place: str) -> str:
    """Return what is lacking by an error, where, and for a full disk how much room it has."""
    if error.errno in DISK_FULL and not error.filename:
        error = OSError(error.errno, error.strerror, place)
    where = f": {os.fsdecode(error.filename)}" if error.filename else ""
    return f"{error.strerror or error}{where}{how_full(files, error)}"


def how_full(files: Files, error: OSError) -> str:
    """Return how much room is where an error of a full disk came up, in brackets; empty for other errors."""
    if error.errno not in DISK_FULL or not error.filename:
        return ""
    try:
        return f" ({room_at(files, os.fsdecode(error.filename)).words})"
    except OSError:
        return ""


class Reserve:
    """Room that is held back, so that what has ended can be told when there is no other room."""

    def __init__(self, files: Files, path: str) -> None:
        self._files = files
        self.path = path
        self.is_held = False

    def hold(self) -> bool:
        """Hold it, and tell whether that can be done; it is as good as held where files take up no room.

        Raises:
            OSError: for another reason than a full disk.
        """
        if not self.is_held and not self._is_there():
            try:
                self._files.allocate(self.path, RESERVE_BYTES)
            except OSError as error:
                self._files.remove(self.path)
                if error.errno in DISK_FULL:
                    return False
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.EFBIG):
                    raise
        self.is_held = True
        return True

    def _is_there(self) -> bool:
        """Tell whether a predecessor held it until it died; a part of it is none."""
        if self._files.is_file(self.path) and self._files.length(self.path) >= RESERVE_BYTES:
            return True
        self._files.remove(self.path)
        return False

    def give_up(self) -> None:
        """Let others have the room."""
        if self.is_held:
            self._files.remove(self.path)
            self.is_held = False
