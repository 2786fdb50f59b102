"""A host that is a directory of this machine, its relays ordinary processes: all of SSH but SSH."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from hsm.compute.link import Link
from hsm.compute.ssh.reach import Completed, Connection, Reach
from hsm.core.errors import SourceError
from hsm.core.world import World

LEAVE_S = 10.0


class PipeReach(Reach):
    """Reaches a host whose directory `root` is. `relays` are the processes of those that run."""

    def __init__(self, world: World, name: str, root: Path, python: str = sys.executable) -> None:
        self.world = world
        self.name = name
        self.root = root
        self.python = python
        self.relays: list[asyncio.subprocess.Process] = []

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        """There is nothing to connect to."""
        yield _PipeConnection(self)


class _PipeConnection(Connection):
    def __init__(self, reach: PipeReach) -> None:
        self.root = str(reach.root)
        self.python = reach.python
        self._reach = reach

    async def run(self, script: str, *, stdin: bytes = b"", timeout_s: float) -> Completed:
        """Run a script in a login shell."""
        process = await self._reach.world.converse(["bash", "-lc", script])
        try:
            async with asyncio.timeout(timeout_s):
                stdout, stderr = await process.communicate(stdin)
        except TimeoutError as error:
            process.kill()
            await process.wait()
            raise SourceError(self._reach.name, f"no end in {timeout_s:g} s", transient=True) from error
        return Completed(code=process.returncode or 0, stdout=stdout, stderr=stderr)

    def relay(self, *arguments: str) -> AbstractAsyncContextManager[Link]:
        """Start a relay as a process, and yield its link."""
        return self._relay(arguments)

    @asynccontextmanager
    async def _relay(self, arguments: tuple[str, ...]) -> AsyncIterator[Link]:
        word = self._reach.world.token()
        command = [self.python, "-P", "-m", "hsm.compute.agent", "relay", self.root, word, *arguments]
        process = await self._reach.world.converse(command)
        self._reach.relays.append(process)
        try:
            if process.stdout is None or process.stdin is None:
                raise SourceError(self._reach.name, "its relay has no pipes")
            link = Link(self._reach.name, process.stdout, process.stdin)
            await link.greet(word)
            yield link
            link.close()
        finally:
            await _end(process)
            self._reach.relays.remove(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close what a relay listens to, and see to it that it ends."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(LEAVE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
