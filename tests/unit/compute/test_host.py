"""The agent's machine: signals, strays, and losing what a dead agent left."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from hsm.compute.agent.bell import Bell
from hsm.compute.agent.host import Host
from hsm.compute.agent.pool import Pool
from hsm.compute.agent.records import Records
from hsm.compute.agent.room import Reserve
from hsm.compute.agent.slots import Slots
from hsm.wire.files import Files
from hsm.wire.log import LogReader, LogWriter
from hsm.wire.messages import Lost

# A real-time signal is queued, so each one that was sent can be counted. The child is in a group of its own.
COUNTING = """
import os, signal, sys
QUEUED = {40}
signal.pthread_sigmask(signal.SIG_BLOCK, QUEUED)
reading, writing = os.pipe()
child = os.fork()
if not child:
    os.setpgid(0, 0)
print("ready", flush=True)
if child:
    sys.stdin.readline()
    os.close(writing)
else:
    os.close(writing)
    os.read(reading, 1)
count = 0
while signal.sigtimedwait(QUEUED, 0):
    count += 1
os.write(1, b"%d\\n" % count)
if child:
    os.waitpid(child, 0)
"""


def test_each_process_of_a_session_is_signalled_once() -> None:
    """Whatever groups it has made, every process of a session gets one signal."""
    argv = [sys.executable, "-I", "-S", "-c", COUNTING]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert [program.stdout.readline() for _ in range(2)] == ["ready\n"] * 2
        Host().signal_session(program.pid, 40)
        program.stdin.close()
        assert program.stdout.read().split() == ["1", "1"]


def test_a_signal_to_nobody_is_no_error() -> None:
    """A session that has ended is left as it is."""
    with subprocess.Popen(["true"], start_new_session=True) as program:
        program.wait()
    Host().signal_session(program.pid, signal.SIGTERM)
    Host().kill(program.pid)
    assert (Host().command_of(program.pid), Host().group_of(program.pid)) == ("", 0)


class ForkingHost(Host):
    """A machine on which killed processes have just forked, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.families = [[1001, 1002], [1002, 1003], [1003]]
        self.killed: list[int] = []

    def bearers(self, token: str) -> list[int]:
        return self.families.pop(0) if self.families else []

    def kill(self, pid: int) -> None:
        self.killed.append(pid)


def losing(host: Host, path: Path, wake: Callable[[], None]) -> list[str]:
    """Lose one attempt and return the kinds of the records that this leaves."""
    records = Records(
        host,
        lambda: LogWriter.create(Files(), str(path), {"t": "opened"}),
        wake,
        Reserve(Files(), f"{path}.reserve"),
    )
    Slots(host, str(path.parent), records, wake, Pool(host, str(path.parent), Bell(None))).lose(
        "a" * 32, "its agent died"
    )
    records.close()
    return [record["t"] for record in LogReader(Files(), str(path)).records()]


def test_a_lost_attempt_is_killed_until_nothing_is_left(tmp_path: Path) -> None:
    """What forks while it is being killed is killed too, each process once, and the loss is told once."""
    host = ForkingHost()
    kinds = losing(host, tmp_path / "000001.log", lambda: None)
    assert host.killed == [1001, 1002, 1003]
    assert kinds == ["opened", "lost"]


def test_an_immortal_process_does_not_hold_the_agent_up(tmp_path: Path) -> None:
    """A process that does not die (it waits for a disk) is signalled once and left."""

    class Immortal(ForkingHost):
        def bearers(self, token: str) -> list[int]:
            return [os.getpid()]

    host = Immortal()
    assert losing(host, tmp_path / "000001.log", lambda: None) == ["opened", "lost"]
    assert host.killed == [os.getpid()]


def test_records_are_written_while_nothing_new_can_begin(tmp_path: Path) -> None:
    """That a program cannot be started for lack of room says nothing about the log."""
    path = str(tmp_path / "records.log")
    log = LogWriter.create(Files(), path, {"t": "opened"})
    records = Records(Host(), lambda: log, lambda: None, Reserve(Files(), str(tmp_path / "reserve")))
    records.wait_for_room(OSError("too many processes"))
    assert records.is_stuck
    records.add(Lost("t", "gone", 1.0))
    records.flush()
    records.close()
    assert [record["t"] for record in LogReader(Files(), path).records()] == ["opened", "hindered", "lost"]


def test_a_daemon_of_a_running_program_is_left_alone(tmp_path: Path) -> None:
    """An orphan that becomes our child and ends is waited for; what it left running is not killed."""
    script = (
        "import os, sys, time\nif os.fork() == 0:\n    print(os.getpid(), flush=True)\n    time.sleep(1000)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], start_new_session=True, stdout=subprocess.PIPE, text=True
    ) as leader:
        assert leader.stdout is not None
        daemon = int(leader.stdout.readline())
        os.waitid(os.P_PID, leader.pid, os.WEXITED | os.WNOWAIT)
        reaped = [exited.pid for exited in Host().reap()]
        leader.returncode = 0
        try:
            assert reaped == [leader.pid]
            os.kill(daemon, 0)
        finally:
            os.kill(daemon, signal.SIGKILL)
            leader.stdout.close()
