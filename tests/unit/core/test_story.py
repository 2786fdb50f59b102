"""Events in words: one line, and nothing in it that a terminal obeys."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.core import events as ev
from hsm.core.cleaning import clean
from hsm.core.model import Exit, Proposal
from hsm.core.plan import write_plan
from hsm.core.states import Cause
from hsm.core.story import is_engine_matter, line_of
from hsm.core.summary import tracker_of
from hsm.wire.files import Files
from tests.unit.core.stories import Story
from tests.unit.core.worlds import hunt_spec, new_tree

EVIL = [
    "\x1b]0;title\x07", "\x1b[2J\x1b[1;1H", "a\rb", "a\nb",
    "a\x85b", "\u2028", "\u202egnp.exe", "\u2066x\u2069", "\x9b31m",
    "\ud800", "\x00", "\u200e\u200f\u061c",
]  # fmt: skip


@given(st.sampled_from(EVIL) | st.text(st.characters(exclude_categories=())))
def test_cleaned_text_is_one_line_without_commands(text: str) -> None:
    """Controls, line ends, direction marks and halves of characters are shown, not obeyed."""
    shown = clean(text)
    assert len(shown.splitlines()) <= 1
    shown.encode("utf-8")
    assert not any(unicodedata.category(ch) in {"Cc", "Cs", "Zl", "Zp"} for ch in shown)
    assert not any(
        ch in "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069" for ch in shown
    )


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_stays(text: str) -> None:
    """What is harmless is not touched."""
    assert clean(text) == text


def test_every_event_of_a_story_is_told_in_one_line(tmp_path: Path) -> None:
    """Whatever happened, it has words or is deliberately silent."""
    tree = new_tree(tmp_path)
    silent: set[type] = set()
    told: set[type] = set()
    for seed in range(4):
        events = Story(Random(seed), new_tree(tmp_path / str(seed)), hunt_spec()).tell(150)
        tracker = tracker_of(
            Files(), tree.__class__(tmp_path / str(seed) / "outputs" / tree.sweep_id), hunt_spec()
        )
        for event in events:
            tracker.fold(event)
            line = line_of(event, tracker)
            (told if line else silent).add(type(event))
            assert "\n" not in line
            assert is_engine_matter(event) == ("task" not in type(event).__dataclass_fields__)
    assert silent - told == {
        ev.CursorMoved,
        ev.AttemptIntended,
        ev.AttemptSubmitted,
        ev.AttemptStarted,
        ev.AttemptExited,
        ev.AttemptVoided,
    }


@pytest.mark.parametrize(
    ("metrics", "notes", "line"),
    [
        ({"f": None}, ("it blew up",), "task_0001 sealed, not scorable: it blew up"),
        ({"f": None}, (), "task_0001 sealed, not scorable: f is null"),
        ({"f": 0.5}, ("g is nan",), "task_0001 sealed, f = 0.5; g is nan"),
    ],
)
def test_why_a_result_has_no_score_is_said_once(
    tmp_path: Path, metrics: dict[str, float | None], notes: tuple[str, ...], line: str
) -> None:
    """What a program noted is the reason where there is no score, and stands behind a score otherwise."""
    tree = new_tree(tmp_path)
    tracker = tracker_of(Files(), tree, hunt_spec())
    name, count = write_plan(Files(), tree.plans, [Proposal(params={"x": 1.0})], "p")
    tracker.fold(ev.GenerationPlanned(generation=1, plan=name, first=1, count=count, at=1.0))
    tracker.fold(ev.AttemptIntended(task=1, attempt=1, token="1" * 26, source="local", at=1.0))
    ended = Exit(code=0, wall_s=0.5)
    tracker.fold(
        ev.AttemptExited(task=1, attempt=1, exit=ended, manifest="m", cause=None, started_at=1.5, at=2.0)
    )
    sealed = ev.AttemptSealed(task=1, attempt=1, metrics=metrics, notes=notes, at=3.0)
    tracker.fold(sealed)
    assert line_of(sealed, tracker) == line


@pytest.mark.parametrize("text", EVIL)
def test_a_programs_last_words_do_not_reach_the_terminal_raw(tmp_path: Path, text: str) -> None:
    """Reasons, signatures and notes are cleaned with the line that they stand in."""
    tracker = tracker_of(Files(), new_tree(tmp_path), hunt_spec())
    failed = ev.AttemptFailed(task=1, attempt=1, cause=Cause.APPLICATION, reason=text, signature=text, at=1.0)
    lost = ev.AttemptLost(task=1, attempt=1, reason=text, at=1.0)
    source = ev.SourceFailed(source=text, reason=text, at=1.0)
    for event in (failed, lost, source):
        line = line_of(event, tracker)
        assert text not in line
        assert line == clean(line)
