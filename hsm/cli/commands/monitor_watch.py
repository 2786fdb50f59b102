"""`hsm monitor watch`: a sweep live, from its ledger alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from hsm.cli import closing, forms, options
from hsm.cli.console import Console
from hsm.cli.screen import counts, lines_of
from hsm.cli.view import Wish
from hsm.cli.watching import READ_S, RECENT, Feed, LiveWatch, scene_of
from hsm.cli.workspace import Workspace, look_on
from hsm.core import events as ev
from hsm.core.errors import ExitCode
from hsm.core.states import SweepStatus


@forms.command(
    "monitor watch",
    "monitor watch last --once",
    "monitor watch last --json | jq -c 'select(.kind == \"monitor.event\").data'",
)
@options.sweep
@click.option("--once", is_flag=True, help="Show it once.")
@options.outputs
@options.json_output
@click.pass_obj
def command(console: Console, *, reference: str, once: bool, outputs: Path | None) -> ExitCode:
    """Watch a sweep: progress, sources, tasks, the best so far, failures. `?` shows the keys.

    It reads the ledger alone, so it may be begun and left (q) at any time, on any host that sees the files.
    Without a terminal it writes a line for each event, and ends with the sweep. With --json the first and
    the last line are a snapshot, those between are the events of the ledger. The exit code is 1 when the
    sweep has ended otherwise than complete.
    """
    space = Workspace.here(outputs)
    watch = Watch(console, space, Feed(space, *look_on(space.world, space.find(reference))))
    if once:
        watch.show()
        return ExitCode.FINE
    if console.is_live and not console.as_json:
        return _live(console, space, watch)
    return asyncio.run(watch.follow())


def _live(console: Console, space: Workspace, watch: Watch) -> ExitCode:
    """Show it on the whole terminal, and its last picture afterwards."""
    look = asyncio.run(watch.draw())
    if look is Wish.RETRY:
        from hsm.cli.commands.sweep_complete import command as complete

        words = [watch.feed.look.tree.sweep_id, "--retry", "failed", "--outputs", str(space.outputs)]
        answer = complete.main(words, prog_name="hsm sweep complete", standalone_mode=False, obj=console)
        return ExitCode(answer)
    watch.show()
    return watch.outcome


class Watch:
    """One sweep under observation."""

    def __init__(self, console: Console, space: Workspace, feed: Feed) -> None:
        self.feed = feed
        self._console = console
        self._space = space

    def show(self) -> None:
        """Show the sweep as it is now."""
        if self._console.as_json:
            self._console.envelope("monitor.progress", closing.standing_of(self.feed.look))
            return
        scene = scene_of(self._space, self.feed)
        for spans in lines_of(scene, self._console.data_width, self._console.data_glyphs):
            self._console.data(*spans)
        self._console.flush()

    @property
    def outcome(self) -> ExitCode:
        """The exit code that tells how the sweep stands: only one that ended badly, or was left, is bad."""
        good = self.feed.look.status in (SweepStatus.COMPLETE, SweepStatus.RUNNING)
        return ExitCode.FINE if good else ExitCode.BAD_OUTCOME

    async def draw(self) -> Wish | None:
        """Show it on the whole terminal until the user leaves; return what is to follow."""
        live = LiveWatch(self._console, self._space, self.feed)
        try:
            await live.run()
        finally:
            self._space.world.close()
        return live.wish

    async def follow(self) -> ExitCode:
        """Write what happens until nothing more will, or nobody drives the sweep any more."""
        self.show()
        while not self.feed.is_at_its_end:
            await self._space.world.sleep(READ_S)
            self._take(await self.feed.read())
        self._space.world.close()
        self.show()
        return ExitCode.FINE if self.feed.look.status is SweepStatus.COMPLETE else ExitCode.BAD_OUTCOME

    def _take(self, events: Sequence[ev.Event]) -> None:
        if self._console.as_json:
            for event in events:
                self._console.envelope("monitor.event", ev.to_record(event))
        elif events:
            self._write_lines(len(events))

    def _write_lines(self, count: int) -> None:
        """Write what came, or, when it was much, what it came to."""
        if count > 4 * RECENT:
            self._console.data(*counts(self.feed.look.progress, self._console.data_glyphs))
        else:
            for text in self.feed.recent:
                self._console.data(text)
        self._console.flush()
        self.feed.recent.clear()
