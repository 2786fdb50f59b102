"""Limits of what runs: time and memory, and the end of what is over them or is to end for another reason."""

from __future__ import annotations

import signal
from typing import Dict, List, NamedTuple, Optional

from hsm.compute.agent.attempt import Running, Verdict
from hsm.compute.agent.host import Host

SAMPLE_S = 0.25
PREEMPTED = Verdict("preempted", "the agent was told to stop")


class Ending(NamedTuple):
    """How an attempt that is being ended will be recorded, and when force is due (None: it was used).

    A process that was only asked to end some of its batch is not `signalled` yet.
    """

    verdict: Verdict
    kill_at: Optional[float]
    signalled: bool = True


class Limits:
    """What runs and what of it is being ended, by pid."""

    def __init__(self, host: Host) -> None:
        self.running: Dict[int, Running] = {}
        self.ending: Dict[int, Ending] = {}
        self._host = host
        self._next_sample = 0.0

    def preempt(self) -> None:
        """End everything, because the machine wants us gone."""
        for pid in self.running:
            self.terminate(pid, PREEMPTED)

    def enforce(self) -> None:
        """End what is over its limits, by force what has had its grace."""
        now = self._host.monotonic()
        for pid, running in self.running.items():
            limit = running.run.timeout_s
            if limit is not None and now >= running.started_monotonic + limit:
                self.terminate(pid, Verdict("time", f"over its time limit of {limit:g} s"))
        if now >= self._next_sample:
            self._next_sample = now + SAMPLE_S
            self._sample_memory()
        for pid, ending in list(self.ending.items()):
            if ending.kill_at is not None and now >= ending.kill_at:
                self.ending[pid] = ending._replace(kill_at=None, signalled=True)
                self._host.signal_session(pid, signal.SIGKILL)

    def _sample_memory(self) -> None:
        limits = {pid: r.run.memory_bytes for pid, r in self.running.items() if r.run.memory_bytes}
        used = self._host.memory(set(limits)) if limits else {}
        for pid, limit in limits.items():
            if used[pid] > limit and pid not in self.ending:
                reason = f"used {used[pid]} bytes of memory, over its limit of {limit}"
                self.ending[pid] = Ending(Verdict("memory", reason), None)
                self._host.signal_session(pid, signal.SIGKILL)

    def terminate(self, pid: int, verdict: Verdict) -> None:
        """Ask for the end of what runs, and force it after its grace."""
        if pid not in self.ending:
            self.ending[pid] = Ending(verdict, self._host.monotonic() + self.running[pid].hello.grace_s)
            self._host.signal_session(pid, signal.SIGTERM)

    @property
    def due(self) -> List[float]:
        """When limits must be looked at again, by the monotonic clock."""
        due = [r.started_monotonic + r.run.timeout_s for r in self.running.values() if r.run.timeout_s]
        due = [at for at in due if at > self._host.monotonic()]
        due += [ending.kill_at for ending in self.ending.values() if ending.kill_at is not None]
        if any(running.run.memory_bytes for running in self.running.values()):
            due.append(self._next_sample)
        return due
