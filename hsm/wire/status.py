"""Asking which file has a name and how long it is, without asking when it was written.

Linux gives a file whose times have been looked at a new time at its next write, which some file systems then
write with every `fdatasync`: a log that is looked at before each group would pay for that twice.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Any, Callable, List, Tuple

Extent = Tuple[int, int]
"""The number of a file, and its length in bytes."""

_AT_FDCWD = -100
_INODE_AND_SIZE = 0x100 | 0x200
_Answer = ctypes.c_char * 256
_FIELDS = struct.Struct("@I28xQQ")  # the mask of what is known; inode number; size


def _find_statx() -> Callable[[str], Extent]:
    try:
        call: Any = ctypes.CDLL(None, use_errno=True).statx
    except (OSError, AttributeError):  # not Linux, or a C library without it
        return _stat

    def statx(path: str) -> Extent:
        answer = _Answer()
        if call(_AT_FDCWD, os.fsencode(path), 0, _INODE_AND_SIZE, answer) != 0:
            return _stat(path)
        known, inode, size = _FIELDS.unpack_from(answer)
        return (inode, size) if known & _INODE_AND_SIZE == _INODE_AND_SIZE else _stat(path)

    return statx


def _stat(path: str) -> Extent:
    found = os.stat(path)
    return found.st_ino, found.st_size


_STATX: List[Callable[[str], Extent]] = []


def extent(path: str) -> Extent:
    """Return the number and the length of the file that a path leads to.

    Raises:
        OSError: as `os.stat` does.
    """
    if not _STATX:
        _STATX.append(_find_statx())
    return _STATX[0](path)
