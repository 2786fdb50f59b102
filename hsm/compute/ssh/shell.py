"""A connection over which a host runs command lines: what does not depend on who made the connection."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Protocol

from hsm.compute.link import Link, LinkLost, Reader, Writer
from hsm.compute.reading import full_hint
from hsm.compute.ssh import scripts, shipping
from hsm.compute.ssh.faults import DirectoryUnfit, HostUnfit, PythonUnfit, says_full, told
from hsm.compute.ssh.reach import Completed, Connection
from hsm.compute.ssh.settings import SshSettings
from hsm.core.errors import SourceFull
from hsm.core.world import World

MAX_CHANNELS = 6
"""Of the ten that sshd grants. It frees a channel later than we see it close: of eight, some are refused."""

MAX_SAID_BYTES = 16 << 20
MAX_NOISE = 4000
SURVEY_S = 60.0
SHIPPING_S = 120.0
GREETING_S = 60.0
LAST_WORDS_BYTES = 4096
READ_BYTES = 64 << 10
LEAVE_S = 2.0

NO_PYTHON = "install one there, or name one by the option `python` of {source} in hsm.yaml"
SHELL_HINT = "let startup files there (.bashrc, .bash_profile, .cshrc) neither exit nor replace the shell"


class Channel(Protocol):
    """One command line that runs on a host."""

    stdin: Writer
    stdout: Reader
    stderr: Reader

    async def ended(self) -> int | None:
        """Wait for its end and return its exit status; None when the connection was lost or it was killed."""

    def kill(self) -> None:
        """End it, as far as that can be done from here, and do not wait."""


class TooMuch(Exception):
    """A host prints without end."""


class ShellConnection(Connection):
    """A connection that can open channels."""

    def __init__(self, world: World, settings: SshSettings) -> None:
        self._world = world
        self._settings = settings
        self._name = settings.source
        self._program = shipping.agent_program()
        self._has_program = False
        self._shipping = asyncio.Lock()
        self.noise = ""
        self.root = ""
        self.python = ""
        self.python_version = ""

    @abstractmethod
    def _open(self, command: str) -> AbstractAsyncContextManager[Channel]:
        """Open a channel in the context, and run a command line in it.

        Raises:
            SourceError: the connection was lost, or the host grants no more channels.
        """

    async def prepare(self) -> None:
        """Find out where HSM's directory is and which interpreter there is.

        Raises:
            SourceError: the host's shell, directory or Python cannot be used, or the connection was lost.
        """
        settings = self._settings
        script = scripts.survey(settings.root, settings.pythons, self._program.path)
        done = await self.run(script, timeout_s=SURVEY_S)
        self.note(done.noise)
        try:
            surveyed = scripts.read_survey(done.stdout)
        except ValueError as error:
            raise HostUnfit(self._name, f"its shell answers {told(str(error))}", hint=SHELL_HINT) from error
        if surveyed.fault and says_full(surveyed.fault):
            raise SourceFull(self._name, told(surveyed.fault), hint=full_hint(self._name))
        if surveyed.fault:
            raise DirectoryUnfit(
                self._name, told(surveyed.fault), hint="name another directory: option `root`"
            )
        if not surveyed.python:
            found = told("; ".join(surveyed.found)) or "none at all"
            oldest = ".".join(map(str, scripts.OLDEST_PYTHON))
            hint = NO_PYTHON.format(source=self._name)
            raise PythonUnfit(self._name, f"it has no Python {oldest} or newer (found: {found})", hint=hint)
        self.root, self.python = surveyed.root, surveyed.python
        self.python_version = surveyed.version
        self._has_program = surveyed.has_program

    def note(self, noise: str) -> None:
        """Keep what a host printed that nobody asked for, within bounds."""
        self.noise = (self.noise + noise)[:MAX_NOISE]

    # Scripts

    async def run(self, script: str, *, stdin: bytes = b"", timeout_s: float) -> Completed:
        """Run a script of a POSIX shell in a login shell, and return how it ended and what it printed.

        Raises:
            SourceError: as in `Connection`.
        """
        word = self._world.token()
        inner = scripts.between_sentinels(script, word)
        command = scripts.command_of(scripts.in_login_shell(inner))
        try:
            async with asyncio.timeout(timeout_s), self._open(command) as channel:
                stdout, stderr, status = await _conversation(channel, stdin)
        except TimeoutError as error:
            raise LinkLost(self._name, f"no answer within {timeout_s:g} s", transient=True) from error
        except TooMuch as error:
            reason = f"it printed more than {MAX_SAID_BYTES >> 20} MB where a few lines were asked for"
            raise LinkLost(self._name, reason, transient=True) from error
        answer = scripts.read_answer(stdout, stderr, word)
        if answer is None:
            raise self._unanswered(stdout, stderr, word, status)
        return Completed(
            code=answer.code,
            stdout=answer.stdout,
            stderr=answer.stderr,
            noise=answer.noise.decode("utf-8", "replace")[:MAX_NOISE],
        )

    def _unanswered(
        self, stdout: bytes, stderr: bytes, word: str, status: int | None
    ) -> HostUnfit | LinkLost:
        """Return the error of a script that said nothing of its end."""
        if status is None or scripts.has_begun(stdout, word):
            reason = "the connection was lost: whether what was asked was done is not known"
            return LinkLost(self._name, reason, transient=True)
        said = told(stdout + b"\n" + stderr) or "nothing"
        reason = f"its login shell ended by itself (status {status}), saying: {said}"
        return HostUnfit(self._name, reason, hint=SHELL_HINT)

    # Relays

    @asynccontextmanager
    async def relay(self, *arguments: str) -> AsyncIterator[Link]:
        """Start a relay in the context, shipping the agent's program where it lacks, and yield its link.

        Raises:
            SourceError: as in `Connection`.
        """
        await self._ship(again=False)
        try:
            async with self._relay(arguments) as link:
                yield link
                return
        except _NoGreeting as error:
            if not await self._ship(again=True):
                raise LinkLost(self._name, error.reason, hint=error.words, transient=True) from error
        async with self._relay(arguments) as link:  # what was there was not whole
            yield link

    async def _ship(self, *, again: bool) -> bool:
        """Put the agent's program on the host unless it is there; tell whether anything was written."""
        async with self._shipping:
            if self._has_program and not again:
                return False
            script = shipping.store_script(self.python, self.root, self._program)
            done = await self.run(script, stdin=self._program.data, timeout_s=SHIPPING_S)
            if done.code:
                reason = f"its agent cannot be stored in {told(self.root)}: {told(done.stderr)}"
                if says_full(done.stderr):
                    raise SourceFull(self._name, reason, hint=full_hint(self._name))
                hint = "look at the rights there"
                raise DirectoryUnfit(self._name, reason, hint=hint, transient=True)
            self._has_program = True
            return done.stdout.strip() == b"stored"

    @asynccontextmanager
    async def _relay(self, arguments: tuple[str, ...]) -> AsyncIterator[Link]:
        word = self._world.token()
        script = shipping.relay_script(self.python, self.root, self._program, word, *arguments)
        command = scripts.command_of(scripts.in_login_shell(script))
        async with self._open(command) as channel:
            link = Link(self._name, channel.stdout, channel.stdin)
            try:
                self.note(await self._greeted(link, word, channel))
                yield link
            finally:
                link.close()

    async def _greeted(self, link: Link, word: str, channel: Channel) -> str:
        """Wait for the relay's greeting, and return what was printed before it."""
        try:
            async with asyncio.timeout(GREETING_S):
                return await link.greet(word)
        except TimeoutError as error:
            raise _NoGreeting(f"its relay said nothing within {GREETING_S:g} s", "") from error
        except LinkLost as error:
            words = told(await _last_words(channel.stderr)) or told(error.hint)
            raise _NoGreeting("its relay did not start", words) from error


