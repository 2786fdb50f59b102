"""The engine over pretended attempts: retries, failures, cancelling, leaving, failing sources, full disks."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hsm.compute.testing.memory import Act, MemoryMachine, MemorySource
from hsm.core import events as ev
from hsm.core.engine import SweepEngine, SweepResult
from hsm.core.errors import EngineRunning, LedgerError, LedgerFull, SourceError, SweepError
from hsm.core.homing import Homing
from hsm.core.inputs import CancelAsked, Input, Judged
from hsm.core.job import SweepJob
from hsm.core.ledger_reader import LedgerReader
from hsm.core.model import Attempt, History, Proposal, Task
from hsm.core.projection import Projector
from hsm.core.source import AttemptOrder, SourceSession, SweepContext
from hsm.core.states import AttemptState, Cause, Hindrance, SweepStatus, TaskStatus
from hsm.core.summary import replay
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire.files import Files
from tests.unit.core.worlds import (
    ListedHunter,
    Process,
    hunt_spec,
    job_for,
    new_tree,
    numbered,
    sweep_spec,
    tenure_of,
)

LIMIT_S = 15.0
"""No sweep of these tests takes longer; one that does hangs."""

Watch = Callable[[ev.Event], None]


@dataclass
class Lab:
    """A tree, a machine on which attempts are pretended, and engines that come and go."""

    tree: SweepTree
    machine: MemoryMachine
    executed: list[AttemptOrder]

    @property
    def runs(self) -> Counter[int]:
        """How often each task was executed."""
        return Counter(order.task for order in self.executed)

    @property
    def source(self) -> MemorySource:
        return MemorySource(self.machine)

    @property
    def events(self) -> list[ev.Event]:
        return list(LedgerReader(Files(), self.tree).events())

    @property
    def tracker(self) -> SweepTracker:
        return replay(Files(), self.tree, sweep_spec())[0]

    def job(self, hunter: Any, *sources: Any, **more: Any) -> SweepJob:
        return job_for(self.tree, hunter, *(sources or (self.source,)), **more)

    def kinds(self, cls: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, cls)]


Behaviour = Callable[[AttemptOrder], Act]


def succeed(order: AttemptOrder) -> Act:
    return Act()


def score(order: AttemptOrder) -> Act:
    return Act(files={"metrics.json": b'{"f": 1.0}'})


def hold(order: AttemptOrder) -> Act:
    return Act(holds=lambda: True)


def until_open(gate: threading.Event) -> Behaviour:
    return lambda _: Act(holds=lambda: not gate.is_set())


def nothing(event: ev.Event) -> None:
    """Watch nothing."""


def lab(tmp_path: Path, behave: Behaviour = succeed, *, slots: int = 2, files: bool = False) -> Lab:
    executed: list[AttemptOrder] = []

    def act(order: AttemptOrder) -> Act:
        executed.append(order)
        return behave(order)

    machine = MemoryMachine(World(), slots=slots, behave=act, files=files)
    return Lab(new_tree(tmp_path), machine, executed)


async def drive(job: SweepJob, world: Process | None = None, watch: Watch = nothing) -> SweepResult:
    """Run or go on with a sweep in a process of its own."""
    world = world or Process()

    def listen(events: Sequence[ev.Event], tracker: SweepTracker) -> None:
        for event in events:
            watch(event)

    engine = SweepEngine(world, listen=listen)
    try:
        async with asyncio.timeout(LIMIT_S):
            return await engine.complete_sweep(job)
    finally:
        engine.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition of this process, looking whenever something else had its turn."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.001)


def fail(reason: str = "exit code 3", cause: Cause = Cause.APPLICATION) -> Act:
    return Act(code=3, cause=cause, reason=reason)


async def test_a_sweep_runs_to_its_end(tmp_path: Path) -> None:
    """Every task once, everything in the ledger, the tree as the tracker says."""
    here = lab(tmp_path, files=True)
    hunter = numbered(25)
    result = await drive(here.job(hunter))
    assert result.status is SweepStatus.COMPLETE
    assert [history.generation for history in hunter.asked] == [1, 2]
    assert here.runs == Counter(range(1, 26))
    assert here.tracker.counts[TaskStatus.SEALED] == 25
    assert (here.tree.tasks / "task_0025" / "status.yaml").is_file()
    assert here.kinds(ev.EngineStopped)[-1].status is SweepStatus.COMPLETE
    assert "25" in here.tree.mapping.read_text()
    again = await drive(here.job(numbered(25)))
    assert again.status is SweepStatus.COMPLETE
    assert here.runs == Counter(range(1, 26)), "a complete sweep has nothing left to run"


@pytest.mark.parametrize(
    ("cause", "budget"),
    [(Cause.NODE, 3), (Cause.LOST, 2), (Cause.APPLICATION, 0), (Cause.MEMORY, 1), (Cause.TIME, 0)],
)
async def test_each_cause_has_its_retries(tmp_path: Path, cause: Cause, budget: int) -> None:
    """As many attempts as the cause's budget and one; then the task failed, and the others go on."""
    here = lab(tmp_path, lambda order: fail("bad", cause) if order.task == 2 else Act())
    spec = sweep_spec(retry={cause: budget})
    result = await drive(here.job(numbered(3), spec=spec))
    assert result.status is SweepStatus.FAILED
    assert here.runs == Counter({1: 1, 2: budget + 1, 3: 1})
    assert result.tracker.task(2).status is TaskStatus.FAILED
    assert [attempt.number for attempt in result.tracker.task(2).attempts] == list(range(1, budget + 2))


