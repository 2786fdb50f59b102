"""Which processes belong to attempts, and waiting until they are gone: on the process, never on a clock."""

from __future__ import annotations

import os
import select
from collections.abc import Collection
from pathlib import Path

_VARIABLE = b"HSM_TOKEN="


def bearers(tokens: Collection[str]) -> dict[int, str]:
    """Return the living processes that carry one of these tokens in their environment, with the token."""
    found: dict[int, str] = {}
    for path in Path("/proc").glob("[0-9]*/environ"):
        token = _token(path)
        if token in tokens:
            found[int(path.parent.name)] = token
    return found


def _token(path: Path) -> str:
    try:
        entries = path.read_bytes().split(b"\0")
    except OSError:  # it has ended, or belongs to somebody else
        return ""
    words = (entry[len(_VARIABLE) :] for entry in entries if entry.startswith(_VARIABLE))
    return next(words, b"").decode("ascii", "replace")


def wait_gone(pid: int, timeout_s: float) -> bool:
    """Wait until a process has ended, and tell whether it has. Blocks."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], timeout_s)[0])
    finally:
        os.close(fd)
