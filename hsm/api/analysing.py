"""Running analyses: beside the sweep whose results they take, or over one that is there.

An analysis never harms that sweep: what goes wrong with it is said, and kept for whoever asks.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from hsm.compute.registry import build_source
from hsm.config import dump_document, freeze, load_frozen
from hsm.core import events as ev
from hsm.core import summary
from hsm.core.analyses import OF, Follower, link, results_of
from hsm.core.engine import SweepEngine, ignore
from hsm.core.epochs import Say, say_nothing
from hsm.core.errors import HsmError
from hsm.core.job import Origin, SweepJob, Wishes
from hsm.core.model import Task
from hsm.core.recorder import Listener
from hsm.core.spec import AnalysisSpec, SourceSpec, SweepSpec
from hsm.core.states import REOPENABLE
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.results.analysed import Analysed

T = TypeVar("T")
Act = Callable[[SweepEngine, SweepJob], Awaitable[T]]

NICE = 10
"""By so much analyses stand back behind whatever else runs on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A sweep whose results are analysed; `project` is where commands find `{project}`."""

    tree: SweepTree
    spec: SweepSpec
    project: Path


def job_of(world: World, of: Followed, inner: SweepTree, spec: SweepSpec, hunter: Follower) -> SweepJob:
    """Return what an engine is given for an analysis: it runs on this machine, as the sweep is set up for it.

    Raises:
        HsmError: the source cannot be had.
    """
    here = next((source for source in of.spec.sources if source.name == "local"), None)
    base = here or SourceSpec(kind="local")
    wanted = replace(base, slots=spec.analyses[0].slots, options={**base.options, "nice": NICE})
    return SweepJob(
        tree=inner,
        spec=spec,
        hunter=hunter,
        sources=[build_source(world, wanted, of.project, spec.resources)],
        project=of.project,
        places={OF: str(of.tree.root)},
    )


class AnalysisRun:
    """One analysis of one sweep: begun when there is something for it, over when nothing is left.

    `error` is why it could not go on.
    """

    def __init__(
        self,
        world: World,
        of: Followed,
        analysis: AnalysisSpec,
        *,
        say: Say = say_nothing,
        retry_failed: bool = False,
    ) -> None:
        self.name = analysis.name
        self.error: HsmError | None = None
        self.follower = Follower(world, of.tree, analysis)
        self._world = world
        self._of = of
        self._analysis = analysis
        self._inner = of.tree.analysis(analysis.name)
        self._engine = SweepEngine(world, listen=self._heard, say=say)
        self._tracker: SweepTracker | None = None
        self._say = say
        self._retry_failed = retry_failed
        self._reopen: tuple[int, ...] = ()
        self._is_leaving = False

    @property
    def standing(self) -> Analysed:
        """How it stands."""
        return Analysed(name=self._analysis.name, tree=self._inner, tracker=self._tracker)

    @property
    def left(self) -> int:
        """How many results it is still to look at, as far as is known."""
        return self.follower.seen - (self._tracker.finished if self._tracker else 0)

    def _heard(self, events: Sequence[ev.Event], tracker: SweepTracker) -> None:
        self._tracker = tracker

    def detach(self, reason: str) -> None:
        """Begin nothing new and leave; what runs goes on."""
        self._is_leaving = True
        self.follower.close()
        self._engine.detach(reason)

    def cancel(self) -> None:
        """Begin nothing new and end what runs."""
        self._is_leaving = True
        self.follower.close()
        self._engine.end()

    async def run(self) -> None:
        """Analyse what is offered, until no more comes and all of it is done."""
        try:
            has_work = await self._has_work()
            if self._is_leaving:
                return
            if has_work:
                await self._drive()
            elif why := self.follower.why_nothing:
                self._say(f"the analysis {self.name} has nothing to look at: {why}")
        except HsmError as error:
            self.error = error

    async def _has_work(self) -> bool:
        known = self._tracker = await self._world.blocking(self._known)
        if known is not None:
            self.follower.know(known.tasks)
            if self._retry_failed:
                self._reopen = tuple(task.index for task in known.tasks if task.status in REOPENABLE)
            if self._reopen or known.open or known.released != known.epoch:
                return True
        await self.follower.due()
        return self.follower.has_found

    def _known(self) -> SweepTracker | None:
        """Return what has been planned and done before; None where nothing was."""
        if not self._world.files.exists(str(self._inner.config)):
            return None
        spec = load_frozen(self._inner.config)
        return summary.replay(self._world.files, self._inner, spec)[0]

    async def _drive(self) -> None:
        world, inner = self._world, self._inner
        if not world.files.exists(str(inner.config)):
            await self._create(freeze(self._analysis))
        spec = await world.blocking(load_frozen, inner.config)
        job = replace(
            job_of(world, self._of, inner, spec, self.follower),
            wishes=Wishes(reopen=self._reopen),
            due=self.follower.due,
            placed=self._link,
        )
        result = await self._engine.complete_sweep(job)
        await self._link([task for task in result.tracker.tasks if task.status.is_final])

    async def _create(self, spec: SweepSpec) -> None:
        """Make the analysis' own sweep: whole, or not at all."""
        files, part = self._world.files, self._of.tree.analyses / ".part" / self._world.token()
        origin = Origin(
            project=self._of.project,
            frozen_config=dump_document(spec.document),
            command=["hsm", "analyze", self._of.tree.sweep_id, "--with", spec.name],
        )
        made = SweepTree(part / self._inner.sweep_id)
        await self._engine.create_at(made, spec, origin)
        try:
            files.rename(str(made.root), str(self._inner.root))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        files.sync_directory(str(self._of.tree.analyses))
        files.remove_tree(str(part))

    async def _link(self, tasks: Sequence[Task]) -> None:
        await self._world.blocking(link, self._world.files, self._of.tree, self._inner, tasks)


