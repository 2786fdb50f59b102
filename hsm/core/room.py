"""Room: what to do with work that found none on the disk, and may be done again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from hsm.core.world import World
from hsm.wire.log import NO_ROOM

T = TypeVar("T")

RETRY_S = 1.0


def nobody(reason: str) -> None:
    """Tell nobody."""


def never() -> bool:
    """Never give up."""
    return False


async def when_there_is_room(
    world: World,
    act: Callable[[], Awaitable[T]],
    tell: Callable[[str], None] = nobody,
    gives_up: Callable[[], bool] = never,
) -> T:
    """Do something, again and again while there is no room for what it writes.

    `tell` is told once why it waits, and with no reason when it goes on.

    Raises:
        OSError: it failed for another reason, or there is no room and `gives_up` says not to wait for it.
    """
    waits = False
    while True:
        try:
            result = await act()
        except OSError as error:
            if error.errno not in NO_ROOM or gives_up():
                raise
            if not waits:
                tell(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror))
            waits = True
        else:
            if waits:
                tell("")
            return result
        await world.sleep(RETRY_S)
