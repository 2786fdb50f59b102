"""A whole terminal to paint on: only lines that changed are written, and it is given back as it was."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from hsm.cli.console import Console, Line, text_of
from hsm.cli.tables import width_of
from hsm.core.cleaning import clean

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J"
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_TOGETHER = "\x1b[?2026h", "\x1b[?2026l"
"""What stands between them is shown at once by terminals that know it; others ignore it."""


class Canvas:
    """The alternate screen of the terminal that talk goes to. Nothing is cleared while it is painted on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: list[str] = []
        self._size = (0, 0)
        self._is_on = False

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows as they are at this moment."""
        try:
            columns, rows = os.get_terminal_size(self._console.err.fileno())
        except (OSError, ValueError):
            columns, rows = 0, 0
        return columns or 80, rows or 24

    def start(self) -> None:
        """Take the terminal."""
        self._shown, self._is_on = [], True
        self._write(_ENTER)

    def stop(self) -> None:
        """Give it back."""
        if self._is_on:
            self._is_on = False
            self._write(_LEAVE)

    def paint(self, lines: Sequence[Line]) -> None:
        """Show these lines from the top; what lies below is empty."""
        size = self.size
        if size != self._size:
            self._shown, self._size = [], size
        rows = [self._row(spans, size[0]) for spans in lines[: size[1]]]
        rows += [self._row((), size[0])] * (size[1] - len(rows))
        before: Sequence[str | None] = self._shown or [None] * len(rows)
        changed = [
            f"\x1b[{place};1H{row}"
            for place, (row, old) in enumerate(zip(rows, before, strict=True), 1)
            if row != old
        ]
        self._shown = rows
        if changed:
            self._write(_TOGETHER[0] + "".join(changed) + _TOGETHER[1])

    def _row(self, spans: Line, columns: int) -> str:
        """Return what paints a line over another one.

        Behind a full line nothing is erased: the cursor still stands on its last sign, which would go.
        """
        painted = self._console.painted(spans, self._console.err)
        is_full = width_of(clean(text_of(spans))) >= columns
        return f"{painted}\x1b[0m" + ("" if is_full else "\x1b[K")

    def _write(self, text: str) -> None:
        with suppress(OSError):  # the terminal may be gone
            self._console.err.write(text)
            self._console.err.flush()