async def test_a_retry_that_succeeds_is_the_result(tmp_path: Path) -> None:
    """Earlier attempts are kept aside."""
    here = lab(tmp_path, lambda order: fail("bad", Cause.NODE) if order.attempt < 3 else Act(), files=True)
    result = await drive(here.job(numbered(1)))
    assert result.status is SweepStatus.COMPLETE
    assert len(list(here.tree.attempts.iterdir())) == 2
    assert json.loads((here.tree.task(1) / "provenance.json").read_text())["attempt"] == 3


async def test_too_many_failures_stop_the_sweep(tmp_path: Path) -> None:
    """With the dominant cause named; what waits is taken back, what runs ends, nothing new begins."""
    gate = threading.Event()
    stop: list[int] = []

    def behave(order: AttemptOrder) -> Act:
        return fail() if order.task <= 12 else Act(holds=lambda: not gate.is_set())

    here = lab(tmp_path, behave)

    def watch(event: ev.Event) -> None:
        if isinstance(event, ev.SweepStopped):
            stop.append(len(here.executed))
        if stop and isinstance(event, ev.AttemptVoided):
            gate.set()
            asyncio.get_running_loop().call_soon(here.machine.proceed)

    result = await drive(here.job(numbered(60)), watch=watch)
    assert result.status is SweepStatus.STOPPED
    (stopped,) = here.kinds(ev.SweepStopped)
    assert "100%" in stopped.reason
    assert "application: exit code 3" in stopped.reason
    assert len(here.executed) <= stop[0] + 2, "nothing new begins but what a freed slot took at that moment"
    voided = [task for task in result.tracker.tasks for a in task.attempts if a.state is AttemptState.VOID]
    assert voided
    assert all(task.status is TaskStatus.RECEIVED for task in voided)
    assert not result.tracker.live()
    gate.set()
    again = await drive(here.job(numbered(60)))
    assert again.tracker.open == 0
    assert here.runs == Counter(range(1, 61)), "going on begins where it stopped"


async def test_the_same_work_is_done_once(tmp_path: Path) -> None:
    """A parameter set proposed twice is run once; the second task refers to the first."""
    here = lab(tmp_path)
    result = await drive(here.job(ListedHunter([{"k": 1}, {"k": 2}, {"k": 1}])))
    assert result.status is SweepStatus.COMPLETE
    assert here.runs == Counter([1, 2])
    assert (result.tracker.task(3).status, result.tracker.task(3).reuses) == (TaskStatus.REUSED, 1)


GENERATIONS = ([{"k": 1}, {"k": 2}], [{"k": 3}], [{"k": 4}, {"k": 1}])


async def test_each_generation_is_asked_for_once(tmp_path: Path) -> None:
    """When the one before is over, and with everything that is known by then."""
    here = lab(tmp_path, score, files=True)
    hunter = ListedHunter(*GENERATIONS)
    result = await drive(here.job(hunter, spec=hunt_spec()))
    assert result.status is SweepStatus.COMPLETE
    assert [history.generation for history in hunter.asked] == [1, 2, 3, 4]
    assert [len(history.results) for history in hunter.asked] == [0, 2, 3, 5]
    assert all(result.outcome.score == 1.0 for result in hunter.asked[3].results)


