"""What a machine may lack, and what to do about it."""

from __future__ import annotations

import errno
import os

FILES = "too many files are open here: raise the limit that `ulimit -n` shows"
PROCESSES = "no more processes or threads may be started: end some, or raise the limit that `ulimit -u` shows"
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
REMEDIES = {
    errno.EMFILE: FILES,
    errno.ENFILE: "too many files are open on this machine: end what has them open",
    errno.EAGAIN: PROCESSES,
}
THREADS = "can't start new thread"
"""What Python says where a machine lets it start no further one; it has no number."""


def remedy(error: BaseException) -> str:
    """Return what to do about an error that says what is lacking; empty where it says something else."""
    return REMEDIES.get(error.errno or 0, "") if isinstance(error, OSError) else ""


def remedy_of(words: str) -> str:
    """Return what to do about the last words of a program that lacked something; empty where it did not."""
    if THREADS in words:
        return PROCESSES
    return next((what for code, what in REMEDIES.items() if os.strerror(code) in words), "")
