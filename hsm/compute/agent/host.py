"""The machine under the agent: clock, files, processes and what is known of them. A simulator replaces it."""

from __future__ import annotations

import ctypes
import os
import platform
import resource  # noqa: F401 - `os.wait4` would import it when no descriptor may be left
import secrets
import select
import signal
import subprocess
import sys
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

from hsm.compute.agent.worker import Errand, Worker
from hsm.wire.files import Files
from hsm.wire.process import SMALL_BYTES, boot_id, start_of, stat_fields

_PR_SET_CHILD_SUBREAPER = 36
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
_OUTPUTS = (
    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, "stdout.log", _NEW, 0o644),
    (os.POSIX_SPAWN_OPEN, 2, "stderr.log", _NEW, 0o644),
)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICK_HZ = os.sysconf("SC_CLK_TCK")
REPORTS_FD = 3
"""Where a process that serves batches tells how their members ended."""


class Exited(NamedTuple):
    """A child that ended. `status` is the wait status, times in seconds, memory in bytes."""

    pid: int
    status: int
    user_s: float
    system_s: float
    rss_bytes: int


class Spoken(NamedTuple):
    """A process that is spoken with: it reads what is written to `orders`; `reports` reads what it tells."""

    pid: int
    orders: int
    reports: int


class Usage(NamedTuple):
    """What a process has used up to now: processor time of itself and its children in s, memory in bytes."""

    user_s: float
    system_s: float
    rss_bytes: int


