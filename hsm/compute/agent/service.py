"""The agent's loop: read the inbox, keep the slots full, enforce limits, write records, tell who listens.

    inbox/*.log ─> Inbox ─> Backlog ──> Slots (launch, limits, end) ──> Records ──> records/<incarnation>.log
    manager ── any byte: "look at the inbox" ──> Bell ──> any byte: "look at the records" ──> manager

Records are handed to the kernel at the end of each turn and made durable by a thread while the next attempts
already run; managers are told to look when that is done.
"""

from __future__ import annotations

import os
import signal
from typing import Dict, NamedTuple, Optional

from hsm._version import __version__
from hsm.compute.agent.backlog import Backlog
from hsm.compute.agent.bell import Bell
from hsm.compute.agent.host import Host
from hsm.compute.agent.place import NO_ROOM
from hsm.compute.agent.pool import Pool
from hsm.compute.agent.records import Records
from hsm.compute.agent.room import Reserve
from hsm.compute.agent.slots import Slots
from hsm.wire.inbox import Inbox
from hsm.wire.log import LogReader, LogWriter
from hsm.wire.messages import Message, Opened, Started, Withdrawn, from_record, to_record

LINGER_S = 5.0


class Paths(NamedTuple):
    """Where an agent's logs are."""

    sweep: str
    home: str

    @property
    def inbox(self) -> str:
        """Directory of the managers' logs, one per session."""
        return os.path.join(self.home, "inbox")

    @property
    def records(self) -> str:
        """Directory of the agents' logs, one per incarnation."""
        return os.path.join(self.home, "records")

    @property
    def reserve(self) -> str:
        """File that takes up the room which is held back."""
        return os.path.join(self.home, "reserve")


class Leave(NamedTuple):
    """When an agent looks and leaves: every `poll_s` without a bell; `linger_s` after the last work."""

    poll_s: Optional[float] = None
    linger_s: float = LINGER_S


class Elsewhere(Exception):
    """Attempts of this source may still run on another host, so that no agent may take their place here."""

    def __init__(self, host: str, count: int) -> None:
        super().__init__(
            f"{count} attempts may still run on host {host}: go on there, or give them up by --abandon-source"
        )


UNKNOWN = "its agent knows nothing of it: it was never ordered, or a power cut took the order"


