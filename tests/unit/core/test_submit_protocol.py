"""Submitting when things go wrong: replies that get lost, sources that fail, listings that lack things."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hsm.compute.testing.memory import Act, MemoryMachine, MemorySource
from hsm.core import events as ev
from hsm.core import listings
from hsm.core.engine import SweepEngine
from hsm.core.errors import LedgerError, SweepError
from hsm.core.lane import FIRST_PAUSE_S, LONGEST_PAUSE_S, Lane, Pauses
from hsm.core.source import AttemptOrder, SourceSession, SweepContext, Wanted
from hsm.core.states import AttemptState, Cause, SweepStatus, TaskStatus
from hsm.core.world import World
from tests.unit.core.test_engine import Lab, drive, killed_after, lab, succeed, until, until_open
from tests.unit.core.worlds import Process, numbered, tenure_of


def settling(
    tmp_path: Path, settle_s: float, behave: Callable[[AttemptOrder], Act] = succeed, *, slots: int = 2
) -> Lab:
    """Return a lab whose source may show attempts late."""
    here = lab(tmp_path)
    executed = here.executed

    def act(order: AttemptOrder) -> Act:
        executed.append(order)
        return behave(order)

    machine = MemoryMachine(World(), slots=slots, behave=act, settle_s=settle_s, missing_s=0.01)
    return Lab(here.tree, machine, executed)


@pytest.mark.parametrize("arrives", [False, True], ids=["lost before", "lost after"])
@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("settle_s", [0.0, 0.05])
async def test_a_reply_that_was_lost_is_looked_up(
    tmp_path: Path, arrives: bool, at: int, settle_s: float
) -> None:
    """Whether or not the attempts arrived, the engine finds out in the same run, and none is run twice."""
    here = settling(tmp_path, settle_s)
    slow = Pauses(World().rng(0))
    assert slow.next_s() < 1.5 * FIRST_PAUSE_S
    if at == 0:
        here.machine.trouble.lost_replies.append(arrives)

    def watch(event: ev.Event) -> None:
        if at and isinstance(event, ev.AttemptExited) and event.task == 1:
            here.machine.trouble.lost_replies.append(arrives)

    result = await drive(here.job(numbered(12)), watch=watch)
    assert result.status is SweepStatus.COMPLETE
    assert here.runs == Counter(range(1, 13))
    lost = here.kinds(ev.AttemptUnconfirmed)
    assert lost
    assert all("connection reset" in event.reason for event in lost)
    voided = {event.task for event in here.kinds(ev.AttemptVoided)}
    assert bool(voided) is not arrives
    assert all(attempt.cause is None for task in result.tracker.tasks for attempt in task.attempts)


def waiting(tmp_path: Path, gate: threading.Event, settle_s: float = 0.0) -> Lab:
    """Return a lab in which the second attempt waits, unseen, behind the first; the reply on both is lost."""
    here = settling(tmp_path, settle_s, until_open(gate), slots=1)
    here.machine.trouble.lost_replies.append(True)
    return here


def of_task(here: Lab, cls: type, task: int) -> list[Any]:
    return [event for event in here.kinds(cls) if event.task == task]


@pytest.mark.parametrize("denials", [1, 2])
async def test_twice_no_is_needed(tmp_path: Path, denials: int) -> None:
    """Denied once and then found it is adopted; denied twice it is ended, if it is there, and run anew."""
    gate = threading.Event()
    here = waiting(tmp_path, gate, 0.05)
    here.machine.trouble.denials = denials
    running = asyncio.create_task(drive(here.job(numbered(2))))
    await until(lambda: of_task(here, ev.AttemptSubmitted, 2) or of_task(here, ev.AttemptVoided, 2))
    await until(lambda: len(here.machine.cancelled) == denials - 1)
    gate.set()
    here.machine.proceed()
    result = await running
    assert result.status is SweepStatus.COMPLETE
    assert here.runs == Counter([1, 2])
    attempts = result.tracker.task(2).attempts
    assert len(attempts) == denials
    assert here.machine.cancelled == [attempt.token for attempt in attempts[:-1]]


async def test_what_cannot_be_asked_is_never_handed_over_again(tmp_path: Path) -> None:
    """While the source does not answer nothing is concluded and nobody is charged; then it goes on."""
    gate = threading.Event()
    here = waiting(tmp_path, gate)
    trouble = here.machine.trouble

    def watch(event: ev.Event) -> None:
        if isinstance(event, ev.AttemptUnconfirmed):
            trouble.is_down = True

    running = asyncio.create_task(drive(here.job(numbered(2)), watch=watch))
    await until(lambda: len(here.kinds(ev.SourceFailed)) >= 3)
    tracker = here.tracker
    assert tracker.sources["memory"].paused
    assert "no route to host" in tracker.sources["memory"].reason
    assert tracker.task(2).attempts[0].state is AttemptState.UNCONFIRMED
    assert not here.kinds(ev.AttemptVoided)
    trouble.is_down = False
    gate.set()
    here.machine.proceed()
    result = await running
    assert result.status is SweepStatus.COMPLETE
    assert here.runs == Counter([1, 2])
    assert all(len(task.attempts) == 1 for task in result.tracker.tasks)
    assert all(event.paused for event in here.kinds(ev.SourceFailed))


async def test_a_source_that_fails_leaves_its_turn_to_the_others(tmp_path: Path) -> None:
    """What it never got goes elsewhere at once; what it has waits for it."""
    gate = threading.Event()
    here = lab(tmp_path, until_open(gate))
    there = lab(tmp_path / "there")
    other = MemorySource(there.machine, name="other")
    there.machine.trouble.is_down = True
    running = asyncio.create_task(drive(here.job(numbered(8), here.source, other)))
    await until(lambda: len(here.executed) == 2)
    assert not there.executed
    there.machine.trouble.is_down = False
    await until(lambda: there.executed)
    here.machine.trouble.is_down = True
    here.machine.wake()
    await until(lambda: len(here.kinds(ev.AttemptSealed)) >= 5)
    gate.set()
    here.machine.trouble.is_down = False
    here.machine.proceed()
    assert (await running).status is SweepStatus.COMPLETE
    assert here.runs + there.runs == Counter(range(1, 9))


async def test_a_defect_of_a_source_pauses_it(tmp_path: Path) -> None:
    """A plug-in that raises what it should not costs neither a task nor the sweep."""
    here = lab(tmp_path)

    def watch(event: ev.Event) -> None:
        if isinstance(event, ev.AttemptExited) and event.task == 1:
            here.machine.trouble.defect = ZeroDivisionError("in the source")

    result = await drive(here.job(numbered(8)), watch=watch)
    assert result.status is SweepStatus.COMPLETE
    (failed,) = here.kinds(ev.SourceFailed)
    assert "it broke: ZeroDivisionError: in the source" in failed.reason
    assert here.runs == Counter(range(1, 9))


async def test_an_attempt_that_is_there_twice_is_kept_once(tmp_path: Path) -> None:
    """The first one is adopted, the others are cancelled, and the ledger says so."""
    gate = threading.Event()
    here = waiting(tmp_path, gate)
    here.machine.trouble.copies = 3
    running = asyncio.create_task(drive(here.job(numbered(2))))
    await until(lambda: here.machine.cancelled)
    (double,) = of_task(here, ev.AttemptDuplicated, 2)
    token = here.tracker.task(2).attempts[0].token
    assert (double.ref, double.others) == (token, (f"{token}.2", f"{token}.3"))
    assert here.machine.cancelled[-2:] == [f"{token}.2", f"{token}.3"]
    here.machine.trouble.copies = 1
    gate.set()
    here.machine.proceed()
    assert (await running).status is SweepStatus.COMPLETE
    assert here.runs == Counter([1, 2])


async def passed(time_s: float) -> None:
    """Let time go by, by the clock that the engine goes by."""
    world = World()
    until_ = world.monotonic() + time_s
    await until(lambda: world.monotonic() >= until_)


def lacking(here: Lab, times: int) -> None:
    for _ in range(times):
        here.machine.miss(here.executed[0].token)


async def test_what_a_listing_lacks_is_missing_and_nothing_more(tmp_path: Path) -> None:
    """Two listings in a row prove nothing; one that has it begins the count anew; its end is its end."""
    gate = threading.Event()
    here = settling(tmp_path, 0.0, until_open(gate))
    running = asyncio.create_task(drive(here.job(numbered(1))))
    await until(lambda: here.kinds(ev.AttemptStarted))
    for _ in range(3):
        lacking(here, 2)
        await until(lambda: here.tracker.task(1).attempts[0].state is AttemptState.MISSING)
        assert here.tracker.task(1).status is TaskStatus.RUNNING
        await passed(0.02)
        here.machine.show(here.executed[0].token)
        await until(lambda: here.tracker.task(1).attempts[0].state is AttemptState.RUNNING)
    gate.set()
    here.machine.proceed()
    assert (await running).status is SweepStatus.COMPLETE
    assert len(here.executed) == 1


async def test_what_listings_lack_for_long_is_lost_and_its_late_end_still_counts(tmp_path: Path) -> None:
    """Three listings over the source's time: LOST, and tried again; whichever ends first is the result."""
    gate = threading.Event()
    here = settling(tmp_path, 0.0, until_open(gate))
    running = asyncio.create_task(drive(here.job(numbered(1))))
    await until(lambda: here.kinds(ev.AttemptStarted))
    lacking(here, 2)
    await until(lambda: here.tracker.task(1).attempts[0].state is AttemptState.MISSING)
    await passed(0.02)
    lacking(here, 1)
    await until(lambda: len(here.kinds(ev.AttemptStarted)) == 2)
    (lost,) = here.kinds(ev.AttemptLost)
    assert (lost.cause, lost.reason) == (Cause.LOST, "it vanished: 3 listings over 0 s lacked it")
    gate.set()
    here.machine.proceed()
    result = await running
    assert result.status is SweepStatus.COMPLETE
    task = result.tracker.task(1)
    assert task.result == 1
    assert [attempt.state for attempt in task.attempts] == [AttemptState.SEALED, AttemptState.SUPERSEDED]


