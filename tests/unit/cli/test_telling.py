"""A task's story is one line for each thing that happened, folded below its beginning."""

from hsm.cli.console import Tone, line, text_of
from hsm.cli.telling import folded, story_line
from hsm.core import events as ev
from hsm.core.history import Happening
from hsm.core.model import Task

TASK = Task(index=3, config_hash="c", task_key="k", params_json="{}")


def test_a_line_is_folded_below_its_beginning() -> None:
    """What does not fit goes on under the text, not under the label."""
    rows = [text_of(spans) for spans in folded(line(("  why     ", Tone.DIM), "aaaa " * 10), 30)]
    assert rows == ["  why     aaaa aaaa aaaa aaaa", "          aaaa aaaa aaaa aaaa", "          aaaa aaaa"]


def test_hostile_words_are_folded_as_they_are_shown() -> None:
    """Control characters are escaped before anything is measured, so that no line break is smuggled in."""
    rows = [text_of(spans) for spans in folded(line("", "x\ny\x1b[2J"), 80)]
    assert rows == ["x\\ny\\x1b[2J"]


def test_what_is_about_the_sweep_stands_back() -> None:
    """A line about the engine is dim, one about the task is not; both begin with their time."""
    lost = ev.AttemptLost(task=3, attempt=1, reason="gone", at=1000.0)
    started = ev.EngineStarted(epoch=2, host="h", pid=1, version="0", at=1000.0)
    own, other = (story_line(Happening(event, TASK)) for event in (lost, started))
    assert [own[1][1], other[1][1]] == [Tone.PLAIN, Tone.DIM]
    assert "attempt 1 lost (lost): gone; it is tried again" in text_of(own)
    assert text_of(own)[:23] == text_of(other)[:23]
