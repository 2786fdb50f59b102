"""One attempt: its directory, environment and start, and the exit record at its end."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import List, NamedTuple, Optional, Tuple

from hsm.compute.agent.host import Exited, Host
from hsm.compute.agent.place import (
    NO_ROOM,
    NoRoom,
    cannot_start,
    claim,
    common_variables,
    furnish,
    variables_of,
)
from hsm.wire.messages import Ended, Hello, Run

CANNOT_START = 127
OUT_OF_TIME = 124  # what `timeout` exits with, and programs that watch HSM_DEADLINE


class Running(NamedTuple):
    """An attempt whose program runs, or could not be started (`fault`).

    `daemons` are the commands that had left its process group and were killed at its end; `members` is how
    many share the process, itself included; `room_bytes` is how much the disk still took when it began, 0
    where that is not known.
    """

    run: Run
    directory: str
    pid: int
    started_at: float
    started_monotonic: float
    gpus: List[str]
    hello: Hello
    fault: str = ""
    daemons: Tuple[str, ...] = ()
    members: int = 1
    room_bytes: int = 0


class Verdict(NamedTuple):
    """What the agent itself knows about why an attempt ended; `cause` None leaves it to the exit status."""

    cause: Optional[str]
    reason: str


NO_VERDICT = Verdict(None, "")


def launch(
    host: Host, sweep_dir: str, hello: Hello, run: Run, gpus: List[str], *, is_again: bool = False
) -> Running:
    """Make the attempt's directory and start its program.

    The directory is the claim: who finds it there may be sure that the attempt has begun, unless `is_again`:
    it found no room here before, not even to be cleared away.

    Raises:
        FileExistsError: the attempt has been claimed before.
        NoRoom: it has not begun, and may later.
    """
    directory = claim(host.files, sweep_dir, run, is_again=is_again)
    at, monotonic = host.now(), host.monotonic()
    pid, fault, room_bytes = -1, "", 0
    try:
        room_bytes = host.files.free_bytes(directory)
        furnish(host.files, directory, run)
        variables = variables_of(run, directory, sweep_dir=sweep_dir, gpus=gpus, at=at)
        pid = host.spawn(run.argv, directory, {**common_variables(hello), **variables})
    except OSError as error:
        if error.errno in NO_ROOM:
            with contextlib.suppress(OSError):
                host.files.remove_tree(directory)
            raise NoRoom(error.errno, error.strerror, directory) from error
        fault = cannot_start(host.files, directory, run.argv, error)
    except ValueError as error:  # a NUL in the command, a variable that no environment can hold
        fault = f"cannot start {run.argv[0]}: {error}"
    return Running(run, directory, pid, at, monotonic, gpus, hello, fault, room_bytes=room_bytes)


def exit_record(host: Host, running: Running, exited: Optional[Exited], verdict: Verdict) -> Ended:
    """Return the exit record of an attempt, its report still missing. Without an exit it never started."""
    if exited is None:
        exited, verdict = Exited(-1, CANNOT_START << 8, 0.0, 0.0, 0), Verdict("application", running.fault)
    code = os.WEXITSTATUS(exited.status) if os.WIFEXITED(exited.status) else None
    signum = os.WTERMSIG(exited.status) if os.WIFSIGNALED(exited.status) else None
    if code == OUT_OF_TIME and running.run.timeout_s is not None and verdict.cause is None:
        verdict = Verdict("time", f"it stopped itself before its time limit (exit code {code})")
    return Ended(
        token=running.run.token,
        code=code,
        signal=signum,
        started_at=running.started_at,
        at=host.now(),
        wall_s=round(max(0.0, host.monotonic() - running.started_monotonic), 6),
        user_s=round(exited.user_s, 6),
        system_s=round(exited.system_s, 6),
        rss_bytes=exited.rss_bytes,
        report=None,
        files=0,
        bytes=0,
        cause=verdict.cause or ("application" if exited.status else None),
        reason=verdict.reason or _reason(code, signum),
    )


def words_of(status: int) -> str:
    """Return a wait status in words."""
    if os.WIFSIGNALED(status):
        return _reason(None, os.WTERMSIG(status))
    return f"exit code {os.WEXITSTATUS(status)}"


def _reason(code: Optional[int], signum: Optional[int]) -> str:
    if signum is not None:
        name = signal.Signals(signum).name if signum in set(signal.Signals) else "a real-time signal"
        return f"killed by signal {signum} ({name})"
    return f"exit code {code}" if code else ""
