"""The agent on files alone: no socket, no bell; both sides look at the logs every few milliseconds.

This is how manager and agent meet where nothing but a shared disk lies between them. Tests also start the
agent under other interpreters with it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import hsm
from hsm.compute.agent_session import AgentSession
from hsm.compute.carrier import FileCarrier
from hsm.core.errors import SourceError
from hsm.core.source import (
    Capabilities,
    Check,
    ComputeSource,
    Health,
    HealthReport,
    SourceSession,
    SweepContext,
)
from hsm.core.world import World
from hsm.wire.log import LogReader
from hsm.wire.messages import Hello, Opened, from_record

POLL_S = 0.02
_START = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from hsm.compute.agent.__main__ import main
sys.exit(main())
"""


class FileAgentSource(ComputeSource):
    """Runs attempts on this machine through an agent that is reached by files alone.

    `python` is the interpreter of the agent, `linger_s` how long it stays when it has nothing to do.
    """

    def __init__(
        self,
        world: World,
        *,
        slots: int,
        name: str = "files",
        python: str = sys.executable,
        linger_s: float = 5.0,
    ) -> None:
        self.name = name
        self._world = world
        self._slots = slots
        self._python = python
        self._linger_s = linger_s

    @asynccontextmanager
    async def session(self, context: SweepContext) -> AsyncIterator[SourceSession]:
        """Begin an inbox, and see to it that an agent reads it."""
        home = home_of(context.sweep_dir, self.name)
        for part in ("inbox", "records"):
            self._world.files.make_directories(f"{home}/{part}")
        carrier = _WatchedFiles(self._world, home, context.epoch, POLL_S)
        try:
            await carrier.send([self._hello(context, carrier.prev)])
            session = _FileSession(self, carrier, context)
            await session.replace_agent()
            yield session
        finally:
            await carrier.close()

    def _hello(self, context: SweepContext, prev: Mapping[str, int]) -> Hello:
        return Hello(
            epoch=context.epoch,
            sweep_id=context.sweep_id,
            slots=self._slots,
            project=str(context.project),
            variables=dict(context.variables),
            gpus=[],
            grace_s=context.grace_s,
            program=dict(context.program),
            prev=dict(prev),
            adopted=None if context.adopted is None else list(context.adopted),
        )

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return Capabilities(slots=self._slots, batches=True)

    async def start_agent(self, context: SweepContext) -> None:
        """Start an agent where none runs, and wait until it has begun its records.

        Raises:
            SourceError: it cannot be started.
        """
        home = home_of(context.sweep_dir, self.name)
        if is_running(self._world, home):
            return
        before = newest_agent(self._world, home)
        ready, keep = os.pipe()
        try:
            self._spawn(context, keep)
        except OSError as error:
            os.close(ready)
            raise SourceError(self.name, f"its agent cannot be started: {error}") from error
        finally:
            os.close(keep)
        try:
            await self._world.blocking(os.read, ready, 1)  # ends when the agent closes its end
        finally:
            os.close(ready)
        if newest_agent(self._world, home) == before and not is_running(self._world, home):
            raise SourceError(self.name, "its agent does not answer", transient=True)

    def _spawn(self, context: SweepContext, keep: int) -> None:
        log = context.sweep_dir / "logs" / "sources" / f"{self.name}.log"
        environment = self._world.environment()
        self._world.spawn_detached(self.command(context, keep), environment=environment, log=log, keep=[keep])

    def command(self, context: SweepContext, keep: int) -> list[str]:
        """Return the command that starts an agent, which closes the descriptor `keep` when it is there."""
        root = str(Path(hsm.__path__[0]).parent)
        command = [self._python, "-c", _START, root, "--poll", str(POLL_S), "--linger", str(self._linger_s)]
        home = home_of(context.sweep_dir, self.name)
        return [*command, "--ready", str(keep), str(context.sweep_dir), str(home)]

    async def checks(self) -> HealthReport:
        """Look at the interpreter of the agent."""
        health = Health.PASS if os.access(self._python, os.X_OK) else Health.FAIL
        return HealthReport(
            source=self.name, checks=(Check(name="python", health=health, detail=self._python),)
        )

    def argv(self, argv: Sequence[str]) -> tuple[str, ...]:
        """Return the command as it is."""
        return tuple(argv)


class _WatchedFiles(FileCarrier):
    """Files without a bell; that the agent has gone is seen in the table of processes."""

    def __init__(self, world: World, home: Path, epoch: int, poll_s: float) -> None:
        super().__init__(world, home, epoch, poll_s)
        self._watched = home

    async def wait(self) -> bool:
        """Wait a moment; False when the agent has gone."""
        await super().wait()
        return is_running(self._world, self._watched)


class _FileSession(AgentSession):
    """The agent of one sweep, reached by files alone."""

    def __init__(self, source: FileAgentSource, carrier: _WatchedFiles, context: SweepContext) -> None:
        super().__init__(source.name, carrier, source.capabilities)
        self._source = source
        self._context = context

    async def replace_agent(self) -> None:
        """Start an agent where none runs, and wait until it has begun its records."""
        await self._source.start_agent(self._context)


def home_of(sweep_dir: Path, source: str) -> Path:
    """Return where the logs between manager and agent are."""
    return sweep_dir / ".hsm" / "agents" / source


def newest_agent(world: World, home: Path) -> Opened | None:
    """Return who the newest agent of a source is, None where there never was one."""
    logs = world.files.matching(f"{home}/records", ".log")
    first = next(LogReader(world.files, logs[-1]).records(), None) if logs else None
    message = from_record(first) if first else None
    return message if isinstance(message, Opened) else None


def is_running(world: World, home: Path) -> bool:
    """Tell whether the newest agent of a source lives."""
    agent = newest_agent(world, home)
    return agent is not None and world.is_running(agent.host, agent.boot, agent.pid, agent.start)
