"""One attempt: its directory, environment and start; its exit record and provenance report at the end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from functools import lru_cache
from typing import Any, Dict, List, NamedTuple, Optional, Tuple
from weakref import WeakKeyDictionary

from hsm.compute.agent.host import Exited, Host
from hsm.compute.agent.place import (
    NO_ROOM,
    NoRoom,
    cannot_start,
    check_room,
    claim,
    common_variables,
    furnish,
    variables_of,
)
from hsm.wire import manifest
from hsm.wire.files import Files
from hsm.wire.hashing import sha256_hex
from hsm.wire.instants import timestamp
from hsm.wire.messages import Ended, Hello, Run
from hsm.wire.names import task_id

CANNOT_START = 127
OUT_OF_TIME = 124  # what `timeout` exits with, and programs that watch HSM_DEADLINE
MAX_PROGRAM_REPORT_BYTES = 1 << 20
_REPORTED = (
    "LANG",
    "LC_ALL",
    "TZ",
    "PATH",
    "CONDA_PREFIX",
    "VIRTUAL_ENV",
    "LOADEDMODULES",
    "OMP_NUM_THREADS",
)


class Running(NamedTuple):
    """An attempt whose program runs, or could not be started (`fault`).

    `daemons` are the commands that had left its process group and were killed at its end; `members` is how
    many share the process, itself included.
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
    pid, fault = -1, ""
    try:
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
    return Running(run, directory, pid, at, monotonic, gpus, hello, fault)


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


