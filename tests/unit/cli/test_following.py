"""What a run writes where no terminal can be drawn on: how its sources are, and what to do about it."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm.cli.console import Console
from hsm.cli.following import Plain, Screen
from hsm.core import events as ev
from hsm.core.tracker import SweepTracker
from hsm.core.world import World
from tests.unit.core.resting import resting
from tests.unit.core.worlds import made_plan, sweep_spec

CUT = ev.SourceFailed(source="ssh:alpha", reason="source 'ssh:alpha': the link was cut", paused=True, at=0.0)
REFUSED = ev.SourceFailed(
    source="ssh:alpha", reason="source 'ssh:alpha': its key has changed", hint="type this", at=0.0
)
OPENED = ev.SourceOpened(source="ssh:alpha", slots=2, at=0.0)


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


def told(world: World, *events: ev.Event) -> list[str]:
    """Return the lines that are written of some events, less their times."""
    err = io.StringIO()
    plain = Plain(Console(io.StringIO(), err, {}), world)
    for event in events:
        plain.listen([event], SweepTracker(sweep_spec(), lambda event: made_plan(event.count)))
    return [text.partition(" ")[2] if text[2:3] == ":" else text for text in err.getvalue().splitlines()]


def test_a_source_that_failed_for_good_is_told_with_what_to_do(world: World) -> None:
    """And by its name once."""
    assert told(world, REFUSED) == ["source ssh:alpha failed: its key has changed", "hint: type this"]


def test_a_source_that_is_tried_again_is_told_once_until_it_opens(world: World) -> None:
    """A host may be away all night; that it fails for another reason is news."""
    cut = "source ssh:alpha is unreachable, and is tried again: the link was cut"
    refused = "source ssh:alpha is unreachable, and is tried again: no route"
    other = ev.SourceFailed(source="ssh:alpha", reason="source 'ssh:alpha': no route", paused=True, at=0.0)
    assert told(world, CUT, CUT, other, other) == [cut, refused]
    opened = "source ssh:alpha opened with 2 slots"
    assert told(world, CUT, OPENED, CUT) == [cut, opened, cut]


def test_a_sweep_whose_engine_has_stopped_is_not_said_to_run(world: World, tmp_path: Path) -> None:
    """The picture stays while its analyses go on, and says of the sweep what `status` says of it."""
    there = resting(tmp_path)
    screen = Screen(Console(io.StringIO(), io.StringIO(), {}), world, there.tree)
    tracker = there.tracker()
    assert tracker.released == tracker.epoch
    screen.listen([], tracker)
    head = screen._lines(100)[0][1:]
    assert "running" not in "".join(text for text, _ in head)
