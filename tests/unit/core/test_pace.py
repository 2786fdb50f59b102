"""How fast the engine goes: the rate of a source, the window of a commit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.compute.testing.memory import MemoryMachine, MemorySource
from hsm.core.inputs import Input
from hsm.core.lane import RATE_WINDOW, Lane
from hsm.core.mailbox import Mailbox
from hsm.core.window import BUSY_EVENTS, BUSY_WINDOW_S, WINDOW_S, Window
from hsm.core.world import World
from tests.unit.core.worlds import new_tree, tenure_of


def lane(tmp_path: Path) -> Lane:
    """Return the lane of a source that does nothing."""
    world, tree = World(), new_tree(tmp_path)
    return Lane(
        world, MemorySource(MemoryMachine(world, slots=2)), tenure_of(world, tree), Mailbox[Input]().put
    )


def test_the_rate_counts_from_when_a_source_got_its_first_attempts(tmp_path: Path) -> None:
    """Not from when it was opened, and one report of many endings is no rate without end."""
    one = lane(tmp_path)
    assert one.view(0, 50.0).rate_hz == 0.0
    assert one.view(0, 100.0).rate_hz == 0.0
    one.ended(3, 100.5)
    assert one.view(5, 100.5).rate_hz == pytest.approx(6.0)


def test_the_rate_is_that_of_the_latest_reports(tmp_path: Path) -> None:
    """A source that has become faster is known as fast after a window of reports."""
    one = lane(tmp_path)
    one.view(0, 0.0)
    for second in range(1, 10):
        one.ended(1, float(second))
    for tenth in range(RATE_WINDOW):
        one.ended(5, 9.0 + (tenth + 1) / 10)
    assert one.view(5, 9.0 + RATE_WINDOW / 10).rate_hz == pytest.approx(50.0)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=20))
def test_only_a_sweep_that_stays_busy_has_the_long_window(groups: Sequence[int]) -> None:
    """The first big group is followed at once, so that sources get more before they run dry."""
    window = Window(World())
    lengths = [window.length_s(events) for events in groups]
    for before, events, length in zip([0, *groups], groups, lengths, strict=False):
        is_busy = before >= BUSY_EVENTS and events >= BUSY_EVENTS
        assert length == (BUSY_WINDOW_S if is_busy else WINDOW_S)
