"""Work that blocks, in threads: what is cancelled is waited for, and no longer than it takes."""

import asyncio

from hsm.core.threads import Call


async def test_work_that_ended_while_it_was_cancelled_is_not_waited_for() -> None:
    """The end and the cancellation may come in one turn of the loop."""
    call = Call(lambda: None)
    call.perform()
    call.future.cancel()
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await call.end()


async def test_work_that_is_cancelled_is_waited_for() -> None:
    """Its end is heard although nobody is told its result any more."""
    call = Call(lambda: None)
    call.future.cancel()
    waiting = asyncio.ensure_future(call.end())
    await asyncio.sleep(0)
    assert not waiting.done()
    call.perform()
    async with asyncio.timeout(5):
        await waiting