class Agent:
    """One incarnation of the agent of one source of one sweep."""

    def __init__(self, paths: Paths, host: Host, leave: Leave, *, bell: Bell, address: str) -> None:
        self._paths = paths
        self._host = host
        self._files = host.files
        self._leave = leave
        self._bell = bell
        self._backlog = Backlog()
        self._inbox = Inbox(host.files, paths.inbox)
        self._stopping = False
        self._is_bereft = False
        self._idle_since: Optional[float] = None
        self._hosts: Dict[str, str] = {}
        self._boots: Dict[str, str] = {}
        self._last_host, self._last_boot = host.name(), host.boot()
        self._next_look = 0.0
        self._address = address
        self._incarnation = self._replay()
        for said in self._inbox.read():
            self._backlog.hear(said.epoch, from_record(said.record))
        self._check_hosts()
        self._records = Records(host, self._begin_log, bell.wake, Reserve(host.files, paths.reserve))
        self._slots = Slots(host, paths.sweep, self._records, bell.wake, Pool(host, paths.home, bell))
        if self._backlog.hello is not None:
            self._slots.offer_gpus(self._backlog.hello.gpus)

    def _begin_log(self) -> LogWriter:
        """Begin a log of records, under the next number."""
        self._incarnation += 1
        path = os.path.join(self._paths.records, f"{self._incarnation:06d}.log")
        opened = self._opened(self._incarnation, self._address)
        return LogWriter.create(self._host.files, path, to_record(opened))

    def _opened(self, incarnation: int, address: str) -> Opened:
        host, pid = self._host, self._host.pid()
        return Opened(
            incarnation=incarnation,
            version=__version__,
            python=host.python(),
            host=host.name(),
            pid=pid,
            start=host.start_of(pid) or "",
            boot=host.boot(),
            socket=address,
            at=host.now(),
        )

    def run(self) -> None:
        """Work until there is nothing left to do and nobody to do it for."""
        self.begin()
        while self.turn():
            self._bell.wait(self.timeout())
        self.close()

    def begin(self) -> None:
        """Do what comes before the first turn."""
        self._host.become_subreaper()
        self._bell.hear_signals(self._stop)
        self._bury_predecessors()

    def close(self) -> None:
        """Make every record durable, once a turn has said that the agent may leave."""
        if not self._is_bereft:
            self._records.close()

    def turn(self) -> bool:
        """Do everything that can be done now; False when the agent may leave."""
        self._records.begin_turn()
        if self._records.has_waited and not self._files.is_directory(self._paths.records):
            return self._wind_up()
        self._read_inbox()
        if self._is_bereft:
            return self._wind_up()
        self._slots.reap()
        self._withdraw()
        self._slots.cancel(self._backlog.take_cancelled())
        if self._stopping:
            self._slots.preempt()
        self._slots.enforce_limits()
        self._fill_slots()
        self._slots.finish()
        self._records.flush()
        if self._records.became_durable():
            self._bell.ring()
        return not self._may_leave()

    def _wind_up(self) -> bool:
        """Somebody removed the sweep: end what runs, and say nothing more; True until that is done."""
        self._is_bereft = True
        self._slots.reap()
        self._slots.preempt()
        self._slots.enforce_limits()
        return self._slots.taken > 0 or not self._slots.dismiss()

    # What came before

    def _replay(self) -> int:
        last = 0
        for name in self._files.list(self._paths.records):
            last = int(name.partition(".")[0])
            for record in LogReader(self._files, os.path.join(self._paths.records, name)).records():
                message = from_record(record)
                if isinstance(message, Opened):
                    self._last_host, self._last_boot = message.host, message.boot
                elif isinstance(message, Started):
                    self._hosts[message.token] = self._last_host
                    self._boots[message.token] = self._last_boot
                self._backlog.replay(message)
        return last

    def _check_hosts(self) -> None:
        """Make sure that nothing which somebody counts on may run where we cannot see it.

        Raises:
            Elsewhere: an agent on another host may still have it.
        """
        here = self._host.name()
        there = {token for token in self._backlog.unfinished if self._hosts[token] != here}
        held = [token for token in there if not self._backlog.give_up(token)]
        if held:
            raise Elsewhere(self._hosts[held[0]], len(held))
        if self._last_host != here and self._backlog.waiting:
            raise Elsewhere(self._last_host, len(self._backlog.waiting))

    def _bury_predecessors(self) -> None:
        """Kill what a dead agent left running, checking that it is what it was, and record it as lost."""
        self._slots.bury()
        for token, started in self._backlog.unfinished.items():
            is_it = self._host.start_of(started.pid) == started.start
            if is_it and self._host.token_of(started.pid) == token:
                self._host.signal_session(started.pid, signal.SIGKILL)
            if self._boots[token] == self._host.boot():
                self._slots.lose(token, "its agent died")
            else:
                self._slots.lose(token, "its machine was started anew", "node")
        self._backlog.unfinished.clear()

    # What is to be done

    def _read_inbox(self) -> None:
        now = self._host.monotonic()
        if not self._bell.rang and (self._leave.poll_s is None or now < self._next_look):
            return
        self._bell.rang = False
        self._next_look = now + (self._leave.poll_s or 0.0)
        try:
            for said in self._inbox.read():
                self._hear(said.epoch, from_record(said.record))
        except FileNotFoundError:
            if self._files.is_directory(self._paths.inbox):
                raise
            self._is_bereft = True
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            self._records.wait_for_room(error)
            self._bell.rang = True  # so that it is looked at again

    def _hear(self, epoch: int, message: Message) -> None:
        before = self._backlog.hello
        self._backlog.hear(epoch, message)
        hello = self._backlog.hello
        if hello is not None and hello is not before:
            self._slots.offer_gpus(hello.gpus)

    def _withdraw(self) -> None:
        for run in self._backlog.take_withdrawn():
            self._slots.withdraw(run)
        for token in self._backlog.take_unknown():
            self._records.add(Withdrawn(token, self._host.now(), UNKNOWN))

    def _fill_slots(self) -> None:
        hello, backlog = self._backlog.hello, self._backlog
        if hello is None or self._stopping:
            return
        while backlog.waiting and self._slots.taken < hello.slots and self._records.may_begin:
            runs = backlog.take()
            left = self._slots.launch(hello, runs) if self._slots.fits(hello, runs[0]) else runs
            if left:
                backlog.put_back(left)
                return

    def _stop(self) -> None:
        """The machine wants us gone: end what runs, keep what waits for another agent."""
        self._stopping = True  # a signal handler: the loop does the rest

    # Waiting and leaving

    def timeout(self) -> Optional[float]:
        """Return how long the loop may wait for the bell before its next turn, None for ever."""
        due = self._slots.due + self._records.due
        if self._idle_since is not None:
            due.append(self._idle_since + self._leave.linger_s)
        if self._leave.poll_s is not None:
            due.append(self._next_look)
        return max(0.0, min(due) - self._host.monotonic()) if due else None

    def _may_leave(self) -> bool:
        waiting = self._backlog.waiting and not self._stopping
        if waiting or not self._slots.is_idle or not self._records.is_settled:
            self._idle_since = None
            return False
        if self._backlog.closed or self._stopping:
            return self._slots.dismiss()
        if self._bell.is_attended:
            self._idle_since = None
            return False
        now = self._host.monotonic()
        if self._idle_since is None:
            self._idle_since = now
        return now >= self._idle_since + self._leave.linger_s and self._slots.dismiss()
