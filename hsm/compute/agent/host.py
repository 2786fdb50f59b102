"""The machine under the agent: clock, processes, their identity and memory. A simulator replaces it."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import subprocess
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set

from hsm.wire.process import boot_id, start_of, stat_fields

_PR_SET_CHILD_SUBREAPER = 36
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Exited(NamedTuple):
    """A child that ended. `status` is the wait status, times in seconds, memory in bytes."""

    pid: int
    status: int
    user_s: float
    system_s: float
    rss_bytes: int


class Host:
    """The real machine."""

    def __init__(self) -> None:
        self._children: Dict[int, Any] = {}

    def now(self) -> float:
        """Return the wall clock, seconds since the epoch; for records only."""
        return time.time()

    def monotonic(self) -> float:
        """Return the clock that limits run by."""
        return time.monotonic()

    def sleep(self, delay_s: float) -> None:
        """Wait for a time; only ever in a thread of its own."""
        time.sleep(delay_s)

    def name(self) -> str:
        """Return the host's name."""
        return platform.node()

    def boot(self) -> str:
        """Return what distinguishes this boot of the machine from every other."""
        return boot_id()

    def start_of(self, pid: int) -> Optional[str]:
        """Return when a process began, in the kernel's ticks; None when there is no such process."""
        return start_of(pid)

    def become_subreaper(self) -> None:
        """Ask that orphans of our children become our children, so that a daemon cannot slip away."""
        try:
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        except (OSError, AttributeError):
            return  # not Linux: daemons that leave their process group are not found

    def spawn(
        self, argv: List[str], directory: str, environment: Dict[bytes, bytes], stdout: int, stderr: int
    ) -> int:
        """Start a program in a session of its own and return its pid.

        Raises:
            OSError: it cannot be started.
        """
        child = subprocess.Popen(
            argv,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            close_fds=False,
        )
        self._children[child.pid] = child
        return child.pid

    def reap(self) -> Iterator[Exited]:
        """Yield every child that has ended; what is left in its process group is killed first."""
        while True:
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if info is None:
                return
            self.signal_group(info.si_pid, signal.SIGKILL)
            pid, status, usage = os.wait4(info.si_pid, 0)
            child = self._children.pop(pid, None)
            if child is not None:
                child.returncode = status  # we have waited for it, Popen must not
            yield Exited(pid, status, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024)

    def signal_group(self, pid: int, signum: int) -> None:
        """Send a signal to a process group that may be gone."""
        try:
            os.killpg(pid, signum)
        except (ProcessLookupError, PermissionError):
            return

    def signal_session(self, session: int, signum: int) -> None:
        """Send a signal to every process of a session, whatever groups it has made."""
        self.signal_group(session, signum)
        for pid in self.members(session):
            _signal(pid, signum)

    def members(self, session: int) -> List[int]:
        """Return the living processes of a session."""
        return [pid for pid in _pids() if (stat_fields(pid) or [""] * 4)[3] == str(session)]

    def memory(self, sessions: Set[int]) -> Dict[int, int]:
        """Return the resident memory of each session, in bytes."""
        used = dict.fromkeys(sessions, 0)
        for pid in _pids():
            stat = stat_fields(pid)
            if stat and int(stat[3]) in used:
                used[int(stat[3])] += int(stat[21]) * _PAGE_BYTES
        return used

    def strays(self) -> List[int]:
        """Return the children that nobody started here: orphans of programs."""
        try:
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
                return [pid for pid in map(int, file.read().split()) if pid not in self._children]
        except OSError:
            return []

    def token_of(self, pid: int) -> Optional[str]:
        """Return the attempt token in a process's environment, None when there is none to be read."""
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                entries = file.read().split(b"\0")
        except OSError:
            return None
        for entry in entries:
            if entry.startswith(b"HSM_TOKEN="):
                return entry[10:].decode("ascii", "replace")
        return None

    def bearers(self, token: str) -> List[int]:
        """Return every process that carries an attempt's token."""
        return [pid for pid in _pids() if pid != os.getpid() and self.token_of(pid) == token]

    def wait_for(self, pid: int) -> None:
        """Wait until a killed child is gone, and forget it."""
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            return

    def kill(self, pid: int) -> None:
        """Kill one process that may be gone."""
        _signal(pid, signal.SIGKILL)


def _signal(pid: int, signum: int) -> None:
    try:
        os.kill(pid, signum)
    except (ProcessLookupError, PermissionError):
        return


def _pids() -> List[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
