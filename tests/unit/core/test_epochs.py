"""Who drives a sweep: heartbeats, taking over, and engines that were superseded and do not know it yet."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import Any

import pytest

from hsm.compute.testing.memory import Act
from hsm.core import epochs
from hsm.core import events as ev
from hsm.core.engine import SweepEngine
from hsm.core.epochs import BEAT_S, SILENCE_S, STALE_S, Tenure, claim_epoch, read_beat, take
from hsm.core.errors import EngineRunning, Fenced
from hsm.core.ledger import Ledger
from hsm.core.ledger_reader import LedgerReader
from hsm.core.model import Task
from hsm.core.projection import Projector
from hsm.core.states import SweepStatus
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire.files import Files
from tests.unit.core.test_engine import drive, hold, lab, until
from tests.unit.core.worlds import Process, new_tree, numbered, open_ledger


class Clockwork(Process):
    """A process whose monotonic clock goes on when somebody sleeps, and not otherwise."""

    def __init__(self, host: str = "here") -> None:
        super().__init__(host)
        self.clock = 1000.0
        self.naps: list[Any] = []

    def monotonic(self) -> float:
        return self.clock

    async def sleep(self, delay_s: float) -> None:
        self.clock += delay_s
        for nap in self.naps:
            nap()
        await asyncio.sleep(0)


@pytest.fixture
def tree(tmp_path: Path) -> SweepTree:
    return new_tree(tmp_path)


def tenure(world: World, tree: SweepTree) -> Tenure:
    return Tenure(world, tree, claim_epoch(world, tree, socket=""))


async def test_a_silent_engine_on_another_host_is_taken_over(tmp_path: Path) -> None:
    """Its counter, read anew each second, stood still for a minute of the challenger's own clock."""
    here, far, world = lab(tmp_path), Process("far"), Clockwork()
    _, ledger = open_ledger(far, here.tree)
    tenure_of_far = Tenure(far, here.tree, ledger.claim)
    tenure_of_far.beat()
    said: list[str] = []
    engine = SweepEngine(world, say=said.append)
    result = await engine.complete_sweep(here.job(numbered(3)))
    assert result.status is SweepStatus.COMPLETE
    assert world.clock >= 1000 + SILENCE_S
    assert "an engine on host far" in said[0]
    assert "--takeover" in said[0]
    assert [text for text in said if "of 60 s" in text]
    assert "taken for dead" in said[-1]
    with pytest.raises(Fenced):
        await tenure_of_far.check()
    engine.close()


@pytest.mark.parametrize("after_s", [1, 31, 59])
async def test_an_engine_whose_heart_beats_is_left_alone(tmp_path: Path, after_s: int) -> None:
    """Whenever within the minute it moves; nothing is claimed."""
    here, far, world = lab(tmp_path), Process("far"), Clockwork()
    _, ledger = open_ledger(far, here.tree)
    alive = Tenure(far, here.tree, ledger.claim)
    alive.beat()
    world.naps.append(lambda: alive.beat() if world.clock == 1000 + after_s else None)
    engine = SweepEngine(world)
    with pytest.raises(EngineRunning, match="host far") as refused:
        await engine.complete_sweep(here.job(numbered(3)))
    assert "its heartbeat moves" in refused.value.hint
    assert world.clock == 1000 + after_s
    await alive.check()
    engine.close()


async def test_an_engine_that_lets_go_meanwhile_is_not_waited_for(tmp_path: Path) -> None:
    """Its last word in the ledger frees the sweep at once, and what it did is known."""
    here, far, world = lab(tmp_path), Process("far"), Clockwork()
    _, ledger = open_ledger(far, here.tree)

    async def let_go() -> None:
        await ledger.commit([ev.EngineStopped(epoch=1, status=SweepStatus.PARTIAL, at=1.0)])

    letting_go: list[asyncio.Task[None]] = []
    world.naps.append(
        lambda: letting_go.append(asyncio.create_task(let_go())) if world.clock == 1003 else None
    )
    said: list[str] = []
    engine = SweepEngine(world, say=said.append)
    result = await engine.complete_sweep(here.job(numbered(3)))
    assert result.status is SweepStatus.COMPLETE
    assert not any("taken for dead" in text for text in said)
    engine.close()