def obstacle(name: str, error: HsmError) -> str:
    """Return the sentence that tells why an analysis does not go on."""
    hint = f" ({error.hint})" if error.hint else ""
    return f"the analysis {name} does not go on: {error.message}{hint}"


class Analysing:
    """An engine at a sweep, and the sweep's analyses beside it."""

    def __init__(
        self, world: World, job: SweepJob, *, listen: Listener = ignore, say: Say = say_nothing
    ) -> None:
        of = Followed(tree=job.tree, spec=job.spec, project=job.project)
        self._runs = [AnalysisRun(world, of, analysis, say=say) for analysis in job.spec.analyses]
        self._job = replace(job, placed=self._placed) if self._runs else job
        self._listen = listen
        self._engine = SweepEngine(world, listen=self._heard if self._runs else listen, say=say)
        self._say = say
        self._has_begun = self._is_leaving = False

    async def perform(self, act: Act[T]) -> T:
        """Let the engine act on the sweep, and return when its analyses are over too.

        Raises:
            HsmError: the engine could not go on; its analyses were let go of.
        """
        if not self._runs:
            return await act(self._engine, self._job)
        outcome: list[T | HsmError] = []
        async with asyncio.TaskGroup() as group:
            for run in self._runs:
                group.create_task(self._follow(run))
            try:
                outcome.append(await act(self._engine, self._job))
                self._tell()
            except HsmError as error:
                outcome.append(error)
                self._let_go(error.message)
            finally:
                for run in self._runs:
                    run.follower.close()
        found = outcome[0]
        if isinstance(found, HsmError):
            raise found
        return found

    def standing(self) -> Sequence[Analysed]:
        """Return how the analyses stand."""
        return [run.standing for run in self._runs]

    def detach(self, reason: str = "the user left") -> None:
        """Begin nothing new, of the sweep nor of its analyses, and leave; what runs goes on."""
        self._engine.detach(reason)
        self._let_go(reason)

    def close(self) -> None:
        """Let go of threads."""
        self._engine.close()

    async def _follow(self, run: AnalysisRun) -> None:
        await run.run()
        if run.error is not None:
            self._say(obstacle(run.name, run.error))

    def _tell(self) -> None:
        """Say what is still to come, now that the sweep itself is not gone on with."""
        left = [f"{run.name} ({run.left:,} left)" for run in self._runs if run.left]
        if left and not self._is_leaving:
            self._say(f"its analyses go on: {', '.join(left)}")

    def _let_go(self, reason: str) -> None:
        self._is_leaving = True
        for run in self._runs:
            run.detach(reason)

    def _heard(self, events: Sequence[ev.Event], tracker: SweepTracker) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._offer(tracker.tasks)  # those before the engine's first word are in their places
        if any(isinstance(event, ev.CancelRequested) for event in events) and tracker.cancelled:
            for run in self._runs:
                run.cancel()
        self._listen(events, tracker)

    async def _placed(self, tasks: Sequence[Task]) -> None:
        self._offer(tasks)

    def _offer(self, tasks: Iterable[Task]) -> None:
        results = list(results_of(tasks))
        for run in self._runs:
            run.follower.offer(results)


class Reanalysing:
    """Analyses over the results that a sweep has now, without the sweep's own engine."""

    def __init__(
        self,
        world: World,
        of: Followed,
        analyses: Sequence[AnalysisSpec],
        *,
        say: Say = say_nothing,
        retry_failed: bool = False,
    ) -> None:
        self._runs = [AnalysisRun(world, of, one, say=say, retry_failed=retry_failed) for one in analyses]

    def standing(self) -> Sequence[Analysed]:
        """Return how the analyses stand."""
        return [run.standing for run in self._runs]

    async def run(self, tracker: SweepTracker) -> dict[str, HsmError]:
        """Analyse every result of the tracker; return by name what kept an analysis from going on."""
        results = list(results_of(tracker.tasks))
        async with asyncio.TaskGroup() as group:
            for run in self._runs:
                run.follower.offer(results)
                run.follower.close()
                group.create_task(run.run())
        return {run.name: run.error for run in self._runs if run.error is not None}

    def detach(self, reason: str = "the user left") -> None:
        """Begin nothing new and leave; what runs goes on."""
        for run in self._runs:
            run.detach(reason)