async def test_a_planned_generation_is_never_asked_for_again(tmp_path: Path) -> None:
    """Also over engines that are killed, wherever they were."""
    asked: list[int] = []
    runs: Counter[int] = Counter()
    total = 0
    for cut in range(3, 40, 5):
        root = tmp_path / str(cut)
        here = lab(root, score, files=True)
        hunter = ListedHunter(*GENERATIONS)
        seen = await killed_after(here.job(hunter, spec=hunt_spec()), cut)
        planned = [event.generation for event in here.kinds(ev.GenerationPlanned)]
        before = len(hunter.asked)
        result = await drive(here.job(hunter, spec=hunt_spec()))
        assert result.status is SweepStatus.COMPLETE, cut
        again = [history.generation for history in hunter.asked[before:]]
        assert not set(again) & set(planned), "what was planned is read, not asked"
        assert len(again) == len(set(again))
        assert here.runs == Counter([1, 2, 3, 4]), cut
        asked += again
        runs += here.runs
        total += seen
    assert total
    assert asked


async def test_a_plan_that_a_dead_engine_had_begun_does_not_stay(tmp_path: Path) -> None:
    """Also where nothing is planned any more (seed 35324)."""
    here = lab(tmp_path, score, files=True)
    job = here.job(ListedHunter(*GENERATIONS), spec=hunt_spec())
    await drive(job)
    begun = job.tree.plans / "000001.part"
    begun.write_bytes(b"half a li")
    await drive(here.job(ListedHunter(*GENERATIONS), spec=hunt_spec()))
    assert not begun.exists()


async def killed_after(job: SweepJob, count: int) -> int:
    """Run an engine until so many events are durable, let it vanish, and return how many were."""
    world = Process()
    seen = 0
    vanish = asyncio.Event()

    def listen(events: Sequence[ev.Event], tracker: SweepTracker) -> None:
        nonlocal seen
        seen += len(events)
        if seen >= count:
            vanish.set()

    engine = SweepEngine(world, listen=listen)
    running = asyncio.create_task(engine.complete_sweep(job))
    waiting = asyncio.create_task(vanish.wait())
    async with asyncio.timeout(LIMIT_S):
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    for task in (running, waiting):
        task.cancel()
    await asyncio.gather(running, waiting, return_exceptions=True)
    engine.close()
    world.die()
    return seen


async def test_nothing_is_handed_over_before_its_intent_is_durable(tmp_path: Path) -> None:
    """While the disk has not answered, no attempt arrives at its source."""
    here = lab(tmp_path)
    world, blocked, disk = Process(), threading.Event(), threading.Event()

    def wait_for_disk(call: str) -> None:
        if call == "datasync" and any(here.tree.plans.glob("*.jsonl")):
            blocked.set()
            disk.wait(LIMIT_S)

    world.faults.before = wait_for_disk
    running = asyncio.create_task(drive(here.job(numbered(5)), world))
    await until(blocked.is_set)
    for _ in range(50):
        await asyncio.sleep(0)
    assert not here.executed
    disk.set()
    assert (await running).status is SweepStatus.COMPLETE


async def test_one_question_is_asked_at_a_time(tmp_path: Path) -> None:
    """However much happens while the hunter thinks."""
    thinking = threading.Event()

    class Slow(ListedHunter):
        def ask(self, history: History, rng: Random) -> Iterable[Proposal]:
            found = super().ask(history, rng)
            assert history.generation == 1 or thinking.wait(LIMIT_S)
            return found

    def watch(event: ev.Event) -> None:
        if isinstance(event, ev.AttemptSealed) and event.task == 9:
            thinking.set()

    here = lab(tmp_path)
    hunter = Slow([{"k": number} for number in range(9)])
    await drive(here.job(hunter), watch=watch)
    assert [history.generation for history in hunter.asked] == [1, 2]


@pytest.mark.parametrize("cut", range(1, 30, 2))
async def test_an_engine_may_vanish_anywhere(tmp_path: Path, cut: int) -> None:
    """Whatever it had done by then, the next one finishes the sweep and no task is executed twice."""
    here = lab(tmp_path)
    await killed_after(here.job(numbered(8)), cut)
    result = await drive(here.job(numbered(8)))
    assert result.status is SweepStatus.COMPLETE
    assert here.runs == Counter(range(1, 9))


class ScoreHunter:
    """Proposes what follows from the scores so far, in task order."""

    def ask(self, history: History, rng: Random) -> Iterable[Proposal]:
        if history.generation > 3:
            return []
        seen = [(result.index, result.params["k"], result.outcome.score) for result in history.results]
        base = Random(f"{seen} {rng.random()}")
        return [Proposal(params={"k": base.randint(1, 10**6)}) for _ in range(4)]


async def test_the_order_of_completion_does_not_change_proposals(tmp_path: Path) -> None:
    """The plans are the same, digit by digit, whichever task ended first."""
    orders = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]]
    plans = [await plans_when_ended_in(order, tmp_path / str(order)) for order in orders]
    assert len(plans[0]) == 3
    assert plans == [plans[0]] * 3


