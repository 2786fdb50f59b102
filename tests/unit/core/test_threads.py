"""Work in threads, when who waits for it is cancelled."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from hsm.core.world import World

LIMIT_S = 5.0


async def test_what_is_cancelled_waits_until_its_work_has_ended() -> None:
    """So that nobody writes behind the back of who goes on."""
    world, gate = World(), threading.Event()
    running = asyncio.create_task(world.blocking_to_its_end(gate.wait, LIMIT_S))
    await asyncio.sleep(0)
    running.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not running.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    world.close()


async def test_what_is_cancelled_as_its_work_ends_does_not_wait_for_ever() -> None:
    """The work has ended, and the loop is about to hear of it, when the cancellation comes."""
    world, gate = World(), threading.Event()
    running = asyncio.create_task(world.blocking_to_its_end(gate.wait, LIMIT_S))
    await asyncio.sleep(0)
    gate.set()
    world.close()  # waits for the thread; what it has to say is on its way into the loop
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=LIMIT_S)
    assert done, "it waits for an end that has been"
    assert running.cancelled()


@pytest.mark.parametrize("has_eventfd", [True, False])
async def test_each_piece_of_work_is_done_once_whoever_takes_it(
    monkeypatch: pytest.MonkeyPatch, *, has_eventfd: bool
) -> None:
    """With more work than threads; also where the system has no eventfd, or no descriptor for one."""
    if not has_eventfd:
        monkeypatch.delattr("os.eventfd")
    world, done = World(), list[int]()
    await asyncio.gather(*(world.blocking(done.append, number) for number in range(100)))
    world.close()
    assert sorted(done) == list(range(100))


async def test_the_descriptors_of_threads_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the queue and of the bell, when the world is closed."""
    opened = list[int]()
    make = os.eventfd

    def noted(*arguments: int) -> int:
        opened.append(make(*arguments))
        return opened[-1]

    monkeypatch.setattr(os, "eventfd", noted)
    world = World()
    await world.blocking(int)
    assert len(opened) == 2
    for fd in opened:
        os.fstat(fd)
    world.close()
    for fd in opened:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