async def test_somebody_may_say_that_an_engine_is_dead(tmp_path: Path) -> None:
    """Then it is not watched, and the risk is told; one on this host is never taken so."""
    here, far, world = lab(tmp_path), Process("far"), Clockwork()
    open_ledger(far, here.tree)
    said: list[str] = []
    engine = SweepEngine(world, say=said.append)
    result = await engine.complete_sweep(here.job(numbered(3), takeover=True))
    assert result.status is SweepStatus.COMPLETE
    (told,) = said
    assert "should it be alive, it is shut out" in told
    engine.close()
    near, other = Process(), Clockwork()
    open_ledger(near, here.tree)
    engine = SweepEngine(other)
    with pytest.raises(EngineRunning, match=f"pid {near.identity().pid}"):
        await engine.complete_sweep(here.job(numbered(3), takeover=True))
    engine.close()


def test_only_the_engine_that_was_watched_is_taken_over(tree: SweepTree) -> None:
    """Whoever came in between has an epoch of his own, and lives."""
    first, second = Process("far"), Process("further")
    claim_epoch(first, tree, "")
    claim_epoch(second, tree, "")
    with pytest.raises(EngineRunning, match="host further"):
        take(Process(), tree, socket="", released=0, dead=1)
    assert take(Process(), tree, socket="", released=0, dead=2).epoch == 3


def test_a_claim_whose_answer_was_lost_is_ours(tree: SweepTree) -> None:
    """The file server did it and said nothing, or said that it was there already: the token tells."""
    world = Process()
    publish = world.files.publish

    def answer_lost(path: str, data: bytes, part: str) -> None:
        publish(path, data, part)
        raise OSError(errno.EIO, "Input/output error")

    world.files.publish = answer_lost  # type: ignore[method-assign]
    assert claim_epoch(world, tree, "").epoch == 1

    def done_twice(path: str, data: bytes, part: str) -> None:
        publish(path, data, part)
        publish(path, data, part)

    world.files.publish = done_twice  # type: ignore[method-assign]
    assert claim_epoch(world, tree, "").epoch == 2


async def test_a_heart_beats_from_the_claim_to_the_end(tmp_path: Path) -> None:
    """Every five seconds a counter goes up, also while a hunter thinks and every slot is busy."""
    here, world = lab(tmp_path, hold), Process()
    running = asyncio.create_task(drive(here.job(numbered(2)), world))
    await until(lambda: read_beat(world, here.tree, 1) and len(here.executed) == 2)
    first = read_beat(world, here.tree, 1)
    assert int(first) >= 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    clock = Clockwork()
    held = tenure(clock, here.tree)
    async with held.beating():
        for _ in range(400):
            await asyncio.sleep(0.001)
    beats = int(read_beat(clock, here.tree, held.claim.epoch))
    assert beats == pytest.approx((clock.clock - 1000) / BEAT_S, abs=1.5)
    assert beats > 2


async def test_an_engine_that_cannot_write_its_heartbeat_does_nothing(tree: SweepTree) -> None:
    """For twenty seconds others cannot have taken it for dead; then it waits until it can write it again."""
    world = Clockwork()
    held = tenure(world, tree)
    held.beat()
    world.faults.room = 0
    world.clock += STALE_S
    await held.check()
    assert world.clock == 1000 + STALE_S
    world.clock += 1
    world.naps.append(lambda: setattr(world.faults, "room", None if world.clock > 1100 else 0))
    await held.check()
    assert world.clock >= 1100
    assert int(read_beat(world, tree, 1)) >= 2


async def test_an_engine_that_waits_to_write_its_heartbeat_sees_its_successor(tree: SweepTree) -> None:
    """Somebody took it for dead meanwhile: it does not act any more."""
    world = Clockwork()
    held = tenure(world, tree)
    held.beat()
    world.faults.room = 0
    world.clock += 2 * STALE_S
    world.naps.append(lambda: claim_epoch(Process("far"), tree, "") if world.clock == 1043 else None)
    with pytest.raises(Fenced, match="epoch 2"):
        await held.check()


