"""The local source: this machine, through an agent that outlives its manager."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from hsm.compute.agent_session import AgentSession
from hsm.compute.carrier import FileCarrier
from hsm.compute.deaths import Deaths
from hsm.compute.environment import Environment, prepare, prepared
from hsm.core.errors import SourceError
from hsm.core.limits import remedy, remedy_of
from hsm.core.source import (
    Capabilities,
    Check,
    ComputeSource,
    Health,
    HealthReport,
    SourceSession,
    SweepContext,
)
from hsm.core.spec import SourceSpec
from hsm.core.world import World
from hsm.wire.environment import visible_gpus
from hsm.wire.files import Files
from hsm.wire.log import LogReader
from hsm.wire.messages import Hello, Opened, from_record

LOW_SPACE_BYTES = 1 << 30
AGENT_SPACE_BYTES = 1 << 20
"""With less than this an agent can hardly write its records, let alone its attempts their results."""

LAST_WORDS_BYTES = 4096
LAST_WORDS_LENGTH = 200


class LocalSource(ComputeSource):
    """Runs attempts on this machine, `slots` at a time."""

    def __init__(self, world: World, spec: SourceSpec, project: Path, *, cpus_per_task: int = 1) -> None:
        self.name = spec.name
        self._world = world
        self._spec = spec
        self._project = project
        self._slots = spec.slots or max(1, available_cpus() // max(1, cpus_per_task))
        self._environment: Environment | None = None

    @property
    def slots(self) -> int:
        """How many attempts run at a time."""
        return self._slots

    @property
    def nice(self) -> int:
        """By how much attempts stand back behind other processes of this machine."""
        value = self._spec.options.get("nice", 0)
        return value if isinstance(value, int) else 0

    def argv(self, argv: Sequence[str]) -> tuple[str, ...]:
        """Return the command as this source will run it."""
        if self._environment is None:
            log = self._project / "setup.log"
            plain = self._spec.environment
            if plain.modules or plain.setup:
                return tuple(argv)
            self._environment = prepare(self._world, self.name, plain, self._project, log)
        return self._environment.resolve(self._world.files, argv)

    @asynccontextmanager
    async def session(self, context: SweepContext) -> AsyncIterator[SourceSession]:
        """Bring the agent up, or find the one that is there, and listen to it."""
        log = context.sweep_dir / "scripts" / "setup_scripts" / f"{self.name}.log"
        environment = await self._world.blocking(
            prepared, self._world, self.name, self._spec.environment, self._project, log
        )
        self._environment = environment
        session = await _LocalSession.open(self._world, self, context, environment)
        try:
            yield session
        finally:
            await session.close()

    async def checks(self) -> HealthReport:
        """Look at the interpreter, free space and processors."""
        free = self._world.files.free_bytes(str(self._project))
        space = Health.PASS if free > LOW_SPACE_BYTES else Health.WARN
        checks = (
            Check(name="python", health=Health.PASS, detail=sys.version.split()[0]),
            Check(name="slots", health=Health.PASS, detail=f"{self._slots} of {available_cpus()} processors"),
            Check(name="space", health=space, detail=f"{free / 1e9:.1f} GB free", hint="free some space"),
        )
        return HealthReport(source=self.name, checks=checks)


def available_cpus() -> int:
    """Return how many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def free_bytes(files: Files, folder: Path) -> int | None:
    """Return how much this user may still write there; None when the file system does not say."""
    try:
        return files.free_bytes(str(folder))
    except OSError:
        return None


def no_room(folder: Path, free: int | None) -> str:
    """Return what to do where `free` bytes are too few for an agent; empty where they are not."""
    if free is None or free >= AGENT_SPACE_BYTES:
        return ""
    return f"only {free / 1e6:.1f} MB are free on the file system of {folder}: free some space there"


def lacking(files: Files, folder: Path, error: OSError) -> str:
    """Return what to do about an error that says what the machine lacks; empty where that is not known."""
    return remedy(error) or no_room(folder, free_bytes(files, folder))


def silence(files: Files, log: Path, heard: int, free: int | None) -> tuple[str, str]:
    """Return why an agent does not answer and what to do: its last words behind byte `heard` of its log."""
    words = last_words(files, log, heard)
    message = f"its agent does not answer: {words}" if words else "its agent does not answer"
    return message, no_room(log.parent, free) or remedy_of(words) or f"see {log}"


def last_words(files: Files, log: Path, start: int) -> str:
    """Return the last line that stands in a log behind byte `start`, cut short; empty when there is none."""
    try:
        tail = files.read(str(log), max(start, files.length(str(log)) - LAST_WORDS_BYTES))
    except OSError:
        return ""
    lines = tail.decode("utf-8", "replace").splitlines()
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return "".join(letter if letter.isprintable() else "?" for letter in said)[:LAST_WORDS_LENGTH]


