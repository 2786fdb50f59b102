"""The slots: attempts that run, their limits, and their end."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple, Union

from hsm.compute.agent import attempt
from hsm.compute.agent.attempt import NO_VERDICT, Running, Verdict
from hsm.compute.agent.closing import Closing
from hsm.compute.agent.host import Host
from hsm.compute.agent.records import Records
from hsm.compute.agent.room import full
from hsm.wire.messages import Ended, Hello, Lost, Run, Started, Withdrawn

SAMPLE_S = 0.25
INLINE_BYTES = 1 << 20
HOLD_S = 0.02
"""An attempt that ends within this time is only recorded as ended."""
MAX_STRAY_ROUNDS = 100
CLAIMED = "its agent died while it was being started"


class Ending(NamedTuple):
    """How an attempt that is being ended will be recorded, and when force is due (None: it was used)."""

    verdict: Verdict
    kill_at: Optional[float]


class Short(NamedTuple):
    """What could not be closed for now, and why."""

    closing: Closing
    error: attempt.NoRoom


class Slots:
    """Attempts that run, by pid. Big outputs are hashed in a thread, after the slot is free.

    One that has ended and finds no room for its report waits for it, and is recorded then.
    """

    def __init__(self, host: Host, sweep_dir: str, records: Records, wake: Callable[[], None]) -> None:
        self._host = host
        self._sweep_dir = sweep_dir
        self._records = records
        self._running: Dict[int, Running] = {}
        self._ending: Dict[int, Ending] = {}
        self._unsaid: Dict[int, float] = {}
        self._ended: List[Closing] = []
        self._waiting: List[Closing] = []
        self._finishing: Set[str] = set()
        self._put_back: Set[str] = set()
        self._free_gpus: List[str] = []
        self._next_sample = 0.0
        self._hasher = host.worker("hash", wake)

    @property
    def taken(self) -> int:
        """How many attempts run."""
        return len(self._running)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing is being finished."""
        return not (self._running or self._finishing or self._waiting)

    def offer_gpus(self, gpus: Iterable[str]) -> None:
        """Take these GPUs for attempts, less those that running ones have."""
        taken = {gpu for running in self._running.values() for gpu in running.gpus}
        self._free_gpus = [gpu for gpu in gpus if gpu not in taken]

    def fits(self, run: Run) -> bool:
        """Tell whether an attempt can have its GPUs now; on an idle machine it must do without."""
        return run.gpus <= len(self._free_gpus) or not self._running

    def launch(self, hello: Hello, run: Run) -> bool:
        """Start an attempt; False when the machine lacks something for now and it has not begun."""
        gpus, free = self._free_gpus[: run.gpus], self._free_gpus[run.gpus :]
        try:
            is_again = run.token in self._put_back
            running = attempt.launch(self._host, self._sweep_dir, hello, run, gpus, is_again=is_again)
        except FileExistsError:
            self.lose(run.token, CLAIMED)
            return True
        except attempt.NoRoom as error:
            self._put_back.add(run.token)
            self._records.wait_for_room(error)
            return False
        self._put_back.discard(run.token)
        if running.fault:
            ended = attempt.exit_record(self._host, running, None, NO_VERDICT)
            self._ended.append(Closing(self._host, running, ended))
            return True
        self._free_gpus = free
        self._running[running.pid] = running
        self._unsaid[running.pid] = self._host.monotonic() + HOLD_S
        return True

    def withdraw(self, run: Run) -> None:
        """Record that an attempt never began; it is lost if an agent that died had begun it unrecorded."""
        directory = os.path.join(self._sweep_dir, run.directory)
        if run.token not in self._put_back and self._host.files.is_directory(directory):
            self.lose(run.token, CLAIMED)
        else:
            self._records.add(Withdrawn(run.token, self._host.now()))

    def lose(self, token: str, reason: str, cause: str = "lost") -> None:
        """Kill whatever carries the token of an attempt of an earlier agent, and record it as lost."""
        killed: Set[int] = set()
        for _ in range(MAX_STRAY_ROUNDS):  # what is being killed may just have forked
            left = set(self._host.bearers(token)) - killed
            for pid in sorted(left):
                self._host.kill(pid)
            killed |= left
            if not left:
                break
        self._records.add(Lost(token, reason, self._host.now(), cause))

    def reap(self) -> None:
        """Free the slots of attempts that have ended; `finish` records them, once the slots are filled."""
        for exited in list(self._host.reap()):
            running = self._running.pop(exited.pid, None)
            if running is not None:
                self._unsaid.pop(exited.pid, None)
                ending = self._ending.pop(exited.pid, None)
                verdict = ending.verdict if ending else NO_VERDICT
                self._free_gpus += running.gpus
                running = running._replace(daemons=self._kill_strays(running))
                ended = attempt.exit_record(self._host, running, exited, verdict)
                self._ended.append(Closing(self._host, running, ended))

    def finish(self) -> None:
        """Record everything that has ended, and what has begun and not ended at once."""
        ended, self._ended = self._ended, []
        if not self._records.is_stuck:
            ended, self._waiting = self._waiting + ended, []
        for closing in ended:
            self._close(closing)
        now = self._host.monotonic()
        for pid in [pid for pid, at in self._unsaid.items() if now >= at]:
            del self._unsaid[pid]
            running, start = self._running[pid], self._host.start_of(pid) or ""
            self._records.add(Started(running.run.token, pid, start, running.started_at))
        for done in self._hasher.done():
            self._closed(done)

    def _kill_strays(self, running: Running) -> Tuple[str, ...]:
        """Kill what is left of an attempt until nothing is, and return the daemons among it."""
        daemons: List[str] = []
        for _ in range(MAX_STRAY_ROUNDS):
            strays = [pid for pid in self._host.strays() if self._host.token_of(pid) == running.run.token]
            if not strays:
                break
            for pid in strays:
                if self._host.group_of(pid) != running.pid:
                    daemons.append(self._host.command_of(pid))
                self._host.kill(pid)
                self._host.wait_for(pid)
        return tuple(daemons)

    def _close(self, closing: Closing) -> None:
        try:
            size = closing.look()
        except attempt.NoRoom as error:
            self._closed(Short(closing, error))
            return
        was_full = self._records.was_full_since(closing.began)
        starved = closing.starved(size, len(self._running) + 1, was_full=was_full)
        if starved is None:
            self._hash(closing, size)
            return
        if not was_full:
            self._records.wait_for_room(full(closing.directory))
        if starved.is_own:
            self._hash(closing, closing.make_room(starved.reason))
        else:
            self._records.add(closing.vanish(starved.reason))

    def _hash(self, closing: Closing, size: int) -> None:
        if size <= INLINE_BYTES:
            self._closed(_try_to_close(closing))
        else:
            self._finishing.add(closing.token)
            self._hasher.submit(partial(_try_to_close, closing))

    def _closed(self, done: Union[Ended, Short]) -> None:
        if isinstance(done, Short):
            self._waiting.append(done.closing)
            self._records.wait_for_room(done.error)
            self._finishing.discard(done.closing.token)
        else:
            self._finishing.discard(done.token)
            self._records.add(done)

    # Ending attempts

    def cancel(self, tokens: Iterable[str]) -> None:
        """End attempts that run."""
        wanted = set(tokens)
        for pid, running in self._running.items():
            if running.run.token in wanted:
                self._terminate(pid, running, Verdict("cancelled", "cancelled"))

    def preempt(self) -> None:
        """End everything, because the machine wants us gone."""
        for pid, running in self._running.items():
            self._terminate(pid, running, Verdict("preempted", "the agent was told to stop"))

    def enforce_limits(self) -> None:
        """End what is over its limits, by force what has had its grace."""
        now = self._host.monotonic()
        for pid, running in self._running.items():
            limit = running.run.timeout_s
            if limit is not None and now >= running.started_monotonic + limit:
                self._terminate(pid, running, Verdict("time", f"over its time limit of {limit:g} s"))
        if now >= self._next_sample:
            self._next_sample = now + SAMPLE_S
            self._sample_memory()
        for pid, ending in list(self._ending.items()):
            if ending.kill_at is not None and now >= ending.kill_at:
                self._ending[pid] = ending._replace(kill_at=None)
                self._host.signal_session(pid, signal.SIGKILL)

    def _sample_memory(self) -> None:
        limits = {pid: r.run.memory_bytes for pid, r in self._running.items() if r.run.memory_bytes}
        used = self._host.memory(set(limits)) if limits else {}
        for pid, limit in limits.items():
            if used[pid] > limit and pid not in self._ending:
                reason = f"used {used[pid]} bytes of memory, over its limit of {limit}"
                self._ending[pid] = Ending(Verdict("memory", reason), None)
                self._host.signal_session(pid, signal.SIGKILL)

    def _terminate(self, pid: int, running: Running, verdict: Verdict) -> None:
        if pid not in self._ending:
            self._ending[pid] = Ending(verdict, self._host.monotonic() + running.hello.grace_s)
            self._host.signal_session(pid, signal.SIGTERM)

    @property
    def due(self) -> List[float]:
        """When limits must be looked at again, by the monotonic clock."""
        due = [r.started_monotonic + r.run.timeout_s for r in self._running.values() if r.run.timeout_s]
        due = [at for at in due if at > self._host.monotonic()]
        due += self._unsaid.values()
        due += [ending.kill_at for ending in self._ending.values() if ending.kill_at is not None]
        if any(running.run.memory_bytes for running in self._running.values()):
            due.append(self._next_sample)
        return due


def _try_to_close(closing: Closing) -> Union[Ended, Short]:
    try:
        return closing.close()
    except attempt.NoRoom as error:
        return Short(closing, error)
