"""The console keeps data and talk apart, colours only where it is wanted, and lets nothing play tricks."""

import io
import json
import math
from pathlib import Path

import pytest

from hsm.cli.console import Console, Tone, plain
from hsm.cli.tables import table, width_of
from hsm.core.states import TaskStatus


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """Claim to be one."""
        return True


def _said(environment: dict[str, str], stream: io.StringIO) -> str:
    Console(io.StringIO(), stream, environment).say(("red", Tone.BAD), " plain")
    return stream.getvalue()


def test_data_and_talk_go_their_own_ways() -> None:
    """Data is on stdout, talk on stderr."""
    out, err = io.StringIO(), io.StringIO()
    console = Console(out, err, {})
    console.data("id")
    console.say("hello")
    assert (out.getvalue(), err.getvalue()) == ("id\n", "hello\n")


def test_quiet_silences_talk_but_not_data_or_warnings() -> None:
    """A quiet console still says what is wrong."""
    out, err = io.StringIO(), io.StringIO()
    console = Console(out, err, {}, quiet=True)
    console.say("hello")
    console.warn("look out", "do this")
    console.data("id")
    assert (out.getvalue(), err.getvalue()) == ("id\n", "warning: look out\nhint: do this\n")


@pytest.mark.parametrize(
    ("environment", "is_terminal", "is_colored"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm"}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({}, True, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_colour_is_there_only_where_it_is_wanted(
    environment: dict[str, str], is_terminal: bool, is_colored: bool
) -> None:
    """NO_COLOR wins, FORCE_COLOR asks, else a terminal that is not dumb decides."""
    stream = Terminal() if is_terminal else io.StringIO()
    expected = "\x1b[31mred\x1b[0m plain\n" if is_colored else "red plain\n"
    assert _said(environment, stream) == expected


def test_control_characters_and_markup_are_only_text() -> None:
    """Neither escape codes nor brackets of a user's value do anything, with colour or without."""
    value = "a\x1b[2Jb\u202e[bold]c\n"
    for environment in ({}, {"FORCE_COLOR": "1"}):
        err = io.StringIO()
        Console(io.StringIO(), err, environment).say((value, Tone.PLAIN))
        assert err.getvalue() == "a\\x1b[2Jb\\u202e[bold]c\\n\n"


def test_json_is_one_line_and_strict() -> None:
    """NaN and infinities become null, enums and paths text, and the line parses anywhere."""
    out = io.StringIO()
    data = {"a": math.nan, "b": [math.inf, 1.5], TaskStatus.SEALED: Path("/x"), "c": (TaskStatus.FAILED,)}
    Console(out, io.StringIO(), {}).envelope("kind", data)
    assert out.getvalue().count("\n") == 1
    assert json.loads(out.getvalue()) == {
        "hsm": 1,
        "kind": "kind",
        "data": {"a": None, "b": [None, 1.5], "sealed": "/x", "c": ["failed"]},
    }


def test_plain_leaves_ordinary_values_alone() -> None:
    """Numbers, texts, None and booleans pass unchanged."""
    values = [1, 1.5, "x", None, True]
    assert plain(values) == values


def test_a_table_aligns_wide_letters_and_cuts_its_last_column() -> None:
    """Columns line up by the places that letters take, and no line is wider than the terminal."""
    rows = [["日本", "1", "x" * 50], ["ab", "200", "y"]]
    lines = ["".join(text for text, _ in spans) for spans in table(("name", ">n", "rest"), rows, 30)]
    assert lines[0] == "name    n  rest"
    assert lines[1].startswith("日本    1  xxx")
    assert lines[2] == "ab    200  y"
    assert [width_of(row) <= 30 for row in lines] == [True, True, True]
    assert lines[1].endswith("…")
