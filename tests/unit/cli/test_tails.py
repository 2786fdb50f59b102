"""Logs that grow are written whole line by whole line, marked by their stream, and harmless on a terminal."""

import io
from pathlib import Path

from hsm.cli.console import Console
from hsm.cli.tails import Tail, last_lines
from tests.unit.cli.test_console import Terminal


def _console(out: io.StringIO) -> Console:
    return Console(out, io.StringIO(), {"NO_COLOR": "1"})


def test_lines_of_two_logs_do_not_mix(tmp_path: Path) -> None:
    """A line is written when it is whole, also when it came in pieces and in the middle of a character."""
    out, text = io.StringIO(), "grün\n".encode()
    console = _console(out)
    paths = [tmp_path / "stdout.log", tmp_path / "stderr.log"]
    tails = [Tail(console, path, None, by_line=True) for path in paths]
    for pieces in ((text[:3], b"warn"), (text[3:], b"ing\nlast")):
        for path, tail, piece in zip(paths, tails, pieces, strict=True):
            with path.open("ab") as file:
                file.write(piece)
            tail.more()
    for tail in tails:
        tail.close()
    assert out.getvalue() == "grün\nwarning\nlast"


def test_a_mark_tells_the_stream(tmp_path: Path) -> None:
    """On a terminal each line stands behind its mark, and control characters are escaped; colours stay."""
    (tmp_path / "log").write_bytes(b"a\x1b[2Jb\n\x1b[31mred")
    out = Terminal()
    tail = Tail(_console(out), tmp_path / "log", "err")
    tail.more()
    tail.close()
    assert out.getvalue() == "err a\\x1b[2Jb\x1b[0m\nerr \x1b[31mred\x1b[0m\n"


def test_a_further_attempt_is_read_from_its_beginning(tmp_path: Path) -> None:
    """When another file takes the place of the log, it is told and read anew."""
    out, path = io.StringIO(), tmp_path / "log"
    console = _console(out)
    tail = Tail(console, path, None)
    path.write_text("first\n")
    tail.more()
    other = tmp_path / "other"
    other.write_text("second\n")
    other.replace(path)
    tail.more()
    tail.more()
    assert out.getvalue() == "first\nsecond\n"
    assert isinstance(console.err, io.StringIO)
    assert "a further attempt began" in console.err.getvalue()


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    """As many as asked for, fewer where there are fewer, none where there is no log."""
    path = tmp_path / "log"
    assert last_lines(path, 3) == []
    path.write_bytes(b"1\n2\r3\n\xff")
    assert last_lines(path, 2) == ["2\r3", "\ufffd"]
    assert last_lines(path, 0) == []
