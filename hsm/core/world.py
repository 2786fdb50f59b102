"""Everything outside of the program that core and compute may touch, as one object that a simulator replaces.

Clocks, randomness, the file system, sockets, processes, and the threads for blocking work. A test
forbids the direct calls elsewhere.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import platform
import secrets
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import ParamSpec, TypeVar

from hsm.core.sockets import Sockets
from hsm.core.threads import Call, Threads
from hsm.wire import process
from hsm.wire.files import Files

P = ParamSpec("P")
T = TypeVar("T")

BLOCKING_THREADS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One process on one boot of one host."""

    host: str
    boot: str
    pid: int
    start: str


class World:
    """The real world."""

    def __init__(self) -> None:
        self.files = Files()
        self.sockets = Sockets(self.files)
        self._threads: Threads | None = None
        self._detached: list[subprocess.Popen[bytes]] = []

    def now(self) -> float:
        """Return the wall clock, seconds since the epoch. For records, never for decisions."""
        return time.time()

    def monotonic(self) -> float:
        """Return the clock that decisions may use."""
        return time.monotonic()

    async def sleep(self, delay_s: float) -> None:
        """Wait for a time, never for a state."""
        await asyncio.sleep(delay_s)

    def token(self) -> str:
        """Return 128 random bits as 32 hex digits."""
        return secrets.token_hex(16)

    def rng(self, *seed: object) -> Random:
        """Return a generator that is a function of its seed alone."""
        text = " ".join(map(str, seed))
        return Random(int.from_bytes(sha256(text.encode()).digest()[:16], "big"))

    async def blocking(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function that blocks in one of the threads that are there for it."""
        result: T = await self._submit(function, *args, **kwargs).future
        return result

    async def blocking_to_its_end(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function that blocks; when cancelled, let it finish before the cancellation goes on."""
        call = self._submit(function, *args, **kwargs)
        try:
            result: T = await call.future
        except asyncio.CancelledError:
            if call.future.cancelled():
                await call.end()
            raise
        return result

    def _submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Call:
        if self._threads is None:
            self._threads = Threads(BLOCKING_THREADS)
        return self._threads.submit(partial(function, *args, **kwargs))

    def close(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.close()
            self._threads = None
        for child in self._detached:
            child.returncode = child.poll() or 0  # it outlives us on purpose
        self._detached.clear()

    def identity(self) -> Identity:
        """Return who this process is."""
        pid = os.getpid()
        start = process.start_of(pid) or ""
        return Identity(host=platform.node(), boot=process.boot_id(), pid=pid, start=start)

    def is_alive(self, who: Identity) -> bool | None:
        """Tell whether a process lives; None when it is on another host and cannot be asked."""
        if who.host != platform.node():
            return None
        return who.boot == process.boot_id() and process.start_of(who.pid) == who.start

    def is_running(self, host: str, boot: str, pid: int, start: str) -> bool:
        """Tell whether a process of this host, known by all of its marks, lives."""
        return self.is_alive(Identity(host=host, boot=boot, pid=pid, start=start)) is True

    def user(self) -> str:
        """Return the name of the user."""
        try:
            return getpass.getuser()
        except (KeyError, OSError):
            return str(os.getuid())

    def environment(self) -> dict[str, str]:
        """Return a copy of the process environment."""
        return dict(os.environ)

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = 60,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a short command to its end and return what it printed. Blocks.

        Raises:
            OSError: it cannot be started.
            subprocess.TimeoutExpired: it took longer than `timeout_s`.
        """
        return subprocess.run(
            list(argv),
            cwd=cwd,
            env=dict(environment) if environment is not None else None,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=timeout_s,
        )

    async def converse(self, argv: Sequence[str]) -> asyncio.subprocess.Process:
        """Start a process to talk with over three pipes; the terminal and its signals are not its business.

        Raises:
            OSError: it cannot be started.
        """
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )

    def spawn_detached(
        self, argv: Sequence[str], *, environment: Mapping[str, str], log: Path, keep: Sequence[int] = ()
    ) -> int:
        """Start a process that outlives this one, its output appended to `log`, and return its pid."""
        with log.open("ab") as output:
            child = subprocess.Popen(
                list(argv),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=tuple(keep),
                start_new_session=True,
            )
        self._detached.append(child)
        return child.pid