async def test_many_that_vanish_at_once_are_not_given_up_and_nothing_new_begins(tmp_path: Path) -> None:
    """A scheduler that came back without its memory lacks them all: it is in doubt, and that is told.

    When it lists them again all goes on, each run once; a single one that stays missing is given up.
    """
    gate = threading.Event()
    here = settling(tmp_path, 0.0, until_open(gate), slots=12)
    running = asyncio.create_task(drive(here.job(numbered(40))))
    await until(lambda: len(here.kinds(ev.AttemptStarted)) == 12)
    handed_over = len(here.kinds(ev.AttemptIntended))
    tokens = [order.token for order in here.executed]
    for _ in range(5):
        for token in tokens:
            here.machine.miss(token)
        await passed(0.02)
    await until(lambda: here.kinds(ev.SourceHindered))
    hindrance = here.tracker.sources["memory"].hindrance
    assert "attempts are missing from its listings" in hindrance
    assert "--abandon-source memory" in hindrance
    assert not here.kinds(ev.AttemptLost)
    assert len(here.kinds(ev.AttemptIntended)) == handed_over
    for token in tokens[1:]:
        here.machine.show(token)
    await until(lambda: here.tracker.task(12).attempts[0].state is AttemptState.RUNNING)
    here.machine.miss(tokens[0])
    await until(lambda: here.kinds(ev.AttemptLost))
    assert here.tracker.sources["memory"].hindrance == ""
    gate.set()
    here.machine.proceed()
    assert (await running).status is SweepStatus.COMPLETE
    assert here.runs == Counter({1: 2, **dict.fromkeys(range(2, 41), 1)})


