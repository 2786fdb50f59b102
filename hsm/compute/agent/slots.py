"""The slots: attempts that run, their limits, and their end."""

from __future__ import annotations

import os
from functools import partial
from typing import Callable, Dict, Iterable, List, NamedTuple, Set, Tuple, Union

from hsm.compute.agent import attempt
from hsm.compute.agent.attempt import NO_VERDICT, Running
from hsm.compute.agent.batches import Batches
from hsm.compute.agent.closing import Closing
from hsm.compute.agent.host import Host
from hsm.compute.agent.limits import Limits
from hsm.compute.agent.place import NoRoom
from hsm.compute.agent.pool import Pool
from hsm.compute.agent.records import Records
from hsm.compute.agent.room import full
from hsm.compute.agent.shared import CANCELLED
from hsm.wire.messages import Ended, Hello, Lost, Run, Started, Withdrawn

INLINE_BYTES = 1 << 20
HOLD_S = 0.02
"""An attempt that ends within this time is only recorded as ended."""
MAX_STRAY_ROUNDS = 100
CLAIMED = "its agent died while it was being started"


class Short(NamedTuple):
    """What could not be closed for now, and why."""

    closing: Closing
    error: NoRoom


class Slots:
    """Attempts that run, by pid. Big outputs are hashed in a thread, after the slot is free.

    One that has ended and finds no room for its report waits for it, and is recorded then. A batch stands
    here as one attempt, whose limits are those of its process; `pool` knows its members.
    """

    def __init__(
        self, host: Host, sweep_dir: str, records: Records, wake: Callable[[], None], pool: Pool
    ) -> None:
        self._host = host
        self._sweep_dir = sweep_dir
        self._records = records
        self._limits = Limits(host)
        self._running = self._limits.running
        self._ending = self._limits.ending
        self._unsaid: Dict[int, float] = {}
        self._ended: List[Closing] = []
        self._waiting: List[Closing] = []
        self._finishing: Set[str] = set()
        self._put_back: Set[str] = set()
        self._free_gpus: List[str] = []
        self._pool = pool
        self._batches = Batches(host, self._limits, records, pool)
        self._hasher = host.worker("hash", wake)

    @property
    def taken(self) -> int:
        """How many attempts run, a batch counted as one."""
        return len(self._running)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing is being finished."""
        return not (self._running or self._finishing or self._waiting)

    def offer_gpus(self, gpus: Iterable[str]) -> None:
        """Take these GPUs for attempts, less those that running ones have."""
        taken = {gpu for running in self._running.values() for gpu in running.gpus}
        taken |= {gpu for process in self._pool.processes.values() for gpu in process.gpus}
        self._free_gpus = [gpu for gpu in gpus if gpu not in taken]

    def fits(self, hello: Hello, run: Run) -> bool:
        """Tell whether an attempt can have its GPUs now; on an idle machine it must do without."""
        if run.gpus <= len(self._free_gpus) or (run.batch and self._pool.idle_for(hello, run)):
            return True
        is_none_left = self._pool.dismiss()  # what is idle holds on to its GPUs
        return is_none_left and not self._running

    def launch(self, hello: Hello, runs: List[Run]) -> List[Run]:
        """Start an attempt, or those of a batch; return those that, lacking something, have not begun."""
        if runs[0].batch:
            return self._launch_batch(hello, runs)
        return [] if self._launch(hello, runs[0]) else runs

    def _launch_batch(self, hello: Hello, runs: List[Run]) -> List[Run]:
        gpus = self._free_gpus[: runs[0].gpus]
        begun = self._pool.begin(self._sweep_dir, hello, runs, gpus, self._put_back)
        for token in begun.lost:
            self.lose(token, CLAIMED)
        self._put_back.difference_update(run.token for run in runs)
        if begun.error is not None:
            self._put_back.update(run.token for run in begun.left)
            self._records.wait_for_room(begun.error)
        if begun.fault:
            for running in begun.members:
                faulty = running._replace(fault=begun.fault)
                ended = attempt.exit_record(self._host, faulty, None, NO_VERDICT)
                self._ended.append(Closing(self._host, faulty, ended))
        process = begun.process
        if process is not None:
            self._free_gpus = [gpu for gpu in self._free_gpus if gpu not in process.gpus]
            self._running[process.pid] = process.as_one()
            self._unsaid[process.pid] = self._host.monotonic() + HOLD_S
        return begun.left

    def _launch(self, hello: Hello, run: Run) -> bool:
        gpus, free = self._free_gpus[: run.gpus], self._free_gpus[run.gpus :]
        try:
            is_again = run.token in self._put_back
            running = attempt.launch(self._host, self._sweep_dir, hello, run, gpus, is_again=is_again)
        except FileExistsError:
            self.lose(run.token, CLAIMED)
            return True
        except NoRoom as error:
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

    def bury(self) -> None:
        """Kill the processes that served batches of an agent that died."""
        self._pool.bury()

    def dismiss(self) -> bool:
        """Let idle processes go; tell whether none is left."""
        return self._pool.dismiss()

    def reap(self) -> None:
        """Free the slots of attempts that have ended; `finish` records them, once the slots are filled."""
        self._batches.hear()
        for exited in list(self._host.reap()):
            running = self._running.pop(exited.pid, None)
            process = self._pool.gone(exited.pid)
            if process is not None:
                self._free_gpus += process.gpus
                self._kill_strays(process.token, exited.pid)
                self._batches.settle(process, exited)
            elif running is not None:
                self._unsaid.pop(exited.pid, None)
                ending = self._ending.pop(exited.pid, None)
                verdict = ending.verdict if ending else NO_VERDICT
                self._free_gpus += running.gpus
                running = running._replace(daemons=self._kill_strays(running.run.token, exited.pid))
                ended = attempt.exit_record(self._host, running, exited, verdict)
                self._ended.append(Closing(self._host, running, ended))

    def finish(self) -> None:
        """Record everything that has ended, and what has begun and not ended at once."""
        ended, self._ended = [*self._ended, *self._batches.take_ended()], []
        if not self._records.is_stuck:
            ended, self._waiting = self._waiting + ended, []
        for closing in ended:
            self._close(closing)
        now = self._host.monotonic()
        for pid in [pid for pid, at in self._unsaid.items() if now >= at]:
            del self._unsaid[pid]
            if pid in self._running:
                self._say_started(pid, self._running[pid])
        for done in self._hasher.done():
            self._closed(done)

    def _say_started(self, pid: int, running: Running) -> None:
        process, start = self._pool.processes.get(pid), self._host.start_of(pid) or ""
        for token in [running.run.token] if process is None else process.open:
            self._records.add(Started(token, pid, start, running.started_at))

    def _kill_strays(self, token: str, group: int) -> Tuple[str, ...]:
        """Kill what is left of a process until nothing is, and return the daemons among it."""
        daemons: List[str] = []
        for _ in range(MAX_STRAY_ROUNDS):
            strays = [pid for pid in self._host.strays() if self._host.token_of(pid) == token]
            if not strays:
                break
            for pid in strays:
                if self._host.group_of(pid) != group:
                    daemons.append(self._host.command_of(pid))
                self._host.kill(pid)
                self._host.wait_for(pid)
        return tuple(daemons)

    def _close(self, closing: Closing) -> None:
        try:
            size = closing.look()
        except NoRoom as error:
            self._closed(Short(closing, error))
            return
        was_full = self._records.was_full_since(closing.began)
        rivals = 1 + sum(running.members for running in self._running.values())
        starved = closing.starved(size, rivals, was_full=was_full)
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
            process = self._pool.processes.get(pid)
            if process is not None:
                self._batches.cancel(process, wanted)
            elif running.run.token in wanted:
                self._limits.terminate(pid, CANCELLED)

    def preempt(self) -> None:
        """End everything, because the machine wants us gone."""
        self._limits.preempt()

    def enforce_limits(self) -> None:
        """End what is over its limits, by force what has had its grace."""
        self._limits.enforce()
        self._pool.enforce()

    @property
    def due(self) -> List[float]:
        """When limits must be looked at again, by the monotonic clock."""
        return [*self._limits.due, *self._unsaid.values(), *self._pool.due]


def _try_to_close(closing: Closing) -> Union[Ended, Short]:
    try:
        return closing.close()
    except NoRoom as error:
        return Short(closing, error)