async def plans_when_ended_in(order: list[int], root: Path) -> list[str]:
    """Hunt with tasks that end in this order within each generation, and return the plans."""
    ended: set[int] = set()

    def behave(task: AttemptOrder) -> Act:
        score = json.loads(task.params_json)["k"] % 97
        return Act(holds=lambda: task.task not in ended, files={"metrics.json": b'{"f": %d}' % score})

    here = lab(root, behave, slots=4, files=True)
    started: list[int] = []

    def watch(event: ev.Event) -> None:
        if isinstance(event, ev.AttemptStarted):
            started.append(event.task)
            if len(started) % 4 == 0:
                first = len(started) - 3
                for place in order:
                    ended.add(first + place)
                    here.machine.proceed()

    await drive(here.job(ScoreHunter(), spec=hunt_spec()), watch=watch)
    exits = [event.task for event in here.kinds(ev.AttemptExited)]
    assert exits == [4 * generation + place + 1 for generation in range(3) for place in order]
    return [event.plan for event in here.kinds(ev.GenerationPlanned)]


async def test_a_cancel_is_durable_before_it_is_acknowledged(tmp_path: Path) -> None:
    """Who asked learns nothing while the disk has not answered; then everything ends, as observed."""
    here = lab(tmp_path, hold)
    world, disk, blocked = Process(), threading.Event(), threading.Event()
    disk.set()

    def wait_for_disk(call: str) -> None:
        if call == "datasync" and not disk.is_set():
            blocked.set()
            disk.wait(LIMIT_S)

    world.faults.before = wait_for_disk
    running = asyncio.create_task(drive(here.job(numbered(9)), world))
    await until(lambda: len(here.executed) == 2 and len(here.kinds(ev.AttemptStarted)) == 2)
    disk.clear()
    asker = SweepEngine(world)
    asking = asyncio.create_task(asker.cancel_sweep(here.job(numbered(9))))
    await until(blocked.is_set)
    assert not asking.done()
    disk.set()
    await asking
    assert here.kinds(ev.CancelRequested) == [ev.CancelRequested(at=here.kinds(ev.CancelRequested)[0].at)]
    result = await running
    assert result.status is SweepStatus.CANCELLED
    assert {task.status for task in result.tracker.tasks} == {TaskStatus.CANCELLED}
    assert len(here.executed) == 2


async def test_single_tasks_are_cancelled(tmp_path: Path) -> None:
    """One that runs and one that waits; unknown ones harm nobody, and many may be named at once."""
    gate = threading.Event()
    here = lab(tmp_path, until_open(gate))
    world = Process()
    running = asyncio.create_task(drive(here.job(numbered(4)), world))
    await until(lambda: len(here.kinds(ev.AttemptStarted)) == 2)
    asker = SweepEngine(world)
    await asker.cancel_sweep(here.job(numbered(4)), [1, 4, 99, *range(1000, 20_000)])
    await until(lambda: here.kinds(ev.AttemptCancelled))
    gate.set()
    here.machine.proceed()
    result = await running
    assert [task.status for task in result.tracker.tasks] == [
        TaskStatus.CANCELLED,
        TaskStatus.SEALED,
        TaskStatus.SEALED,
        TaskStatus.CANCELLED,
    ]
    asker.close()


async def test_a_sweep_without_an_engine_can_be_cancelled(tmp_path: Path) -> None:
    """It is taken over just to end what is named, begins nothing, and leaves the rest as it is."""
    here = lab(tmp_path, hold)
    await killed_after(here.job(numbered(5)), 8)
    engine = SweepEngine(Process())
    begun = len(here.executed)
    async with asyncio.timeout(LIMIT_S):
        await engine.cancel_sweep(here.job(numbered(5)), [1, 5])
    statuses = [task.status for task in here.tracker.tasks]
    assert (statuses[0], statuses[4]) == (TaskStatus.CANCELLED, TaskStatus.CANCELLED)
    assert statuses.count(TaskStatus.CANCELLED) == 2
    assert len(here.executed) <= begun + 1, "a slot that became free takes what waited for it, nothing more"
    with pytest.raises(SweepError, match="these tasks are over"):
        await engine.cancel_sweep(here.job(numbered(5)), [1, 5])
    async with asyncio.timeout(LIMIT_S):
        await engine.cancel_sweep(here.job(numbered(5)))
    assert here.tracker.status(driven=False) is SweepStatus.CANCELLED
    assert not here.tracker.live()
    with pytest.raises(SweepError, match="the sweep is over"):
        await engine.cancel_sweep(here.job(numbered(5)))
    engine.close()


