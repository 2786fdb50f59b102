"""A source whose attempts are pretended: for tests of engines, for simulations and for measuring overhead.

`MemoryMachine` is the world of the attempts and outlives the managers, `MemorySource` is the way to it. An
attempt does what `behave` says of its order and ends at once, unless it holds. The cost of an attempt does
not depend on how many there are. Without files (the default) nothing is written anywhere, and the
observations say so: their manifest is `NO_FILES`. With files, `fetch` writes what the act left, with a
provenance report that says that the attempt was pretended.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256

from hsm.compute.refusal import refusal
from hsm.compute.testing.ability import Ability
from hsm.compute.testing.trouble import Trouble
from hsm.core.errors import SourceError
from hsm.core.model import Exit
from hsm.core.source import (
    AttemptOrder,
    CancelOutcome,
    Capabilities,
    Check,
    CollectionResult,
    ComputeSource,
    Health,
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
from hsm.core.world import World
from hsm.wire.manifest import NO_FILES, REPORT
from hsm.wire.names import task_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a pretended attempt does: an effect when it begins, how it ends, and the files that it leaves.

    While `holds` returns True it runs on; `MemoryMachine.proceed` asks again. Without a `cause`, an exit
    that is no success has the cause `application`.
    """

    code: int = 0
    signal: int | None = None
    cause: Cause | None = None
    reason: str = ""
    effect: Callable[[], None] | None = None
    holds: Callable[[], bool] | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


SUCCESS = Act()
SUCCESS_EXIT = Exit(code=0)  # one for all that end at once


def _exit(act: Act, wall_s: float) -> Exit:
    code = None if act.signal is not None else act.code
    return Exit(code=code, signal=act.signal, wall_s=wall_s)


def succeed(_: AttemptOrder) -> Act:
    """Pretend that the program did nothing and succeeded."""
    return SUCCESS


@dataclass(frozen=True, slots=True)
class _Left:
    """What an attempt left: files and its provenance report."""

    files: Mapping[str, bytes]
    report: bytes


