"""The processes of an agent that serve batches, one after another: begun, kept warm, and ended."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from typing import Dict, List, NamedTuple, Optional, Set

from hsm.compute.agent.attempt import Running
from hsm.compute.agent.bell import Bell
from hsm.compute.agent.host import REPORTS_FD, Host
from hsm.compute.agent.place import (
    NO_ROOM,
    NoRoom,
    cannot_start,
    claim,
    common_variables,
    furnish,
    variables_of,
)
from hsm.compute.agent.shared import Member, Post, SharedProcess, key_of
from hsm.wire.messages import Hello, Run

IDLE_S = 60.0
"""A process that has had nothing to do for so long is told that nothing more comes."""


class Begun(NamedTuple):
    """What became of a batch that was to begin.

    `members` run in `process`, or with a `fault` could not be started; `lost` had been claimed by an agent
    that died; what is `left` has not begun, because of an `error` that may pass.
    """

    process: Optional[SharedProcess]
    members: List[Running]
    lost: List[str]
    fault: str = ""
    left: List[Run] = []  # noqa: RUF012 - never changed
    error: Optional[NoRoom] = None


def mark_of(home: str) -> str:
    """Return what the tokens of all processes begin with that serve batches of one source of one sweep."""
    return f"shared-{sha256(os.fsencode(home)).hexdigest()[:24]}-"


def bury(host: Host, home: str) -> None:
    """Kill what serves batches of a source whose agent died here; on other hosts, agents there will know."""
    places = os.path.join(home, "shared")
    if not host.files.is_directory(places):
        return
    for pid in host.bearers(mark_of(home)):
        host.signal_session(pid, 9)
        host.kill(pid)
    _remove(host, os.path.join(places, host.name()))


class Pool:
    """All of them, by pid. `home` is where the agent's logs are, on a disk that other hosts may share."""

    def __init__(self, host: Host, home: str, bell: Bell) -> None:
        self._host = host
        self._bell = bell
        self._home = home
        self._place = os.path.join(home, "shared", host.name())
        self._mark = mark_of(home)
        self._grace_s = 0.0
        self.processes: Dict[int, SharedProcess] = {}

    def bury(self) -> None:
        """Kill the processes of an agent that died here."""
        bury(self._host, self._home)

    # Beginning

    def idle_for(self, hello: Hello, run: Run) -> Optional[SharedProcess]:
        """Return an idle process that was started as this attempt would start one.

        What is tried again gets a process of its own start, so that nothing of earlier batches is in it.
        """
        if run.attempt > 1:
            return None
        key = key_of(hello, run)
        return next((one for one in self.processes.values() if one.is_idle and one.key == key), None)

    def begin(
        self, sweep_dir: str, hello: Hello, runs: List[Run], gpus: List[str], put_back: Set[str]
    ) -> Begun:
        """Give a batch to a process, which is started unless one is idle that serves."""
        host, files = self._host, self._host.files
        self._grace_s = hello.grace_s
        at, monotonic = host.now(), host.monotonic()
        members: List[Running] = []
        lost: List[str] = []
        try:
            for run in runs:
                try:
                    directory = claim(files, sweep_dir, run, is_again=run.token in put_back)
                except FileExistsError:
                    lost.append(run.token)
                    continue
                room_bytes = files.free_bytes(directory)
                members.append(Running(run, directory, -1, at, monotonic, gpus, hello, room_bytes=room_bytes))
                furnish(files, directory, run)
            process = self._process(hello, runs[0], gpus) if members else None
        except OSError as error:
            if error.errno not in NO_ROOM:
                fault = cannot_start(files, self._place, runs[0].argv, error)
                return Begun(None, members, lost, fault)
            for running in members:
                _remove(self._host, running.directory)
            room = NoRoom(error.errno, error.strerror, error.filename)
            return Begun(None, [], lost, left=[run for run in runs if run.token not in lost], error=room)
        except ValueError as error:  # a NUL in the command, a variable that no environment can hold
            return Begun(None, members, lost, f"cannot start {runs[0].argv[0]}: {error}")
        if process is None:
            return Begun(None, [], lost)
        members = [running._replace(pid=process.pid, members=len(members)) for running in members]
        process.serve([self._member(running, sweep_dir, process.gpus) for running in members])
        return Begun(process, members, lost)

    def _process(self, hello: Hello, run: Run, gpus: List[str]) -> SharedProcess:
        found = self.idle_for(hello, run)
        if found is not None:
            return found
        host = self._host
        self._make_room(hello.slots)
        token = f"{self._mark}{host.word()}"
        directory = os.path.join(self._place, token[len(self._mark) :])
        host.files.make_directories(directory)
        variables = {
            b"HSM_TOKEN": token.encode(),
            b"HSM_BATCH_FD": b"%d" % REPORTS_FD,
            b"CUDA_VISIBLE_DEVICES": os.fsencode(",".join(gpus)),
            b"PWD": os.fsencode(directory),
        }
        try:
            spoken = host.spawn_spoken(run.argv, directory, {**common_variables(hello), **variables})
        except (OSError, ValueError):
            _remove(host, directory)
            raise
        post = Post(token, directory, key_of(hello, run), gpus)
        process = SharedProcess(host, self._bell, spoken, post)
        self.processes[process.pid] = process
        return process

    def _member(self, running: Running, sweep_dir: str, gpus: List[str]) -> Member:
        """Return what a process is told of an attempt: all that a process of its own would find."""
        run = running.run
        limit = None if run.timeout_s is None else run.timeout_s * running.members
        variables = variables_of(
            run._replace(timeout_s=limit),
            running.directory,
            sweep_dir=sweep_dir,
            gpus=gpus,
            at=running.started_at,
        )
        told = {
            "token": run.token,
            "directory": running.directory,
            "params": json.loads(run.params),
            "variables": {os.fsdecode(name): os.fsdecode(value) for name, value in variables.items()},
        }
        return Member(running, told)

    # Ending

    def _make_room(self, slots: int) -> None:
        """Let the process go that has been idle for the longest, where there are as many as slots."""
        staying = [one for one in self.processes.values() if one.kill_at is None]
        idle = sorted((one for one in staying if one.is_idle), key=lambda one: one.idle_since)
        for process in idle[: max(0, len(staying) - slots + 1)]:
            process.dismiss(self._grace_s)

    def dismiss(self) -> bool:
        """Let all idle processes go; tell whether none is left."""
        for process in self.processes.values():
            if process.is_idle:
                process.dismiss(self._grace_s)
        return not self.processes

    def gone(self, pid: int) -> Optional[SharedProcess]:
        """Forget a process that has ended, and return it; None when it was none of these."""
        return self.processes.pop(pid, None)

    def close(self, process: SharedProcess) -> None:
        """Let go of a process that has ended, and of what it printed."""
        process.close()
        _remove(self._host, process.directory)

    def enforce(self) -> None:
        """Let go what has been idle for long, by force what does not go; say what is still unsaid."""
        now = self._host.monotonic()
        for process in self.processes.values():
            process.flush()
            if process.is_idle and now >= process.idle_since + IDLE_S:
                process.dismiss(self._grace_s)
            if process.kill_at is not None and now >= process.kill_at:
                self._host.signal_session(process.pid, 9)

    @property
    def due(self) -> List[float]:
        """When to look again, by the monotonic clock."""
        idle = [one.idle_since + IDLE_S for one in self.processes.values() if one.is_idle]
        now = self._host.monotonic()
        return idle + [
            one.kill_at for one in self.processes.values() if one.kill_at is not None and one.kill_at > now
        ]


def _remove(host: Host, directory: str) -> None:
    try:
        host.files.remove_tree(directory)
    except OSError:
        return  # gone already, or taken for what it is when it is tried again
