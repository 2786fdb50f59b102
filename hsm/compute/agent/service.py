"""The agent's loop: read the inbox, keep the slots full, enforce limits, write records, tell who listens.

    inbox/<epoch>.log ──> Backlog ──> launch ──> slots ──> reap ──> finish ──> records/<incarnation>.log
                                                             │ big outputs are hashed in a thread
    manager ── any byte on the socket: "look at the inbox" ──┘         "look at the records" ──> manager

Records are handed to the kernel at the end of each turn of the loop and made durable by a thread while the
next attempts already run; listeners are told to look when that is done.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

from hsm._version import __version__
from hsm.compute.agent import attempt
from hsm.compute.agent.attempt import NO_VERDICT, Running, Verdict
from hsm.compute.agent.backlog import Backlog
from hsm.compute.agent.host import Exited, Host
from hsm.compute.agent.worker import Worker
from hsm.wire.files import Files
from hsm.wire.log import LogReader, LogWriter, encode_record
from hsm.wire.messages import Ended, Lost, Message, Opened, Run, Started, Withdrawn, from_record, to_record

LINGER_S = 5.0
SAMPLE_S = 0.25
RETRY_S = 1.0
INLINE_BYTES = 1 << 20
MAX_STRAY_ROUNDS = 100


class Paths(NamedTuple):
    """Where an agent's logs are."""

    sweep: str
    home: str

    @property
    def inbox(self) -> str:
        """Directory of the manager's logs, one per epoch."""
        return os.path.join(self.home, "inbox")

    @property
    def records(self) -> str:
        """Directory of the agents' logs, one per incarnation."""
        return os.path.join(self.home, "records")


class Ending:
    """How an attempt that is being ended will be recorded, and when to use force."""

    def __init__(self, verdict: Verdict, kill_at: float) -> None:
        self.verdict = verdict
        self.kill_at: Optional[float] = kill_at


