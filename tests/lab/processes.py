"""Which processes belong to a host of the lab, found through /proc; nothing else is ever signalled."""

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

LIMIT_S = 20.0
POLL_S = 0.01


def until(condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: it did not come about in time.
    """
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {limit_s:g} s"
        time.sleep(POLL_S)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that live."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, task.read_text().split())
        except OSError:
            continue
    return found


def descendants(pid: int) -> list[int]:
    """Return all that a process has started, and what those have."""
    found = children(pid)
    for child in found:
        found += children(child)
    return found


def with_variable(variable: str) -> list[int]:
    """Return the processes whose environment holds `NAME=value`."""
    wanted = variable.encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in variables:
            found.append(int(entry.name))
    return found


def name_of(pid: int) -> str:
    """Return the name of a process, empty when it has gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    """Tell whether a process lives; one that nobody has buried does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to processes, some of which may have gone."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
