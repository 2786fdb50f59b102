"""The way to a simulated batch system, as any source without a log has to do it."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from hsm.core.errors import SourceError
from hsm.core.model import Exit
from hsm.core.source import (
    AttemptOrder,
    CancelOutcome,
    Capabilities,
    CollectionResult,
    ComputeSource,
    HealthReport,
    Observation,
    Observations,
    SourceSession,
    SubmitOutcome,
    Submitted,
    SweepContext,
    Wanted,
)
from hsm.core.states import AttemptState, Cause
from hsm.sim.cluster import EXIT_RECORD, SHOWN_S, Cluster, Job, Phase
from hsm.sim.scenario import FaultKind
from hsm.sim.trace import Trace
from hsm.wire.files import Files

POLL_S = 1.0
CALL_S = 0.05
SETTLE_S = SHOWN_S + 1.0
MISSING_S = 30.0
"""Longer than any listing of the simulation lacks what runs."""

_TOKEN = re.compile(rb"[0-9a-f]{32}")


class BatchSource(ComputeSource):
    """A batch system that every machine can reach."""

    name = "batch"

    def __init__(self, cluster: Cluster, files: Files, rng: Random, trace: Trace) -> None:
        self.cluster = cluster
        self.files = files
        self.rng = rng
        self.trace = trace

    @asynccontextmanager
    async def session(self, context: SweepContext) -> AsyncIterator[SourceSession]:
        await asyncio.sleep(CALL_S)
        self.check()
        yield BatchSession(self, str(context.sweep_dir))

    def check(self) -> None:
        """Raise while nobody is answered."""
        if self.cluster.now < self.cluster.silent_until:
            raise SourceError(self.name, "it does not answer", transient=True)

    async def checks(self) -> HealthReport:
        return HealthReport(source=self.name, checks=())

    def argv(self, argv: Sequence[str]) -> tuple[str, ...]:
        return tuple(argv)


class BatchSession(SourceSession):
    """One manager's view. A ref is `<number>:<token>`; the cursor holds the tokens of which all is said.

    What is about to be handed over is written down before, durably: a later session must know what to miss.
    """

    def __init__(self, source: BatchSource, sweep: str) -> None:
        cluster = source.cluster
        self.capabilities = Capabilities(
            slots=cluster.slots,
            pushes=False,
            poll_floor_s=POLL_S,
            settle_s=SETTLE_S,
            missing_s=MISSING_S,
        )
        self._source = source
        self._cluster = cluster
        self._sweep = sweep
        self._handed = f"{sweep}/.hsm/agents/{source.name}/handed"
        self._watched: dict[str, str] = {}  # token: what was said of it last
        self._numbers: dict[str, int] = {}
        self._over: set[str] = set()
        self._unwanted: set[str] = set()
        for token in _TOKEN.findall(source.files.read(self._handed, 0)):
            self._watched[token.decode()] = ""  # a power cut may leave zeros among them

    async def submit(self, orders: Sequence[AttemptOrder]) -> Sequence[SubmitOutcome]:
        await self._call()
        source, cluster = self._source, self._cluster
        self._write_down([order.token for order in orders])
        if cluster.lost_requests:
            cluster.lost_requests -= 1
            source.trace.count(FaultKind.LOST_REQUEST)
            raise SourceError(source.name, "the submit timed out", transient=True)
        is_lost = cluster.lost_replies > 0
        numbers = [cluster.submit(order, self._sweep, source.rng.uniform(0.0, SHOWN_S)) for order in orders]
        if is_lost:
            cluster.lost_replies -= 1
            source.trace.count(FaultKind.LOST_REPLY)
            await asyncio.sleep(1.0)
            raise SourceError(source.name, "the submit timed out", transient=True)
        self._numbers.update((order.token, number) for order, number in zip(orders, numbers, strict=True))
        return [
            Submitted(ref=f"{number}:{order.token}") for number, order in zip(numbers, orders, strict=True)
        ]

    def _write_down(self, tokens: Sequence[str]) -> None:
        files, folder = self._source.files, self._handed.rpartition("/")[0]
        try:
            files.make_directories(folder)
            files.append(self._handed, "".join(f"{token}\n" for token in tokens).encode())
            files.sync_file(self._handed)
            files.sync_directory(folder)
        except OSError as error:
            raise SourceError(
                self._source.name, f"nothing can be written down: {error}", transient=True
            ) from error
        self._watched.update((token, "") for token in tokens if token not in self._watched)

    async def _call(self) -> None:
        await asyncio.sleep(CALL_S)
        self._source.check()

    async def observations(self, cursor: str = "") -> AsyncIterator[Observations]:
        self._over |= set(cursor.split())
        while True:
            await asyncio.sleep(POLL_S)
            self._source.check()
            seen = tuple(self._look())
            if seen:
                yield Observations(seen=seen, cursor=" ".join(sorted(self._over)))

    def _look(self) -> Iterator[Observation]:
        listing = self._listing()
        records = dict(self._exit_records())
        for token, said in self._watched.items():
            if token in self._unwanted:
                self._end(listing.get(token))
            if token in self._over:
                continue
            if token in records:
                self._over.add(token)
                yield _exited(token, records[token], self._cluster.now)
            else:
                observation = self._say(token, said, listing.get(token))
                if observation is not None:
                    yield observation

    def _listing(self) -> dict[str, Job]:
        """Return the jobs that a listing has, by token: a number may be somebody else's by now."""
        return {job.order.token: job for job in self._cluster.listed()}

    def _end(self, job: Job | None) -> None:
        """End a job that came up after it was to be ended."""
        if job is not None and not job.ended_at:
            self._cluster.cancel(job.number, job.order.token)

    def _say(self, token: str, said: str, job: Job | None) -> Observation | None:
        at = self._cluster.now
        if job is None:
            self._watched[token] = "missing"
            return Observation(token=token, state=AttemptState.MISSING, at=at)
        if said == job.phase or job.phase is Phase.COMPLETED:
            return None  # only an exit record ends an attempt
        self._watched[token] = job.phase
        if job.phase in (Phase.CANCELLED, Phase.NODE_FAIL):
            self._over.add(token)
        return _seen(token, job, at)

    def _exit_records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        files, work = self._source.files, f"{self._sweep}/.hsm/work"
        for name in files.list(work):
            data = files.read(f"{work}/{name}/{EXIT_RECORD}", 0)
            if data:
                record = json.loads(data)
                yield record["token"], record

    async def find(self, tokens: Iterable[str]) -> Mapping[str, Sequence[str]]:
        await self._call()
        ended = dict(self._exit_records())
        found: dict[str, Sequence[str]] = {}
        for token in tokens:
            number = self._cluster.accounted(token)  # a listing may lack it for longer than `settle_s`
            if number is not None or token in ended:
                found[token] = [f"{number or 0}:{token}"]
        return found

    async def cancel(self, refs: Sequence[str]) -> Mapping[str, CancelOutcome]:
        await self._call()
        return {ref: self._cancel(ref) for ref in refs}

    def _cancel(self, ref: str) -> CancelOutcome:
        _, _, token = ref.rpartition(":")
        number = self._cluster.number_of(token)
        if number is None:
            self._unwanted.add(token)  # it is ended when a listing has it
            return CancelOutcome.UNKNOWN
        is_ended = self._cluster.cancel(number, token)
        return CancelOutcome.REQUESTED if is_ended else CancelOutcome.ALREADY_ENDED

    async def recall(self, refs: Sequence[str]) -> None:
        await self._call()
        pending = {job.order.token: job for job in self._cluster.listed() if job.phase is Phase.PENDING}
        for ref in refs:
            job = pending.get(ref.rpartition(":")[2])
            if job is not None:
                self._cluster.cancel(job.number, job.order.token)

    async def fetch(self, wanted: Sequence[Wanted]) -> Mapping[str, CollectionResult]:
        self._source.check()
        return {one.ref: CollectionResult(directory=one.dest, files=0, bytes=0) for one in wanted}

    async def release(self) -> None:
        """Do nothing: jobs end by themselves."""


def _seen(token: str, job: Job, at: float) -> Observation:
    """Return what a listing says of a job."""
    if job.phase is Phase.PENDING:
        return Observation(token=token, state=AttemptState.SUBMITTED, at=at)
    if job.phase is Phase.RUNNING:
        return Observation(token=token, state=AttemptState.RUNNING, at=at, started_at=at)
    if job.phase is Phase.NODE_FAIL:
        failed = "its node failed"
        return Observation(token=token, state=AttemptState.LOST, at=at, cause=Cause.NODE, reason=failed)
    state = AttemptState.CANCELLED if job.has_begun else AttemptState.VOID
    return Observation(token=token, state=state, at=at, reason="ended on request")


def _exited(token: str, record: Mapping[str, Any], at: float) -> Observation:
    status = int(record["status"])
    code = os.waitstatus_to_exitcode(status)
    exit_ = Exit(code=code if code >= 0 else None, signal=-code if code < 0 else None)
    return Observation(
        token=token,
        state=AttemptState.EXITED,
        at=at,
        exit=exit_,
        manifest=record["manifest"],
        cause=Cause.APPLICATION if code else None,
        reason=exit_.words if code else "",
        started_at=record["began_at"],
    )
