"""What is redrawn in place, and what is said meanwhile."""

import asyncio
import io
import re

import pytest

from hsm.cli.console import Console, line
from hsm.cli.live import LiveScreen

PIECES = re.compile(
    r"\x1b\[(?P<by>\d*)(?P<act>[AKm])|\x1b\[\?\d+[hl]|(?P<move>[\r\n])|(?P<text>[^\x1b\r\n]+)"
)


def shown(written: str) -> list[str]:
    """Return what a terminal shows of it, row by row."""
    rows, at, column = [""], 0, 0
    for piece in PIECES.finditer(written):
        if piece["act"] == "A":
            at -= int(piece["by"] or 1)
        elif piece["act"] == "K":
            rows[at] = ""
        elif piece["move"]:
            at, column = at + (piece["move"] == "\n"), 0
            rows += [""] * (at + 1 - len(rows))
        elif piece["text"]:
            rows[at] = (
                rows[at].ljust(column)[:column] + piece["text"] + rows[at][column + len(piece["text"]) :]
            )
            column += len(piece["text"])
    return [row.rstrip() for row in rows]


@pytest.mark.parametrize("word", ["short", "a long one " * 20])
def test_what_is_said_meanwhile_stands_above_the_picture_and_leaves_it_whole(word: str) -> None:
    """A picture is erased as high as it was: a line written into it would leave a part of it behind."""
    err = io.StringIO()
    console = Console(io.StringIO(), err, {"TERM": "xterm"})
    frames = [["one", "two", "three"], ["four"], ["five", "six"]]

    async def watch() -> list[str]:
        live = LiveScreen(console, lambda _: [line(text) for text in frames[0]])
        live.start()
        console.insist(word)
        frames.pop(0)
        live._tick()
        console.insist("and more")
        frames.pop(0)
        live._tick()
        seen = shown(err.getvalue())
        live.stop()
        return seen

    assert asyncio.run(watch()) == [word.rstrip(), "and more", "five", "six"]
    console.insist("at last")
    assert [row for row in shown(err.getvalue()) if row] == [word.rstrip(), "and more", "at last"]
