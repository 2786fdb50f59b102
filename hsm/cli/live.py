"""The live screen: a few lines that are redrawn in place, at most four times a second. Built on rich."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from rich.console import Console as RichConsole
from rich.live import Live
from rich.text import Text

from hsm.cli.console import Console, Line
from hsm.core.cleaning import clean

INTERVAL_S = 0.25
Picture = Callable[[int], Sequence[Line]]
"""Given the width, the lines to be shown."""


class LiveScreen:
    """Redraws a picture below what was said last, and wipes it away in the end; an event loop runs.

    What is said meanwhile appears above the picture.
    """

    def __init__(self, console: Console, picture: Picture) -> None:
        self._console = console
        self._rich = RichConsole(
            file=console.err,
            force_terminal=True,
            no_color=not console.has_color(console.err),
            highlight=False,
        )
        self._picture = picture
        self._live = Live(
            console=self._rich,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="ellipsis",
        )
        self._timer: asyncio.TimerHandle | None = None
        self._is_on = False

    def start(self) -> None:
        """Draw, and go on drawing."""
        self._live.start()
        self._is_on = True
        self._console.above = self._say
        self._tick()

    def stop(self) -> None:
        """Draw no more, and leave the terminal as it was found."""
        if not self._is_on:
            return
        self._is_on = False
        self._console.above = None
        if self._timer is not None:
            self._timer.cancel()
        with suppress(OSError):  # the terminal may be gone
            self._live.stop()

    def _say(self, spans: Line) -> None:
        self._rich.print(text_from([spans], is_cropped=False), soft_wrap=True)

    def _tick(self) -> None:
        with suppress(OSError):  # the terminal may be gone
            self._live.update(text_from(self._picture(self._rich.width)), refresh=True)
        self._timer = asyncio.get_running_loop().call_later(INTERVAL_S, self._tick)


def text_from(lines: Sequence[Line], *, is_cropped: bool = True) -> Text:
    """Return lines as rich shows them; nothing in them is read as markup."""
    text = Text(no_wrap=True, overflow="crop") if is_cropped else Text()
    for number, spans in enumerate(lines):
        text.append("\n" if number else "")
        for piece, tone in spans:
            text.append(clean(piece), style=str(tone))
    return text