class _LocalSession(AgentSession):
    """The agent of one sweep on this machine."""

    def __init__(
        self, world: World, source: LocalSource, context: SweepContext, environment: Environment
    ) -> None:
        home = context.sweep_dir / ".hsm" / "agents" / source.name
        for part in ("inbox", "records"):
            world.files.make_directories(f"{home}/{part}")
        self._disk = FileCarrier(world, home, context.epoch, poll_s=0.5)
        gpus = visible_gpus(world.files, environment.variables)
        super().__init__(
            source.name, self._disk, Capabilities(slots=source.slots, gpus=len(gpus), batches=True)
        )
        self._world = world
        self._source = source
        self._context = context
        self._environment = environment
        self._home = home
        self._deaths = Deaths(world, source.name)
        self._heard = 0  # so long was the agents' log before the last of them was started

    @classmethod
    async def open(
        cls, world: World, source: LocalSource, context: SweepContext, environment: Environment
    ) -> _LocalSession:
        """Greet the agent in this epoch's inbox, and connect to it or start it.

        Raises:
            SourceError: the agent's directory cannot be written, or no agent can be started.
        """
        try:
            session = cls(world, source, context, environment)
        except OSError as error:
            hint = lacking(world.files, context.sweep_dir, error)
            raise SourceError(source.name, f"its inbox cannot be written: {error}", hint=hint) from error
        try:
            await session._greet()
            await session._bring_up()
        except BaseException:
            await session.close()
            raise
        return session

    async def _greet(self) -> None:
        context = self._context
        hello = Hello(
            epoch=context.epoch,
            sweep_id=context.sweep_id,
            slots=self.capabilities.slots,
            project=str(context.project),
            variables=dict(context.variables),
            gpus=visible_gpus(self._world.files, self._environment.variables),
            grace_s=context.grace_s,
            program={**context.program, "interpreter": self._environment.interpreter},
            prev=self._disk.prev,
            adopted=None if context.adopted is None else list(context.adopted),
        )
        await self._disk.send([hello])

    @property
    def is_suspected(self) -> bool:
        """Whether the agents here die at once."""
        return self._deaths.is_suspected

    async def replace_agent(self) -> None:
        """Bring up another agent in place of one that has gone, later each time when they die at once."""
        files, log = self._world.files, self._log
        await self._deaths.died(await self._world.blocking(last_words, files, log, self._heard), str(log))
        await self._bring_up()

    async def _bring_up(self) -> None:
        """Connect to the agent that runs, or else start one and connect to it."""
        await self._disk.disconnect()
        self._deaths.found()
        for is_last in (False, False, True):  # the first one started may meet an agent that is just leaving
            address = await self._world.blocking(self._running_agent)
            if address and await self._reach(address):
                return
            if not is_last:
                await self._start()
        free = await self._world.blocking(free_bytes, self._world.files, self._context.sweep_dir)
        message, hint = silence(self._world.files, self._log, self._heard, free)
        raise SourceError(self._name, message, hint=hint, transient=True)

    async def _reach(self, address: str) -> bool:
        try:
            await self._disk.connect(address)
        except OSError:
            return False
        await self._disk.ring()
        return True

    def _running_agent(self) -> str:
        """Return the address of the agent that runs, empty when none does."""
        logs = self._world.files.matching(f"{self._home}/records", ".log")
        if not logs:
            return ""
        first = next(LogReader(self._world.files, logs[-1]).records(), None)
        opened = from_record(first) if first else None
        if not isinstance(opened, Opened):
            return ""
        alive = self._world.is_running(opened.host, opened.boot, opened.pid, opened.start)
        return opened.socket if alive else ""

    @property
    def _log(self) -> Path:
        return self._context.sweep_dir / "logs" / "sources" / f"{self._name}.log"

    async def _start(self) -> None:
        """Start an agent and wait until it listens, or has given up."""
        ready, keep = os.pipe()
        nice = self._source.nice
        command = ["nice", "-n", str(nice)] if nice else []
        command += [sys.executable, "-P", "-m", "hsm.compute.agent", "--ready", str(keep)]
        command += [str(self._context.sweep_dir), str(self._home)]
        files, log = self._world.files, str(self._log)
        self._heard = files.length(log) if files.is_file(log) else 0
        self._deaths.begun()
        try:
            self._world.spawn_detached(
                command, environment=self._environment.variables, log=self._log, keep=[keep]
            )
        except OSError as error:
            os.close(ready)
            hint = lacking(self._world.files, self._context.sweep_dir, error)
            raise SourceError(self._name, f"its agent cannot be started: {error}", hint=hint) from error
        finally:
            os.close(keep)
        try:
            await self._world.blocking(os.read, ready, 1)  # ends when the agent closes its end
        finally:
            os.close(ready)

    async def close(self) -> None:
        """Disconnect; the agent goes on with what it has."""
        await self._disk.close()
