"""Hydra's directories of a multirun, each a link to the results of the task that stands for its job."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from hsm.core.tree import SweepTree


def link_results(tree: SweepTree, directories: Sequence[Path]) -> Iterator[str]:
    """Link the i-th directory to the results of the i-th task; yield what is wrong with those that cannot be.

    A task's place is known before it has begun, and stays the same for every attempt, so the links are made
    once. What an earlier multirun has left in a place stays where it is.
    """
    made: set[Path] = set()
    for place, directory in enumerate(directories, start=1):
        target = tree.task(place) / "results"
        path = Path(os.path.normpath(directory.absolute()))
        if path in made:
            yield f"{directory} belongs to more than one job; {tree.task(place)} has no link"
        elif made.intersection(path.parents):
            yield f"{directory} lies in another job's; {tree.task(place)} has no link"
        elif reason := _link(path, target):
            yield f"{directory} {reason}; the results are in {target}"
        else:
            made.add(path)


def _link(path: Path, target: Path) -> str:
    """Make one link and return why it cannot be made, nothing when it could."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            path.unlink()
        elif path.is_dir():
            path.rmdir()  # an empty one is nobody's
        path.symlink_to(os.path.relpath(target, path.parent.resolve()))
    except OSError as error:
        return f"cannot be linked ({error.strerror})"
    return ""
