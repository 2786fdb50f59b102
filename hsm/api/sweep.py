"""`AsyncSweep`: one sweep, of this process or any other, for callers with an event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from hsm.api import cancelling, driving, sourcing
from hsm.api.analyses import analysis_of
from hsm.api.analysing import Followed, Reanalysing
from hsm.api.origin import project_of
from hsm.api.preflight import check_program
from hsm.config import find_project, load_frozen
from hsm.core import events as ev
from hsm.core import summary
from hsm.core.completion import Fate, plan_completion
from hsm.core.engine import SweepEngine
from hsm.core.epochs import holder
from hsm.core.errors import ConfigError, Problem, SweepError
from hsm.core.job import SweepJob, Wishes
from hsm.core.ledger_reader import LedgerReader
from hsm.core.monitor import Progress, progress
from hsm.core.spec import AnalysisSpec, SweepSpec
from hsm.core.states import SweepStatus
from hsm.core.tracker import SweepTracker
from hsm.core.tree import Sweeps, SweepTree
from hsm.core.world import World
from hsm.hunt.registry import build_hunter
from hsm.results import Results, html, results_of
from hsm.wire.files import Files
from hsm.wire.names import task_index

if TYPE_CHECKING:
    from hsm.api.plots import Plot

INTERVAL_S = 0.2


@dataclass(frozen=True, slots=True)
class Opened:
    """Where a sweep is, and what it was made from."""

    tree: SweepTree
    spec: SweepSpec


def find(reference: str | Path, *, outputs: Path | None = None) -> Opened:
    """Return the sweep that a path, an id, the first letters of one, or `last` means.

    Raises:
        HsmError: none is meant, or it cannot be read.
    """
    project = find_project(Path.cwd())
    tree = Sweeps(outputs.absolute() if outputs else project.outputs, Files()).find(str(reference))
    return Opened(tree, load_frozen(tree.config))


class AsyncSweep:
    """One sweep: running here or elsewhere, dead, or finished. Everything it tells comes from the ledger.

    `async with` lets go of its threads at the end; the sweep itself goes on whatever becomes of this object.
    """

    def __init__(self, opened: Opened, *, world: World | None = None) -> None:
        self._tree, self._spec = opened.tree, opened.spec
        self._world = world or World()

    @classmethod
    async def run(cls, order: driving.Order, *, world: World | None = None) -> Self:
        """Make a new sweep and see it through; return it when it is over.

        Raises:
            HsmError: it cannot be run; failed tasks raise nothing, they are in the results.
        """
        world = world or World()
        try:
            job = await driving.create(world, order)
            await driving.drive(world, job, SweepEngine.run_sweep)
        finally:
            world.close()
        return cls(Opened(job.tree, job.spec), world=world)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of threads. It can be used again."""
        self._world.close()

    # What it is

    @property
    def id(self) -> str:
        """The sweep's id."""
        return self._tree.sweep_id

    @property
    def name(self) -> str:
        """The name in its configuration."""
        return self._spec.name

    @property
    def path(self) -> Path:
        """Its directory."""
        return self._tree.root

    @property
    def spec(self) -> SweepSpec:
        """What it was made from, as frozen when it began."""
        return self._spec

    # How it stands

    async def status(self) -> SweepStatus:
        """Return where it stands: `running` while an engine drives it, here or elsewhere."""
        return (await self.progress()).status

    async def progress(self) -> Progress:
        """Return how it gets on: counts, pace, sources, failures, the best so far."""
        return await self._world.blocking(self.look)

    def look(self) -> Progress:
        """Return how it gets on. Blocks for as long as the newest summary takes to read."""
        tracker, _ = summary.glance(self._world.files, self._tree, self._spec)
        return progress(tracker, self._world.now(), driven=self._is_driven(tracker.released))

    def _is_driven(self, released: int) -> bool:
        return holder(self._world, self._tree, released=released) is not None

    async def results(self) -> Results:
        """Return a row for each task that has been planned, failed and open ones included."""
        return await self._world.blocking(results_of, self._world.files, self._tree, self._spec)

    async def analyse(self, name: str) -> Mapping[str, Any] | str:
        """Return what an analysis says of the results as they stand.

        One that a program makes of each result is run here for those that it was not made of yet, and says
        of how many it is `done`, `failed` and `open`, and in which folder it is.

        Raises:
            HsmError: there is no such analysis, its plug-in is broken, or it cannot go on.
        """
        found = await self._world.blocking(analysis_of, self._world.files, self._tree, self._spec, name)
        if isinstance(found, AnalysisSpec):
            return await self._analyse_each(found)
        results = await self.results()
        return await self._world.blocking(found, results)

    async def _analyse_each(self, analysis: AnalysisSpec) -> Mapping[str, Any]:
        tree, spec, world = self._tree, self._spec, self._world
        project = project_of(tree, find_project(Path.cwd()).root)
        tracker, _ = await world.blocking(summary.replay, world.files, tree, spec)
        analysing = Reanalysing(world, Followed(tree=tree, spec=spec, project=project), [analysis])
        errors = await analysing.run(tracker)
        if analysis.name in errors:
            raise errors[analysis.name]
        return analysing.standing()[0].finding

    async def plot(self, name: str) -> Plot:
        """Return a plot of the report: `hsm.api.plots.PLOTS` has their names. A notebook shows it.

        Raises:
            SweepError: there is no such plot.
        """
        from hsm.api import plots  # noqa: PLC0415 - who plots nothing need not load the reports

        plots.check_name(name)
        return await self._world.blocking(self._plot, name)

    def _plot(self, name: str) -> Plot:
        from hsm.api.plots import plot_of  # noqa: PLC0415 - the same

        driven = self.look().status is SweepStatus.RUNNING
        return plot_of(self._world, self._tree, self._spec, name, driven=driven)

    # What happens

    async def events(self) -> AsyncGenerator[ev.Event, None]:
        """Yield what has happened since the sweep began, and what happens until nobody drives it any more."""
        reader, released = LedgerReader(self._world.files, self._tree), 0
        is_last = False
        while not is_last:
            is_last = not self._is_driven(released)  # asked before reading: what was written is read
            for event in await self._world.blocking(lambda: list(reader.events())):
                released = event.epoch if isinstance(event, ev.EngineStopped) else 0
                yield event
            if not is_last:
                await self._world.sleep(INTERVAL_S)

    async def wait(self) -> SweepStatus:
        """Wait until no engine drives it any more, and return where it stands then.

        `partial` says that tasks are open and nobody is at them: `complete` goes on with it.
        """
        async for _ in self.events():
            pass
        return await self.status()

    async def complete(
        self,
        *,
        sources: Sequence[str] = (),
        retry_failed: bool = False,
        takeover: bool = False,
        max_tasks: int | None = None,
        abandon: Sequence[str] = (),
    ) -> SweepStatus:
        """Go on with it in this process, to its end: adopt what runs, run what is missing.

        Without `sources` it goes on where it was run before. What was handed to a source of `abandon` is
        given up and run elsewhere.

        Raises:
            EngineRunning: an engine drives it.
            HsmError: it cannot be run.
        """
        tracker, _ = await self._world.blocking(summary.replay, self._world.files, self._tree, self._spec)
        plan = plan_completion(tracker, retry_failed=retry_failed)
        if not plan.is_empty:
            reopen = plan.fates[Fate.RERUN]
            wishes = Wishes(max_tasks=max_tasks, reopen=reopen, takeover=takeover, abandon=abandon)
            job = await self._world.blocking(self._job, tracker, sources, wishes)
            await self._drive(job, SweepEngine.complete_sweep)
        return await self.status()

    async def _drive(self, job: SweepJob, act: Callable[[SweepEngine, SweepJob], Awaitable[object]]) -> None:
        try:
            await driving.drive(self._world, job, act)
        finally:
            self._world.close()

    async def cancel(self, tasks: Sequence[str | int] = ()) -> None:
        """End these tasks, or all that are open and the sweep's analyses; durable when this returns.

        An engine that drives it is asked; where none does, this process ends them.

        Raises:
            HsmError: there is no such task, or it cannot be done.
        """
        tracker, _ = await self._world.blocking(summary.glance, self._world.files, self._tree, self._spec)
        chosen = sorted({_index(task, len(tracker.tasks)) for task in tasks})
        job = await self._world.blocking(self._job, tracker, (), Wishes(), checked=False)
        alone = replace(job, spec=replace(job.spec, analyses=()))  # none is begun
        await self._drive(alone, lambda engine, job: cancelling.cancel(self._world, engine, job, chosen))

    def _job(
        self, tracker: SweepTracker, names: Sequence[str], wishes: Wishes, *, checked: bool = True
    ) -> SweepJob:
        tree, spec = self._tree, self._spec
        here = find_project(Path.cwd())
        root = project_of(tree, here.root)
        specs = sourcing.used_before(tracker, spec, replace(here, root=root), names, abandoned=wishes.abandon)
        built = sourcing.build(self._world, specs, root, spec)
        if checked:
            if not built:
                hint = 'give `sources=["local"]` to run on this machine'
                raise ConfigError([Problem(where="", message="no compute source is named", hint=hint)])
            check_program(spec.program, root, built)
        sources = [entry.source for entry in built]
        return SweepJob(
            tree=tree, spec=spec, hunter=build_hunter(spec), sources=sources, project=root, wishes=wishes
        )

    # As shown

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    def _repr_html_(self) -> str:
        return html.card_of(self._tree, self.name, self.look())


def _index(task: str | int, count: int) -> int:
    try:
        index = task if isinstance(task, int) else task_index(task)
    except ValueError:
        index = 0
    if not 1 <= index <= count:
        raise SweepError(
            f"the sweep has no task {task!r}", hint=f"it has {count}; name one as task_0003 or 3"
        )
    return index