async def test_leaving_takes_back_what_waits_and_leaves_what_runs(tmp_path: Path) -> None:
    """The next engine adopts it; everything is executed once."""
    gate = threading.Event()
    here = lab(tmp_path, until_open(gate))
    engine = SweepEngine(Process())
    running = asyncio.create_task(engine.run_sweep(here.job(numbered(6))))
    await until(lambda: len(here.kinds(ev.AttemptStarted)) == 2 and len(here.kinds(ev.AttemptIntended)) >= 3)
    engine.detach("test")
    async with asyncio.timeout(LIMIT_S):
        result = await running
    engine.close()
    assert result.status is SweepStatus.PARTIAL
    assert [task.index for task in result.tracker.live()] == [1, 2]
    assert {event.task for event in here.kinds(ev.AttemptVoided)} == {3}
    assert here.kinds(ev.EngineStopped)[-1].reason == "test"
    gate.set()
    here.machine.proceed()
    result = await drive(here.job(numbered(6)))
    assert result.status is SweepStatus.COMPLETE
    assert here.runs == Counter(range(1, 7))


async def test_a_source_with_running_attempts_must_be_there(tmp_path: Path) -> None:
    """Going on without it is refused before anything is written, and the missing option is named."""
    here = lab(tmp_path, hold)
    await killed_after(here.job(numbered(2)), 8)
    before = len(here.events)
    other = MemorySource(MemoryMachine(World()), name="other")
    with pytest.raises(SweepError, match="memory") as refused:
        await drive(here.job(numbered(2), other))
    assert "--source memory" in refused.value.hint
    assert len(here.events) == before


class ClosedSource(MemorySource):
    """A way to a machine that nobody may go."""

    @asynccontextmanager
    async def session(self, context: SweepContext) -> AsyncIterator[SourceSession]:
        if self.name:
            raise SourceError(self.name, "no route to host", hint="check the network")
        async with super().session(context) as session:
            yield session


async def test_a_source_that_cannot_be_opened_does_not_stop_the_others(tmp_path: Path) -> None:
    """It is noted with its reason, and the other one does everything."""
    here = lab(tmp_path)
    broken = ClosedSource(MemoryMachine(World()), name="flaky")
    result = await drive(here.job(numbered(5), broken, here.source))
    assert result.status is SweepStatus.COMPLETE
    (failed,) = here.kinds(ev.SourceFailed)
    assert (failed.source, failed.hint) == ("flaky", "check the network")
    assert here.runs == Counter(range(1, 6))


class ClumsySource(MemorySource):
    """Breaks as it is closed."""

    @asynccontextmanager
    async def session(self, context: SweepContext) -> AsyncIterator[SourceSession]:
        async with super().session(context) as session:
            try:
                yield session
            finally:
                raise SourceError(self.name, "it broke while it was closed", transient=True)


async def test_an_engine_that_is_stopped_leaves_whatever_its_sources_say(tmp_path: Path) -> None:
    """A source that breaks as it is closed is not opened again for it."""
    here = lab(tmp_path, hold)
    running = asyncio.create_task(drive(here.job(numbered(1), ClumsySource(here.machine))))
    await until(lambda: here.executed)
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=LIMIT_S / 3)
    assert done
    assert running.cancelled()


class LateSource(MemorySource):
    """Opens once the hunter has been asked, and not before."""

    def __init__(self, machine: MemoryMachine, hunter: ListedHunter) -> None:
        super().__init__(machine)
        self._hunter = hunter

    @asynccontextmanager
    async def session(self, context: SweepContext) -> AsyncIterator[SourceSession]:
        await until(lambda: self._hunter.asked)
        async with super().session(context) as session:
            yield session


async def test_a_new_sweep_is_planned_while_its_sources_are_opened(tmp_path: Path) -> None:
    """Neither waits for the other; what is planned is durable only behind who planned it."""
    here = lab(tmp_path)
    hunter = numbered(3)
    result = await drive(here.job(hunter, LateSource(here.machine, hunter)))
    assert result.status is SweepStatus.COMPLETE
    assert [type(event) for event in here.events[:4]] == [
        ev.SweepCreated,
        ev.EngineStarted,
        ev.SourceOpened,
        ev.GenerationPlanned,
    ]


async def test_without_any_source_nothing_is_begun(tmp_path: Path) -> None:
    """One clear error; the sweep can be completed later."""
    here = lab(tmp_path)
    world = Process()
    with pytest.raises(SourceError, match="no route to host"):
        await drive(here.job(numbered(3), ClosedSource(here.machine)), world)
    world.die()
    assert not here.executed
    assert (await drive(here.job(numbered(3)))).status is SweepStatus.COMPLETE


