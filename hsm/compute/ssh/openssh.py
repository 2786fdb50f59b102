"""Connections that somebody has logged in to by hand: OpenSSH's own client, over its shared connection.

Where a login takes a second factor, the user logs in once and leaves OpenSSH's master running. It is used
here and never made here: without it nothing is dialled and nothing is asked, for a dialogue that nobody sees,
repeated through the night, locks accounts.
"""

from __future__ import annotations

import asyncio
import shlex
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired

from hsm.compute.link import LinkLost, Reader, Writer
from hsm.compute.ssh.faults import LoginNeeded, SshConfigRefused, told
from hsm.compute.ssh.reach import Connection, Reach
from hsm.compute.ssh.settings import SshSettings
from hsm.compute.ssh.shell import LEAVE_S, MAX_CHANNELS, Channel, ShellConnection
from hsm.core.world import World

ASKING_S = 20.0
LOST = 255
"""How OpenSSH's client ends when the connection does, and not the command."""

ALIVE = ("-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3")
"""What whoever logs in is told to say, so that a dead link is noticed."""


class OpenSshReach(Reach):
    """A host that is reached over the shared connection of OpenSSH."""

    def __init__(self, world: World, settings: SshSettings) -> None:
        self.name = settings.source
        self._world = world
        self._settings = settings

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        """Find the shared connection, and use it in the context; it stays when the context is left.

        Raises:
            SourceError: as in `Reach`.
        """
        master = await self._world.blocking(_find_master, self._world, self._settings)
        connection = OpenSshConnection(self._world, self._settings, master)
        await connection.prepare()
        yield connection


class OpenSshConnection(ShellConnection):
    """A shared connection of OpenSSH."""

    def __init__(self, world: World, settings: SshSettings, master: Sequence[str]) -> None:
        super().__init__(world, settings)
        self._argv = (*master, "--", settings.target)
        self._channels = asyncio.Semaphore(MAX_CHANNELS)

    @asynccontextmanager
    async def _open(self, command: str) -> AsyncIterator[Channel]:
        async with self._channels:
            try:
                process = await self._world.converse([*self._argv, command])
            except OSError as error:
                raise LinkLost(self._name, f"ssh cannot be started: {error}", transient=True) from error
            try:
                yield _PipeChannel(process)
            finally:
                await _leave(process)


class _PipeChannel:
    """A process of OpenSSH's client."""

    def __init__(self, process: Process) -> None:
        assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018 - all three are pipes
        self._process = process
        self.stdin: Writer = process.stdin
        self.stdout: Reader = process.stdout
        self.stderr: Reader = process.stderr

    async def ended(self) -> int | None:
        """Wait for its end and return the exit status of the command, None when the connection was lost."""
        status = await self._process.wait()
        return None if status == LOST or status < 0 else status

    def kill(self) -> None:
        """End it here: the host's sshd ends what it ran when it loses the channel."""
        with suppress(ProcessLookupError):
            self._process.kill()


async def _leave(process: Process) -> None:
    """See to it that a client ends, and leaves no zombie."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(LEAVE_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


# The shared connection


def _find_master(world: World, settings: SshSettings) -> tuple[str, ...]:
    """Return the command line, less the host, that goes through the shared connection. Blocks.

    Raises:
        SourceError: there is none; the hint is the command that makes one.
    """
    client = ("ssh", *(("-F", str(settings.config)) if settings.config else ()))
    path = _control_path(world, settings, client)
    socket = ("-S", path) if path else ()
    asked = _ask(world, settings, [*client, *socket, "-O", "check", "--", settings.target])
    if asked.returncode:
        words = [*client, *socket, "-M", "-f", "-N", *ALIVE, settings.target]
        hint = f"log in by `{' '.join(map(shlex.quote, words))}`, and go on"
        raise LoginNeeded(settings.source, f"nobody is logged in: {told(asked.stderr)}", hint=hint)
    # Were the shared connection to go, ssh would dial by itself: the last option forbids it.
    never = ("-o", "BatchMode=yes", "-o", "ControlMaster=no", "-o", "ProxyCommand=false")
    return (*client, *socket, *never, "-o", "ForwardAgent=no", "-o", "ForwardX11=no", "-T")


def _control_path(world: World, settings: SshSettings, client: Sequence[str]) -> str:
    """Return a path for the shared connection's socket; empty where the configuration names one."""
    asked = _ask(world, settings, [*client, "-G", "--", settings.target])
    if asked.returncode:
        reason = f"ssh cannot use its configuration: {told(asked.stderr)}"
        raise SshConfigRefused(settings.source, reason)
    said = dict(line.partition(" ")[::2] for line in asked.stdout.decode("utf-8", "replace").splitlines())
    if said.get("controlpath", "none") != "none":
        return ""
    way = " ".join(said.get(key, "") for key in ("user", "hostname", "port"))
    return world.sockets.address(f"ssh {way} {sha256(str(settings.config).encode()).hexdigest()}")


def _ask(world: World, settings: SshSettings, argv: Sequence[str]) -> CompletedProcess[bytes]:
    try:
        return world.run(argv, cwd=Path("/"), timeout_s=ASKING_S)
    except (OSError, TimeoutExpired) as error:
        hint = "install OpenSSH's client, or leave the option `transport` out"
        raise SshConfigRefused(
            settings.source, f"ssh cannot be run: {told(str(error))}", hint=hint
        ) from error
