"""Projections: the files that people read. Every one follows from the ledger and can be written anew.

They are atomic but not durable; nothing ever reads them to decide anything.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from hsm.core.machine import Command
from hsm.core.model import Attempt, Task
from hsm.core.plan import remove_drafts
from hsm.core.states import AttemptState, TaskStatus
from hsm.core.tracker import Order, SweepTracker
from hsm.core.tree import SweepTree
from hsm.wire import manifest, names
from hsm.wire.files import Files, Kind
from hsm.wire.instants import timestamp
from hsm.wire.manifest import NO_FILES, REPORT
from hsm.wire.yaml_text import yaml_lines, yaml_value


def moment(at: float | None) -> str | None:
    """Return a moment as text, None when it has not come."""
    return None if at is None else timestamp(at)


class Projector:
    """Keeps `tasks/` as the tracker says. All methods block."""

    def __init__(self, files: Files, tree: SweepTree) -> None:
        self._files = files
        self._tree = tree
        self._root = str(tree.root)

    def apply(self, orders: Iterable[Order]) -> None:
        """Carry out placements and archivings, each of which may have been carried out before."""
        for task, command in orders:
            if command is Command.PLACE:
                self._place(task)
            elif command is Command.ARCHIVE:
                self._archive(task)

    def link(self, tasks: Iterable[Task]) -> None:
        """Make `tasks/<task_id>` lead to the work directory of a task that runs."""
        for task in tasks:
            if task.attempt is None:
                continue
            path = str(self._tree.task(task.index))
            target = os.path.relpath(self.work_dir(task, task.attempt), self._tree.tasks)
            if not self._files.is_directory(str(self.work_dir(task, task.attempt))):
                continue  # it has ended meanwhile
            kind = self._files.kind(path)
            if kind is Kind.LINK:
                self._files.unlink(path)
            elif kind is Kind.DIRECTORY:
                self._move_aside(task)
            self._files.symlink(target, path)

    def work_dir(self, task: Task, attempt: Attempt) -> Path:
        """Return where an attempt runs."""
        return self._tree.root / self.ordered(task, attempt)

    def ordered(self, task: Task, attempt: Attempt) -> str:
        """Return where an attempt was ordered to run, relative to the sweep."""
        return self._tree.attempt_name(task.index, attempt.number, attempt.token)

    def directory(self, task: Task, attempt: Attempt) -> Path:
        """Return where an attempt's files are now."""
        name = names.attempt_dir(task.index, attempt.number, attempt.token)
        candidates = (self._tree.work / name, self._tree.attempts / name)
        found = (path for path in candidates if self._files.is_directory(str(path)))
        return next(found, self._tree.task(task.index))

    def _place(self, task: Task) -> None:
        attempt = task.attempt
        if attempt is None or attempt.manifest == NO_FILES:
            return
        # Plain strings: with many short tasks this runs a thousand times a second.
        work = f"{self._root}/{self._tree.attempt_name(task.index, attempt.number, attempt.token)}"
        place = f"{self._root}/tasks/{task.task_id}"
        try:
            self._files.rename(work, place)
        except NotADirectoryError:
            self._files.unlink(place)  # the link to the running attempt
            self._files.rename(work, place)
        except FileNotFoundError:
            self._make_real(place)  # placed before, or the program removed its directory
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if self._is_whole(place, attempt):  # what was run again under an old token is no result
                self._keep(work, f"{os.path.basename(work)}.again")
                return
            self._move_aside(task)
            self._files.rename(work, place)
        self.write_status(task)

    def _is_whole(self, place: str, attempt: Attempt) -> bool:
        """Tell whether the report in a directory is the one that was sealed."""
        found = manifest.read(self._files, place, attempt.manifest or "")
        return not isinstance(found, manifest.Mismatch)

    def _make_real(self, path: str) -> None:
        """Make a directory, in place of a link that leads nowhere."""
        if self._files.kind(path) is Kind.LINK:
            self._files.unlink(path)
        self._files.make_directories(path)

    def _move_aside(self, task: Task) -> None:
        """Archive an older attempt's directory that an engine which died left in the task's place."""
        place = self._tree.task(task.index)
        known = {attempt.token: attempt for attempt in task.attempts}
        older = known.get(self._token_in(place)) or task.attempts[max(0, len(task.attempts) - 2)]
        target = self._tree.attempts / names.attempt_dir(task.index, older.number, older.token)
        number = sum(name.startswith(target.name) for name in self._files.list(str(self._tree.attempts)))
        self._files.rename(str(place), f"{target}.{number}" if number else str(target))

    def _token_in(self, directory: Path) -> str:
        """Return the token of the attempt that left a directory, empty when its report does not say."""
        try:
            report = json.loads(self._files.contents(str(directory / REPORT)))
            return str(report["token"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def _archive(self, task: Task) -> None:
        """Move aside every attempt that is over and no result, and free the place of a task that is open."""
        standing = task.attempt if task.status.is_final else None
        place = str(self._tree.task(task.index))
        for attempt in task.attempts:
            if attempt is standing or attempt.state.is_live:
                continue
            name = names.attempt_dir(task.index, attempt.number, attempt.token)
            is_link = self._files.kind(place) is Kind.LINK
            if is_link and os.path.basename(self._files.read_link(place)) == name:
                self._files.unlink(place)  # not the link of an attempt that has begun since
            self._keep(str(self._tree.work / name), name)
        if standing is None and self._files.kind(place) is Kind.DIRECTORY:
            self._free(task, place)

    def _free(self, task: Task, place: str) -> None:
        """Move aside what was placed, unless it is of an attempt that has begun since."""
        token = self._token_in(Path(place))
        known = {attempt.token: attempt for attempt in task.attempts}
        owner = known.get(token) if token else task.attempts[-1]
        if owner is not None and not owner.state.is_live:
            self._keep(place, names.attempt_dir(task.index, owner.number, owner.token))

    def _keep(self, origin: str, name: str) -> None:
        target = str(self._tree.attempts / name)
        if self._files.is_directory(origin) and not self._files.exists(target):
            self._files.rename(origin, target)

    def aside(self, task: Task, attempt: Attempt) -> Path:
        """Return where an attempt that is no result is, or will be, kept: never in its task's place."""
        name = names.attempt_dir(task.index, attempt.number, attempt.token)
        work = self._tree.work / name
        return work if self._files.is_directory(str(work)) else self._tree.attempts / name

    def write_status(self, task: Task) -> None:
        """Write a task's `status.yaml`."""
        path = f"{self._root}/tasks/{task.task_id}/status.yaml"
        self._files.write_new(path, yaml_lines(status_of(task)).encode("utf-8"))

    def tidy(self, tracker: SweepTracker, epoch: int = 0) -> None:
        """Carry out what an engine that died has left undone: results to place, statuses to write.

        What a snapshot knows of was done when it was taken, so only what has changed since is looked at.
        Plans that engines up to `epoch` have begun to write are removed.
        """
        remove_drafts(self._files, self._tree.plans, epoch)
        self._clear_work(tracker)
        if tracker.epoch == tracker.released:
            return  # it let go in good order
        for task in tracker.tasks.changed():
            if task.attempts:
                place = self._tree.task(task.index)
                is_there = self._files.is_directory(str(place))
                if is_there and not self._is_written(place / "status.yaml"):
                    self.write_status(task)

    def _is_written(self, path: Path) -> bool:
        """Tell whether a file is there to its end: a kill may leave it empty, a power cut full of zeros."""
        try:
            return self._files.contents(str(path)).endswith(b"\n")
        except FileNotFoundError:
            return False

    def _clear_work(self, tracker: SweepTracker) -> None:
        for name in self._files.list(str(self._tree.work)):
            found = _parse(name)
            if found is None or not 1 <= found[0] <= len(tracker.tasks):
                continue
            task = tracker.task(found[0])
            attempt = next((a for a in task.attempts if a.number == found[1]), None)
            if attempt is None or attempt.state.is_live:
                continue
            if task.status.is_final and attempt is task.attempt:
                self._place(task)
            elif not self._files.exists(str(self._tree.attempts / name)):
                self._files.rename(str(self._tree.work / name), str(self._tree.attempts / name))

    def rebuild(self, tracker: SweepTracker) -> None:
        """Write every projection anew."""
        self.tidy(tracker)
        for task in tracker.tasks:
            place = str(self._tree.task(task.index))
            if task.status.is_final and task.attempts and self._files.is_directory(place):
                self.write_status(task)
        self.write_mapping(tracker)
        self.write_errors(tracker)

    def write_mapping(self, tracker: SweepTracker) -> None:
        """Write `task_mapping.yaml`, one line per task."""
        text = "".join(mapping_lines(tracker.tasks))
        self._files.replace(str(self._tree.mapping), (text or "{}\n").encode("utf-8"))

    def write_errors(self, tracker: SweepTracker) -> None:
        """Write `logs/errors/failed_tasks.yaml` and `error_patterns.yaml`."""
        statuses = enumerate(tracker.tasks.statuses(), 1)
        others = (tracker.task(index) for index, status in statuses if status is not TaskStatus.SEALED)
        failed = [task for task in others if task.reason and task.attempts and _is_bad(task)]
        lines = "".join(f"{task.task_id}: {yaml_value(status_of(task))}\n" for task in failed)
        patterns = [
            {
                "cause": group.cause,
                "signature": group.signature,
                "count": group.count,
                "tasks": [names.task_id(index) for index in group.tasks],
            }
            for group in sorted(tracker.failures.values(), key=lambda group: -group.count)
        ]
        text = "".join(f"- {yaml_value(pattern)}\n" for pattern in patterns)
        errors = self._tree.logs / "errors"
        self._files.replace(str(errors / "failed_tasks.yaml"), (lines or "{}\n").encode("utf-8"))
        self._files.replace(str(errors / "error_patterns.yaml"), (text or "[]\n").encode("utf-8"))


def _is_bad(task: Task) -> bool:
    attempt = task.attempt
    return attempt is not None and attempt.state in (
        AttemptState.FAILED,
        AttemptState.LOST,
        AttemptState.REJECTED,
    )


def _parse(name: str) -> tuple[int, int] | None:
    """Return task index and attempt number of a work directory's name."""
    task, _, rest = name.partition(".")
    number = rest.partition("-")[0]
    try:
        return names.task_index(task), int(number)
    except ValueError:
        return None


def status_of(task: Task) -> Mapping[str, Any]:
    """Return what `status.yaml` says of a task."""
    attempt = task.attempt
    status: dict[str, Any] = {
        "task_id": task.task_id,
        "status": str(task.status),
        "config_hash": task.config_hash,
        "seed": task.seed,
        "generation": task.generation,
        "attempts": len(task.attempts),
    }
    if task.reuses is not None:
        status["reuses"] = names.task_id(task.reuses)
    if attempt is not None:
        status.update(_attempt_status(attempt))
    if task.reason:
        status["reason"] = task.reason
    if task.metrics is not None:
        status["metrics"] = dict(task.metrics)
    return status


def _attempt_status(attempt: Attempt) -> dict[str, Any]:
    known: dict[str, Any] = {
        "source": attempt.source,
        "started_at": moment(attempt.started_at),
        "ended_at": moment(attempt.ended_at),
        "cause": attempt.cause and str(attempt.cause),
        "provenance_sha256": attempt.manifest,
        "damage": attempt.damage or None,
        "divergence": attempt.divergence or None,
    }
    if attempt.exit is not None:
        known["exit_code"] = attempt.exit.code
        known["signal"] = attempt.exit.signal
        known["wall_s"] = attempt.exit.wall_s
        known["max_rss_bytes"] = attempt.exit.max_rss_bytes
    return {name: value for name, value in known.items() if value is not None}


def mapping_lines(tasks: Iterable[Task]) -> Iterator[str]:
    """Yield one line of `task_mapping.yaml` per task."""
    for task in tasks:
        attempt = task.attempt
        yield (
            f'{task.task_id}: {{status: "{task.status}"'
            f", source: {yaml_value(attempt.source) if attempt else 'null'}, attempts: {len(task.attempts)}"
            f", generation: {task.generation}, seed: {task.seed}"
            f", config_hash: {yaml_value(task.config_hash)}, params: {_params_text(task.params_json)}}}\n"
        )


@lru_cache(maxsize=4096)
def _params_text(params_json: str) -> str:
    """Return parameters as a value of YAML; the mapping says those of every task again and again."""
    return yaml_value(json.loads(params_json))
