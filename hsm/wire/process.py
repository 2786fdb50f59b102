"""Which process is it: a pid alone says nothing, (boot, pid, start) names one process for ever."""

from __future__ import annotations

import os
import platform
from typing import List, Optional

SMALL_BYTES = 1 << 16


def boot_id() -> str:
    """Return what distinguishes this boot of the machine from every other."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return platform.node()


def stat_fields(pid: int) -> Optional[List[str]]:
    """Return the fields of /proc/PID/stat from the state (field 3) on; None when there is no such process."""
    try:
        return read_small(f"/proc/{pid}/stat").rpartition(b") ")[2].decode("ascii").split()
    except OSError:
        return None


def read_small(path: str) -> bytes:
    """Return what a small file of /proc says.

    Raises:
        OSError: it cannot be read.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, SMALL_BYTES)
    finally:
        os.close(fd)


def start_of(pid: int) -> Optional[str]:
    """Return when a living process began, in the kernel's ticks since boot."""
    fields = stat_fields(pid)
    return fields[19] if fields and fields[0] != "Z" else None
