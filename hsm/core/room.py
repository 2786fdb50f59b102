"""Room: what to do with work that found none on the disk, and may be done again."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from hsm.core.world import World
from hsm.wire.log import NO_ROOM

P = ParamSpec("P")
T = TypeVar("T")

RETRY_S = 1.0


async def when_there_is_room(world: World, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that blocks, again and again while there is no room for what it writes.

    Raises:
        OSError: it failed for another reason.
    """
    while True:
        try:
            return await world.blocking(function, *args, **kwargs)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
        await world.sleep(RETRY_S)