async def test_what_is_abandoned_is_run_elsewhere(tmp_path: Path) -> None:
    """A source of which nothing can be learnt is given up by name; without that its attempts bar the way."""
    gate = threading.Event()
    gone = lab(tmp_path, until_open(gate))
    await killed_after(gone.job(numbered(3)), 8)
    other = MemoryMachine(World())
    with pytest.raises(SweepError, match="attempts may still run on memory") as refused:
        await drive(gone.job(numbered(3), MemorySource(other, name="other")))
    assert "--abandon-source memory" in refused.value.hint
    result = await drive(gone.job(numbered(3), MemorySource(other, name="other"), abandon=["memory"]))
    assert result.status is SweepStatus.COMPLETE
    abandoned = gone.kinds(ev.AttemptAbandoned)
    assert len(abandoned) >= 2
    assert all(
        {str(attempt.state) for attempt in task.attempts} <= {"abandoned", "sealed", "void"}
        for task in result.tracker.tasks
    )


async def test_a_late_end_of_what_was_abandoned_is_kept(tmp_path: Path) -> None:
    """Sealed when nothing else was; beside the result when another attempt was sealed before."""
    gate, hold = threading.Event(), threading.Event()
    gone = lab(tmp_path, until_open(gate))
    await killed_after(gone.job(numbered(2)), 8)
    held = [task.index for task in gone.tracker.live()]

    def behave(order: AttemptOrder) -> Act:
        return Act(holds=lambda: order.task == 1 and not hold.is_set())

    other = MemoryMachine(World(), behave=behave)
    sources = (MemorySource(other, name="other"),)
    dead = Process()
    first = asyncio.create_task(drive(gone.job(numbered(2), *sources, abandon=["memory"]), dead))
    await until(lambda: {event.task for event in gone.kinds(ev.AttemptSealed)} == {2})
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    dead.die()
    gate.set()
    gone.machine.proceed()
    result = await drive(gone.job(numbered(2), gone.source, *sources))
    hold.set()
    assert result.status is SweepStatus.COMPLETE
    tasks = result.tracker.tasks
    assert held == [1, 2]
    assert (tasks[0].result, tasks[1].result) == (1, 0), "the late end was first for the one that still ran"
    assert tasks[0].attempts[1].state is AttemptState.CANCELLED, "what lost the race is ended"
    assert tasks[1].attempts[0].state is AttemptState.SUPERSEDED


