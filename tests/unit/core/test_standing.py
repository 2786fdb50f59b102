"""What is not known of an attempt has three names, and they are never mixed up."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsm.cli import screen
from hsm.core import events as ev
from hsm.core.model import Proposal
from hsm.core.monitor import progress
from hsm.core.plan import write_plan
from hsm.core.standing import doubt_of, standing
from hsm.core.summary import tracker_of
from hsm.core.tracker import SweepTracker
from hsm.wire.files import Files
from tests.unit.core.worlds import new_tree, sweep_spec


@pytest.fixture
def tracker(tmp_path: Path) -> SweepTracker:
    """A sweep of one task, whose attempt has just been intended."""
    tree, files = new_tree(tmp_path), Files()
    plan, _ = write_plan(files, tree.plans, [Proposal(params={"k": 1})], "p")
    tracker = tracker_of(files, tree, sweep_spec())
    for event in (
        ev.EngineStarted(epoch=1, host="h", pid=1, version="0", at=1.0),
        ev.SourceOpened(source="far", slots=1, at=1.0),
        ev.GenerationPlanned(generation=1, plan=plan, first=1, count=1, at=1.0),
        ev.AttemptIntended(task=1, attempt=1, token="t" * 32, source="far", at=1.0),
    ):
        tracker.fold(event)
    return tracker


UNCONFIRMED = ev.AttemptUnconfirmed(task=1, attempt=1, reason="connection reset", at=2.0)
STARTED = ev.AttemptStarted(task=1, attempt=1, at=2.0)
MISSED = ev.AttemptMissed(task=1, attempt=1, at=3.0)
PAUSED = ev.SourceFailed(source="far", reason="no route to host", paused=True, at=4.0)
LACKS = ev.SourceHindered(source="far", reason="disk full: /there", hint="free some", at=4.0)
FULL = ev.SourceFailed(
    source="far", reason="disk full: /there", hint="free some", paused=True, lacks=True, at=4.0
)
OPENED = ev.SourceOpened(source="far", slots=1, at=5.0)


@pytest.mark.parametrize(
    ("story", "word", "why"),
    [
        ([], "", "waits at far"),
        ([UNCONFIRMED], "unconfirmed", "whose answer was lost: connection reset"),
        ([STARTED], "", "runs on far"),
        ([STARTED, MISSED], "missing", "that proves nothing yet"),
        ([STARTED, PAUSED], "unreachable", "unreachable and is tried again (no route to host)"),
        ([UNCONFIRMED, PAUSED], "unreachable", "whose answer was lost"),
        ([STARTED, PAUSED, OPENED], "", "runs on far"),
    ],
)
def test_what_is_not_known_has_its_word(
    tracker: SweepTracker, story: list[ev.Event], word: str, why: str
) -> None:
    """In a list of tasks the word alone, and in an explanation the reason with it."""
    for event in story:
        tracker.fold(event)
    task = tracker.task(1)
    assert doubt_of(task, tracker).partition(":")[0] == word
    assert why in standing(task, tracker, driven=True).why


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (LACKS, "waits at far for a slot, which begins nothing for now: disk full: /there"),
        (FULL, "that source is lacking something and is tried again (disk full: /there)"),
    ],
)
def test_who_waits_for_a_source_that_lacks_something_is_told_what_to_do(
    tracker: SweepTracker, event: ev.Event, why: str
) -> None:
    """In the explanation of a task and in the line of the source, which is not called unreachable."""
    tracker.fold(event)
    found = standing(tracker.task(1), tracker, driven=True)
    assert why in found.why
    assert found.advice == "free some"
    (lane,) = progress(tracker, 5.0, driven=True).lanes
    assert (lane.reason, lane.hint) == ("begins nothing for now: disk full: /there", "free some")
    assert lane.lacks
    assert not lane.is_paused
    told = "".join(text for text, _ in screen.lane(lane))
    assert "waits  begins nothing for now: disk full: /there  0 running, 1 queued" in told


def test_of_what_is_over_everything_is_known(tracker: SweepTracker) -> None:
    """A source that fails afterwards casts no doubt on it."""
    lost = ev.AttemptLost(task=1, attempt=1, cause="application", reason="gone", at=3.0)  # type: ignore[arg-type]
    for event in (STARTED, lost, PAUSED):
        tracker.fold(event)
    assert doubt_of(tracker.task(1), tracker) == ""
