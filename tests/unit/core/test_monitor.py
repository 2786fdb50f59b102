"""The monitor tells how a sweep gets on, and says so when it cannot know."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.core import events as ev
from hsm.core.model import Exit
from hsm.core.monitor import REMEDIES, Pace, extrapolate, progress
from hsm.core.spec import Choices, GridSpec, HuntSpec, Objective, ProgramSpec, SweepSpec
from hsm.core.states import Cause, SweepStatus, TaskStatus
from hsm.core.sweep_state import PACE_EVENTS
from hsm.core.tracker import SweepTracker
from tests.unit.core.worlds import made_plan

GRID = SweepSpec(name="s", program=ProgramSpec(command=("true",)), grid=GridSpec(axes=()))
HUNT = SweepSpec(
    name="h",
    program=ProgramSpec(command=("true",)),
    hunt=HuntSpec(
        hunter="random",
        space={"k": Choices(values=(1,))},
        objective=Objective(metric="score"),
        generations=3,
        population=4,
    ),
    seeds=2,
)


def _tracker(spec: SweepSpec, count: int, *, sources: tuple[str, ...] = ("local",)) -> SweepTracker:
    """Return a sweep that an engine took at time 100, with `count` tasks planned."""
    tracker = SweepTracker(spec, lambda event: made_plan(event.count))
    tracker.fold(ev.EngineStarted(epoch=1, host="here", pid=1, version="1", at=100.0))
    for source in sources:
        tracker.fold(ev.SourceOpened(source=source, slots=2, at=100.0))
    if count:
        tracker.fold(ev.GenerationPlanned(generation=1, plan="p", first=1, count=count, at=100.0))
    if spec.hunt is None:
        tracker.fold(ev.HuntEnded(generation=1, at=100.0))
    return tracker


def _begin(tracker: SweepTracker, task: int, source: str = "local") -> int:
    """Begin an attempt and return its number."""
    number = len(tracker.task(task).attempts) + 1
    token = f"{task}-{number}"
    tracker.fold(ev.AttemptIntended(task=task, attempt=number, token=token, source=source, at=100.0))
    tracker.fold(ev.AttemptStarted(task=task, attempt=number, at=100.0))
    return number


def _end(
    tracker: SweepTracker, task: int, at: float, cause: Cause | None = None, source: str = "local"
) -> None:
    """Let a task run and end at a time."""
    number = _begin(tracker, task, source)
    exited = ev.AttemptExited(
        task=task, attempt=number, exit=Exit(code=0), manifest="m", cause=cause, started_at=100.0, at=at
    )
    tracker.fold(exited)
    if cause is None:
        tracker.fold(ev.AttemptSealed(task=task, attempt=number, metrics={"score": float(task)}, at=at))
    else:
        failed = ev.AttemptFailed(
            task=task, attempt=number, cause=cause, reason="r", signature=f"sig {cause}", at=at
        )
        tracker.fold(failed)


def test_a_sweep_without_endings_has_no_eta_and_says_why() -> None:
    """Nothing is foretold before two attempts have ended."""
    tracker = _tracker(GRID, 10)
    assert progress(tracker, 110.0, driven=True).eta_reason == "too few tasks have ended"
    _end(tracker, 1, 105.0)
    found = progress(tracker, 110.0, driven=True)
    assert found.eta is None
    assert found.eta_reason == "too few tasks have ended"


def test_the_eta_follows_the_pace_and_spans_it() -> None:
    """Four endings in 20 s leave 30 s for six tasks, somewhere in a range around it."""
    tracker = _tracker(GRID, 10)
    for task in range(1, 5):
        _end(tracker, task, 100.0 + 5 * task)
    found = progress(tracker, 120.0, driven=True)
    assert found.rate_hz == pytest.approx(0.2)
    assert found.eta is not None
    assert found.eta.likely_s == pytest.approx(30.0)
    assert found.eta.low_s < 20
    assert found.eta.high_s > 45
    assert (found.eta.endings, found.eta.remaining) == (4, 6)


def test_silence_makes_the_eta_longer() -> None:
    """When nothing ends any more, the time to go grows instead of standing still."""
    tracker = _tracker(GRID, 10)
    for task in range(1, 5):
        _end(tracker, task, 100.0 + 5 * task)
    soon, late = (progress(tracker, now, driven=True).eta for now in (120.0, 300.0))
    assert soon is not None
    assert late is not None
    assert late.likely_s > 5 * soon.likely_s


def test_the_pace_of_an_earlier_engine_does_not_count() -> None:
    """Endings from before this engine took over say nothing about its pace."""
    tracker = _tracker(GRID, 10)
    for task in range(1, 5):
        _end(tracker, task, 101.0)
    tracker.fold(ev.EngineStarted(epoch=2, host="here", pid=2, version="1", at=5000.0))
    assert progress(tracker, 5001.0, driven=True).rate_hz is None


def test_only_the_latest_endings_tell_the_pace() -> None:
    """After more endings than are remembered, the window decides and not the beginning."""
    count = PACE_EVENTS + 50
    tracker = _tracker(GRID, count)
    for task in range(1, count + 1):
        slow = 100.0 + 100.0 * min(task, 50)
        _end(tracker, task, slow + max(0, task - 50))
    rate = progress(tracker, 100.0 + 5000.0 + PACE_EVENTS, driven=True).rate_hz
    assert rate == pytest.approx(1.0, rel=0.05)


def test_without_an_engine_nothing_is_foretold() -> None:
    """A sweep that nobody drives has neither rate nor time to go, and its clock stands."""
    tracker = _tracker(GRID, 10)
    for task in range(1, 5):
        _end(tracker, task, 100.0 + task)
    found = progress(tracker, 9999.0, driven=False)
    assert (found.status, found.rate_hz, found.eta) == (SweepStatus.PARTIAL, None, None)
    assert found.eta_reason == "no engine drives the sweep"
    assert found.elapsed_s == pytest.approx(4.0)
    assert found.age_s == pytest.approx(9999.0 - 104.0)


def test_a_hunt_expects_the_generations_to_come() -> None:
    """Later generations count as work to be done until the hunter has ended."""
    tracker = _tracker(HUNT, 8)
    for task in range(1, 5):
        _end(tracker, task, 100.0 + task)
    found = progress(tracker, 104.0, driven=True)
    assert (found.planned, found.expected, found.generation, found.generations) == (8, 24, 1, 3)
    assert found.eta is not None
    assert found.eta.remaining == 20
    assert found.best is not None
    assert (found.metric, found.best.task) == ("score", 4)
    tracker.fold(ev.HuntEnded(generation=2, at=105.0))
    assert progress(tracker, 105.0, driven=True).expected == 8


def test_failures_are_grouped_the_largest_first_with_what_can_be_done() -> None:
    """Like failures are one group; each says how many, which tasks, and the remedy."""
    tracker = _tracker(GRID, 5)
    _end(tracker, 1, 101.0, Cause.APPLICATION)
    for task in (2, 3):
        _end(tracker, task, 102.0, Cause.TIME)
    groups = progress(tracker, 103.0, driven=True).failures
    assert [(group.cause, group.count, group.tasks) for group in groups] == [
        ("time", 2, (2, 3)),
        ("application", 1, (1,)),
    ]
    assert "timeout" in groups[0].remedy


def test_what_tasks_failed_for_stands_before_what_was_tried_again() -> None:
    """A batch that ended early has many attempts that are tried again; whose doing it was comes first."""
    tracker = _tracker(replace(GRID, retry={Cause.BATCH: 9}), 4)
    for task in (1, 2, 3, 4):
        _end(tracker, task, 101.0, Cause.BATCH)
    _end(tracker, 2, 102.0, Cause.APPLICATION)
    groups = progress(tracker, 103.0, driven=True).failures
    assert [(group.cause, group.count, group.final) for group in groups] == [
        (Cause.APPLICATION, 1, 1),
        (Cause.BATCH, 4, 0),
    ]


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_a_remedy(cause: Cause) -> None:
    """No failure is shown without what can be done about it."""
    assert REMEDIES[cause]


def test_lanes_tell_slots_load_and_share_of_the_pace() -> None:
    """Each source has its running and queued attempts, and the pace by what it has ended."""
    tracker = _tracker(GRID, 10, sources=("local", "ssh:far"))
    for task in range(1, 4):
        _end(tracker, task, 100.0 + task)
    _end(tracker, 4, 104.0, source="ssh:far")
    _begin(tracker, 5)
    tracker.fold(ev.AttemptIntended(task=6, attempt=1, token="queued", source="local", at=104.0))
    tracker.fold(ev.SourceFailed(source="ssh:far", reason="no route", at=104.0))
    near, far = progress(tracker, 104.0, driven=True).lanes
    assert (near.name, near.slots, near.running, near.queued, near.finished) == ("local", 2, 1, 1, 3)
    assert near.rate_hz == pytest.approx(0.75)
    assert (far.is_open, far.reason, far.finished) == (False, "no route", 1)


def test_every_status_is_counted() -> None:
    """The counts name every status, so that a reader finds a zero and not a gap."""
    found = progress(_tracker(GRID, 3), 100.0, driven=True)
    assert set(found.counts) == set(TaskStatus)
    assert sum(found.counts.values()) == found.planned == 3


@given(st.integers(2, 10_000), st.floats(0.01, 1e7), st.integers(1, 10**6))
def test_the_range_always_holds_the_likely_time(endings: int, span_s: float, remaining: int) -> None:
    """Whatever the pace, low < likely < high, and more evidence never widens the range."""
    eta = extrapolate(Pace(endings=endings, span_s=span_s), remaining)
    more = extrapolate(Pace(endings=2 * endings, span_s=2 * span_s), remaining)
    assert eta is not None
    assert more is not None
    assert 0 < eta.low_s < eta.likely_s < eta.high_s
    assert more.high_s / more.low_s <= eta.high_s / eta.low_s
