"""The tracker: its counters are what a recount gives, and every way to its state gives the same state."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hsm.core import events as ev
from hsm.core.ledger import Ledger
from hsm.core.ledger_reader import LedgerReader
from hsm.core.model import OutcomeKind, Proposal
from hsm.core.plan import write_plan
from hsm.core.segments import Mark
from hsm.core.snapshots import freeze, save
from hsm.core.spec import Direction, SweepSpec
from hsm.core.states import PRESUMED, AttemptState, Cause, SweepStatus, TaskStatus
from hsm.core.summary import glance, replay, tracker_of
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.wire.files import Files
from tests.unit.core.stories import SOURCES, Story
from tests.unit.core.worlds import Process, hunt_spec, new_tree, open_ledger, sweep_spec

SPEC = hunt_spec()


@pytest.fixture
def tree(tmp_path: Path) -> SweepTree:
    return new_tree(tmp_path)


def view(tracker: SweepTracker) -> dict[str, Any]:
    """Return everything that anybody may ask of a tracker, however it came to be."""
    return {
        "tasks": list(tracker.tasks),
        "statuses": list(tracker.tasks.statuses()),
        "counts": +tracker.counts,
        "ready": [task.index for task in tracker.ready(len(tracker.tasks))],
        "live": [(task.index, task.status, task.attempts, task.cancel_requested) for task in tracker.live()],
        "sources": tracker.sources,
        "generations": tracker.generations,
        "failures": {key: (group.count, group.tasks) for key, group in tracker.failures.items()},
        "best": tracker.best,
        "improvements": tracker.improvements,
        "cursors": tracker.cursors,
        "outcomes": +tracker.outcomes,
        "endings": list(tracker.endings),
        "status": (tracker.status(driven=False), tracker.open, tracker.finished, tracker.is_over),
        "flags": (tracker.hunt_ended, tracker.stopped, tracker.cancelled, tracker.epoch, tracker.retries),
        "times": (tracker.first_at, tracker.last_at),
        "who": (tracker.created, tracker.engine, tracker.last, tracker.released),
        "tokens": [
            attempt.token
            for task in tracker.tasks
            for attempt in task.attempts
            if tracker.by_token(attempt.token)
        ],
    }


def recount(tracker: SweepTracker) -> None:
    """Check every counter against the tasks themselves."""
    tasks = tracker.tasks
    assert +tracker.counts == Counter(task.status for task in tasks)
    assert tracker.open + tracker.finished == len(tasks)
    for generation in tracker.generations:
        members = [task for task in tasks if task.generation == generation.number]
        assert [task.index for task in members] == list(
            range(generation.first, generation.first + generation.count)
        )
        assert generation.open == sum(not task.status.is_final for task in members)
    every = [attempt for task in tasks for attempt in task.attempts]
    for name, source in tracker.sources.items():
        states = [attempt.state for attempt in every if attempt.source == name]
        assert source.running == states.count(AttemptState.RUNNING)
        assert source.in_flight == sum(state.is_live and state is not AttemptState.EXITED for state in states)
        assert source.finished == states.count(AttemptState.SEALED)
    live = [task for task in tasks if task.live_attempts]
    assert tracker.live() == live
    waiting = [task for task in tasks if task.status is TaskStatus.RECEIVED]
    assert tracker.ready(len(tasks)) == waiting
    assert tracker.ready(1) == waiting[:1]
    for task in tasks:
        for attempt in task.attempts:
            known = attempt.state.is_live or attempt.state in PRESUMED
            assert tracker.by_token(attempt.token) == ((task, attempt.number) if known else None)


def best_of(tracker: SweepTracker) -> float | None:
    scores = [(task.metrics or {}).get("f") for task in tracker.tasks if task.status is TaskStatus.SEALED]
    return max((score for score in scores if score is not None), default=None)


@pytest.mark.parametrize("seed", range(6))
def test_counters_equal_a_recount_after_every_event(tree: SweepTree, seed: int) -> None:
    """Whatever happens, what the tracker counts as it goes is what counting its tasks gives."""
    failures: Counter[str] = Counter()

    def watch(event: ev.Event, tracker: SweepTracker) -> None:
        recount(tracker)
        best = best_of(tracker)
        assert (tracker.best and tracker.best.score) == best
        if isinstance(event, (ev.AttemptFailed, ev.AttemptLost, ev.AttemptRejected)):
            failures[str(event.cause)] += 1
        assert sum(group.count for group in tracker.failures.values()) == failures.total()

    story = Story(Random(seed), tree, SPEC, watch)
    assert len(story.tell(250)) > 90
    seen = {type(event) for event in story.events}
    assert len(seen) > 15, "the stories are not rich enough to prove anything"


async def written(tree: SweepTree, seed: int, steps: int) -> tuple[list[Mark], list[SweepTracker]]:
    """Write a story into a ledger; return the marks after each event, and live trackers at those places."""
    events = Story(Random(seed), tree, SPEC).tell(steps)
    world = Process()
    _, ledger = open_ledger(world, tree, SPEC)
    marks = [ledger.mark]
    for event in events:
        await ledger.commit([event])
        marks.append(ledger.mark)
    ledger.close()
    world.close()
    trackers = []
    for count in range(len(events) + 1):
        tracker = tracker_of(Files(), tree, SPEC)
        for event in events[:count]:
            tracker.fold(event)
        trackers.append(tracker)
    return marks, trackers


@pytest.mark.parametrize("seed", range(3))
async def test_live_replayed_and_glanced_trackers_agree_at_every_event(tree: SweepTree, seed: int) -> None:
    """Folded live, replayed from the ledger, or taken from a summary of any age and the rest: one state."""
    marks, trackers = await written(tree, seed, 60)
    whole = view(trackers[-1])
    assert view(replay(Files(), tree, SPEC)[0]) == whole
    for mark, tracker in zip(marks, trackers, strict=True):
        save(Files(), tree, freeze(tracker, mark))
        glanced, reader = glance(Files(), tree, SPEC)
        assert view(glanced) == whole, mark
        assert reader.mark == marks[-1]
        assert list(reader.events()) == []


async def test_a_summary_at_the_end_of_the_ledger_holds_everything_that_is_shown(tree: SweepTree) -> None:
    """A reader of a finished sweep folds nothing at all, and sees the same, at every length of the story."""
    events = Story(Random(11), tree, SPEC).tell(120)
    _, ledger = open_ledger(Process(), tree, SPEC)
    tracker = tracker_of(Files(), tree, SPEC)
    for event in events:
        await ledger.commit([event])
        tracker.fold(event)
        save(Files(), tree, freeze(tracker, ledger.mark))
        assert view(glance(Files(), tree, SPEC)[0]) == view(tracker)
    ledger.close()


async def test_reopened_tasks_can_be_looked_at_before_the_next_summary(tree: SweepTree) -> None:
    """What happens after the summary to tasks that were finished in it is folded all the same."""
    world = Process()
    _, ledger = open_ledger(world, tree, SPEC)
    tracker = tracker_of(Files(), tree, SPEC)
    name, count = write_plan(Files(), tree.plans, [Proposal(params={"k": 1})], "p")

    async def commit(event: ev.Event) -> None:
        await ledger.commit([event])
        tracker.fold(event)

    await commit(ev.GenerationPlanned(generation=1, plan=name, first=1, count=count, at=1.0))
    await commit(intended(1, 1))
    await commit(ev.AttemptRejected(task=1, attempt=1, reason="no", at=2.0))
    save(Files(), tree, freeze(tracker, ledger.mark))
    await commit(ev.TasksReopened(tasks=(1,), at=3.0))
    await commit(intended(1, 2))
    ledger.close()
    world.close()
    assert view(glance(Files(), tree, SPEC)[0]) == view(tracker)


def intended(task: int, attempt: int) -> ev.AttemptIntended:
    token = f"{task:016x}{attempt:016x}"
    return ev.AttemptIntended(task=task, attempt=attempt, token=token, source="local", at=1.5)


DAMAGES = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b'{"version": 1}',
    b'{"version": 999}',
    b"\xff\xfe",
]


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_summary_is_not_believed(tree: SweepTree, damage: bytes) -> None:
    """Where the summary cannot be read, the ledger is."""
    _, trackers = await written(tree, 5, 30)
    tree.summary.write_bytes(damage)
    assert view(glance(Files(), tree, SPEC)[0]) == view(trackers[-1])


async def test_a_summary_with_any_part_missing_or_odd_is_not_believed(tree: SweepTree) -> None:
    """Each field in turn is removed and replaced: never an error, never another state."""
    import json

    marks, trackers = await written(tree, 5, 40)
    save(Files(), tree, freeze(trackers[len(marks) // 2], marks[len(marks) // 2]))
    content = json.loads(tree.summary.read_bytes())
    for name in content:
        for damaged in ({k: v for k, v in content.items() if k != name}, {**content, name: 7}):
            tree.summary.write_text(json.dumps(damaged))
            assert view(glance(Files(), tree, SPEC)[0]) == view(trackers[-1]), name


async def test_a_summary_of_another_ledger_is_not_believed(tree: SweepTree) -> None:
    """A stamp ahead of the ledger, at no place of it, or of another chain: the ledger is read instead."""
    marks, trackers = await written(tree, 6, 40)
    offset, seq, chain = marks[20].position
    odd = [
        Mark(marks[20].segment, marks[20].position._replace(offset=offset + 10**6)),
        Mark(marks[20].segment, marks[20].position._replace(offset=offset - 1)),
        Mark(marks[20].segment, marks[20].position._replace(seq=seq + 1)),
        Mark(marks[20].segment, marks[20].position._replace(chain=bytes(16))),
        Mark("000009-0001.hsl", marks[20].position),
    ]
    assert len(chain) == 16
    for mark in odd:
        save(Files(), tree, freeze(trackers[20], mark))
        assert view(glance(Files(), tree, SPEC)[0]) == view(trackers[-1]), mark


def test_a_follower_sees_what_a_reader_sees(tree: SweepTree) -> None:
    """Reading on event by event, as the monitor does, ends where reading at once does."""
    events = Story(Random(3), tree, SPEC).tell(80)
    tracker = tracker_of(Files(), tree, SPEC)
    for event in events:
        tracker.fold(ev.from_record(ev.to_record(event)))
    assert view(tracker)["counts"] == +Counter(task.status for task in tracker.tasks)
    reader = LedgerReader(Files(), tree)
    assert (list(reader.events()), reader.mark) == ([], Mark())


def small(tree: SweepTree, spec: SweepSpec, *params: dict[str, Any]) -> SweepTracker:
    tracker = tracker_of(Files(), tree, spec)
    name, count = write_plan(Files(), tree.plans, [Proposal(params=p) for p in params], "p")
    tracker.fold(ev.GenerationPlanned(generation=1, plan=name, first=1, count=count, at=1.0))
    return tracker


def seal(tracker: SweepTracker, task: int, metrics: dict[str, float | None] | None) -> None:
    from hsm.core.model import Exit

    tracker.fold(intended(task, len(tracker.task(task).attempts) + 1))
    number = len(tracker.task(task).attempts)
    tracker.fold(
        ev.AttemptExited(task=task, attempt=number, exit=Exit(code=0), manifest="m", started_at=1.0, at=2.0)
    )
    tracker.fold(ev.AttemptSealed(task=task, attempt=number, metrics=metrics, at=3.0))


@pytest.mark.parametrize(
    ("metrics", "kind", "reason"),
    [
        ({"f": 2.0}, OutcomeKind.SCORED, ""),
        ({"f": None}, OutcomeKind.NOT_SCORABLE, "f is null"),
        ({"g": 2.0}, OutcomeKind.NOT_SCORABLE, "no metric 'f' was written"),
        (None, OutcomeKind.NOT_SCORABLE, "no metric 'f' was written"),
    ],
)
def test_a_sealed_task_is_scored_or_says_why_not(
    tree: SweepTree, metrics: dict[str, float | None] | None, kind: OutcomeKind, reason: str
) -> None:
    """A score that cannot be computed is no number at all, and has a reason."""
    tracker = small(tree, SPEC, {"k": 1})
    seal(tracker, 1, metrics)
    outcome = tracker.outcome(tracker.task(1))
    assert (outcome.kind, outcome.reason) == (kind, reason)


@pytest.mark.parametrize(("direction", "best"), [(Direction.MAXIMIZE, 2), (Direction.MINIMIZE, 3)])
def test_the_best_is_the_first_that_reached_it(tree: SweepTree, direction: Direction, best: int) -> None:
    """The objective's direction decides, a tie does not replace."""
    from dataclasses import replace

    assert SPEC.hunt is not None
    hunt = replace(SPEC.hunt, objective=replace(SPEC.hunt.objective, direction=direction))
    tracker = small(tree, replace(SPEC, hunt=hunt), *({"k": k} for k in range(5)))
    for task, score in enumerate([1.0, 9.0, -4.0, 9.0, -4.0], 1):
        seal(tracker, task, {"f": score})
    assert tracker.best is not None
    assert tracker.best.task == best