async def test_a_fetch_that_breaks_because_the_engine_ends_does_not_keep_it(tmp_path: Path) -> None:
    """Whatever a session makes of being cancelled, who waits for it goes on being cancelled."""

    class Clumsy:
        async def fetch(self, wanted: Sequence[Wanted]) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                raise OSError("the connection was closed")

    here, world = lab(tmp_path), World()
    lane = Lane(world, here.source, tenure_of(world, here.tree), lambda _: None)
    lane.session = Clumsy()  # type: ignore[assignment]
    fetching = asyncio.create_task(lane.fetch([]))
    await asyncio.sleep(0)
    lane.end()
    fetching.cancel()
    await asyncio.wait([fetching])
    assert fetching.cancelled()


async def test_what_had_begun_and_is_not_known_any_more_was_lost(tmp_path: Path) -> None:
    """A power cut took the order and what was recorded of it: the task has another attempt."""
    gate = threading.Event()
    here = settling(tmp_path, 0.0, until_open(gate))
    running = asyncio.create_task(drive(here.job(numbered(1))))
    await until(lambda: here.kinds(ev.AttemptStarted))
    (token,) = here.machine._running
    del here.machine._running[token]
    gate.set()
    here.machine._see(token, AttemptState.VOID, "nothing is known of it")
    here.machine.wake()
    result = await running
    assert result.status is SweepStatus.COMPLETE
    assert here.runs == Counter({1: 2})
    (lost,) = here.kinds(ev.AttemptLost)
    assert (lost.cause, lost.reason) == (Cause.LOST, "nothing is known of it")


async def test_what_was_missing_and_never_began_is_charged_to_nobody(tmp_path: Path) -> None:
    """A job that listings had lost sight of, and that was ended before its turn, costs its task nothing."""
    gate = threading.Event()
    here = settling(tmp_path, 0.0, until_open(gate), slots=1)
    running = asyncio.create_task(drive(here.job(numbered(2))))
    await until(lambda: here.kinds(ev.AttemptStarted))
    (waits,) = here.machine._waiting
    here.machine._see(waits, AttemptState.SUBMITTED)
    here.machine.miss(waits)
    await until(lambda: here.kinds(ev.AttemptMissed))
    here.machine.recall([waits])
    await until(lambda: here.kinds(ev.AttemptVoided))
    gate.set()
    here.machine.proceed()
    result = await running
    assert result.status is SweepStatus.COMPLETE
    assert here.runs == Counter([1, 2])
    assert not here.kinds(ev.AttemptLost)


