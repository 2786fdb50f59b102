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
    """Listen while the engine runs."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            reply = await _answer(await reader.readline(), post)
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        except ConnectionError:
            return  # who asked has left
        finally:
            writer.close()

    # What is there is of an engine that died: we hold the epoch.
    async with world.sockets.listening(address_of(world, tree), answer, limit=MAX_REQUEST_BYTES):
        yield


async def _answer(line: bytes, post: Callable[[Input], None]) -> dict[str, Any]:
    try:
        request = json.loads(line)
        tasks = [int(index) for index in request["cancel"]]
    except (ValueError, KeyError, TypeError) as error:
        return {"error": f"not a request: {error}"}
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    post(CancelAsked(tasks, done))
    await done
    return {"done": True}


async def ask_to_cancel(world: World, address: str, tasks: Sequence[int]) -> None:
    """Ask a running engine to end tasks (all when empty); returns when that is durable.

    Raises:
        LedgerError: it does not answer.
    """
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await world.sockets.connect(address)
            writer.write(json.dumps({"cancel": list(tasks)}).encode() + b"\n")
            reply = json.loads(await reader.readline() or b'{"error": "it went away"}')
            writer.close()
    except (OSError, TimeoutError, ValueError) as error:
        raise LedgerError(f"the engine does not answer: {error}", transient=True) from error
    if "error" in reply:
        raise LedgerError(f"the engine refused: {reply['error']}")