def test_the_same_work_is_done_once(tree: SweepTree) -> None:
    """A task proposed again is said to be that of the first, whose outcome stands for it."""
    tracker = small(tree, SPEC, {"k": 1}, {"k": 2}, {"k": 1})
    assert tracker.take_duplicates() == [ev.TaskReused(task=3, of=1)]
    assert tracker.take_duplicates() == []
    tracker.fold(ev.TaskReused(task=3, of=1))
    seal(tracker, 1, {"f": 4.0})
    assert tracker.outcome(tracker.task(3)).score == 4.0


def test_failed_work_is_not_reused(tree: SweepTree) -> None:
    """A later generation tries again what failed before."""
    tracker = small(tree, SPEC, {"k": 1})
    tracker.fold(intended(1, 1))
    tracker.fold(ev.AttemptRejected(task=1, attempt=1, reason="no", at=1.0))
    name, _ = write_plan(Files(), tree.plans, [Proposal(params={"k": 1})] * 2, "p")
    tracker.fold(ev.GenerationPlanned(generation=2, plan=name, first=2, count=2, at=1.0))
    assert tracker.take_duplicates() == [ev.TaskReused(task=3, of=2)]


def test_a_failure_rate_needs_ten_finished_tasks(tree: SweepTree) -> None:
    """Nine failures of nine say nothing yet; ten of ten do; a new engine begins to count anew."""
    tracker = small(tree, sweep_spec(), *({"k": k} for k in range(12)))
    for task in range(1, 11):
        assert tracker.failure_rate() == 0.0
        tracker.fold(intended(task, 1))
        tracker.fold(ev.AttemptRejected(task=task, attempt=1, reason="no", at=1.0))
    assert tracker.failure_rate() == 1.0
    tracker.fold(ev.EngineStarted(epoch=2, host="h", pid=1, version="0", at=2.0))
    assert tracker.failure_rate() == 0.0


