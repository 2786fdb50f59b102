"""Cancelling in every state, twice, too late, and while nobody or everybody is looking; growth of limits."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from hsm.compute.testing.memory import Act
from hsm.core import events as ev
from hsm.core.engine import SweepEngine
from hsm.core.errors import SweepError
from hsm.core.source import AttemptOrder
from hsm.core.spec import Growth, Resources
from hsm.core.states import AttemptState, Cause, SweepStatus, TaskStatus
from tests.unit.core.test_engine import LIMIT_S, Lab, drive, hold, lab, until, until_open
from tests.unit.core.test_submit_protocol import waiting
from tests.unit.core.worlds import Process, numbered, sweep_spec


async def test_what_is_unconfirmed_is_cancelled_when_it_is_known(tmp_path: Path) -> None:
    """Its source does not answer: the wish is durable, and fulfilled as soon as the source is back."""
    gate = threading.Event()
    here = waiting(tmp_path, gate)

    def watch(event: ev.Event) -> None:
        if isinstance(event, ev.AttemptUnconfirmed):
            here.machine.trouble.is_down = True

    world = Process()
    running = asyncio.create_task(drive(here.job(numbered(2)), world, watch))
    await until(lambda: here.kinds(ev.SourceFailed))
    asker = SweepEngine(world)
    await asker.cancel_sweep(here.job(numbered(2)))
    assert here.kinds(ev.CancelRequested)
    assert here.tracker.task(2).status is TaskStatus.SCHEDULED, "asked is not seen"
    here.machine.trouble.is_down = False
    async with asyncio.timeout(LIMIT_S):
        result = await running
    assert result.status is SweepStatus.CANCELLED
    assert len(here.executed) == 1
    asker.close()


async def test_a_cancel_while_a_result_is_brought_home_comes_too_late(tmp_path: Path) -> None:
    """What had ended is a result; everything else ends."""
    gate, fetched = threading.Event(), threading.Event()
    here = lab(tmp_path, lambda order: Act(holds=lambda: order.task > 1 and not gate.is_set()), files=True)
    world = Process()
    kind = world.files.beginning

    def slow(path: str, limit: int) -> bytes:
        if "task_0001" in path and threading.current_thread() is not threading.main_thread():
            fetched.set()
            gate.wait(LIMIT_S)
        return kind(path, limit)

    world.files.beginning = slow  # type: ignore[method-assign]
    running = asyncio.create_task(drive(here.job(numbered(3)), world))
    await until(fetched.is_set)
    asker = SweepEngine(world)
    await asker.cancel_sweep(here.job(numbered(3)))
    await asker.cancel_sweep(here.job(numbered(3)))
    assert here.tracker.task(1).status is TaskStatus.COLLECTING
    gate.set()
    result = await running
    assert [task.status for task in result.tracker.tasks] == [
        TaskStatus.SEALED,
        TaskStatus.CANCELLED,
        TaskStatus.CANCELLED,
    ]
    assert len(here.kinds(ev.CancelRequested)) == 2
    asker.close()


@pytest.mark.parametrize("after", [ev.AttemptExited, ev.AttemptSealed, ev.HuntEnded, ev.EngineStopped])
async def test_a_cancel_that_races_the_end_gets_a_true_answer(tmp_path: Path, after: type) -> None:
    """Either it is durable and obeyed, or the sweep is said to be over; never that somebody went away."""
    for ticks in (0, 3, 30):
        here = lab(tmp_path / str(ticks))
        world = Process()
        running = asyncio.create_task(drive(here.job(numbered(2)), world))
        await until(lambda: here.kinds(after))  # noqa: B023 - used up in this turn
        for _ in range(ticks):
            await asyncio.sleep(0)
        asker = SweepEngine(world)
        is_over = await refused_as_over(asker, here)
        assert is_over or here.kinds(ev.CancelRequested)
        assert is_over or after is not ev.EngineStopped
        assert (await running).tracker.open == 0
        asker.close()


async def refused_as_over(asker: SweepEngine, here: Lab) -> bool:
    try:
        async with asyncio.timeout(LIMIT_S):
            await asker.cancel_sweep(here.job(numbered(2)))
    except SweepError as over:
        return "the sweep is over" in over.message
    return False


async def test_a_cancelled_attempt_that_never_began_is_void(tmp_path: Path) -> None:
    """Taken back before it began: nothing ran, and the task is cancelled all the same."""
    gate = threading.Event()
    here = lab(tmp_path, until_open(gate), slots=1)
    world = Process()
    running = asyncio.create_task(drive(here.job(numbered(2)), world))
    await until(lambda: here.kinds(ev.AttemptStarted) and len(here.kinds(ev.AttemptIntended)) == 2)
    asker = SweepEngine(world)
    await asker.cancel_sweep(here.job(numbered(2)), [2])
    await until(lambda: here.machine.cancelled)
    gate.set()
    here.machine.proceed()
    result = await running
    assert [task.status for task in result.tracker.tasks] == [TaskStatus.SEALED, TaskStatus.CANCELLED]
    assert result.tracker.task(2).attempts[0].state is AttemptState.VOID
    asker.close()


async def test_a_sweep_whose_engine_is_elsewhere_is_cancelled_there(tmp_path: Path) -> None:
    """It cannot be asked from here, and is not taken over behind its back."""
    here = lab(tmp_path, hold)
    running = asyncio.create_task(drive(here.job(numbered(2)), Process("far")))
    await until(lambda: len(here.executed) == 2)
    asker = SweepEngine(Process())
    with pytest.raises(SweepError, match="on host far"):
        await asker.cancel_sweep(here.job(numbered(2)))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    asker.close()


@pytest.mark.parametrize(
    ("cause", "asked"), [(Cause.MEMORY, [100, 150, 225, 300, 300]), (Cause.TIME, [10.0, 20.0, 35.0])]
)
async def test_the_next_attempt_is_given_more(tmp_path: Path, cause: Cause, asked: list[float]) -> None:
    """By the factor for each attempt that went over the limit, up to the bound; the other limit stays."""

    def behave(order: AttemptOrder) -> Act:
        return Act(code=1, cause=cause, reason="over its limit") if order.task == 1 else Act()

    here = lab(tmp_path, behave)
    spec = sweep_spec(
        resources=Resources(memory_bytes=100),
        timeout_s=10.0,
        retry={cause: len(asked) - 1},
        growth={Cause.MEMORY: Growth(factor=1.5, up_to=300), Cause.TIME: Growth(factor=2.0, up_to=35.0)},
    )
    result = await drive(here.job(numbered(2), spec=spec))
    assert result.tracker.task(1).status is TaskStatus.FAILED
    mine = [order for order in here.executed if order.task == 1]
    memory, time = [order.resources.memory_bytes for order in mine], [order.timeout_s for order in mine]
    assert (memory if cause is Cause.MEMORY else time) == asked
    assert set(time if cause is Cause.MEMORY else memory) == {10.0 if cause is Cause.MEMORY else 100}
