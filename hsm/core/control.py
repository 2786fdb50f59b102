"""The engine's ear: a private socket on its host by which another process can ask it to cancel tasks.

One JSON line each way. An answer is given only when what was asked is durable.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from hsm.core.errors import LedgerError
from hsm.core.inputs import CancelAsked, Input
from hsm.core.tree import SweepTree
from hsm.core.world import World

ANSWER_S = 30.0
MAX_REQUEST_BYTES = 64 << 20


def address_of(world: World, tree: SweepTree) -> str:
    """Return where the engine of a sweep listens."""
    return world.sockets.address(f"engine {world.files.resolve(str(tree.root))}")


@asynccontextmanager
async def listening(world: World, tree: SweepTree, post: Callable[[Input], None]) -> AsyncIterator[None]:
    """Listen while the engine runs. Wishes that it has not taken in when it leaves are told so."""
    wishes: set[asyncio.Future[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            reply = await _answer(await reader.readline(), post, wishes)
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        except ConnectionError:
            return  # who asked has left
        finally:
            writer.close()

    # What is there is of an engine that died: we hold the epoch.
    async with world.sockets.listening(address_of(world, tree), answer, limit=MAX_REQUEST_BYTES):
        try:
            yield
        finally:
            for wish in wishes:
                wish.cancel()


async def _answer(
    line: bytes, post: Callable[[Input], None], wishes: set[asyncio.Future[None]]
) -> dict[str, Any]:
    try:
        request = json.loads(line)
        tasks = [int(index) for index in request["cancel"]]
    except (ValueError, KeyError, TypeError) as error:
        return {"error": f"not a request: {error}"}
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    wishes.add(done)
    post(CancelAsked(tasks, done))
    await asyncio.wait([done])
    wishes.discard(done)
    return {"done": not done.cancelled()}


async def ask_to_cancel(world: World, address: str, tasks: Sequence[int]) -> bool:
    """Ask a running engine to end tasks (all when empty); True when that is durable.

    False says that it is not there, or left before it took the wish in: nothing has been done.

    Raises:
        LedgerError: it does not answer, or refused.
    """
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await world.sockets.connect(address)
            writer.write(json.dumps({"cancel": list(tasks)}).encode() + b"\n")
            line = await reader.readline()
            writer.close()
    except (FileNotFoundError, ConnectionError):
        return False
    except (OSError, TimeoutError) as error:
        raise LedgerError(f"the engine does not answer: {error}", transient=True) from error
    if not line:
        return False
    reply = json.loads(line)
    if "error" in reply:
        raise LedgerError(f"the engine refused: {reply['error']}")
    return bool(reply["done"])