def test_a_sweep_that_is_over_cannot_be_cancelled(tree: SweepTree) -> None:
    """Cancelling what is complete leaves it complete; cancelling what is open ends it."""
    tracker = small(tree, sweep_spec(), {"k": 1})
    seal(tracker, 1, None)
    tracker.fold(ev.HuntEnded(generation=2, at=4.0))
    tracker.fold(ev.CancelRequested(at=5.0))
    assert tracker.status(driven=False) is SweepStatus.COMPLETE
    other = small(tree, sweep_spec(), {"k": 1})
    other.fold(ev.CancelRequested(at=5.0))
    assert other.status(driven=False) is SweepStatus.CANCELLED


def test_sources_of_the_stories_are_the_ones_counted(tree: SweepTree) -> None:
    """A source that opened is counted from then on, open until the engine lets go."""
    tracker = tracker_of(Files(), tree, SPEC)
    for source in SOURCES:
        tracker.fold(ev.SourceOpened(source=source, slots=3, at=1.0))
    assert {name: (s.slots, s.open) for name, s in tracker.sources.items()} == dict.fromkeys(
        SOURCES, (3, True)
    )
    tracker.fold(ev.EngineStopped(epoch=1, status=SweepStatus.PARTIAL, at=2.0))
    assert not any(source.open for source in tracker.sources.values())


def test_an_unknown_task_is_a_key_error(tree: SweepTree) -> None:
    """Indices count from 1."""
    tracker = small(tree, SPEC, {"k": 1})
    for index in (0, -1, 2):
        with pytest.raises(KeyError):
            tracker.task(index)
    assert tracker.by_token("nobody") is None
    assert Cause.LOST in SPEC.retry
    assert isinstance(Ledger, type)
