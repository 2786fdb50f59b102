"""How a host is reached: the interface that hides SSH, OpenSSH's shared connections and, in tests, a pipe.

A `Reach` opens nothing. A `Connection` is one connection to one host: it runs small scripts there and starts
relays, each of which is a `Link`. Everything that it returns was said by the host and is worth no trust.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from hsm.compute.link import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What a script on a host came to. `noise` is what the login shell printed around it."""

    code: int
    stdout: bytes
    stderr: bytes
    noise: str = ""


class Connection(ABC):
    """One connection to one host, open for as long as its context is."""

    root: str
    """HSM's directory on the host, absolute."""
    python: str
    """The interpreter there, 3.9 or newer, that runs the relay and the agent."""
    python_version: str = ""
    noise: str = ""
    """What was printed there that nobody asked for: by startup files, before scripts and relays."""

    @abstractmethod
    async def run(self, script: str, *, stdin: bytes = b"", timeout_s: float) -> Completed:
        """Run a script of a POSIX shell in a login shell, and return how it ended and what it printed.

        Raises:
            SourceError: the connection was lost or the time ran out (transient): whether the script ran to
                its end is not known.
        """

    @abstractmethod
    def relay(self, *arguments: str) -> AbstractAsyncContextManager[Link]:
        """Start a relay in the context, shipping the agent's program where it lacks, and yield its link.

        The caller runs `Link.run` in a task of its own. Leaving the context ends the relay.

        Args:
            arguments: what follows `relay ROOT WORD` on its command line.

        Raises:
            SourceError: it did not start, or its channel could not be opened.
        """


class Reach(ABC):
    """How one host is reached."""

    name: str
    """The source's name, for errors."""

    @abstractmethod
    def connected(self) -> AbstractAsyncContextManager[Connection]:
        """Connect, and stay connected in the context.

        Raises:
            SourceError: the host could not be reached (transient), or it, its key, the login or its Python is
                such that trying again changes nothing; the hint says what to do.
        """
