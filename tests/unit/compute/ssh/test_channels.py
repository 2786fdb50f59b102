"""Channels: nothing that comes is held back without bound from a reader that is slow."""

import asyncio
from collections.abc import Callable

import pytest

from hsm.compute.ssh.channels import HELD_BYTES, SshChannel

PIECE = bytes(32 << 10)
LIMIT_S = 10.0


class Holding:
    """The receiving side of an asyncssh channel: holds back while paused, and delivers when resumed."""

    def __init__(self, deliver: Callable[[bytes, int | None], None]) -> None:
        self.held: list[bytes] = []
        self.is_paused = False
        self._deliver = deliver

    def receive(self, data: bytes) -> None:
        if self.is_paused:
            self.held.append(data)
        else:
            self._deliver(data, None)

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
        while self.held and not self.is_paused:
            self._deliver(self.held.pop(0), None)


async def test_what_was_held_back_is_delivered_whole_before_anything_is_held_back_again() -> None:
    """The first piece of it grants a new window, so what then still waited would add up."""
    channel = SshChannel()
    holding = Holding(channel.data_received)
    channel.connection_made(holding)  # type: ignore[arg-type]
    while not holding.is_paused:
        holding.receive(PIECE)
    for _ in range(4 * HELD_BYTES // len(PIECE)):  # a window
        holding.receive(PIECE)
    while holding.held:
        assert await channel.stdout.read(len(PIECE))
    assert holding.is_paused, "it holds more than it may, and lets in more"


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_stream_is_read_in_any_sizes(size: int) -> None:
    """Byte by byte, across the pieces in which it came, to its end."""
    channel = SshChannel()
    channel.connection_made(Holding(channel.data_received))  # type: ignore[arg-type]
    for piece in (b"abcde", b"f", b"ghijklmnop"):
        channel.data_received(piece, None)
    channel.eof_received()
    parts = []
    async with asyncio.timeout(LIMIT_S):
        while part := await channel.stdout.read(size):
            parts.append(part)
    assert b"".join(parts) == b"abcdefghijklmnop"
    assert max(map(len, parts)) == min(size, 16)


async def test_what_came_before_the_connection_was_lost_is_read_and_then_the_end() -> None:
    """A cut takes nothing that had arrived."""
    channel = SshChannel()
    holding = Holding(channel.data_received)
    channel.connection_made(holding)  # type: ignore[arg-type]
    holding.receive(b"before")
    channel.connection_lost(OSError("cut"))
    async with asyncio.timeout(LIMIT_S):
        assert await channel.stdout.read(100) == b"before"
        assert await channel.stdout.read(100) == b""


async def test_a_writer_that_waits_is_told_that_the_connection_is_lost() -> None:
    """It does not wait for ever for room that nobody makes."""
    channel = SshChannel()
    channel.connection_made(Holding(channel.data_received))  # type: ignore[arg-type]
    channel.pause_writing()
    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
        waiting = group.create_task(_outcome(channel))
        await asyncio.sleep(0)
        channel.connection_lost(None)
    assert isinstance(waiting.result(), ConnectionResetError)


async def _outcome(channel: SshChannel) -> BaseException | None:
    try:
        await channel.drain()
    except ConnectionResetError as error:
        return error
    return None