class MemoryMachine:
    """Where pretended attempts run, `slots` at a time. Its log of observations is kept for ever."""

    def __init__(
        self,
        world: World,
        *,
        slots: int = 2,
        behave: Callable[[AttemptOrder], Act] = succeed,
        files: bool = False,
        settle_s: float = 0.0,
        missing_s: float = 600.0,
    ) -> None:
        self.capabilities = Capabilities(slots=slots, settle_s=settle_s, missing_s=missing_s)
        self.trouble = Trouble()
        self.cancelled: list[str] = []
        self.log: list[Observation] = []
        self.epoch = 0
        self._world = world
        self._behave = behave
        self._files = files
        self._waiting: dict[str, AttemptOrder] = {}
        self._running: dict[str, tuple[AttemptOrder, Act, float]] = {}
        self._known: set[str] = set()
        self._denied: set[str] = set()
        self._left: dict[str, _Left] = {}
        self._changed: set[asyncio.Event] = set()

    # What a manager may ask

    def submit(self, orders: Sequence[AttemptOrder]) -> list[SubmitOutcome]:
        """Take attempts in, and begin as many as there is room for."""
        outcomes: list[SubmitOutcome] = []
        for order in orders:
            refused = refusal(order, self.capabilities)
            outcomes.append(refused or Submitted(ref=order.token))
            if refused is None and not self._is_told_of(order.token):
                self._known.add(order.token)
                self._waiting[order.token] = order
        self._fill()
        return outcomes

    def _is_told_of(self, token: str) -> bool:
        return token in self._known or token in self._denied

    def is_known(self, token: str) -> bool:
        """Tell whether an attempt was ever handed over."""
        return token in self._known

    def cancel(self, tokens: Sequence[str]) -> dict[str, CancelOutcome]:
        """End attempts, begun or not; none of them begins because another one has made room."""
        self.cancelled += tokens
        outcomes = {token: self._cancel(token) for token in tokens}
        self._fill()
        return outcomes

    def _cancel(self, token: str) -> CancelOutcome:
        if token not in self._known:
            return CancelOutcome.UNKNOWN
        if self._running.pop(token, None) is not None:
            self._see(token, AttemptState.CANCELLED, "cancelled")
        elif not self._take_back(token):
            return CancelOutcome.ALREADY_ENDED
        return CancelOutcome.REQUESTED

    def recall(self, tokens: Sequence[str]) -> None:
        """Give back those attempts that have not begun."""
        for token in tokens:
            self._take_back(token)
        self._fill()

    def _take_back(self, token: str) -> bool:
        if self._waiting.pop(token, None) is None:
            return False
        self._see(token, AttemptState.VOID, "taken back before it began")
        return True

    def left(self, token: str) -> _Left | None:
        """Return what an attempt left, None without files."""
        return self._left.get(token)

    def count_on(self, tokens: Sequence[str]) -> None:
        """Say of attempts of which nothing is known that they never began, unless they may come up yet."""
        for token in tokens if not self.capabilities.settle_s else ():
            if not self._is_told_of(token):
                self._denied.add(token)
                self._see(token, AttemptState.VOID, "it was never ordered")

    # What a test may do to it

    def proceed(self) -> None:
        """Let attempts end whose act no longer holds."""
        now = self._world.now()
        for token, (order, act, started_at) in list(self._running.items()):
            if act.holds is None or not act.holds():
                del self._running[token]
                self._end(order, act, started_at, now)
        self._fill()

    def lose_agent(self) -> None:
        """Behave as if the agent had died and another one had taken its place: what ran is lost."""
        for token in list(self._running):
            del self._running[token]
            self._see(token, AttemptState.LOST, "its agent died", cause=Cause.LOST)
        self._fill()

    def miss(self, token: str) -> None:
        """Behave as if a listing had come in that lacks an attempt, which lives on."""
        self._see(token, AttemptState.MISSING)
        self._fill()

    def show(self, token: str) -> None:
        """Behave as if a listing had come in that has an attempt, which runs."""
        self._see(token, AttemptState.RUNNING)
        self._fill()

    def wake(self) -> None:
        """Let everybody who listens look, and meet the trouble there is."""
        self._fill()

    # Attempts

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self.capabilities.slots:
            token = next(iter(self._waiting))
            self._begin(self._waiting.pop(token))
        for changed in self._changed:
            changed.set()

    def _begin(self, order: AttemptOrder) -> None:
        act = self._behave(order)
        now = self._world.now()
        if act.effect is not None:
            act.effect()
        if act.holds is not None and act.holds():
            self._running[order.token] = order, act, now
            self._see(order.token, AttemptState.RUNNING)
        else:
            self._end(order, act, now, now)

    def _end(self, order: AttemptOrder, act: Act, started_at: float, at: float) -> None:
        exit_ = SUCCESS_EXIT if act is SUCCESS else _exit(act, max(0.0, at - started_at))
        failed = exit_.code != 0
        seen = Observation(
            token=order.token,
            state=AttemptState.EXITED,
            at=at,
            exit=exit_,
            manifest=self._leave(order, act, exit_) if self._files else NO_FILES,
            agent="memory",
            cause=act.cause or (Cause.APPLICATION if failed else None),
            reason=act.reason or (exit_.words if failed else ""),
            started_at=started_at,
        )
        self.log.append(seen)

    def _leave(self, order: AttemptOrder, act: Act, exit_: Exit) -> str:
        report = report_of(order, act, exit_)
        self._left[order.token] = _Left(act.files, report)
        return sha256(report).hexdigest()

    def _see(self, token: str, state: AttemptState, reason: str = "", *, cause: Cause | None = None) -> None:
        at = self._world.now()
        self.log.append(
            Observation(token=token, state=state, at=at, reason=reason, cause=cause, started_at=at)
        )

    # Listening

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[asyncio.Event]:
        """Yield an event that is set whenever something may have been seen."""
        changed = asyncio.Event()
        self._changed.add(changed)
        try:
            yield changed
        finally:
            self._changed.discard(changed)


