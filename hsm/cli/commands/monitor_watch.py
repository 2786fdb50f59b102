"""`hsm monitor watch`: a sweep live, from its ledger alone, until it is over."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import click

from hsm.cli import closing, forms, options, words
from hsm.cli.commands.sweep_status import notice
from hsm.cli.console import Console, Line, Tone
from hsm.cli.screen import Scene, counts, lines_of
from hsm.cli.workspace import Look, Workspace
from hsm.core import events as ev
from hsm.core.errors import ExitCode
from hsm.core.ledger import holder
from hsm.core.states import SweepStatus
from hsm.core.story import line_of

INTERVAL_S = 0.5
PATIENCE_S = 3.0
"""A sweep without an engine is given up after this time: its engine may just be starting."""
RECENT = 8


@forms.command("monitor watch", "monitor watch last --once", "monitor watch last --json | jq .data.finished")
@options.sweep
@click.option("--once", is_flag=True, help="Show it once.")
@options.outputs
@options.json_output
@click.pass_obj
def command(console: Console, *, reference: str, once: bool, outputs: Path | None) -> ExitCode:
    """Watch a sweep until it is over: progress, sources, the best so far, failures.

    It reads the ledger alone, so it may be begun and left (q) at any time. Without a terminal it writes a
    line for each event. The exit code is 0 when the sweep is complete, 1 when it ended otherwise.
    """
    space = Workspace.here(outputs)
    watch = Watch(console, space, space.look(reference))
    if once:
        watch.show_once()
        return ExitCode.FINE
    return asyncio.run(watch.run())


class Watch:
    """One sweep under observation."""

    def __init__(self, console: Console, space: Workspace, look: Look) -> None:
        self.look = look
        self._console = console
        self._space = space
        self._recent: deque[str] = deque(maxlen=RECENT)
        self._idle_since: float | None = None
        self._is_left = False

    def show_once(self) -> None:
        """Show the sweep as it is now."""
        if self._console.as_json:
            self._console.envelope("monitor.progress", closing.standing_of(self.look))
            return
        for spans in lines_of(self._scene(), self._console.data_width, self._console.data_glyphs):
            self._console.data(*spans)

    async def run(self) -> ExitCode:
        """Show it until it is over, nobody drives it any more, or the user leaves."""
        if self._is_live:
            await self._draw()
        else:
            self._show_now()
            await self._follow()
        self._show_now()
        if self._is_left:
            return ExitCode.FINE
        return ExitCode.FINE if self.look.status is SweepStatus.COMPLETE else ExitCode.BAD_OUTCOME

    @property
    def _is_live(self) -> bool:
        return self._console.is_live and not self._console.as_json

    def _show_now(self) -> None:
        self.show_once()
        self._console.flush()

    async def _draw(self) -> None:
        from hsm.cli.keys import pressed
        from hsm.cli.live import LiveScreen

        screen = LiveScreen(self._console, self._picture, whole=True)
        screen.start()
        try:
            with pressed({"q": self._leave, "Q": self._leave}):
                await self._follow()
        finally:
            screen.stop()

    def _leave(self) -> None:
        self._is_left = True

    async def _follow(self) -> None:
        """Take in what comes until there is nothing more to wait for."""
        from hsm.core import summary

        tree, spec, world = self.look.tree, self.look.spec, self._space.world
        tracker, reader = await world.blocking(summary.glance, world.files, tree, spec)
        while True:
            claim = holder(world, tree, released=tracker.released)
            self.look = Look(tree, spec, tracker, claim, world.now())
            if self._is_finished():
                break
            await world.sleep(INTERVAL_S)
            events = await world.blocking(lambda: list(reader.events()))
            for event in events:
                tracker.fold(event)
            self._take(events)
        world.close()

    def _is_finished(self) -> bool:
        now = self._space.world.monotonic()
        if self._is_left or (self.look.tracker.is_over and not self.look.is_driven):
            return True
        if self.look.is_driven:
            self._idle_since = None
            return False
        self._idle_since = now if self._idle_since is None else self._idle_since
        return now - self._idle_since >= PATIENCE_S

    def _take(self, events: Sequence[ev.Event]) -> None:
        for event in events:
            text = line_of(event, self.look.tracker)
            if text:
                at = getattr(event, "at", None)
                self._recent.append(f"{words.clock(at)} {text}" if at is not None else text)
        if not events:
            return
        if self._console.as_json:
            self._show_now()
        elif not self._is_live:
            self._write_lines(len(events))

    def _write_lines(self, count: int) -> None:
        """Write what came, or, when it was much, what it came to."""
        if count > 4 * RECENT:
            self._console.data(*counts(self.look.progress, self._console.data_glyphs))
        else:
            for text in self._recent:
                self._console.data(text)
        self._console.flush()
        self._recent.clear()

    def _scene(self) -> Scene:
        params = closing.best_params(self.look)
        said = notice(self._space, self.look)
        return Scene(
            tree=self.look.tree,
            progress=self.look.progress,
            best_params=params,
            recent=tuple(self._recent),
            notice=said,
        )

    def _picture(self, width: int) -> Sequence[Line]:
        look = self.look
        self.look = Look(look.tree, look.spec, look.tracker, look.claim, self._space.world.now())
        keys: Line = [("q leaves; the sweep goes on", Tone.DIM)]
        return [*lines_of(self._scene(), width, self._console.glyphs), [], keys]