class Closing:
    """The end of an attempt: what it left is hashed, reported, and the exit record made whole.

    Where there is no room for that, all may be called again; what has been hashed is not hashed again.
    """

    def __init__(self, host: Host, running: Running, ended: Ended) -> None:
        self._host = host
        self._running = running
        self._ended = ended
        self._found: Optional[manifest.Found] = None
        self._report: Optional[bytes] = None

    @property
    def token(self) -> str:
        """The attempt's."""
        return self._running.run.token

    def look(self) -> int:
        """Walk the attempt's directory, and return how many bytes will be hashed.

        Raises:
            NoRoom: it cannot be done now.
        """
        if self._report is not None:
            return 0
        try:
            self._found = manifest.find(self._host.files, self._running.directory)
        except OSError as error:
            check_room(error)
            self._found = None  # the directory is gone
        return self._found.bytes if self._found else 0

    def close(self) -> Ended:
        """Hash what was found, write the provenance report, and return the whole exit record.

        Raises:
            NoRoom: it cannot be done now.
        """
        found, running = self._found, self._running
        if found is None:
            gone = "the program removed its own directory, and its results with it"
            return self._failed(gone)
        try:
            if self._report is None:
                self._ended, self._report = _hashed(self._host, running, self._ended, found)
            _write_report(self._host.files, running.directory, self._report, found.reserved)
        except OSError as error:
            check_room(error)
            name = os.path.relpath(error.filename, running.directory) if error.filename else "its results"
            return self._failed(f"{name} cannot be recorded: {error.strerror or error}")
        return self._ended._replace(report=sha256_hex(self._report))

    def _failed(self, reason: str) -> Ended:
        ended = self._ended
        return ended._replace(
            cause=ended.cause or "application", reason=ended.reason or reason, files=0, bytes=0
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


def _hashed(host: Host, running: Running, ended: Ended, found: manifest.Found) -> Tuple[Ended, bytes]:
    """Hash what was found, and return the exit record and the text of the report."""
    entries = manifest.build(host.files, running.directory, found)
    faults = manifest.damaged_hdf5(host.files, running.directory, entries)
    if faults and ended.cause is None:
        ended = ended._replace(cause="application", reason="; ".join(faults))
    size = sum(entry.size for entry in entries)
    content = _report(host, running, ended, found, entries)
    return ended._replace(files=len(entries), bytes=size), content


def _write_report(files: Files, directory: str, report: bytes, reserved: List[str]) -> None:
    for name in reserved:  # the program's own, by now embedded or ignored; maybe a link to elsewhere
        path = os.path.join(directory, name)
        try:
            files.unlink(path)
        except FileNotFoundError:
            continue
        except OSError:  # a directory
            files.remove_tree(path)
    files.write_new(os.path.join(directory, manifest.REPORT), report)


def _report(
    host: Host, running: Running, ended: Ended, found: manifest.Found, entries: List[manifest.Entry]
) -> bytes:
    run = running.run
    own = manifest.REPORT in found.reserved
    program, fault = _program_report(host.files, running.directory) if own else (None, None)
    report: Dict[str, Any] = {
        "task_id": task_id(run.task),
        "attempt": run.attempt,
        "token": run.token,
        "config_hash": run.config_hash,
        "task_key": run.task_key,
        "seed": run.seed,
        "command": run.argv,
        "directory": run.directory,
        "gpus": running.gpus,
        "started_at": timestamp(ended.started_at),
        "ended_at": timestamp(ended.at),
        "exit": {"code": ended.code, "signal": ended.signal},
        "usage": {
            "wall_s": ended.wall_s,
            "cpu_user_s": ended.user_s,
            "cpu_system_s": ended.system_s,
            "max_rss_bytes": ended.rss_bytes,
        },
        "cause": ended.cause,
        "reason": ended.reason,
        "batch": {"id": run.batch, "members": running.members} if run.batch else None,
        "links": found.links,
        "ignored": found.ignored,
        "daemons": running.daemons,
        "program": program,
        "program_fault": fault,
    }
    # What changes is encoded at once, then the list that may be long; the rest is encoded once for all, and
    # the parameters came as JSON.
    artifacts = ",\n".join(
        f'{{"path": {_ENCODE(path)}, "size": {size}, "sha256": "{sha256}"}}' for path, size, sha256 in entries
    )
    text = (
        f'{{{_constant(host, running.hello)},\n{_ENCODE(report)[1:-1]},\n"params": {run.params},\n'
        f'"artifacts": [\n{artifacts}\n]}}\n'
    )
    return text.encode("utf-8")


_ENCODE = json.JSONEncoder().encode


@lru_cache(maxsize=4)
def _machine(host: Host) -> str:
    """Return what every report says of machine and environment, encoded once."""
    variables = host.environment()
    environment = {name: variables[name] for name in _REPORTED if name in variables}
    machine = {"name": host.name(), "boot": host.boot(), **host.machine(), "agent_python": host.python()}
    return f'"environment": {_ENCODE(environment)},\n"host": {_ENCODE(machine)}'


_OF_EPOCH: "WeakKeyDictionary[Host, Dict[int, str]]" = WeakKeyDictionary()


def _constant(host: Host, hello: Hello) -> str:
    """Return what every report of an epoch says, encoded once."""
    said_before = _OF_EPOCH.setdefault(host, {})
    if hello.epoch not in said_before:
        said = {
            "schema": "hsm.provenance.v1",
            "sweep_id": hello.sweep_id,
            "code": hello.program,
            "variables": hello.variables,
        }
        said_before[hello.epoch] = f"{_ENCODE(said)[1:-1]},\n{_machine(host)}"
    return said_before[hello.epoch]


def _program_report(files: Files, directory: str) -> "tuple[Any, Optional[str]]":
    """Return the program's own provenance.json, or why it cannot be embedded."""
    path = os.path.join(directory, manifest.REPORT)
    try:
        text = files.beginning(path, MAX_PROGRAM_REPORT_BYTES + 1)
    except FileNotFoundError:
        return None, None
    except OSError as error:
        check_room(error)
        return None, error.strerror
    if len(text) > MAX_PROGRAM_REPORT_BYTES:
        return None, f"larger than {MAX_PROGRAM_REPORT_BYTES} bytes"
    try:
        return json.loads(text, parse_constant=lambda _: None), None
    except (ValueError, RecursionError) as error:
        return None, f"not JSON: {error}"