async def test_who_cannot_open_a_source_lets_go_of_the_sweep_and_tells(tmp_path: Path) -> None:
    """So that an engine on another host, which cannot ask whether it lives, need not watch its heartbeat."""
    here, told = lab(tmp_path), list[ev.Event]()
    engine = SweepEngine(Process("there"), listen=lambda events, _: told.extend(events))
    with pytest.raises(SourceError, match="no route to host"):
        await engine.complete_sweep(here.job(numbered(3), ClosedSource(here.machine)))
    engine.close()
    assert told == here.events
    (stopped,) = here.kinds(ev.EngineStopped)
    assert (stopped.epoch, stopped.reason) == (1, "source 'memory': no route to host")
    said: list[str] = []
    engine = SweepEngine(Process("elsewhere"), say=said.append)
    async with asyncio.timeout(LIMIT_S):
        assert (await engine.complete_sweep(here.job(numbered(3)))).status is SweepStatus.COMPLETE
    engine.close()
    assert not said, "it waited"


async def test_an_attempt_that_cannot_be_brought_home_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """It stays as it is for a later engine, and this one is told that there is less to wait for."""
    here = lab(tmp_path)
    posted: list[Input] = []
    world = World()
    tenure = tenure_of(world, here.tree)
    homing = Homing(world, Projector(Files(), here.tree), {}, tenure, posted.append)
    attempt = Attempt(number=1, token="t" * 32, source="gone", state=AttemptState.EXITED)
    task = Task(index=1, config_hash="", task_key="", params_json="{}", attempts=(attempt,))
    homing.collect_later(task, attempt, tmp_path)
    homing.collect_later(task, attempt, tmp_path)
    collecting = asyncio.create_task(homing.collect())
    await until(lambda: posted)
    collecting.cancel()
    assert posted == [Judged(["t" * 32], ())], "once, however often it was ordered"
    homing.delivered(["t" * 32])
    assert not homing.pending
    world.close()


async def test_a_refused_attempt_is_no_drama(tmp_path: Path) -> None:
    """One of many is refused by the source: it failed with the source's words, the others run."""
    from hsm.core.spec import Resources

    here = lab(tmp_path)
    spec = sweep_spec(resources=Resources(gpus=3))
    result = await drive(here.job(numbered(2), spec=spec))
    assert result.status is SweepStatus.FAILED
    assert not here.executed
    assert all("GPU" in task.reason.upper() for task in result.tracker.tasks)


async def test_a_second_engine_is_refused_while_one_drives(tmp_path: Path) -> None:
    """By pid, and the first one does not notice."""
    gate = threading.Event()
    here = lab(tmp_path, until_open(gate))
    world = Process()
    running = asyncio.create_task(drive(here.job(numbered(2)), world))
    await until(lambda: here.executed)
    with pytest.raises(EngineRunning, match=f"pid {world.identity().pid}"):
        await drive(here.job(numbered(2)))
    gate.set()
    here.machine.proceed()
    assert (await running).status is SweepStatus.COMPLETE


async def test_a_full_disk_before_anything_is_written_is_one_clear_error(tmp_path: Path) -> None:
    """Nothing can be claimed then; with room all is done."""
    here = lab(tmp_path)
    world = Process()
    world.faults.room = 100
    with pytest.raises(LedgerFull, match="No space left"):
        await drive(here.job(numbered(3)), world)
    world.faults.room = None
    assert (await drive(here.job(numbered(3)), world)).status is SweepStatus.COMPLETE


