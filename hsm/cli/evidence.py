"""What attempts left behind: the ends of their logs, and the hosts that they ran on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from hsm.core.tree import SweepTree
from hsm.wire import names
from hsm.wire.manifest import REPORT

TAIL_BYTES = 8192
MAX_REPORT_BYTES = 4 << 20


def directory_of(tree: SweepTree, task: int, attempt: int, token: str) -> Path:
    """Return where an attempt's files are now."""
    name = names.attempt_dir(task, attempt, token)
    kept = (tree.work / name, tree.attempts / name)
    return next((path for path in kept if path.is_dir()), tree.task(task))


def tail(path: Path, rows: int) -> list[str]:
    """Return the last lines of a log that are not empty, none where there is no log."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            found = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [row.rstrip() for row in found if row.strip()][-rows:]


def written_at(path: Path) -> int:
    """Return when a log was written to last, in ns; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def last_words(directory: Path, rows: int) -> tuple[str, list[str]]:
    """Return which stream an attempt spoke on last, and its end: stderr, or stdout where that is empty."""
    for name in ("stderr", "stdout"):
        found = tail(directory / f"{name}.log", rows)
        if found:
            return name, found
    return "stderr", []


def hosts_of(directories: Iterable[Path]) -> dict[str, int]:
    """Return how many of these attempts ran on each host, as far as their provenance reports tell."""
    found: dict[str, int] = {}
    for name in filter(None, _hosts(directories)):
        found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _hosts(directories: Iterable[Path]) -> Iterator[str]:
    for directory in directories:
        try:
            with (directory / REPORT).open("rb") as file:
                host = json.loads(file.read(MAX_REPORT_BYTES))["host"]
            yield str(host["name"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
