"""The canvas writes only what changed, clears nothing while it is painted on, and gives the terminal back."""

import io

from hsm.cli.canvas import Canvas
from hsm.cli.console import Console, Tone, line
from tests.unit.cli.test_console import Terminal

GREEN = {"TERM": "xterm"}


def _canvas() -> tuple[Canvas, Terminal]:
    err = Terminal()
    canvas = Canvas(Console(io.StringIO(), err, GREEN))
    canvas.start()
    return canvas, err


def _written(err: Terminal) -> str:
    """Return what was written since the last time."""
    text = err.getvalue()
    err.seek(0)
    err.truncate()
    return text


def test_only_lines_that_changed_are_written() -> None:
    """A second picture costs its differences, the same picture nothing at all."""
    canvas, err = _canvas()
    picture = [line("head"), line(("12 s", Tone.GOOD)), line("foot")]
    canvas.paint(picture)
    assert _written(err).count("\x1b[K") == canvas.size[1]
    canvas.paint(picture)
    assert _written(err) == ""
    canvas.paint([picture[0], line(("13 s", Tone.GOOD)), picture[2]])
    assert _written(err) == "\x1b[?2026h\x1b[2;1H\x1b[32m13 s\x1b[0m\x1b[0m\x1b[K\x1b[?2026l"


def test_a_shorter_picture_leaves_nothing_of_the_former_one() -> None:
    """Lines that are no longer there are emptied one by one."""
    canvas, err = _canvas()
    canvas.paint([line("a"), line("b")])
    _written(err)
    canvas.paint([line("a")])
    assert "\x1b[2;1H\x1b[0m\x1b[K" in (said := _written(err))
    assert "\x1b[2J" not in said


def test_the_terminal_is_taken_and_given_back_once() -> None:
    """Screen, cursor and line wrap are restored, and stopping again writes nothing."""
    canvas, err = _canvas()
    assert _written(err).startswith("\x1b[?1049h\x1b[?25l\x1b[?7l")
    canvas.stop()
    assert _written(err) == "\x1b[?7h\x1b[?25h\x1b[?1049l"
    canvas.stop()
    assert _written(err) == ""


def test_a_picture_that_is_too_high_is_cut() -> None:
    """Nothing is written below the last line, where the terminal would scroll."""
    canvas, err = _canvas()
    canvas.paint([line(str(number)) for number in range(999)])
    assert f"\x1b[{canvas.size[1] + 1};1H" not in _written(err)


def test_the_last_sign_of_a_full_line_stays() -> None:
    """Nothing is erased behind it: with line wrap off the cursor stands on that sign."""
    canvas, err = _canvas()
    columns = canvas.size[0]
    canvas.paint([line("x" * columns), line("x" * (columns - 1)), line("\u4e16" * (columns // 2))])
    rows = _written(err).split(";1H")[1:4]
    assert ["\x1b[K" in row for row in rows] == [False, True, False]
