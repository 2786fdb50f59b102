"""The analyses of a sweep as they stand, and what they say of each of its results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hsm.config import load_frozen
from hsm.core import summary
from hsm.core.analyses import inner_trees, key_of
from hsm.core.model import Task
from hsm.core.monitor import Failures, failures_of
from hsm.core.spec import SweepSpec
from hsm.core.states import TaskStatus
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.wire.files import Files


@dataclass(frozen=True, kw_only=True)
class Analysed:
    """One analysis of a sweep; without a tracker it has not begun."""

    name: str
    tree: SweepTree
    tracker: SweepTracker | None

    @property
    def done(self) -> int:
        """How many results have been analysed."""
        return self._count(TaskStatus.SEALED)

    @property
    def failed(self) -> int:
        """For how many results it failed, or what it found is damaged."""
        return self._count(TaskStatus.FAILED) + self._count(TaskStatus.CORRUPT)

    @property
    def cancelled(self) -> int:
        """For how many results it was cancelled."""
        return self._count(TaskStatus.CANCELLED)

    @property
    def open(self) -> int:
        """How many results it is still to be made of, as far as has been planned."""
        return self.tracker.open if self.tracker else 0

    def _count(self, status: TaskStatus) -> int:
        return self.tracker.counts[status] if self.tracker else 0

    @property
    def finding(self) -> Mapping[str, Any]:
        """How it stands, as data."""
        return {
            "done": self.done,
            "failed": self.failed,
            "cancelled": self.cancelled,
            "open": self.open,
            "path": str(self.tree.root),
        }

    @property
    def words(self) -> str:
        """How it stands, in words."""
        if self.tracker is None:
            return "not begun"
        pieces = [f"{self.done:,} done"]
        pieces += [f"{self.failed:,} failed"] if self.failed else []
        pieces += [f"{self.cancelled:,} cancelled"] if self.cancelled else []
        pieces += [f"{self.open:,} to go"] if self.open else []
        return ", ".join(pieces)

    @property
    def failures(self) -> tuple[Failures, ...]:
        """The groups of like failures, as of any sweep: the tasks are its own."""
        return failures_of(self.tracker) if self.tracker else ()

    def about(self, index: int) -> str:
        """Return whose result one of its tasks is about, empty where that is not known."""
        params = json.loads(self.tracker.task(index).params_json or "{}") if self.tracker else {}
        return str(params.get("task", ""))

    @cached_property
    def _by_result(self) -> Mapping[tuple[str, int], Task]:
        tasks = self.tracker.tasks if self.tracker else ()
        return {key_of(json.loads(task.params_json)): task for task in tasks}

    def of(self, task: Task) -> Task | None:
        """Return what it made of a task's result, which may be open or have failed; None where nothing."""
        attempt = task.attempt
        return None if attempt is None else self._by_result.get((task.task_id, attempt.number))


def analysed(files: Files, tree: SweepTree, spec: SweepSpec, *, whole: bool = False) -> list[Analysed]:
    """Return the analyses of a sweep: those of its configuration, then those that were asked for later.

    Numbers and parameters are known only of `whole` ones, which take longer to read.

    Raises:
        HsmError: one cannot be read.
    """
    begun = {inner.sweep_id: inner for inner in inner_trees(files, tree)}
    names = dict.fromkeys([*(analysis.name for analysis in spec.analyses), *begun])
    return [_read(files, tree.analysis(name), whole=whole, has_begun=name in begun) for name in names]


def _read(files: Files, inner: SweepTree, *, whole: bool, has_begun: bool) -> Analysed:
    if not has_begun:
        return Analysed(name=inner.sweep_id, tree=inner, tracker=None)
    read = summary.replay if whole else summary.glance
    tracker, _ = read(files, inner, load_frozen(inner.config))
    return Analysed(name=inner.sweep_id, tree=inner, tracker=tracker)


def numbers_of(every: list[Analysed], task: Task) -> Iterator[tuple[str, float | None]]:
    """Yield the numbers that analyses made of a task's result, each as `ANALYSIS.NUMBER`."""
    for one in every:
        found = one.of(task)
        if found is not None and found.status is TaskStatus.SEALED:
            yield from ((f"{one.name}.{name}", value) for name, value in (found.metrics or {}).items())
