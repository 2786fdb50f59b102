"""The batches that run: what their processes tell, how members end, and what becomes of the others."""

from __future__ import annotations

from typing import List, Set

from hsm.compute.agent import attempt
from hsm.compute.agent.attempt import NO_VERDICT, Verdict
from hsm.compute.agent.closing import Closing
from hsm.compute.agent.host import Exited, Host, Usage
from hsm.compute.agent.limits import Ending, Limits
from hsm.compute.agent.pool import Pool
from hsm.compute.agent.records import Records
from hsm.compute.agent.shared import CANCELLED, Garbled, MemberClosing, Report, SharedProcess
from hsm.wire.messages import Lost

COMPANION = "another attempt of its batch was cancelled and did not end, so its process was killed"


MUTE = Verdict("application", "it closed the descriptor on which it tells of ends, and went on")


class Batches:
    """Batches beside the attempts that have a process of their own, under the same limits."""

    def __init__(self, host: Host, limits: Limits, records: Records, pool: Pool) -> None:
        self._host = host
        self._limits = limits
        self._ending = limits.ending
        self._records = records
        self._pool = pool
        self._ended: List[Closing] = []

    def take_ended(self) -> List[Closing]:
        """Return, once, the members that have ended."""
        ended, self._ended = self._ended, []
        return ended

    def hear(self) -> None:
        """Take in what processes tell."""
        for process in list(self._pool.processes.values()):
            self._hear(process)

    def _hear(self, process: SharedProcess) -> None:
        """Take in what a process tells; one that says what cannot be understood is to be killed."""
        try:
            for report in process.reports():
                self._member_ended(process, report)
        except Garbled as error:
            now = self._host.monotonic()
            process.kill_at = now
            if process.open:
                self._ending[process.pid] = Ending(Verdict("application", f"it told {error}"), now)
            return
        if process.is_mute and process.open and process.pid not in self._ending:
            kill_at = self._host.monotonic() + self._grace_s(process)  # it may just be ending
            self._ending[process.pid] = Ending(MUTE, kill_at, signalled=False)

    def _grace_s(self, process: SharedProcess) -> float:
        return next(iter(process.open.values())).hello.grace_s

    def _member_ended(self, process: SharedProcess, report: Report) -> None:
        ending = self._ending.get(process.pid)
        verdict = process.verdict_on(report, ending.verdict if ending and ending.signalled else NO_VERDICT)
        self._close_member(process, report.token, report.code << 8, process.spent(), verdict)
        if ending and not ending.signalled and not process.cancelled & process.open.keys():
            del self._ending[process.pid]
        if not process.open:
            self._rest(process)

    def _close_member(
        self, process: SharedProcess, token: str, status: int, used: Usage, verdict: Verdict
    ) -> None:
        exited = Exited(process.pid, status, *used)
        running = process.open.pop(token)
        ended = attempt.exit_record(self._host, running, exited, verdict)
        self._ended.append(MemberClosing(self._host, running, ended, process.printed()))

    def _rest(self, process: SharedProcess) -> None:
        """Free the slot of a process whose batch has ended; one that was told to end gets no other."""
        self._limits.running.pop(process.pid, None)
        ending = self._ending.pop(process.pid, None)
        process.idle_since = self._host.monotonic()
        if ending is not None:
            process.dismiss(max(0.0, (ending.kill_at or 0.0) - process.idle_since))

    def settle(self, process: SharedProcess, exited: Exited) -> None:
        """Record what a process that has ended leaves open."""
        self._hear(process)
        ending = self._ending.pop(process.pid, None)
        used = process.spent(Usage(exited.user_s, exited.system_s, exited.rss_bytes))
        said = ending.verdict if ending and ending.signalled else NO_VERDICT
        for token, verdict in process.fates(exited.status, said).items():
            if verdict is None:
                self._records.add(Lost(token, COMPANION, self._host.now(), charged=False))
                del process.open[token]
            else:
                self._close_member(process, token, exited.status, used, verdict)
                used = Usage(0.0, 0.0, exited.rss_bytes)
        self._pool.close(process)

    def cancel(self, process: SharedProcess, wanted: Set[str]) -> None:
        """Ask for the end of members; others of their batch go on, unless there are none."""
        tokens = wanted & process.open.keys()
        process.cancelled |= tokens
        if tokens and process.open.keys() <= process.cancelled:
            self._limits.terminate(process.pid, CANCELLED)
        elif tokens:
            process.cancel(tokens)
            kill_at = self._host.monotonic() + self._grace_s(process)
            self._ending.setdefault(process.pid, Ending(CANCELLED, kill_at, signalled=False))
