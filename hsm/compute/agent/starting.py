"""The agent as its relay sees it: whether one runs, how one is started, and what it says."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from enum import Enum
from typing import List, NamedTuple, Optional

from hsm.compute.agent.host import Host
from hsm.compute.agent.preparing import environment_of
from hsm.compute.agent.relay import Refusal
from hsm.wire.files import Files
from hsm.wire.log import LogReader
from hsm.wire.messages import Opened, UnknownMessage, from_record

READY_S = 20.0
LAST_WORDS_BYTES = 4096
LAST_WORDS_LENGTH = 200
BELL = b"!"
OF_THE_LOGIN = ("SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "SSH_AUTH_SOCK", "SSH_ORIGINAL_COMMAND")
"""What a login shell knows of its connection, which attempts outlive."""


class Heard(Enum):
    """What was heard of an agent: nothing, that it has something to say, or that it has gone."""

    NOTHING = "nothing"
    BELL = "bell"
    END = "end"


class Post(NamedTuple):
    """Where an agent works: the sweep's directory on this host, its own, and the log of what it prints."""

    sweep: str
    home: str
    log: str


def own_program() -> "List[str]":
    """Return the command that runs this program again."""
    if sys.argv[0].endswith(".pyz"):
        return [sys.executable, "-I", os.path.abspath(sys.argv[0])]
    return [sys.executable, "-P", "-m", "hsm.compute.agent"]


class AgentLine:
    """The line to the agent of one source of one sweep. `bell` is its socket, None when there is no agent."""

    def __init__(self, host: Host, post: Post) -> None:
        self.bell: Optional[socket.socket] = None
        self._host = host
        self._files = host.files
        self._post = post
        self._child: Optional["subprocess.Popen[bytes]"] = None
        self._heard = 0
        """So long was the agent's log before the last one was started."""

    def opened(self) -> Optional[Opened]:
        """Return who the agent is that runs, None when none does."""
        logs = self._files.matching(os.path.join(self._post.home, "records"), ".log")
        first = next(LogReader(self._files, logs[-1]).records(), None) if logs else None
        try:
            opened = from_record(first) if first else None
        except UnknownMessage:
            return None  # of another version; the lock keeps a second one out where it lives
        if not isinstance(opened, Opened) or opened.boot != self._host.boot():
            return None
        return opened if self._host.start_of(opened.pid) == opened.start else None

    def bring_up(self) -> Opened:
        """Connect to the agent that runs, or else start one and connect to it.

        Raises:
            Refusal: no agent can be started.
        """
        self.hang_up()
        for is_last in (False, False, True):  # the first one started may meet an agent that is just leaving
            opened = self.opened()
            if opened is not None and self._connect(opened.socket):
                self.ring()
                return opened
            if not is_last:
                self._start()
        words = self.last_words()
        raise Refusal(f"its agent does not answer: {words}" if words else "its agent does not answer")

    def _connect(self, address: str) -> bool:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.connect(address)
        except OSError:
            line.close()
            return False
        line.setblocking(False)
        self.bell = line
        return True

    def last_words(self) -> str:
        """Return the last line that the last agent printed, cut short; empty when it said nothing."""
        return last_words(self._files, self._post.log, self._heard)

    def _start(self) -> None:
        """Start an agent and wait until it listens, or has given up."""
        log = self._post.log
        self._heard = self._files.length(log) if self._files.is_file(log) else 0
        made = environment_of(self._files, self._post.home) or self._host.environment()
        ready, keep = os.pipe()
        try:
            with open(log, "ab") as said:
                self._child = subprocess.Popen(
                    [*own_program(), "--ready", str(keep), self._post.sweep, self._post.home],
                    cwd="/",
                    env={name: value for name, value in made.items() if name not in OF_THE_LOGIN},
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    pass_fds=(keep,),
                    start_new_session=True,  # it outlives the channel, and this process
                )
        except OSError as error:
            os.close(ready)
            raise Refusal(f"its agent cannot be started: {error}") from error
        finally:
            os.close(keep)
        try:
            select.select([ready], [], [], READY_S)  # ends when the agent closes its end
        finally:
            os.close(ready)

    def ring(self) -> None:
        """Tell the agent to look at its inbox."""
        if self.bell is not None:
            try:
                self.bell.send(BELL)
            except OSError:
                return  # it has enough to read, or it has gone and will be noticed as such

    def heard(self) -> Heard:
        """Return what the agent has said since."""
        if self.bell is None:
            return Heard.NOTHING
        try:
            return Heard.BELL if self.bell.recv(4096) else Heard.END
        except BlockingIOError:
            return Heard.NOTHING
        except OSError:
            return Heard.END

    def hang_up(self) -> None:
        """Let go of the agent, and of the process that it was if it has ended."""
        if self.bell is not None:
            self.bell.close()
            self.bell = None
        if self._child is not None:
            self._child.poll()


def last_words(files: Files, log: str, start: int) -> str:
    """Return the last line that stands in a log behind byte `start`, cut short; empty when there is none."""
    try:
        tail = files.read(log, max(start, files.length(log) - LAST_WORDS_BYTES))
    except OSError:
        return ""
    lines = [line.strip() for line in tail.decode("utf-8", "replace").splitlines() if line.strip()]
    said = lines[-1] if lines else ""
    return "".join(letter if letter.isprintable() else "?" for letter in said)[:LAST_WORDS_LENGTH]
