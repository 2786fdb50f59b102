"""Where a command works: the project, its sweeps, and one sweep opened for looking."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hsm.cli.console import Console
from hsm.config import Project, find_project, load_frozen
from hsm.core import summary
from hsm.core.epochs import Claim, holder
from hsm.core.errors import EngineRunning
from hsm.core.ledger_reader import LedgerReader
from hsm.core.monitor import Progress, progress
from hsm.core.spec import SourceSpec, SweepSpec
from hsm.core.states import SweepStatus
from hsm.core.tracker import SweepTracker
from hsm.core.tree import Sweeps, SweepTree
from hsm.core.world import World

if TYPE_CHECKING:
    from hsm.results.analysed import Analysed

MAX_PARAMS_BYTES = 4096
_LONG = re.compile(r"-?\d+\.\d{6,}(?:[eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Workspace:
    """The project around the current folder, and the directory of its sweeps."""

    world: World
    project: Project
    outputs: Path

    @classmethod
    def here(cls, outputs: Path | None = None) -> Workspace:
        """Return the workspace of the current folder.

        Raises:
            ConfigError: its `hsm.yaml` is wrong.
        """
        project = find_project(Path.cwd())
        return cls(World(), project, outputs.absolute() if outputs else project.outputs)

    @property
    def sweeps(self) -> Sweeps:
        """All sweeps."""
        return Sweeps(self.outputs, self.world.files)

    def find(self, reference: str) -> SweepTree:
        """Return the sweep that is meant.

        Raises:
            SweepError: none is, or more than one.
        """
        return self.sweeps.find(reference)

    def look(self, reference: str) -> Look:
        """Return a sweep as it stands now, quickly: finished tasks without their details.

        Raises:
            HsmError: it cannot be found or read.
        """
        return look_at(self.world, self.find(reference))

    def command(self, words: str, tree: SweepTree) -> str:
        """Return the command that does something to this sweep from here, as it can be typed."""
        outer = tree.analysed
        if outer is not None and words.startswith("sweep complete"):
            again = " --retry-failed" if "--retry" in words else ""
            words, tree = f"analyze ID --with {tree.sweep_id}{again}", outer
        text = f"hsm {words.replace('ID', tree.sweep_id if tree.analysed is None else str(tree.root))}"
        if self.outputs == self.project.outputs:
            return text
        return f"{text} --outputs {shlex.quote(str(self.outputs))}"


@dataclass(frozen=True, slots=True)
class Look:
    """A sweep at one moment. `claim` is that of an engine that drives it, or may do so on another host."""

    tree: SweepTree
    spec: SweepSpec
    tracker: SweepTracker
    claim: Claim | None
    at: float

    @property
    def is_driven(self) -> bool:
        """Whether an engine is at it."""
        return self.claim is not None

    @property
    def status(self) -> SweepStatus:
        """Where it stands."""
        return self.tracker.status(driven=self.is_driven)

    def at_time(self, at: float) -> Look:
        """Return it as it is at another moment, nothing having happened."""
        return replace(self, at=at)

    @property
    def progress(self) -> Progress:
        """How it gets on."""
        return progress(self.tracker, self.at, driven=self.is_driven)


def analysed_of(world: World, look: Look, *, telling: bool = False, whole: bool = False) -> list[Analysed]:
    """Return how the analyses of a sweep stand; `telling` for which results those failed that did.

    `whole` ones know parameters and numbers, too.

    Raises:
        HsmError: one cannot be read.
    """
    from hsm.results.analysed import analysed

    found = analysed(world.files, look.tree, look.spec, whole=whole)
    is_whole = telling and any(one.failed for one in found)
    return analysed(world.files, look.tree, look.spec, whole=True) if is_whole else found


def look_at(world: World, tree: SweepTree) -> Look:
    """Return a sweep from its newest summary and what came since.

    Raises:
        HsmError: it cannot be read.
    """
    return look_on(world, tree)[0]


def study(world: World, tree: SweepTree) -> Look:
    """Return a sweep with every detail of every task, from its whole ledger.

    Raises:
        HsmError: it cannot be read.
    """
    spec = load_frozen(tree.config)
    return _look(world, tree, spec, summary.replay(world.files, tree, spec)[0])


def look_on(world: World, tree: SweepTree) -> tuple[Look, LedgerReader]:
    """Return a sweep as `look_at` does, and the reader that goes on from there.

    Raises:
        HsmError: it cannot be read.
    """
    spec = load_frozen(tree.config)
    tracker, reader = summary.glance(world.files, tree, spec)
    return _look(world, tree, spec, tracker), reader


def _look(world: World, tree: SweepTree, spec: SweepSpec, tracker: SweepTracker) -> Look:
    return Look(tree, spec, tracker, holder(world, tree, released=tracker.released), world.now())


def warn_of_misspelt(console: Console, space: Workspace) -> None:
    """Warn of environment variables that nearly are settings."""
    from hsm.config.settings import misspelt

    for name, near in misspelt(space.world.environment()):
        console.warn(f"the environment variable {name} sets nothing", f"did you mean {near}?")


def warn_of_unfit(console: Console, space: Workspace, sources: Iterable[SourceSpec]) -> None:
    """Warn of sources that failed when they were checked last."""
    from hsm.api.checked import CheckedSources
    from hsm.cli.words import rough

    reports = CheckedSources.of(space.world)
    for spec in sources:
        last = reports.last(spec)
        if last is not None and last.failed:
            first = last.failed[0]
            ago = rough(space.world.now() - last.at)
            text = f"{spec.name} failed its check {ago} ago: {first.name}: {first.detail}"
            console.warn(text, f"{first.hint}; then `hsm source check {spec.name}`".lstrip("; "))


def refuse_if_driven(space: Workspace, look: Look) -> None:
    """Refuse a sweep that an engine of this host drives; of one on another host its heartbeat will tell.

    Raises:
        EngineRunning: with the host and the pid.
    """
    if look.claim is None or not space.world.is_alive(look.claim.who):
        return
    who = look.claim.who
    watch = space.command("monitor watch ID", look.tree)
    cancel = space.command("sweep cancel ID", look.tree)
    hint = f"`{watch}` shows it; `{cancel}` ends it; `kill {who.pid}` lets it go"
    raise EngineRunning(
        f"an engine on host {who.host}, pid {who.pid}, drives {look.tree.sweep_id}", hint=hint
    )


def some_tasks(world: World, look: Look, words: Sequence[str]) -> tuple[Look, list[int]]:
    """Return the tasks that selectors mean, and the look, with every detail where the choice needed it.

    Raises:
        SelectorInvalid, SweepError: words that name no task.
    """
    from hsm.core.selectors import join_selectors, select

    selector = join_selectors(words)
    if selector.needs_results:
        look = study(world, look.tree)
    return look, select(selector, look.tracker)


def _shortened(match: re.Match[str]) -> str:
    return f"{float(match.group()):.6g}"


def params_line(tree: SweepTree, spec: SweepSpec, task: int) -> str:
    """Return what a task's parameters are that not every task has alike, from the file beside its results.

    It is empty where that file is not there.
    """
    try:
        with (tree.task(task) / "params.yaml").open(encoding="utf-8", errors="replace") as file:
            rows = file.read(MAX_PARAMS_BYTES).splitlines()
    except OSError:
        return ""
    pairs = [
        (key.strip('"'), _LONG.sub(_shortened, value))
        for key, _, value in (row.partition(": ") for row in rows)
    ]
    return ", ".join(f"{key} = {value}" for key, value in pairs if value and key not in spec.parameters)
