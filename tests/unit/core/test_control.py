"""The engine's ear: private, one line each way, and no word of it believed."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest

from hsm.core import control
from hsm.core.errors import LedgerError
from hsm.core.inputs import CancelAsked, Input
from hsm.core.tree import SweepTree
from hsm.core.world import World
from tests.unit.core.worlds import new_tree

WORLD = World()


@pytest.fixture
def tree(tmp_path: Path) -> SweepTree:
    return new_tree(tmp_path)


class Engine:
    """Takes what is posted; acknowledges when told to."""

    def __init__(self) -> None:
        self.asked: list[CancelAsked] = []
        self.arrived = asyncio.Event()

    def post(self, item: Input) -> None:
        assert isinstance(item, CancelAsked)
        self.asked.append(item)
        self.arrived.set()


async def say(tree: SweepTree, line: bytes) -> dict[str, object]:
    reader, writer = await asyncio.open_unix_connection(control.address_of(WORLD, tree))
    writer.write(line)
    writer.write_eof()
    reply = await reader.readline()
    writer.close()
    return dict(json.loads(reply))


async def test_an_answer_comes_when_the_engine_says_so(tree: SweepTree) -> None:
    """Not before."""
    engine = Engine()
    async with control.listening(WORLD, tree, engine.post):
        asking = asyncio.create_task(control.ask_to_cancel(WORLD, control.address_of(WORLD, tree), [3, 4]))
        await engine.arrived.wait()
        assert list(engine.asked[0].tasks) == [3, 4]
        await say(tree, b"hello\n")  # whoever asks later has an answer by now
        assert not asking.done()
        assert engine.asked[0].done is not None
        engine.asked[0].done.set_result(None)
        async with asyncio.timeout(5):
            await asking


@pytest.mark.parametrize(
    "line", [b"\n", b"", b"hello\n", b"[]\n", b'{"cancel": 3}\n', b'{"cancel": ["x"]}\n', b"\xff\xfe\n"]
)
async def test_what_is_no_request_is_refused(tree: SweepTree, line: bytes) -> None:
    """And never reaches the engine."""
    engine = Engine()
    async with control.listening(WORLD, tree, engine.post):
        assert "not a request" in str((await say(tree, line))["error"])
    assert not engine.asked


async def test_the_socket_is_private_and_goes_with_the_engine(tree: SweepTree) -> None:
    """Nobody else may connect; a stale one of a dead engine is replaced."""
    address = Path(control.address_of(WORLD, tree))
    await asyncio.to_thread(address.write_text, "stale")
    async with control.listening(WORLD, tree, Engine().post):
        mode = os.lstat(address).st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert stat.S_IMODE(os.lstat(address.parent).st_mode) == 0o700
    assert address not in set(await asyncio.to_thread(lambda: list(address.parent.iterdir())))


async def test_an_engine_that_is_not_there_has_not_been_asked(tree: SweepTree) -> None:
    """Who asks is told so, and can look who is there now."""
    assert not await control.ask_to_cancel(WORLD, control.address_of(WORLD, tree), [])


async def test_an_engine_that_leaves_says_that_it_did_not_hear(tree: SweepTree) -> None:
    """What it has not taken in when it leaves is answered all the same: it has not been done."""
    engine = Engine()
    async with asyncio.timeout(5):
        async with control.listening(WORLD, tree, engine.post):
            asking = asyncio.create_task(control.ask_to_cancel(WORLD, control.address_of(WORLD, tree), []))
            await engine.arrived.wait()
        assert not await asking


async def test_an_engine_that_dies_without_an_answer_has_not_acknowledged(tree: SweepTree) -> None:
    """Nothing is said, so nothing is done."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    server = await asyncio.start_unix_server(hang_up, path=control.address_of(WORLD, tree))
    try:
        assert not await control.ask_to_cancel(WORLD, control.address_of(WORLD, tree), [])
    finally:
        server.close()
        await asyncio.to_thread(Path(control.address_of(WORLD, tree)).unlink)


async def test_a_refusal_is_an_error(tree: SweepTree) -> None:
    """With what the engine said."""
    async with control.listening(WORLD, tree, Engine().post):
        with pytest.raises(LedgerError, match="not a request"):
            await control.ask_to_cancel(WORLD, control.address_of(WORLD, tree), ["x"])  # type: ignore[list-item]
