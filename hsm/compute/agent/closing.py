"""The end of an attempt: what it left is looked at, hashed and reported, and its exit record made whole."""

from __future__ import annotations

import contextlib
import json
import os
from functools import lru_cache
from typing import Any, Dict, List, NamedTuple, Optional, Tuple
from weakref import WeakKeyDictionary

from hsm.compute.agent.attempt import Running
from hsm.compute.agent.host import Host
from hsm.compute.agent.place import NoRoom, check_room
from hsm.compute.agent.room import DISK_FULL, room_at
from hsm.compute.agent.starting import last_words
from hsm.wire import manifest
from hsm.wire.files import Files, Kind
from hsm.wire.hashing import sha256_hex
from hsm.wire.instants import timestamp
from hsm.wire.messages import Ended, Hello, Lost
from hsm.wire.names import task_id

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


class Starved(NamedTuple):
    """An attempt failed on a full disk: `is_own` when it, and what ran beside it, had filled it."""

    reason: str
    is_own: bool


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

    @property
    def directory(self) -> str:
        """The attempt's."""
        return self._running.directory

    @property
    def began(self) -> float:
        """When its program began, by the monotonic clock."""
        return self._running.started_monotonic

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

    def starved(self, size: int, rivals: int, *, was_full: bool) -> Optional[Starved]:
        """Return how the attempt failed for want of room, None when it did not.

        It has left `size` bytes, and `rivals` attempts ran, itself included; what they wrote in all
        says who filled the disk. `was_full` tells whether that is known to have been full while it ran.
        """
        ended, running, files = self._ended, self._running, self._host.files
        if ended.cause not in ("application", "batch") or running.fault or self._report is not None:
            return None
        words = last_words(files, f"{running.directory}/stderr.log", 0)
        said = f"{ended.reason}{': ' if words else ''}{words}"
        try:
            room = room_at(files, running.directory)
        except OSError:
            return None
        if not (was_full or room.is_full):
            if any(os.strerror(code) in words for code in DISK_FULL):  # of another disk, or of a quota
                self._ended = ended._replace(cause="node", reason=said)
            return None
        reason = f"on a full disk ({os.path.dirname(running.directory)}): {said}"
        return Starved(reason, 2 * size * rivals >= running.room_bytes)

    def make_room(self, reason: str) -> int:
        """Remove the results, which took the room that others need; return how much else will be hashed."""
        self._ended = self._ended._replace(cause="node", reason=f"{reason}; its results were removed")
        with contextlib.suppress(OSError):
            self._host.files.remove_tree(os.path.join(self._running.directory, "results"))
        try:
            return self.look()
        except NoRoom:  # it was looked at a moment ago: `close` tells of it again
            return 0

    def vanish(self, reason: str) -> Lost:
        """Remove all that the attempt left, and return the record of its loss, which is charged to nobody.

        Its empty directory stays: it says that the attempt was begun, should the record never be written.
        """
        files, directory = self._host.files, self._running.directory
        with contextlib.suppress(OSError):
            for name in files.list(directory):
                path = os.path.join(directory, name)
                remove = files.remove_tree if files.kind(path) is Kind.DIRECTORY else files.unlink
                remove(path)
        return Lost(self.token, reason, self._host.now(), "node", charged=False)

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
