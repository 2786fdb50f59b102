"""The summary: a tracker at a stamped place of the ledger, so that a reader folds only what came since.

Open tasks that have attempts are carried whole, all others by their status alone: enough to count, to rank
and to go on folding, not enough to run. It is a projection; where it is missing, older than the format or
not of this ledger, the reader folds from the beginning.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from hsm.core import events as ev
from hsm.core.errors import LedgerCorrupt, MachineError
from hsm.core.ledger import LedgerReader
from hsm.core.model import Attempt, Exit, Task
from hsm.core.plan import read_plan
from hsm.core.segments import Mark
from hsm.core.spec import SweepSpec
from hsm.core.states import AttemptState, Cause, TaskStatus
from hsm.core.tallies import Best, FailureGroup, Generation, SourceState
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.wire.files import Files
from hsm.wire.log import Position

VERSION = 2


@dataclass(frozen=True, slots=True)
class Frozen:
    """A tracker at one moment; tasks are immutable, so their list is enough."""

    content: Mapping[str, Any]
    tasks: Sequence[Task]


_SCALARS = ("hunt_ended", "ended_because", "stopped", "cancelled", "epoch", "first_at", "last_at", "retries")


def tracker_of(files: Files, tree: SweepTree, spec: SweepSpec) -> SweepTracker:
    """Return an empty tracker that reads its plans from this tree."""

    def plan_reader(event: ev.GenerationPlanned) -> Iterator[Task]:
        return read_plan(files, tree.plans, event.plan, generation=event.generation, first=event.first)

    return SweepTracker(spec, plan_reader)


def replay(files: Files, tree: SweepTree, spec: SweepSpec) -> tuple[SweepTracker, LedgerReader]:
    """Fold the whole ledger; the reader can go on from there.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    tracker, reader = tracker_of(files, tree, spec), LedgerReader(files, tree)
    for event in reader.events():
        tracker.fold(event)
    return tracker, reader


def glance(files: Files, tree: SweepTree, spec: SweepSpec) -> tuple[SweepTracker, LedgerReader]:
    """Fold the newest summary and what came since: for looking, not for running."""
    tracker = tracker_of(files, tree, spec)
    mark = _load(files, tree, tracker)
    if mark is None or not _holds(files, tree, mark):
        return replay(files, tree, spec)
    reader = LedgerReader(files, tree, mark)
    try:
        for event in reader.events():
            tracker.fold(event)
    except (MachineError, LedgerCorrupt):  # not of this ledger, or about a task known by its status alone
        return replay(files, tree, spec)
    return tracker, reader


def _holds(files: Files, tree: SweepTree, mark: Mark) -> bool:
    """Tell whether the ledger reaches as far as a mark."""
    path = str(tree.ledger / mark.segment)
    return files.is_file(path) and files.length(path) >= mark.position.offset


def freeze(tracker: SweepTracker, mark: Mark) -> Frozen:
    """Take what a summary needs, quickly; `save` may then write it in another thread."""
    offset, seq, chain = mark.position
    content = {
        "version": VERSION,
        "stamp": {"segment": mark.segment, "offset": offset, "seq": seq, "chain": chain.hex()},
        **{name: getattr(tracker, name) for name in _SCALARS},
        "generations": [asdict(generation) for generation in tracker.generations],
        "sources": {name: asdict(source) for name, source in tracker.sources.items()},
        "failures": [asdict(group) for group in tracker.failures.values()],
        "outcomes": dict(tracker.outcomes),
        "cursors": dict(tracker.cursors),
        "improvements": [asdict(best) for best in tracker.improvements],
        "endings": list(tracker.endings),
        "created": tracker.created and ev.to_record(tracker.created),
        "engine": tracker.engine and ev.to_record(tracker.engine),
        "last": tracker.last and ev.to_record(tracker.last),
    }
    return Frozen(content, list(tracker.tasks))


def save(files: Files, tree: SweepTree, frozen: Frozen) -> None:
    """Write the summary of what the ledger held when the tracker was frozen."""
    tasks = frozen.tasks
    runs = groupby(task.status for task in tasks)
    content = {
        **frozen.content,
        "statuses": [[status, sum(1 for _ in run)] for status, run in runs],
        "open": [_task_record(task) for task in tasks if not task.status.is_final and task.attempts],
    }
    files.replace(str(tree.summary), json.dumps(content, separators=(",", ":")).encode())


def _task_record(task: Task) -> dict[str, Any]:
    record = asdict(task)
    del record["params_json"], record["task_key"]
    return record


def _load(files: Files, tree: SweepTree, tracker: SweepTracker) -> Mark | None:
    data = files.read(str(tree.summary), 0)
    try:
        content = json.loads(data)
        if content["version"] != VERSION:
            return None
        stamp = content["stamp"]
        _restore(tracker, content)
        position = Position(stamp["offset"], stamp["seq"], bytes.fromhex(stamp["chain"]))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None
    return Mark(stamp["segment"], position)


def _restore(tracker: SweepTracker, content: dict[str, Any]) -> None:
    for name in _SCALARS:
        setattr(tracker, name, content[name])
    tracker.generations = [Generation(**record) for record in content["generations"]]
    tracker.sources = {name: SourceState(**record) for name, record in content["sources"].items()}
    for record in content["failures"]:
        group = FailureGroup(**record)
        tracker.failures[group.cause, group.signature] = group
    tracker.cursors = dict(content["cursors"])
    tracker.improvements = [Best(**record) for record in content["improvements"]]
    tracker.endings.extend(content["endings"])
    tracker.outcomes.update({TaskStatus(word): count for word, count in content["outcomes"].items()})
    for name in ("created", "engine", "last"):
        record = content[name]
        setattr(tracker, name, record and ev.from_record(record))
    tracker.adopt(_stubs(tracker.generations, content["statuses"], content["open"]))


def _stubs(generations: list[Generation], statuses: list[Any], open_: list[Any]) -> list[Task]:
    words = [TaskStatus(status) for status, count in statuses for _ in range(count)]
    tasks = [
        _stub(index, generation.number, words[index - 1])
        for generation in generations
        for index in range(generation.first, generation.first + generation.count)
    ]
    for record in open_:
        tasks[record["index"] - 1] = _task(record)
    return tasks


def _stub(index: int, generation: int, status: TaskStatus) -> Task:
    return Task(
        index=index, config_hash="", task_key="", params_json="{}", generation=generation, status=status
    )


def _task(record: dict[str, Any]) -> Task:
    attempts = tuple(_attempt(item) for item in record.pop("attempts"))
    status = TaskStatus(record.pop("status"))
    return Task(**record, task_key="", params_json="{}", status=status, attempts=attempts)


def _attempt(record: dict[str, Any]) -> Attempt:
    record["state"] = AttemptState(record["state"])
    record["cause"] = record["cause"] and Cause(record["cause"])
    record["exit"] = record["exit"] and Exit(**record["exit"])
    return Attempt(**record)
