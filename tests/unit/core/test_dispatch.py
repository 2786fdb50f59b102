"""Dispatch: never too much, in order, fair; nothing hoarded."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hsm.core.dispatch import MAX_PREFETCH, LaneView, dispatch, room, window

views = st.builds(
    LaneView,
    name=st.just(""),
    slots=st.integers(1, 64),
    in_flight=st.integers(0, 200),
    prefetches=st.booleans(),
    rate_hz=st.floats(0, 50_000),
)
fleets = st.lists(views, max_size=4).map(
    lambda found: [
        LaneView(
            name=f"lane{number}",
            slots=view.slots,
            in_flight=view.in_flight,
            prefetches=view.prefetches,
            rate_hz=view.rate_hz,
        )
        for number, view in enumerate(found)
    ]
)
ready_tasks = st.lists(st.integers(1, 10_000), unique=True, max_size=300)


@given(ready_tasks, fleets)
def test_no_source_ever_gets_more_than_its_window(ready: list[int], lanes: list[LaneView]) -> None:
    """Tasks go in order, each once, to sources that exist, until tasks or room run out."""
    assignments = dispatch(ready, lanes)
    given_out = Counter(assignment.source for assignment in assignments)
    for lane in lanes:
        assert given_out[lane.name] <= max(0, window(lane) - lane.in_flight)
    assert [assignment.task for assignment in assignments] == ready[: len(assignments)]
    assert len(assignments) == min(len(ready), room(lanes))


@given(ready_tasks, fleets)
def test_the_least_full_source_is_next(ready: list[int], lanes: list[LaneView]) -> None:
    """Each task goes where, for its slots, the least is in flight."""
    load = {lane.name: lane.in_flight for lane in lanes}
    slots = {lane.name: lane.slots for lane in lanes}
    full = {lane.name: window(lane) for lane in lanes}
    for assignment in dispatch(ready, lanes):
        name = assignment.source
        others = [load[other] / slots[other] for other in load if load[other] < full[other]]
        assert load[name] / slots[name] == min(others)
        load[name] += 1


@given(views)
def test_prefetch_is_bounded(lane: LaneView) -> None:
    """A source has at least its slots, and never hoards more than the limit."""
    assert lane.slots <= window(lane) <= lane.slots + max(MAX_PREFETCH, lane.slots)
    if not lane.prefetches:
        assert window(lane) == lane.slots


@given(st.integers(1, 64), st.floats(1.0, 1e6))
def test_long_tasks_are_hardly_fetched_ahead(slots: int, duration_s: float) -> None:
    """Where attempts take a second or more, no more than one round waits at a source."""
    lane = LaneView(name="x", slots=slots, in_flight=0, prefetches=True, rate_hz=slots / duration_s)
    assert window(lane) <= 2 * slots


def test_nothing_is_fetched_ahead_before_anything_has_ended() -> None:
    """At the beginning nothing is known of how long tasks take: one is enough."""
    lane = LaneView(name="x", slots=8, in_flight=0, prefetches=True, rate_hz=0.0)
    assert window(lane) == 9


def test_short_tasks_are_fetched_ahead_for_one_round_trip() -> None:
    """What a source ends while a message goes to and fro waits there, so that no slot is ever idle."""
    lane = LaneView(name="x", slots=2, in_flight=0, prefetches=True, rate_hz=1000.0)
    assert window(lane) == 2 + 1000 * lane.ahead_s