@pytest.mark.parametrize("room", [1500, 4000, 8000, 20_000])
async def test_a_full_disk_is_waited_out_wherever_it_strikes(
    tmp_path: Path, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ledger, plan, status or log: the engine says so, waits, and does all once, when there is room."""
    monkeypatch.setattr("hsm.core.recorder.RETRY_S", 0.01)
    monkeypatch.setattr("hsm.core.room.RETRY_S", 0.01)
    here = lab(tmp_path)
    world = Process()
    world.faults.room = room
    told: list[str] = []

    def watch(event: ev.Event) -> None:
        if isinstance(event, ev.RecordingHindered):
            told.append(event.reason)
            asyncio.get_running_loop().call_later(0.05, setattr, world.faults, "room", None)

    result = await drive(here.job(numbered(30)), world, watch)
    assert result.status is SweepStatus.COMPLETE
    assert here.runs == Counter(range(1, 31))
    assert told
    assert room < 20_000 or str(here.tree.reserve) in told[0]
    assert len(here.kinds(ev.RecordingHindered)) == len(here.kinds(ev.RecordingResumed)) > 0
    assert result.tracker.hindrance == ""
    assert not here.tree.reserve.exists()


async def test_room_that_only_the_last_projection_finds_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger does not end with a disk that is full."""
    monkeypatch.setattr("hsm.core.room.RETRY_S", 0.01)
    gate, room = threading.Event(), threading.Event()
    here = lab(tmp_path, lambda order: Act(holds=lambda: order.task == 2 and not gate.is_set()), files=True)
    world, no_more, write_new = Process(), Homing.no_more, Files.write_new

    def full(path: str, data: bytes) -> None:
        if "/tasks/" in path and not room.is_set():
            raise OSError(28, "No space left on device", path)
        write_new(world.files, path, data)

    def ended(homing: Homing, is_leaving: Callable[[], bool]) -> None:
        room.set()
        no_more(homing, is_leaving)

    def watch(event: ev.Event) -> None:
        if isinstance(event, ev.RecordingHindered):
            gate.set()
            here.machine.proceed()

    monkeypatch.setattr(world.files, "write_new", full)
    monkeypatch.setattr(Homing, "no_more", ended)
    result = await drive(here.job(numbered(2)), world, watch)
    assert result.status is SweepStatus.COMPLETE
    assert len(here.kinds(ev.RecordingHindered)) == len(here.kinds(ev.RecordingResumed)) == 1
    assert result.tracker.hindrance == ""


async def test_on_a_full_disk_nothing_begins_and_a_cancel_is_still_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was held back is given up for it; what runs had gone on, and its end waits to be recorded."""
    monkeypatch.setattr("hsm.core.recorder.RETRY_S", 0.01)
    gate = threading.Event()
    here = lab(tmp_path, until_open(gate))
    world = Process()
    asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def listen(events: Sequence[ev.Event], _: SweepTracker) -> None:
        for event in events:
            watch(event)

    engine = SweepEngine(world, listen=listen)
    held = 4 << 20

    def watch(event: ev.Event) -> None:
        if isinstance(event, ev.AttemptIntended) and world.faults.room is None and not begun:
            world.faults.room = 0
            gate.set()
        elif isinstance(event, ev.RecordingHindered):
            world.faults.room = held  # what the reserve took up
            asyncio.get_running_loop().call_later(0.05, ask)

    def ask() -> None:
        assert engine._drive is not None
        begun.update(here.runs)
        engine._drive.mailbox.put(CancelAsked([], asked))
        asked.add_done_callback(lambda _: setattr(world.faults, "room", None))

    begun: Counter[int] = Counter()
    async with asyncio.timeout(LIMIT_S):
        result = await engine.run_sweep(here.job(numbered(400)))
    engine.close()
    assert asked.done()
    assert result.status is SweepStatus.CANCELLED
    assert here.runs == begun
    assert begun.total() < 400


async def test_who_leaves_is_not_kept_by_a_ledger_that_finds_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clear error, and what runs goes on; with room all is done, each task once."""
    monkeypatch.setattr("hsm.core.recorder.RETRY_S", 0.01)
    here, world = lab(tmp_path), Process()

    def listen(events: Sequence[ev.Event], _: SweepTracker) -> None:
        for event in events:
            if isinstance(event, ev.AttemptExited):
                world.faults.room = 0
            elif isinstance(event, ev.RecordingHindered):
                asyncio.get_running_loop().call_later(0.05, engine.detach)

    engine = SweepEngine(world, listen=listen)
    with pytest.raises(LedgerFull, match="No space left"):
        async with asyncio.timeout(LIMIT_S):
            await engine.run_sweep(here.job(numbered(30)))
    engine.close()
    world.faults.room = None
    assert (await drive(here.job(numbered(30)), world)).status is SweepStatus.COMPLETE
    assert here.runs == Counter(range(1, 31))


async def test_who_leaves_is_not_kept_by_projections_that_find_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All results are in the ledger by then; the next engine writes what people read."""
    monkeypatch.setattr("hsm.core.room.RETRY_S", 0.01)
    here, world = lab(tmp_path, files=True), Process()
    no_more, write_new = Homing.no_more, Files.write_new

    def full(path: str, data: bytes) -> None:
        if "/tasks/" in path:
            raise OSError(28, "No space left on device", path)
        write_new(world.files, path, data)

    def ended(homing: Homing, is_leaving: Callable[[], bool]) -> None:
        no_more(homing, is_leaving)
        asyncio.get_running_loop().call_later(0.05, engine.detach)

    engine = SweepEngine(world)
    monkeypatch.setattr(world.files, "write_new", full)
    monkeypatch.setattr(Homing, "no_more", ended)
    with pytest.raises(LedgerFull, match=r"status\.yaml: No space left"):
        async with asyncio.timeout(LIMIT_S):
            await engine.run_sweep(here.job(numbered(3)))
    engine.close()
    monkeypatch.undo()
    result = await drive(here.job(numbered(3)), world)
    assert result.status is SweepStatus.COMPLETE
    assert all((here.tree.task(number) / "status.yaml").is_file() for number in (1, 2, 3))
    assert here.runs == Counter([1, 2, 3])


async def test_a_disk_that_does_not_answer_is_told_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop lives, nothing is acknowledged meanwhile, and the event is in the ledger afterwards."""
    here = lab(tmp_path)
    world, armed, answers, stuck = Process(), *(threading.Event() for _ in range(3))
    seen: list[int] = []

    datasync = world.files.datasync

    def hang(fd: int) -> None:
        if Path(f"/proc/self/fd/{fd}").readlink().suffix == ".hsl" and armed.is_set():
            armed.clear()
            stuck.set()
            answers.wait(10)
        datasync(fd)

    def watch(event: ev.Event) -> None:
        if isinstance(event, ev.RecordingHindered):
            seen.append(len(here.events))
            monkeypatch.setattr(
                "hsm.core.recorder.STALLED_S", 60.0
            )  # a disk that is only slow is none that does not answer
            answers.set()
        elif isinstance(event, ev.AttemptIntended) and not stuck.is_set():
            monkeypatch.setattr("hsm.core.recorder.STALLED_S", 0.02)
            armed.set()

    monkeypatch.setattr(world.files, "datasync", hang)
    result = await drive(here.job(numbered(10)), world, watch)
    assert stuck.is_set()
    assert result.status is SweepStatus.COMPLETE
    hindered, resumed = here.kinds(ev.RecordingHindered), here.kinds(ev.RecordingResumed)
    assert [event.hindrance for event in hindered] == [Hindrance.STALLED]
    assert (len(resumed), len(seen)) == (1, 1)
    assert result.tracker.hindrance == ""


async def test_a_failing_disk_is_a_clear_error(tmp_path: Path) -> None:
    """Fdatasync fails, and again in another file: the engine stops, and says which file."""
    here = lab(tmp_path)
    world = Process()

    def watch(event: ev.Event) -> None:
        if isinstance(event, ev.AttemptSealed):
            world.faults.sync_error = 5

    with pytest.raises(LedgerError, match=r"\.hsl: Input/output error"):
        await drive(here.job(numbered(30)), world, watch)


async def test_a_defect_of_a_hunter_is_shown_as_what_it_is(tmp_path: Path) -> None:
    """The sweep is left in order and can be completed."""

    class Broken(ListedHunter):
        def ask(self, history: History, rng: Random) -> Iterable[Proposal]:
            raise ZeroDivisionError("in the hunter")

    here = lab(tmp_path)
    world = Process()
    with pytest.raises(ZeroDivisionError, match="in the hunter"):
        await drive(here.job(Broken()), world)
    assert (await drive(here.job(numbered(2)), world)).status is SweepStatus.COMPLETE


async def test_a_limit_and_reopening(tmp_path: Path) -> None:
    """The first tasks only; then the rest; then the failed ones again."""
    bad = {2}
    here = lab(tmp_path, lambda order: fail() if order.task in bad else Act())
    result = await drive(here.job(numbered(6), max_tasks=3))
    assert result.status is SweepStatus.PARTIAL
    assert here.runs == Counter([1, 2, 3])
    result = await drive(here.job(numbered(6)))
    assert result.status is SweepStatus.FAILED
    bad.clear()
    result = await drive(here.job(numbered(6), reopen=[2]))
    assert result.status is SweepStatus.COMPLETE
    assert here.runs == Counter([1, 2, 3, 4, 5, 6, 2])


async def test_a_monitor_sees_what_the_engine_does(tmp_path: Path) -> None:
    """Read from the ledger alone, while it grows."""
    here = lab(tmp_path)
    engine = SweepEngine(Process())
    views = engine.monitor_sweep(here.tree, sweep_spec(), interval_s=0.001)
    running = asyncio.create_task(drive(here.job(numbered(5))))
    async with asyncio.timeout(LIMIT_S):
        async for _, tracker in views:
            if tracker.finished == 5 and tracker.released:
                break
    await views.aclose()  # type: ignore[attr-defined]
    await running
    tracker = await engine.rebuild_sweep(here.tree, sweep_spec())
    assert tracker.counts[TaskStatus.SEALED] == 5
    engine.close()


def test_replacing_a_spec_keeps_it_frozen() -> None:
    """Specs are values."""
    spec = sweep_spec()
    assert replace(spec, timeout_s=3.0) != spec
