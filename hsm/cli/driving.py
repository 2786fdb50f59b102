"""Driving a sweep from the command line: an engine, somebody who shows what it does, and Ctrl-C."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from hsm.cli import closing
from hsm.cli.closing import Outcome
from hsm.cli.console import Console, Tone
from hsm.cli.following import Following, following
from hsm.cli.known_sweeps import KnownSweeps
from hsm.cli.reporting import write_report
from hsm.cli.words import plural
from hsm.cli.workspace import Look, Workspace
from hsm.core import events as ev
from hsm.core.engine import SweepEngine, SweepResult, interruptible
from hsm.core.errors import ExitCode, HsmError
from hsm.core.job import SweepJob
from hsm.core.tracker import SweepTracker

Drive = Callable[[SweepEngine, SweepJob], Awaitable[SweepResult]]


class Driver:
    """Runs one engine over one sweep to its end, or until the user leaves."""

    def __init__(self, console: Console, space: Workspace, job: SweepJob) -> None:
        self._console = console
        self._space = space
        self._job = job
        self._following: Following = following(console, space.world, job.tree)
        self._engine = SweepEngine(space.world, listen=self._listen, say=self._say)
        self._tracker: SweepTracker | None = None
        self._is_interrupted = False

    def drive(self, perform: Drive) -> Outcome:
        """Let the engine perform and return how it ended.

        Raises:
            HsmError: it could not go on; what was acknowledged is in the ledger.
        """
        world = self._space.world
        KnownSweeps.of(world.environment()).note(world, self._job.tree)
        try:
            result = asyncio.run(self._perform(perform))
        finally:
            self._engine.close()
        job, tracker = self._job, result.tracker
        look = Look(job.tree, job.spec, tracker, None, self._space.world.now())
        wanted = tracker.tasks[: job.wishes.max_tasks] if job.wishes.max_tasks else ()
        is_limited = bool(wanted) and all(task.status.is_final for task in wanted)
        return Outcome(look=look, is_interrupted=self._is_interrupted, is_limited=is_limited)

    async def _perform(self, perform: Drive) -> SweepResult:
        async with interruptible(self._engine, self._interrupted):
            self._following.start()
            try:
                return await perform(self._engine, self._job)
            finally:
                self._following.stop()

    def _listen(self, events: Sequence[ev.Event], tracker: SweepTracker) -> None:
        self._tracker = tracker
        self._following.listen(events, tracker)

    def _say(self, text: str) -> None:
        self._console.say((text, Tone.WARN))

    def _interrupted(self) -> None:
        self._is_interrupted = True
        self._following.stop()
        tracker, say = self._tracker, self._console.insist
        running = sum(source.running for source in tracker.sources.values()) if tracker else 0
        left = f"{plural(running, 'running attempt')} {'is' if running == 1 else 'are'} finished by the agent"
        say(
            ("stopping: ", Tone.WARN),
            f"no new attempts; {left}" if running else "no new attempts; nothing runs",
        )
        say(("  go on with it   ", Tone.DIM), self._space.command("sweep complete ID", self._job.tree))
        say(("  end it          ", Tone.DIM), self._space.command("sweep cancel ID", self._job.tree))
        for name in _out_of_reach(tracker) if tracker else ():
            complete = self._space.command("sweep complete ID", self._job.tree)
            say(("  give up its part ", Tone.DIM), f"{complete} --abandon-source {name}")
        say(("  Ctrl-C again leaves at once", Tone.DIM))


def _out_of_reach(tracker: SweepTracker) -> list[str]:
    """Return the sources that have attempts and cannot be reached now."""
    return [name for name, source in tracker.sources.items() if source.in_flight and not source.open]


def finish(console: Console, space: Workspace, outcome: Outcome) -> ExitCode:
    """Write the report, say what became of the sweep, and return the exit code.

    A report that cannot be written costs the report alone.
    """
    report: Path | None = None
    try:
        if not outcome.is_interrupted:
            report = write_report(outcome.look)
    except (HsmError, OSError, ValueError) as error:
        again = space.command("report ID", outcome.look.tree)
        console.warn(f"the report could not be written: {error}", f"`{again}` tries again")
    finally:
        closing.show(console, space, outcome, report)
    return outcome.exit_code