class Host:
    """The real machine."""

    def __init__(self) -> None:
        self.files = Files()
        self._children: Set[int] = set()
        self._list: Optional[int] = None  # of our children; kept open, it is read after every attempt

    def now(self) -> float:
        """Return the wall clock, seconds since the epoch; for records only."""
        return time.time()

    def monotonic(self) -> float:
        """Return the clock that limits run by."""
        return time.monotonic()

    def sleep(self, delay_s: float) -> None:
        """Wait for a time; only ever in a thread of its own."""
        time.sleep(delay_s)

    def worker(self, name: str, wake: Callable[[], None]) -> Worker:
        """Start a thread for the agent's loop."""
        return Worker(name, wake)

    def errand(self, function: Callable[[], Any]) -> Errand:
        """Run one function beside the loop."""
        return Errand(function)

    def pid(self) -> int:
        """Return the agent's own process."""
        return os.getpid()

    def name(self) -> str:
        """Return the host's name."""
        return platform.node()

    def python(self) -> str:
        """Return the version of the agent's interpreter."""
        return sys.version.split()[0]

    def machine(self) -> Dict[str, Any]:
        """Return what kind of machine this is."""
        return {
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
        }

    def cpus(self) -> int:
        """Return how many processors this process may use."""
        try:
            return len(os.sched_getaffinity(0))
        except AttributeError:  # not Linux
            return os.cpu_count() or 1

    def word(self) -> str:
        """Return a word that nobody else makes up."""
        return secrets.token_hex(8)

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

    def spawn(self, argv: List[str], directory: str, environment: Dict[bytes, bytes]) -> int:
        """Start a program in a session of its own, its output in new files there, and return its pid.

        The working directory of the agent itself changes: nothing here may rely on a relative path.

        Raises:
            OSError: it cannot be started.
        """
        return self._spawn(argv, directory, environment, _OUTPUTS)

    def spawn_spoken(self, argv: List[str], directory: str, environment: Dict[bytes, bytes]) -> Spoken:
        """Start a program as `spawn` does, and be able to speak with it; neither end here ever blocks.

        Raises:
            OSError: it cannot be started.
        """
        theirs, orders = os.pipe2(os.O_CLOEXEC)
        reports, tells = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(orders, False)
        os.set_blocking(reports, False)
        actions = (
            (os.POSIX_SPAWN_DUP2, theirs, 0),
            *_OUTPUTS[1:],
            (os.POSIX_SPAWN_DUP2, tells, REPORTS_FD),
        )
        try:
            pid = self._spawn(argv, directory, environment, actions)
        except BaseException:
            os.close(orders)
            os.close(reports)
            raise
        finally:
            os.close(theirs)
            os.close(tells)
        return Spoken(pid, orders, reports)

    def _spawn(
        self, argv: List[str], directory: str, environment: Dict[bytes, bytes], actions: Tuple[Any, ...]
    ) -> int:
        os.chdir(directory)
        start = os.posix_spawn if os.sep in argv[0] else os.posix_spawnp
        pid = start(
            argv[0],
            argv,
            environment,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
        )
        self._children.add(pid)
        return pid

    def reap(self) -> Iterator[Exited]:
        """Yield every child that has ended; what is left in its process group is killed first."""
        while True:
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if info is None:
                return
            if info.si_pid in self._children:  # not an orphan of a program that still runs
                self.signal_group(info.si_pid, signal.SIGKILL)
            pid, status, usage = os.wait4(info.si_pid, 0)
            self._children.discard(pid)
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
        for pid in _pids():
            stat = stat_fields(pid)
            if stat and stat[3] == str(session) and stat[2] != str(session):  # once to each
                _signal(pid, signum)

    def memory(self, sessions: Set[int]) -> Dict[int, int]:
        """Return the resident memory of each session, in bytes."""
        used = dict.fromkeys(sessions, 0)
        for pid in _pids():
            stat = stat_fields(pid)
            if stat and int(stat[3]) in used:
                used[int(stat[3])] += int(stat[21]) * _PAGE_BYTES
        return used

    def usage(self, pid: int) -> Usage:
        """Return what a process has used, nothing when there is no such process."""
        stat = stat_fields(pid)
        if not stat:
            return Usage(0.0, 0.0, 0)
        user, system, of_children, system_of_children = map(int, stat[11:15])
        return Usage(
            (user + of_children) / _TICK_HZ,
            (system + system_of_children) / _TICK_HZ,
            int(stat[21]) * _PAGE_BYTES,
        )

    def say(self, fd: int, data: bytes) -> int:
        """Write to a process that is spoken with; return how much of it has gone, all of it to nobody."""
        try:
            return os.write(fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)  # it has gone, which its end tells

    def hear(self, fd: int) -> Optional[bytes]:
        """Return what a process has said since, None when it can say nothing more."""
        try:
            return os.read(fd, SMALL_BYTES) or None
        except BlockingIOError:
            return b""

    def hang_up(self, fd: int) -> None:
        """Close an end of what a process is spoken with by."""
        os.close(fd)

    def strays(self) -> List[int]:
        """Return the children that nobody started here: orphans of programs."""
        try:
            if self._list is None:
                self._list = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY | os.O_CLOEXEC)
            children = os.pread(self._list, SMALL_BYTES, 0)
        except OSError:
            return []
        return [pid for pid in map(int, children.split()) if pid not in self._children]

    def group_of(self, pid: int) -> int:
        """Return the process group of a process, 0 when there is no such process."""
        stat = stat_fields(pid)
        return int(stat[2]) if stat else 0

    def command_of(self, pid: int) -> str:
        """Return the name of a process's command, empty when there is no such process."""
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                return file.read().strip()
        except OSError:
            return ""

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
        """Return every process that carries an attempt's token, or one that begins so."""
        return [pid for pid in _pids() if pid != os.getpid() and (self.token_of(pid) or "").startswith(token)]

    def wait_for(self, pid: int) -> None:
        """Wait until a killed child is gone, and forget it."""
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            return

    def terminate(self, pid: int) -> None:
        """Ask one process to end, which may be gone."""
        _signal(pid, signal.SIGTERM)

    def wait_end(self, pid: int, limit_s: float) -> bool:
        """Wait until a process that is no child of ours has ended; False when it has not by then."""
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        except (OSError, AttributeError):  # an old kernel: it cannot be waited for
            return False
        try:
            return bool(select.select([descriptor], [], [], limit_s)[0])
        finally:
            os.close(descriptor)

    def run(self, argv: List[str], directory: str, environment: Mapping[str, str], limit_s: float) -> int:
        """Run a command to its end in a session of its own, its output thrown away; return its exit code.

        At the limit everything in its process group is killed.

        Raises:
            OSError: it cannot be started.
            TimeoutError: it took longer than `limit_s`.
        """
        with subprocess.Popen(
            argv,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as child:
            try:
                return child.wait(limit_s)
            except subprocess.TimeoutExpired:
                self.signal_group(child.pid, signal.SIGKILL)
                raise TimeoutError(f"it took longer than {limit_s:g} s") from None

    def environment(self) -> Dict[str, str]:
        """Return a copy of the environment of this process."""
        return dict(os.environ)

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