class Jumping(Process):
    """A process whose monotonic clock can be put forward."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


async def test_listings_that_came_in_while_the_engine_was_kept_waiting_are_timed_by_when_they_came(
    tmp_path: Path,
) -> None:
    """A disk that hangs makes no attempt vanish: three listings within a moment say nothing."""
    gate, disk, stuck = threading.Event(), threading.Event(), threading.Event()
    here, world = settling(tmp_path, 0.0, until_open(gate)), Jumping()
    here.machine.capabilities = replace(here.machine.capabilities, missing_s=30.0)

    def hang(call: str) -> None:
        if call == "datasync" and of_task(here, ev.AttemptMissed, 1):
            stuck.set()
            disk.wait(10)

    engine = SweepEngine(world)
    running = asyncio.create_task(engine.run_sweep(here.job(numbered(1))))
    await until(lambda: here.kinds(ev.AttemptStarted))
    (token,) = here.machine._running
    here.machine.miss(token)
    await until(lambda: here.kinds(ev.AttemptMissed))
    world.faults.before = hang
    here.machine.miss(token)
    await until(stuck.is_set)
    drive_ = engine._drive
    assert drive_ is not None
    for number in range(1, 3):
        here.machine.miss(token)
        await until(lambda number=number: len(drive_.mailbox) >= number)  # type: ignore[misc]
    world.ahead_s = 60.0
    disk.set()
    await until(lambda: len(here.kinds(ev.CursorMoved)) >= 4)
    gate.set()
    here.machine.proceed()
    assert (await running).status is SweepStatus.COMPLETE
    engine.close()
    assert here.runs == Counter({1: 1})
    assert not here.kinds(ev.AttemptLost)


class Asked(MemorySource):
    """Notes what it is asked to adopt."""

    adopted: list[str]

    @asynccontextmanager
    async def session(self, context: SweepContext) -> AsyncIterator[SourceSession]:
        self.adopted = list(context.adopted or ())
        async with super().session(context) as session:
            yield session


async def test_an_attempt_whose_exit_is_recorded_is_not_counted_on(tmp_path: Path) -> None:
    """Whatever its agent has forgotten: it is not run again under its token."""
    here = lab(tmp_path, lambda order: Act(holds=lambda: order.task == 2 and not gate.is_set()))
    gate = threading.Event()
    world = Process()

    def full(path: str) -> None:
        raise OSError(5, "Input/output error", path)

    world.files.sync_filesystem = full  # type: ignore[method-assign]
    with pytest.raises(LedgerError):
        await drive(here.job(numbered(2)), world)  # the exit of task 1 is recorded, and its result cannot be
    states = {a.state: a.token for task in here.tracker.tasks for a in task.attempts}
    assert set(states) == {AttemptState.EXITED, AttemptState.RUNNING}
    source = Asked(here.machine)
    gate.set()
    here.machine.proceed()
    world.die()
    await drive(here.job(numbered(2), source))
    assert source.adopted == [states[AttemptState.RUNNING]]
    assert here.runs == Counter([1, 2])


def test_pauses_grow_and_are_never_in_step() -> None:
    """From a moment to a minute, each with its own jitter; the same seed gives the same pauses."""
    pauses = [Pauses(World().rng("a")) for _ in range(2)]
    told = [[one.next_s() for _ in range(12)] for one in pauses]
    assert told[0] == told[1]
    assert 0.5 * FIRST_PAUSE_S <= told[0][0] <= 1.5 * FIRST_PAUSE_S
    assert all(0.5 * LONGEST_PAUSE_S <= pause <= 1.5 * LONGEST_PAUSE_S for pause in told[0][-5:])
    assert len(set(told[0])) == 12
    pauses[0].reset()
    assert pauses[0].next_s() <= 1.5 * FIRST_PAUSE_S


def test_the_rules_of_missing_are_those_of_the_page() -> None:
    """Three listings, whatever a source's time is."""
    assert listings.MIN_LISTINGS == 3
