"""Making a whole file system durable, where the system has a call for that."""

from __future__ import annotations

import ctypes
import os
from typing import Any, Callable, List


def _find_syncfs() -> Callable[[int], None]:
    try:
        call: Any = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):  # not Linux, or a C library without it
        return lambda _fd: os.sync()

    def syncfs(fd: int) -> None:
        if call(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    return syncfs


_SYNCFS: List[Callable[[int], None]] = []


def sync_filesystem_of(fd: int) -> None:
    """Make everything written so far to the file system of an open file durable."""
    if not _SYNCFS:
        _SYNCFS.append(_find_syncfs())
    _SYNCFS[0](fd)
