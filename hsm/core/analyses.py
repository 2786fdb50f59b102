"""Analyses: programs that look at each result of a sweep, each of them a sweep of its own beneath it.

Here is what such a sweep is made of: its spec, and the hunter that follows the other sweep's results.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from random import Random
from types import MappingProxyType
from typing import TypeAlias

from hsm.core.mailbox import Mailbox
from hsm.core.model import History, Proposal, Task
from hsm.core.spec import AnalysisSpec, Params, SweepSpec
from hsm.core.states import TaskStatus
from hsm.core.template import Literal, parse_template
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire import manifest
from hsm.wire.files import Files

Key: TypeAlias = "tuple[str, int]"
"""A task's name and the number of its sealed attempt."""

OF = "of"
"""The placeholder, within HSM, for the folder of the sweep whose results are analysed."""
PLACEHOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "artifact": "{of}/tasks/{task}/{artifact}",
        "result": "{of}/tasks/{task}",
        "task_id": "{task}",
        "project": "{project}",
        "results": "{results}",
        "params": "{params}",
    }
)
"""What the command of an analysis may ask for, and what that is for the sweep that runs it."""
SHOWN = 8
"""So many files of a result are named where none of them fits."""


def spec_of(analysis: AnalysisSpec) -> SweepSpec:
    """Return the sweep that an analysis is. Where it runs is said when it is run."""
    return SweepSpec(
        name=analysis.name,
        program=replace(analysis.program, command=tuple(map(_rewritten, analysis.program.command))),
        timeout_s=analysis.timeout_s,
        retry=analysis.retry,
        max_failure_rate=1.0,
        analyses=(analysis,),
        follows=True,
    )


def _rewritten(word: str) -> str:
    """Return a word of an analysis' command as its own sweep fills it in."""
    return "".join(
        part.text.replace("{", "{{").replace("}", "}}")
        if isinstance(part, Literal)
        else PLACEHOLDERS[part.name]
        for part in parse_template(word)
    )


def fitting(paths: Iterable[str], analysis: AnalysisSpec) -> str | None:
    """Return the file of a result that an analysis is given: the first by name that its pattern fits."""
    return next((path for path in sorted(paths) if fnmatchcase(path, analysis.artifact)), None)


def key_of(params: Params) -> Key:
    """Return which result the parameters of an analysis name."""
    return str(params["task"]), int(str(params["attempt"]))


class Follower:
    """The hunter of an analysis: it proposes every result that has a fitting file, once, as they come.

    `offered` results are looked at when the planner waits; nothing more comes once it is `closed`.
    """

    def __init__(self, world: World, tree: SweepTree, analysis: AnalysisSpec) -> None:
        self._world = world
        self._tree = tree
        self._analysis = analysis
        self._offered: Mailbox[Task | None] = Mailbox()
        self._known: set[Key] = set()
        self._found: list[Proposal] = []
        self._is_closed = False
        self._passed = 0
        self._passed_files: Sequence[str] = ()

    def know(self, tasks: Iterable[Task]) -> None:
        """Note the analyses that have been planned."""
        self._known.update(key_of(json.loads(task.params_json)) for task in tasks)

    def offer(self, tasks: Iterable[Task]) -> None:
        """Take results that are in their places."""
        for task in tasks:
            self._offered.put(task)

    def close(self) -> None:
        """Note that no more results come."""
        self._offered.put(None)

    @property
    def seen(self) -> int:
        """How many results there are for it so far, those that wait to be looked at included."""
        return len(self._known) + len(self._offered)

    @property
    def has_found(self) -> bool:
        """Whether there is something to propose."""
        return bool(self._found)

    @property
    def why_nothing(self) -> str:
        """Why nothing was proposed, empty where something was."""
        if self._known:
            return ""
        if not self._passed:
            return "there is no result with files"
        more = f" and {len(self._passed_files) - SHOWN} more" if len(self._passed_files) > SHOWN else ""
        return (
            f"no result has a file like {self._analysis.artifact}; "
            f"one has {', '.join(self._passed_files[:SHOWN])}{more}"
        )

    async def due(self) -> None:
        """Wait until there is something to propose, or nothing will ever be."""
        while not self._found and not self._is_closed:
            offered = await self._offered.take()
            self._is_closed = None in offered
            results = [task for task in offered if task is not None]
            self._found += await self._world.blocking(self._look_at, results)

    def _look_at(self, results: Iterable[Task]) -> list[Proposal]:
        return list(self._proposals(results))

    def ask(self, history: History, rng: Random) -> Iterable[Proposal]:
        """Propose what has been found."""
        found, self._found = self._found, []
        return found

    def _proposals(self, tasks: Iterable[Task]) -> Iterator[Proposal]:
        for task in tasks:
            attempt = task.attempt
            if attempt is None or task.status is not TaskStatus.SEALED:
                continue
            key = (task.task_id, attempt.number)
            if key in self._known or attempt.manifest in (None, manifest.NO_FILES):
                continue
            path = str(self._tree.task(task.index))
            listed = manifest.read(self._world.files, path, attempt.manifest or "")
            if isinstance(listed, manifest.Mismatch):
                continue  # it is damaged; `hsm sweep verify` tells
            paths = [entry.path for entry in listed.entries]
            artifact = fitting(paths, self._analysis)
            if artifact is None:
                self._passed += 1
                self._passed_files = self._passed_files or paths
            else:
                self._known.add(key)
                yield Proposal(
                    params={
                        "task": task.task_id,
                        "attempt": attempt.number,
                        "artifact": artifact,
                        "manifest": attempt.manifest,
                    }
                )


def results_of(tasks: Iterable[Task]) -> Iterator[Task]:
    """Yield the tasks that have a result of their own, which is whole."""
    return (task for task in tasks if task.status is TaskStatus.SEALED)


def link(files: Files, tree: SweepTree, inner: SweepTree, tasks: Iterable[Task]) -> None:
    """Let `analyses/NAME` beside each result that was analysed lead to what came of it. Blocks.

    Of a task that has another result by now, or none, nothing is changed.
    """
    for task in tasks:
        params = json.loads(task.params_json)
        place = tree.tasks / str(params["task"])
        listed = manifest.read(files, str(place), str(params["manifest"]))
        if isinstance(listed, manifest.Mismatch) or not files.is_directory(str(inner.task(task.index))):
            continue
        link, target = f"{place}/analyses/{inner.sweep_id}", f"../../../.hsm/analyses/{inner.sweep_id}"
        files.make_directories(f"{place}/analyses")
        files.remove(link)
        files.symlink(f"{target}/tasks/{task.task_id}", link)


def inner_trees(files: Files, tree: SweepTree) -> list[SweepTree]:
    """Return the sweeps of the analyses that have begun, by name."""
    names = files.list(str(tree.analyses)) if files.is_directory(str(tree.analyses)) else []
    found = [tree.analysis(name) for name in sorted(names) if not name.startswith(".")]
    return [inner for inner in found if files.is_file(str(inner.config))]