class Agent:
    """One incarnation of the agent of one source of one sweep."""

    def __init__(
        self, paths: Paths, host: Host, files: Files, *, poll_s: Optional[float] = None, linger_s: float = LINGER_S
    ) -> None:
        self._paths = paths
        self._host = host
        self._files = files
        self._poll_s = poll_s
        self._linger_s = linger_s
        self._backlog = Backlog()
        self._inbox: List[Tuple[int, LogReader]] = []
        self._running: Dict[int, Running] = {}
        self._ending: Dict[int, Ending] = {}
        self._finishing: Set[str] = set()
        self._free_gpus: List[str] = []
        self._unwritten: List[bytes] = []
        self._stopping = False
        self._next_sample = 0.0
        self._stuck_until = 0.0
        self._idle_since: Optional[float] = None
        self._selector = selectors.DefaultSelector()
        self._listeners: List[socket.socket] = []
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._syncer = Worker("sync", self._wake)
        self._hasher = Worker("hash", self._wake)

    # Life

    def open(self, server: Optional[socket.socket], address: str) -> None:
        """Take over from the predecessors, begin a records log and say who we are."""
        incarnation = self._replay()
        path = os.path.join(self._paths.records, f"{incarnation:06d}.log")
        self._log = LogWriter.create(self._files, path, to_record(self._opened(incarnation, address)))
        self._host.become_subreaper()
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._stop())
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        if server is not None:
            self._selector.register(server, selectors.EVENT_READ)
            self._server = server
        self._bury_predecessors()

    def _opened(self, incarnation: int, address: str) -> Opened:
        host, pid = self._host, os.getpid()
        return Opened(
            incarnation=incarnation,
            version=__version__,
            python=sys.version.split()[0],
            host=host.name(),
            pid=pid,
            start=host.start_of(pid) or "",
            boot=host.boot(),
            socket=address,
            at=host.now(),
        )

    def run(self) -> None:
        """Work until there is nothing left to do and nobody to do it for."""
        while self.turn():
            self._wait()
        self._flush()
        self._syncer.join()
        self._log.sync()

    def turn(self) -> bool:
        """Do everything that can be done now; False when the agent may leave."""
        self._read_inbox()
        for exited in list(self._host.reap()):
            self._end(exited)
        for done in self._hasher.done():
            self._finished(done)  # type: ignore[arg-type]
        self._withdraw()
        self._cancel()
        self._enforce_limits()
        self._fill_slots()
        self._flush()
        if self._syncer.done():
            self._tell()
        return not self._may_leave()

    # What came before

    def _replay(self) -> int:
        last = 0
        for name in sorted(os.listdir(self._paths.records)):
            last = int(name.partition(".")[0])
            for record in LogReader(self._files, os.path.join(self._paths.records, name)).records():
                self._backlog.replay(from_record(record))
        return last + 1

    def _bury_predecessors(self) -> None:
        """Kill what a dead agent left running, after checking that it is what it was, and record it as lost."""
        for token, started in list(self._backlog.unfinished.items()):
            if self._host.start_of(started.pid) == started.start and self._host.token_of(started.pid) == token:
                self._host.signal_session(started.pid, signal.SIGKILL)
            self._lose(token, "its agent died")
        self._backlog.unfinished.clear()

    def _lose(self, token: str, reason: str) -> None:
        for pid in self._host.bearers(token):
            self._host.kill(pid)
        self._record(Lost(token, reason, self._host.now()))

    # Inbox

    def _read_inbox(self) -> None:
        known = {epoch for epoch, _ in self._inbox}
        for name in sorted(os.listdir(self._paths.inbox)):
            epoch = int(name.partition(".")[0])
            if epoch not in known:
                self._inbox.append((epoch, LogReader(self._files, os.path.join(self._paths.inbox, name))))
        for epoch, reader in self._inbox:
            for record in reader.records():
                if record.get("t") != "inbox":
                    self._hear(epoch, from_record(record))

    def _hear(self, epoch: int, message: Message) -> None:
        before = self._backlog.hello
        self._backlog.hear(epoch, message)
        hello = self._backlog.hello
        if hello is not before and hello is not None:
            taken = {gpu for running in self._running.values() for gpu in running.gpus}
            self._free_gpus = [gpu for gpu in hello.gpus if gpu not in taken]

    def _withdraw(self) -> None:
        for token in self._backlog.to_withdraw:
            self._record(Withdrawn(token, self._host.now()))
        self._backlog.to_withdraw.clear()

    def _cancel(self) -> None:
        tokens = set(self._backlog.to_cancel)
        for pid, running in self._running.items():
            if running.run.token in tokens:
                self._terminate(pid, Verdict("cancelled", "cancelled"))
        self._backlog.to_cancel.clear()

    # Slots

    def _fill_slots(self) -> None:
        hello = self._backlog.hello
        if hello is None or self._stopping:
            return
        while self._backlog.waiting and len(self._running) < hello.slots and not self._is_stuck():
            run = next(iter(self._backlog.waiting.values()))
            if run.gpus > len(self._free_gpus) and self._running:
                return
            self._launch(hello, self._backlog.take())

    def _is_stuck(self) -> bool:
        return self._host.monotonic() < self._stuck_until

    def _launch(self, hello: Hello, run: Run) -> None:
        gpus, free = self._free_gpus[: run.gpus], self._free_gpus[run.gpus :]
        try:
            running = attempt.launch(self._host, self._paths.sweep, hello, run, gpus)
        except FileExistsError:
            self._lose(run.token, "its agent died while it was being started")
            return
        except attempt.NoRoom as error:
            self._wait_for_room(error)
            self._backlog.put_back(run)
            return
        self._free_gpus = free
        if running.fault:
            self._free_gpus += gpus
            self._finish(running, None, NO_VERDICT)
            return
        self._running[running.pid] = running
        start = self._host.start_of(running.pid) or ""
        self._record(Started(run.token, running.pid, start, running.started_at))

    def _end(self, exited: Exited) -> None:
        running = self._running.pop(exited.pid, None)
        if running is None:
            return
        ending = self._ending.pop(exited.pid, None)
        self._free_gpus += running.gpus
        self._kill_strays(running.run.token)
        self._finish(running, exited, ending.verdict if ending else NO_VERDICT)

    def _kill_strays(self, token: str) -> None:
        """Kill daemons that left the attempt's process group, until none is left."""
        for _ in range(MAX_STRAY_ROUNDS):
            strays = [pid for pid in self._host.strays() if self._host.token_of(pid) == token]
            if not strays:
                return
            for pid in strays:
                self._host.kill(pid)
                self._host.wait_for(pid)

    def _finish(self, running: Running, exited: Optional[Exited], verdict: Verdict) -> None:
        hello = self._backlog.hello
        assert hello is not None

        ended = attempt.exit_record(self._host, running, exited, verdict)
        found = attempt.left_behind(running)

        def work() -> Ended:
            return attempt.report(self._host, hello, running, ended, found)

        if found is None or found.bytes <= INLINE_BYTES:
            self._record(work())
        else:
            self._finishing.add(running.run.token)
            self._hasher.submit(work)

    def _finished(self, ended: Ended) -> None:
        self._finishing.discard(ended.token)
        self._record(ended)

    # Limits

    def _enforce_limits(self) -> None:
        now = self._host.monotonic()
        for pid, running in self._running.items():
            limit = running.run.timeout_s
            if limit is not None and now >= running.started_monotonic + limit:
                self._terminate(pid, Verdict("time", f"over its time limit of {limit:g} s"))
        if now >= self._next_sample:
            self._next_sample = now + SAMPLE_S
            self._sample_memory()
        for pid, ending in self._ending.items():
            if ending.kill_at is not None and now >= ending.kill_at:
                ending.kill_at = None
                self._host.signal_session(pid, signal.SIGKILL)

    def _sample_memory(self) -> None:
        limited = {pid: r.run.memory_bytes for pid, r in self._running.items() if r.run.memory_bytes}
        if not limited:
            return
        for pid, used in self._host.memory(set(limited)).items():
            if used > limited[pid]:  # type: ignore[operator]
                reason = f"used {used} bytes of memory, over its limit of {limited[pid]}"
                self._terminate(pid, Verdict("memory", reason), at_once=True)

    def _terminate(self, pid: int, verdict: Verdict, *, at_once: bool = False) -> None:
        if pid in self._ending:
            return
        grace = 0.0 if at_once or self._backlog.hello is None else self._backlog.hello.grace_s
        self._ending[pid] = Ending(verdict, self._host.monotonic() + grace)
        self._host.signal_session(pid, signal.SIGKILL if at_once else signal.SIGTERM)

    def _stop(self) -> None:
        """The machine wants us gone: end what runs, keep what waits for another agent."""
        self._stopping = True
        for pid in self._running:
            self._terminate(pid, Verdict("preempted", "the agent was told to stop"))

    # Records

    def _record(self, message: Message) -> None:
        self._unwritten.append(encode_record(to_record(message)))

    def _flush(self) -> None:
        """Hand new records to the kernel. Where that fails they are kept and no new attempt begins."""
        if not self._unwritten:
            return
        try:
            self._log.write(self._unwritten)
        except OSError as error:
            self._wait_for_room(error)
            return
        self._unwritten.clear()
        self._syncer.submit_once(self._log.sync)

    def _wait_for_room(self, error: OSError) -> None:
        """Begin nothing new for a while: what is known is kept in memory until it can be written."""
        if not self._is_stuck():
            print(f"no room, trying again: {error}", file=sys.stderr, flush=True)
        self._stuck_until = self._host.monotonic() + RETRY_S

    # Waiting

    def _wait(self) -> None:
        for key, _ in self._selector.select(self._timeout()):
            if key.fileobj is self._wake_read:
                _drain(self._wake_read)
            elif key.fileobj is getattr(self, "_server", None):
                self._accept()
            else:
                self._listen(key.fileobj)  # type: ignore[arg-type]

    def _timeout(self) -> Optional[float]:
        now = self._host.monotonic()
        due = [r.started_monotonic + r.run.timeout_s for r in self._running.values() if r.run.timeout_s]
        due += [ending.kill_at for ending in self._ending.values() if ending.kill_at is not None]
        if any(running.run.memory_bytes for running in self._running.values()):
            due.append(self._next_sample)
        if self._stuck_until > now:
            due.append(self._stuck_until)
        if self._idle_since is not None:
            due.append(self._idle_since + self._linger_s)
        if self._poll_s is not None:
            due.append(now + self._poll_s)
        return max(0.0, min(due) - now) if due else None

    def _may_leave(self) -> bool:
        busy = self._running or self._finishing or self._unwritten or not self._syncer.idle
        waiting = self._backlog.waiting and not self._stopping
        if busy or waiting or (self._listeners and not self._backlog.closed and not self._stopping):
            self._idle_since = None
            return False
        if self._backlog.closed or self._stopping:
            return True
        now = self._host.monotonic()
        if self._idle_since is None:
            self._idle_since = now
        return now >= self._idle_since + self._linger_s

    # Listeners

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"w")
        except BlockingIOError:
            return  # the pipe is full, so the loop will wake

    def _accept(self) -> None:
        connection, _ = self._server.accept()
        connection.setblocking(False)
        self._listeners.append(connection)
        self._selector.register(connection, selectors.EVENT_READ)

    def _listen(self, connection: socket.socket) -> None:
        try:
            if connection.recv(4096):
                return
        except BlockingIOError:
            return
        except OSError:
            pass  # reset by a manager that died: as good as closed
        self._selector.unregister(connection)
        self._listeners.remove(connection)
        connection.close()

    def _tell(self) -> None:
        for connection in self._listeners:
            try:
                connection.send(b"!")
            except (BlockingIOError, OSError):
                continue  # it has enough to read, or it is gone and will be noticed as such


def _drain(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        return
