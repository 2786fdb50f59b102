"""Whether a file system is of this machine alone, so that one look tells that a name is not there.

A client of a network file system may remember for a while that a name was not there, though another host has
made it meanwhile. It asks anew when a directory is opened, in order to list it.
"""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache
from typing import Any

LOCAL = frozenset(
    {
        0xEF53,  # ext2, ext3, ext4
        0x58465342,  # XFS
        0x9123683E,  # Btrfs
        0xF2F52010,  # F2FS
        0x01021994,  # tmpfs
    }
)
"""What `statfs` says of file systems whose names this kernel alone makes; of all others that is not known."""

_ANSWER_BYTES = 512  # more than any `struct statfs` has, whose first member is the kind


@lru_cache(maxsize=64)
def is_local(directory: str) -> bool:
    """Tell whether a directory is known to be on a file system of this machine alone; asked once."""
    return _kind(directory) in LOCAL


def _kind(path: str) -> int:
    """Return the number of a kind of file system, 0 where it cannot be told."""
    answer = ctypes.create_string_buffer(_ANSWER_BYTES)
    try:
        call: Any = ctypes.CDLL(None, use_errno=True).statfs
        failed = call(os.fsencode(path), answer)
    except (OSError, AttributeError):  # not Linux
        return 0
    return 0 if failed else ctypes.c_ulong.from_buffer(answer).value & 0xFFFFFFFF