class _NoGreeting(Exception):
    """A relay did not begin to speak."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.words = words


async def _conversation(channel: Channel, stdin: bytes) -> tuple[bytes, bytes, int | None]:
    """Say what there is to say, and return what was printed and the exit status."""
    try:
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(_tell(channel, stdin))
            stdout = group.create_task(_hear(channel.stdout))
            stderr = group.create_task(_hear(channel.stderr))
            status = await channel.ended()
            telling.cancel()
    except BaseExceptionGroup as errors:
        channel.kill()
        if errors.subgroup(TooMuch) is not None:
            raise TooMuch from errors
        raise
    except asyncio.CancelledError:
        channel.kill()
        raise
    return stdout.result(), stderr.result(), status


async def _tell(channel: Channel, data: bytes) -> None:
    """Hand bytes over and close; a script that reads none of them is no fault."""
    try:
        for start in range(0, len(data), READ_BYTES):
            channel.stdin.write(data[start : start + READ_BYTES])
            await channel.stdin.drain()
        channel.stdin.close()
    except OSError:
        return


async def _hear(reader: Reader) -> bytes:
    said = bytearray()
    while data := await _read(reader):
        said += data
        if len(said) > MAX_SAID_BYTES:
            raise TooMuch
    return bytes(said)


async def _last_words(reader: Reader) -> bytes:
    """Return the end of what is printed there, waiting a little for it."""
    words = bytearray()
    with suppress(TimeoutError):
        async with asyncio.timeout(LEAVE_S):
            while data := await _read(reader):
                words += data
                del words[:-LAST_WORDS_BYTES]
    return bytes(words)


async def _read(reader: Reader) -> bytes:
    try:
        return await reader.read(READ_BYTES)
    except (OSError, EOFError):
        return b""
