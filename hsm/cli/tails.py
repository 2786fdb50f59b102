"""Logs that grow: each line is written when it is whole, behind a mark that tells where it comes from."""

from __future__ import annotations

import codecs
import os
import re
from collections import deque
from pathlib import Path

from hsm.cli.console import Console, Tone
from hsm.core.cleaning import clean

CHUNK = 1 << 16
STREAMS = ("stdout", "stderr")
_KEPT = re.compile(r"(\n|\t|\r\n|\x1b\[[0-9;]{0,20}m)")
_RESET = "\x1b[0m"


def harmless(text: str) -> str:
    """Return a log as a terminal may see it: lines and colours as they are, other controls escaped."""
    pieces = _KEPT.split(text)
    return "".join(piece if place % 2 else clean(piece) for place, piece in enumerate(pieces))


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last lines of a log, none where there is no log."""
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            return [row.rstrip("\n") for row in deque(file, maxlen=count)]
    except FileNotFoundError:
        return []


class Tail:
    """A log that grows, and that a further attempt may replace.

    With `by_line`, or a `mark`, lines are written when they are whole, so that those of several logs do not
    mix; else everything is written at once, as it is.
    """

    def __init__(self, console: Console, path: Path, mark: str | None, *, by_line: bool = False) -> None:
        self._console = console
        self._path = path
        self._mark = mark
        self._by_line = by_line or mark is not None
        self._inode = 0
        self._offset = 0
        self._part = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def more(self) -> None:
        """Write what came since."""
        try:
            with self._path.open("rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                if inode != self._inode:
                    self._turn_to(inode)
                file.seek(self._offset)
                while chunk := file.read(CHUNK):
                    self._offset += len(chunk)
                    self.write(self._decoder.decode(chunk))
        except FileNotFoundError:
            return  # it has not begun, or is being moved to its place
        self._console.flush()

    def close(self) -> None:
        """Write what is left: a last line without its end."""
        self.write(self._decoder.decode(b"", final=True))
        if self._part:
            part, self._part = self._part, ""
            self._line(part, "\n" if self._mark is not None else "")
        self._console.flush()

    def _turn_to(self, inode: int) -> None:
        if self._inode:
            self._console.say(("a further attempt began", Tone.DIM))
        self._inode, self._offset = inode, 0
        self._decoder.reset()

    def write(self, text: str) -> None:
        """Write text of the log."""
        if not self._by_line:
            self._console.raw(harmless(text) if self._console.is_data_on_terminal else text)
            return
        *rows, self._part = (self._part + text).split("\n")
        for row in rows:
            self._line(row, "\n")

    def _line(self, row: str, end: str) -> None:
        if self._mark is None:
            self._console.raw((harmless(row) if self._console.is_data_on_terminal else row) + end)
            return
        tone = Tone.WARN if self._mark.endswith("err") else Tone.DIM
        reset = _RESET if "\x1b[" in row else ""
        self._console.raw(f"{self._console.styled((f'{self._mark} ', tone))}{harmless(row)}{reset}{end}")