async def test_an_engine_that_slept_looks_before_it_acts(tmp_path: Path) -> None:
    """Stopped, superseded and woken, it hands nothing over, and its successor does all the work."""
    here = lab(tmp_path)
    sleeper, asleep, awake = Process("far"), asyncio.Event(), asyncio.Event()
    commit = Ledger.commit

    async def commit_and_sleep(self: Ledger, events: Any, **more: Any) -> None:
        await commit(self, events, **more)
        if self.claim.who == sleeper.identity() and any(isinstance(e, ev.AttemptIntended) for e in events):
            asleep.set()
            await awake.wait()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "commit", commit_and_sleep)
        sleeping = asyncio.create_task(drive(here.job(numbered(4)), sleeper))
        await asleep.wait()
        result = await drive(here.job(numbered(4), takeover=True))
        assert result.status is SweepStatus.COMPLETE
        awake.set()
        with pytest.raises(Fenced, match="epoch 2"):
            await sleeping
    assert len(here.executed) == 4


async def test_an_engine_that_has_nothing_to_do_learns_of_its_successor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its next heartbeat: it need not wait for an act to leave."""
    monkeypatch.setattr(epochs, "BEAT_S", 0.01)
    here, sleeper = lab(tmp_path, hold), Process("far")
    running = asyncio.create_task(drive(here.job(numbered(1)), sleeper))
    await until(lambda: here.kinds(ev.AttemptStarted))
    claim_epoch(Process(), here.tree, "")
    with pytest.raises(Fenced, match="epoch 2"):
        await running


@pytest.mark.parametrize("is_superseded", [True, False])
async def test_an_engine_whose_files_its_successor_moved_is_told_so(
    tmp_path: Path, is_superseded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails under the hands of an engine that lost its sweep is no defect; otherwise it is one."""
    here, world = lab(tmp_path, files=True), Process("far")

    def gone(_: Projector, task: Task) -> None:
        if is_superseded:
            claim_epoch(Process(), here.tree, "")
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", task.task_id)

    monkeypatch.setattr(Projector, "_place", gone)
    with pytest.raises(Fenced if is_superseded else FileNotFoundError):
        await drive(here.job(numbered(1)), world)


async def test_an_engine_that_lets_go_minds_no_successor(tree: SweepTree) -> None:
    """Whoever takes a sweep that was just let go of does not make an error of a good end."""
    world = Clockwork()
    held = tenure(world, tree)
    async with held.beating():
        held.let_go()
        claim_epoch(Process("far"), tree, "")
        await until(lambda: world.clock > 1000 + 3 * BEAT_S)


async def test_what_a_zombie_intends_is_reported_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the place that counts: kept aside, told once with its tokens, and cancelled where it is."""
    here = lab(tmp_path, lambda order: Act(holds=lambda: order.task == 99))
    far = Process("far")
    _, zombie = open_ledger(far, here.tree)
    for number in range(3):
        await zombie.commit([ev.CursorMoved(source="memory", cursor=str(number * 0))])
    result = await drive(here.job(numbered(2), takeover=True, max_tasks=1))
    assert not here.kinds(ev.ZombieFound), "what is in doubt and said again is none"
    assert result.status is SweepStatus.PARTIAL
    monkeypatch.setattr(Ledger, "_check_epoch", lambda _: None)
    token = "f" * 32
    await zombie.commit([ev.AttemptIntended(task=2, attempt=1, token=token, source="memory", at=1.0)])
    monkeypatch.undo()
    stray = here.machine
    stray._known.add(token)
    result = await drive(here.job(numbered(2)))
    assert result.status is SweepStatus.COMPLETE
    (found,) = here.kinds(ev.ZombieFound)
    assert found.tokens == (token,)
    assert token in here.machine.cancelled
    (kept,) = (here.tree.hsm / "torn").iterdir()
    assert kept.stat().st_size == found.bytes
    await drive(here.job(numbered(2)))
    assert len(here.kinds(ev.ZombieFound)) == 1
    assert list(LedgerReader(Files(), here.tree).events())[-1] == here.events[-1]
    zombie.close()
    far.close()


def test_the_rules_fit_together() -> None:
    """An engine stops acting long before anybody may take it for dead, and beats often enough for both."""
    assert 3 * BEAT_S <= STALE_S
    assert 3 * STALE_S <= SILENCE_S
    assert epochs.LOOK_S < BEAT_S
