"""Running analyses over a sweep from the command line, without an engine at the sweep itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hsm.api.analysing import Followed, Reanalysing
from hsm.api.origin import project_of
from hsm.cli.console import Console, Tone
from hsm.cli.workspace import Look, Workspace, look_at, study
from hsm.core.engine import interruptible
from hsm.core.errors import HsmError, SweepError
from hsm.core.spec import AnalysisSpec
from hsm.results.analysed import Analysed, analysed


class Errand:
    """Analyses of one sweep, run to their end or until the user leaves."""

    def __init__(
        self,
        console: Console,
        space: Workspace,
        look: Look,
        analyses: Sequence[AnalysisSpec],
        *,
        again: bool = False,
    ) -> None:
        project = project_of(look.tree, space.project.root)
        of = Followed(tree=look.tree, spec=look.spec, project=project)
        self.is_interrupted = False
        self._console = console
        self._space = space
        self._look = look
        self._analysing = Reanalysing(space.world, of, analyses, say=self._say, retry_failed=again)

    def run(self) -> dict[str, HsmError]:
        """Analyse every result that the look shows; return by name what kept an analysis from going on."""
        try:
            return asyncio.run(self._run())
        finally:
            self._space.world.close()

    async def _run(self) -> dict[str, HsmError]:
        async with interruptible(self._analysing, self._interrupted):
            return await self._analysing.run(self._look.tracker)

    def _say(self, text: str) -> None:
        self._console.say((text, Tone.WARN))

    def _interrupted(self) -> None:
        self.is_interrupted = True
        again = self._space.command("sweep complete ID", self._look.tree)
        self._console.insist(("leaving: ", Tone.WARN), f"what runs is finished; `{again}` goes on")


def named(space: Workspace, look: Look, name: str) -> Analysed:
    """Return an analysis of a sweep, with every detail.

    Raises:
        SweepError: there is no such analysis of the sweep.
    """
    every = analysed(space.world.files, look.tree, look.spec, whole=True)
    found = next((one for one in every if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in every)
        hint = f"there are {known}" if known else "it has none: `hsm analyze ID --with NAME` makes one"
        raise SweepError(f"the sweep has no analysis {name!r}", hint=hint)
    return found


def tasks_of(space: Workspace, look: Look, chosen: Sequence[int], name: str) -> tuple[Look, list[int]]:
    """Return the sweep of an analysis, and its tasks that are about the results of the chosen tasks.

    Raises:
        SweepError: there is no such analysis of the sweep, or nothing of it is about these tasks.
    """
    look = study(space.world, look.tree)
    found = named(space, look, name)
    tracker = look.tracker
    made = [found.of(tracker.result_of(tracker.task(index))) for index in chosen] if found.tracker else []
    tasks = [task.index for task in made if task is not None]
    if not tasks:
        raise SweepError(f"{name} has looked at none of these tasks yet", hint="`hsm sweep status ID` tells")
    return look_at(space.world, found.tree), tasks