def report_of(order: AttemptOrder, act: Act, exit_: Exit) -> bytes:
    """Return the provenance report of a pretended attempt."""
    artifacts = [
        {"path": path, "size": len(data), "sha256": sha256(data).hexdigest()}
        for path, data in sorted(act.files.items())
    ]
    report = {
        "schema": "hsm.provenance.v1",
        "pretended": True,
        "task_id": task_id(order.task),
        "attempt": order.attempt,
        "token": order.token,
        "config_hash": order.config_hash,
        "task_key": order.task_key,
        "seed": order.seed,
        "params": json.loads(order.params_json),
        "command": list(order.argv),
        "exit": {"code": exit_.code, "signal": exit_.signal},
        "artifacts": artifacts,
    }
    return (json.dumps(report) + "\n").encode("ascii")


class MemorySource(ComputeSource):
    """A way to a `MemoryMachine`."""

    abilities = frozenset({Ability.AGENT})

    def __init__(self, machine: MemoryMachine, *, name: str = "memory") -> None:
        self.name = name
        self._machine = machine

    @asynccontextmanager
    async def session(self, context: SweepContext) -> AsyncIterator[SourceSession]:
        """Reach the machine; older managers are shut out from now on."""
        self._machine.trouble.check(self.name)
        if context.epoch < self._machine.epoch:
            raise SourceError(self.name, f"epoch {context.epoch} has been superseded")
        self._machine.epoch = context.epoch
        self._machine.count_on(context.adopted or ())
        async with self._machine.listening() as changed:
            yield _MemorySession(self.name, self._machine, context.epoch, changed)

    async def checks(self) -> HealthReport:
        """Look at nothing, for there is nothing."""
        detail = f"{self._machine.capabilities.slots} slots"
        return HealthReport(
            source=self.name, checks=(Check(name="memory", health=Health.PASS, detail=detail),)
        )

    def argv(self, argv: Sequence[str]) -> tuple[str, ...]:
        """Return the command as it is."""
        return tuple(argv)


class _MemorySession(SourceSession):
    """One manager's view of the machine. A ref is the attempt's token, a cursor a place in the log."""

    def __init__(self, name: str, machine: MemoryMachine, epoch: int, changed: asyncio.Event) -> None:
        self.capabilities = machine.capabilities
        self._name = name
        self._machine = machine
        self._epoch = epoch
        self._changed = changed

    def _check_epoch(self) -> None:
        self._machine.trouble.check(self._name)
        if self._epoch != self._machine.epoch:
            raise SourceError(self._name, f"epoch {self._epoch} has been superseded")

    async def submit(self, orders: Sequence[AttemptOrder]) -> Sequence[SubmitOutcome]:
        self._check_epoch()
        return self._machine.trouble.submit(self._name, lambda: self._machine.submit(orders))

    async def observations(self, cursor: str = "") -> AsyncIterator[Observations]:
        at = int(cursor or 0)
        log = self._machine.log
        while True:
            self._changed.clear()
            self._machine.trouble.check(self._name)
            if at < len(log):
                seen = tuple(log[at:])
                at += len(seen)
                yield Observations(seen=seen, cursor=str(at))
            else:
                await self._changed.wait()

    async def find(self, tokens: Iterable[str]) -> Mapping[str, Sequence[str]]:
        trouble = self._machine.trouble
        trouble.check(self._name)
        found = {token: trouble.refs(token, is_known=self._machine.is_known(token)) for token in tokens}
        trouble.asked()
        return {token: refs for token, refs in found.items() if refs}

    async def cancel(self, refs: Sequence[str]) -> Mapping[str, CancelOutcome]:
        self._check_epoch()
        return self._machine.cancel(refs)

    async def recall(self, refs: Sequence[str]) -> None:
        self._check_epoch()
        self._machine.recall(refs)

    async def fetch(self, wanted: Sequence[Wanted]) -> Mapping[str, CollectionResult]:
        self._machine.trouble.check(self._name)
        return {one.ref: self._fetched(one) for one in wanted}

    def _fetched(self, wanted: Wanted) -> CollectionResult:
        dest, left = wanted.dest, self._machine.left(wanted.ref)
        fault = self._machine.trouble.faults.get(wanted.ref)
        if left is None or fault is not None:
            return CollectionResult(directory=dest, files=0, bytes=0, fault=fault)
        for path, data in {**left.files, REPORT: left.report}.items():
            target = dest / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        size = sum(map(len, left.files.values()))
        return CollectionResult(directory=dest, files=len(left.files), bytes=size)

    async def release(self) -> None:
        """Do nothing: the machine is memory and needs no leave."""
