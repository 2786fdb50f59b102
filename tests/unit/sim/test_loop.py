"""The simulated loop: virtual time, seeded order, threads, sockets, processes that stop and die."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from random import Random
from typing import Any, TypeVar

import pytest

from hsm.sim.loop import Deadlock, Livelock, Order, SimLoop
from hsm.sim.process import SimProcess
from hsm.sim.trace import Trace

T = TypeVar("T")


def run(seed: int, main: Coroutine[Any, Any, T], order: Order = Order.RANDOM) -> tuple[SimLoop, T]:
    loop = SimLoop(Random(seed), order=order, trace=Trace(hashes=True))
    try:
        return loop, loop.run_until_complete(main)
    finally:
        loop.close()


async def pass_time(seconds: float) -> None:
    """Let virtual time pass."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    loop.call_later(seconds, over.set_result, None)
    await over


def process(name: str = "p", pid: int = 1) -> SimProcess:
    return SimProcess(name=name, pid=pid, start="1")


async def race(said: list[int]) -> None:
    async def say(number: int) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            said.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(say(number))


def test_a_task_group_ends_its_tasks_in_an_order_that_memory_does_not_decide() -> None:
    """A group keeps its tasks in a set; where they happen to lie must not decide who is cancelled first."""
    ended: list[int] = []

    async def wait(number: int) -> None:
        try:
            await pass_time(1000)
        finally:
            ended.append(number)

    async def break_up() -> None:
        with suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                for number in range(9):
                    group.create_task(wait(number))
                await pass_time(1)
                raise ValueError

    run(1, break_up(), Order.FIFO)
    assert ended == list(range(9))


def test_hours_pass_in_no_time() -> None:
    """The clock jumps to the next timer."""
    loop, _ = run(1, pass_time(7200))
    assert loop.time() >= 7200


def test_a_seed_fixes_the_order_and_another_one_changes_it() -> None:
    """What runs next is a function of the seed."""
    orders = []
    for seed in (1, 1, 2):
        said: list[int] = []
        run(seed, race(said))
        orders.append(said)
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize("order", list(Order))
def test_every_order_lets_everybody_finish(order: Order) -> None:
    """No order starves anybody for ever."""
    said: list[int] = []
    run(3, race(said), order)
    assert sorted(said) == sorted(list(range(5)) * 3)


def test_waiting_for_what_never_comes_is_an_error() -> None:
    """Nothing ready and no timer is a deadlock, not a hang."""

    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        run(1, wait())


def test_endless_work_is_an_error() -> None:
    """A loop that never comes to rest is stopped."""

    async def spin() -> None:
        for _ in range(10_000):
            await asyncio.sleep(0)

    loop = SimLoop(Random(1))
    loop.max_steps = 1000
    with pytest.raises(Livelock):
        loop.run_until_complete(spin())
    loop.close()


def test_work_of_threads_takes_time_before_and_after() -> None:
    """A blocking function acts at one moment, and its caller learns of it at a later one."""
    acted: list[float] = []

    async def main() -> float:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, lambda: acted.append(loop.time()))
        return loop.time()

    _, end = run(4, main())
    assert 0 < acted[0] < end


def test_a_dead_process_runs_no_further() -> None:
    """What a killed process had planned never happens, its `finally` included."""
    done: list[str] = []
    victim = process()

    async def work() -> None:
        try:
            await pass_time(10)
            done.append("worked")
        finally:
            done.append("cleaned up")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        doomed = loop.spawn(victim, work())
        await pass_time(5)
        victim.die()
        await pass_time(20)
        assert not done
        assert not doomed.done()
        victim.bury()

    run(5, main())


def test_a_stopped_process_goes_on_where_it_was() -> None:
    """SIGSTOP keeps what comes due; SIGCONT lets it happen."""
    times: list[float] = []
    sleeper = process()

    async def work() -> None:
        await pass_time(1)
        times.append(asyncio.get_running_loop().time())

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        task = loop.spawn(sleeper, work())
        sleeper.stopped = True
        await pass_time(60)
        loop.resume(sleeper)
        await task

    run(6, main())
    assert times[0] >= 60


def test_others_go_on_while_a_call_stands_still() -> None:
    """A call that blocks in the middle of its function lets the other processes run meanwhile."""
    said: list[str] = []
    stopped = process()

    async def other() -> None:
        await pass_time(3)
        said.append("other")

    async def blocked() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        loop.stop_inside(stopped, 10)
        said.append("blocked")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        await asyncio.gather(loop.spawn(stopped, blocked()), other())

    run(7, main())
    assert said == ["other", "blocked"]


def test_nobody_has_a_process_go_on_before_its_call_returns() -> None:
    """Of a process whose loop stands still inside of a call, nothing else runs, though it is resumed."""
    said: list[str] = []
    stopped = process()

    async def another() -> None:
        said.append("another of it")

    async def blocked(loop: SimLoop) -> None:
        other = loop.spawn(stopped, another())
        loop.stop_inside(stopped, 10)
        said.append("returned")
        await other

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        loop.call_later(3, loop.resume, stopped)
        await loop.spawn(stopped, blocked(loop))

    run(8, main())
    assert said == ["returned", "another of it"]


def test_streams_carry_bytes_and_a_death_hangs_up() -> None:
    """Streams of asyncio work over simulated sockets, and a dead peer is an end of file."""
    server = process("server")

    async def serve() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"heard " + await reader.readline())
            await writer.drain()

        await asyncio.start_unix_server(answer, path="/tmp/s")
        await pass_time(1000)

    async def main() -> tuple[bytes, bytes]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        serving = loop.spawn(server, serve())
        await pass_time(1)
        reader, writer = await asyncio.open_unix_connection("/tmp/s")
        writer.write(b"hello\n")
        line = await reader.readline()
        server.die()
        rest = await reader.read()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_unix_connection("/tmp/s")
        writer.close()
        assert not serving.done()
        server.bury()
        return line, rest

    assert run(8, main())[1] == (b"heard hello\n", b"")


def test_a_closed_loop_takes_nothing_more() -> None:
    """Neither what is due at once nor what is due later."""
    loop, _ = run(1, pass_time(1.0))
    for ask in (loop.call_soon, lambda function: loop.call_later(1.0, function)):
        with pytest.raises(RuntimeError, match="closed"):
            ask(print)


def test_the_loop_draws_whose_turn_it_is_as_the_library_would() -> None:
    """So seeds of earlier versions stay what they were."""
    loop, rng = SimLoop(Random(5)), Random(5)
    assert [loop._below(limit) for limit in range(1, 400)] == [
        rng.randrange(limit) for limit in range(1, 400)
    ]
    loop.close()
