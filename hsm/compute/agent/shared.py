"""A process that serves batches: it is told attempts by lines, and tells by lines how they ended.

agent ── {"batch": …, "members": [{"token": …, …}, …]}, {"cancel": [token, …]} ──> standard input
agent <── {"token": …, "exit": 0} ────────────────────────────────────────────── descriptor 3
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from hsm.compute.agent.attempt import NO_VERDICT, Running, Verdict, words_of
from hsm.compute.agent.bell import Bell
from hsm.compute.agent.closing import Closing
from hsm.compute.agent.host import Host, Spoken, Usage
from hsm.compute.agent.limits import PREEMPTED
from hsm.compute.agent.place import check_room
from hsm.wire.messages import Ended, Hello, Run

OUTPUTS = ("stdout.log", "stderr.log")
MAX_OUTPUT_BYTES = 1 << 16
"""So much of what a process printed during a batch is given to a member that wrote no such file itself."""

MAX_LINE_BYTES = 1 << 20


CANCELLED = Verdict("cancelled", "cancelled")


class Garbled(ValueError):
    """A process says what cannot be understood."""


class Report(NamedTuple):
    """A member has ended, with this exit code."""

    token: str
    code: int


class Key(NamedTuple):
    """What a process was started with; it serves batches that would start the same."""

    argv: Tuple[str, ...]
    gpus: int
    project: str
    variables: Tuple[Tuple[str, str], ...]


def key_of(hello: Hello, run: Run) -> Key:
    """Return what a process for an attempt is started with."""
    return Key(tuple(run.argv), run.gpus, hello.project, tuple(sorted(hello.variables.items())))


class Post(NamedTuple):
    """Who a process is: the token in its environment, its working directory, and what it was started with."""

    token: str
    directory: str
    key: Key
    gpus: List[str]


class Member(NamedTuple):
    """An attempt of a batch, and what its process is told of it."""

    running: Running
    told: Dict[str, Any]


class SharedProcess:
    """One process. `open` are the attempts of its batch that have not ended; idle, it has none.

    `kill_at` is when it is killed, having been told that nothing more comes.
    """

    def __init__(self, host: Host, bell: Bell, spoken: Spoken, post: Post) -> None:
        self.pid = spoken.pid
        self.token, self.directory, self.key, self.gpus = post
        self.open: Dict[str, Running] = {}
        self.cancelled: Set[str] = set()
        self.idle_since = 0.0
        self.kill_at: Optional[float] = None
        self._batches = 0
        self._host = host
        self._bell = bell
        self._orders: Optional[int] = spoken.orders
        self._reports: Optional[int] = spoken.reports
        self._unsaid = b""
        self._waits_to_say = False
        self._heard = b""
        self._used = Usage(0.0, 0.0, 0)
        bell.watch(spoken.reports)

    @property
    def is_idle(self) -> bool:
        """Whether it could be given a batch."""
        return not self.open and self.kill_at is None

    def as_one(self) -> Running:
        """Return its batch as one attempt: under its own token, with the time of all members together."""
        running = next(iter(self.open.values()))
        limit = running.run.timeout_s
        time_s = None if limit is None else limit * running.members
        return running._replace(run=running.run._replace(token=self.token, timeout_s=time_s), gpus=self.gpus)

    @property
    def is_mute(self) -> bool:
        """Whether it can tell nothing any more."""
        return self._reports is None

    # What it is told

    def serve(self, members: List[Member]) -> None:
        """Give it a batch."""
        self.open = {member.running.run.token: member.running for member in members}
        self.cancelled = set()
        self._batches += 1
        self._used = self._host.usage(self.pid)
        for name in OUTPUTS:
            self._empty(os.path.join(self.directory, name))
        batch = members[0].running.run.batch
        self._tell({"batch": batch, "members": [member.told for member in members]})

    def _empty(self, path: str) -> None:
        files = self._host.files
        try:
            fd = files.open_append(path)
        except FileNotFoundError:
            return  # somebody removed it
        try:
            files.truncate(fd, 0)
        finally:
            files.close(fd)

    def cancel(self, tokens: Iterable[str]) -> None:
        """Ask it to end members early."""
        self._tell({"cancel": sorted(tokens)})

    def dismiss(self, grace_s: float) -> None:
        """Say that nothing more comes; it is killed when it has not ended after `grace_s`."""
        if self.kill_at is None:
            self.kill_at = self._host.monotonic() + grace_s
            self._close_orders()

    def _tell(self, what: Dict[str, Any]) -> None:
        self._unsaid += json.dumps(what).encode("ascii") + b"\n"
        self.flush()

    def flush(self) -> None:
        """Say what could not be said before."""
        if self._orders is None or not (self._unsaid or self._waits_to_say):
            return
        self._unsaid = self._unsaid[self._host.say(self._orders, self._unsaid) :]
        if bool(self._unsaid) is not self._waits_to_say:
            self._waits_to_say = not self._waits_to_say
            if self._waits_to_say:
                self._bell.watch(self._orders, to_write=True)
            else:
                self._bell.unwatch(self._orders)

    def _close_orders(self) -> None:
        if self._orders is not None:
            if self._waits_to_say:
                self._bell.unwatch(self._orders)
            self._host.hang_up(self._orders)
            self._orders = None

    def close(self) -> None:
        """Let go of it, once it has ended."""
        self._close_orders()
        self._close_reports()

    def _close_reports(self) -> None:
        if self._reports is not None:
            self._bell.unwatch(self._reports)
            self._host.hang_up(self._reports)
            self._reports = None

    # What it tells

    def reports(self) -> Iterator[Report]:
        """Yield what it has told since, each member once.

        Raises:
            Garbled: the next that it said cannot be understood.
        """
        self._hear()
        while b"\n" in self._heard:
            line, _, self._heard = self._heard.partition(b"\n")
            report = _report(line)
            if report.token in self.open:
                yield report
        if len(self._heard) > MAX_LINE_BYTES:
            raise Garbled(f"a line of more than {MAX_LINE_BYTES} bytes")

    def verdict_on(self, report: Report, verdict: Verdict) -> Verdict:
        """Return why a member ended that told so; `verdict` is why the process is being ended, if it is."""
        if report.token in self.cancelled:
            return CANCELLED
        return verdict if report.code else NO_VERDICT

    def fates(self, status: int, verdict: Verdict) -> Dict[str, Optional[Verdict]]:
        """Return why those ended that a process left open at its end, None where that says nothing of them.

        Of several it is not known whose doing that was: they are tried again with fewer. Neither is it of one
        alone, but for its time, in a process that earlier batches may have left something in. In a fresh one
        it has its own end. Those who are killed because of another's cancel go again as they are.
        """
        left = [token for token in self.open if token not in self.cancelled]
        fate: Optional[Verdict] = verdict
        if verdict == CANCELLED:
            fate = None
        elif verdict != PREEMPTED and (len(left) > 1 or (self._batches > 1 and verdict.cause != "time")):
            why = verdict.reason or words_of(status)
            fate = Verdict("batch", f"its process ended before {len(left)} of its batch had: {why}")
        elif not verdict.cause and not status:
            fate = Verdict("application", "its process ended and did not tell how the attempt had")
        return {token: CANCELLED if token in self.cancelled else fate for token in self.open}

    def _hear(self) -> None:
        while self._reports is not None:
            said = self._host.hear(self._reports)
            if said is None:
                self._close_reports()
            elif not said:
                return
            else:
                self._heard += said

    def printed(self) -> Dict[str, bytes]:
        """Return the end of what it has printed since its batch began, by the names of files."""
        return {name: self._tail(os.path.join(self.directory, name)) for name in OUTPUTS}

    def _tail(self, path: str) -> bytes:
        files = self._host.files
        try:
            return files.read(path, max(0, files.length(path) - MAX_OUTPUT_BYTES))
        except OSError:
            return b""

    def spent(self, now: Optional[Usage] = None) -> Usage:
        """Return what it has used since this was asked last."""
        now = self._host.usage(self.pid) if now is None else now
        before, self._used = self._used, now
        return Usage(
            max(0.0, now.user_s - before.user_s), max(0.0, now.system_s - before.system_s), now.rss_bytes
        )


def _report(line: bytes) -> Report:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        raise Garbled(f"no line of JSON: {line[:80]!r}") from None
    token, code = (said.get("token"), said.get("exit")) if isinstance(said, dict) else (None, None)
    if not isinstance(token, str) or type(code) is not int or not 0 <= code <= 255:
        raise Garbled(f'not {{"token": "…", "exit": 0 to 255}}: {line[:80]!r}')
    return Report(token, code)


class MemberClosing(Closing):
    """The end of a member: it gets what its process printed, unless it wrote files of these names itself."""

    def __init__(self, host: Host, running: Running, ended: Ended, printed: Dict[str, bytes]) -> None:
        super().__init__(host, running, ended)
        self._printed = printed

    def look(self) -> int:
        """Leave what was printed, and walk the directory.

        Raises:
            NoRoom: it cannot be done now.
        """
        files = self._host.files
        for name, printed in self._printed.items():
            path = os.path.join(self._running.directory, name)
            if files.exists(path):
                continue
            try:
                files.write_new(path, printed)
            except OSError as error:
                files.remove(path)
                check_room(error)
        return super().look()
