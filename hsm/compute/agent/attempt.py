"""One attempt: its directory, environment and start, and the exit record at its end."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
from typing import Dict, List, NamedTuple, Optional, Tuple

from hsm.compute.agent.host import Exited, Host
from hsm.wire.files import Files
from hsm.wire.messages import Ended, Hello, Run
from hsm.wire.names import task_id
from hsm.wire.yaml_text import yaml_lines

CANNOT_START = 127
OUT_OF_TIME = 124  # what `timeout` exits with, and programs that watch HSM_DEADLINE


class Running(NamedTuple):
    """An attempt whose program runs, or could not be started (`fault`).

    `daemons` are the commands that had left its process group and were killed at its end; `room_bytes` is how
    much the disk still took when it began, 0 where that is not known.
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
    room_bytes: int = 0


NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EAGAIN})


class NoRoom(OSError):
    """The machine lacks something for now (space, descriptors, processes); it can be tried again later."""


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
    directory = os.path.join(sweep_dir, run.directory)
    try:
        host.files.make_directory(directory)
    except FileExistsError:
        if not is_again:
            raise
        _make_anew(host.files, directory)
    except OSError as error:
        raise NoRoom(error.errno, error.strerror, directory) from error
    at, monotonic = host.now(), host.monotonic()
    pid, fault, room_bytes = -1, "", 0
    try:
        room_bytes = host.files.free_bytes(directory)
        host.files.make_directory(os.path.join(directory, "results"))
        params = yaml_lines(json.loads(run.params)).encode("utf-8")
        host.files.write_new(os.path.join(directory, "params.yaml"), params)
        variables = _variables(run, directory, sweep_dir=sweep_dir, gpus=gpus, at=at)
        pid = host.spawn(run.argv, directory, {**_common(hello), **variables})
    except OSError as error:
        if error.errno in NO_ROOM:
            with contextlib.suppress(OSError):
                host.files.remove_tree(directory)
            raise NoRoom(error.errno, error.strerror, directory) from error
        fault = _cannot_start(host.files, directory, run.argv, error)
    except ValueError as error:  # a NUL in the command, a variable that no environment can hold
        fault = f"cannot start {run.argv[0]}: {error}"
    return Running(run, directory, pid, at, monotonic, gpus, hello, fault, room_bytes=room_bytes)


def _make_anew(files: Files, directory: str) -> None:
    try:
        files.remove_tree(directory)
        files.make_directory(directory)
    except OSError as error:
        raise NoRoom(error.errno, error.strerror, directory) from error


def _variables(run: Run, directory: str, *, sweep_dir: str, gpus: List[str], at: float) -> Dict[bytes, bytes]:
    task, place = task_id(run.task), os.fsencode(directory)
    deadline = "" if run.timeout_s is None else f"{at + run.timeout_s:.3f}"
    return {
        b"HSM_TASK_ID": task.encode(),
        b"HSM_ATTEMPT": b"%d" % run.attempt,
        b"HSM_TOKEN": run.token.encode(),
        b"HSM_CONFIG_HASH": run.config_hash.encode(),
        b"HSM_SEED": b"%d" % run.seed,
        b"HSM_PARAMS": place + b"/params.yaml",
        b"HSM_RESULTS": place + b"/results",
        b"HSM_DEADLINE": deadline.encode(),
        b"HSM_CHECKPOINT": os.fsencode(f"{sweep_dir}/.hsm/checkpoints/{task}"),
        b"CUDA_VISIBLE_DEVICES": os.fsencode(",".join(gpus)),
        b"PWD": place,
    }


_COMMON: Dict[int, Tuple[Hello, Dict[bytes, bytes]]] = {}


def _common(hello: Hello) -> Dict[bytes, bytes]:
    """Return the variables of every attempt of an epoch, encoded once."""
    known = _COMMON.get(hello.epoch)
    if known is None or known[0] is not hello:
        said = {**hello.variables, "HSM_PROJECT": hello.project}
        encoded = {os.fsencode(name): os.fsencode(value) for name, value in said.items()}
        known = _COMMON[hello.epoch] = (hello, {**os.environb, **encoded})
    return known[1]


def _cannot_start(files: Files, directory: str, argv: List[str], error: OSError) -> str:
    program = argv[0] if argv else ""
    is_there = os.sep in program and files.is_file(os.path.join(directory, program))
    if error.errno == errno.ENOENT and is_there:
        return f"cannot start {program}: the interpreter that its first line names is not there"
    if error.errno == errno.ENOENT and error.filename in (program, None):
        return f"program not found: {program}"
    if error.errno == errno.EACCES:
        return f"program is not executable: {program}"
    return f"cannot start {program}: {error.strerror or error}"


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


def _reason(code: Optional[int], signum: Optional[int]) -> str:
    if signum is not None:
        name = signal.Signals(signum).name if signum in set(signal.Signals) else "a real-time signal"
        return f"killed by signal {signum} ({name})"
    return f"exit code {code}" if code else ""
