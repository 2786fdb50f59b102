"""What the tests of connections share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from hsm.compute.link import Link
from hsm.compute.ssh.connection import SshReach, Timing
from hsm.compute.ssh.reach import Connection, Reach
from hsm.compute.ssh.reaches import make_reach
from hsm.compute.ssh.settings import read_settings
from hsm.core.errors import SourceError
from hsm.core.spec import SourceSpec
from hsm.core.world import World


def reach(name: str, **options: Any) -> Reach:
    """Return the way to a host of the lab."""
    return make_reach(World(), SourceSpec(kind="ssh", target=name, options=options), Path("/"))


def quick_reach(name: str, *, connect_s: float = 5.0, keepalive_s: float = 10.0, **options: Any) -> SshReach:
    """Return a way that is less patient than the usual one."""
    world = World()
    spec = SourceSpec(kind="ssh", target=name, options=options)
    settings = read_settings(spec, Path("/"), world.environment())
    return SshReach(world, settings, Timing(connect_s=connect_s, keepalive_s=keepalive_s))


async def refusal(way: Reach) -> SourceError:
    """Try to connect, and return why that is not possible."""
    try:
        async with way.connected():
            raise AssertionError("there is a connection")
    except SourceError as error:
        return error


@asynccontextmanager
async def running(connection: Connection, *arguments: str) -> AsyncIterator[Link]:
    """Start a relay and listen to it."""
    async with connection.relay(*arguments) as link, asyncio.TaskGroup() as group:
        listening = group.create_task(link.run())
        yield link
        listening.cancel()
