"""A lane: one source as the engine drives it, opened again when it fails. Few coroutines, none per task."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias, TypeVar

from hsm.core.dispatch import LaneView
from hsm.core.epochs import Tenure
from hsm.core.errors import HsmError, SourceError
from hsm.core.inputs import (
    Found,
    HandedOver,
    HandoverLost,
    Input,
    LaneFailed,
    LaneOpened,
    NotHandedOver,
    Seen,
)
from hsm.core.limits import remedy
from hsm.core.mailbox import Mailbox
from hsm.core.source import (
    AttemptOrder,
    Capabilities,
    CollectionResult,
    ComputeSource,
    SourceSession,
    SweepContext,
    Wanted,
)
from hsm.core.world import World
from hsm.wire.log import NO_ROOM

T = TypeVar("T")

RATE_WINDOW = 64
"""The rate at which a source ends attempts is taken over so many of its reports."""

FIRST_PAUSE_S = 0.1
PAUSE_GROWTH = 4.0
LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True)
class Submit:
    """Hand attempts over."""

    orders: Sequence[AttemptOrder]


@dataclass(frozen=True, slots=True)
class Cancel:
    """End attempts, running or not."""

    refs: Sequence[str]


@dataclass(frozen=True, slots=True)
class Recall:
    """Take back attempts that have not begun."""

    refs: Sequence[str]


@dataclass(frozen=True, slots=True)
class Find:
    """Ask which of these attempts the source has."""

    tokens: Sequence[str]


Call: TypeAlias = Submit | Cancel | Recall | Find


class Pauses:
    """How long to leave a source alone that failed: longer each time, and never in step with others."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._next_s = FIRST_PAUSE_S

    def next_s(self) -> float:
        """Return how long to wait now."""
        pause_s, self._next_s = self._next_s, min(self._next_s * PAUSE_GROWTH, LONGEST_PAUSE_S)
        return pause_s * self._rng.uniform(0.5, 1.5)

    def reset(self) -> None:
        """Note that the source did something."""
        self._next_s = FIRST_PAUSE_S


class Lane:
    """One source. Calls are performed in order; what is seen and answered is posted to the engine.

    A source that fails is left alone for a while and opened again, and nothing that it may have got is handed
    over a second time. One that fails for good (its error is not transient) stays closed.
    """

    def __init__(
        self, world: World, source: ComputeSource, tenure: Tenure, post: Callable[[Input], None]
    ) -> None:
        self.source = source
        self.name = source.name
        self.session: SourceSession | None = None
        self.is_over = False
        self._is_ending = False
        self._is_parting = False
        self._world = world
        self._tenure = tenure
        self._post = post
        self._calls: Mailbox[Call] = Mailbox()
        self._troubles: Mailbox[SourceError] = Mailbox()
        self._tried = asyncio.Event()
        self._pauses = Pauses(world.rng("hsm.pauses.v1", tenure.claim.token, source.name))
        self._endings: deque[tuple[float, int]] = deque(maxlen=RATE_WINDOW)
        self._capabilities = Capabilities(slots=1, prefetches=False)

    @property
    def is_open(self) -> bool:
        """Whether the source can be used now."""
        return self.session is not None

    @property
    def knows_batches(self) -> bool:
        """Whether attempts of the open source can share a process."""
        return self._capabilities.batches

    # What the engine asks

    def put(self, call: Call) -> None:
        """Have a call performed. While the source is closed none is: what is still wanted is said again."""
        if self.is_open:
            self._calls.put(call)
        elif isinstance(call, Submit):
            self._post(NotHandedOver(call.orders))

    def complain(self, error: SourceError) -> None:
        """Note that somebody else met an error of the session: it is closed and opened again."""
        if self.is_open:
            self._troubles.put(error)

    async def fetch(self, wanted: Sequence[Wanted]) -> Mapping[str, CollectionResult] | None:
        """Bring attempts home, and return what became of each by its ref.

        None when the source is closed, or now will be: its next `LaneOpened` has not been posted yet.

        Raises:
            OSError: there is no room at home.
        """
        return await self._answer(lambda session: session.fetch(wanted))

    async def release(self) -> None:
        """Say that nothing more will come, and open the source no more if it fails from now on.

        Where nobody hears it, what is there leaves by itself later.
        """
        self._is_parting = True
        await self._answer(lambda session: session.release())

    async def clear(self, *, keeps_checkpoints: bool) -> None:
        """Have what the sweep left there removed. Where nobody hears it, it stays until it is cleaned."""
        await self._answer(lambda session: session.clear(keeps_checkpoints=keeps_checkpoints))

    async def _answer(self, ask: Callable[[SourceSession], Awaitable[T]]) -> T | None:
        """Return what the open session answers, or the one that was opened while that failed."""
        while (session := self.session) is not None:
            try:
                return await ask(session)
            except Exception as error:
                if isinstance(error, OSError) and error.errno in NO_ROOM:
                    raise
                if self._is_ending:
                    raise asyncio.CancelledError from error
                trouble = _trouble(self.name, error)
                if self.session is session:
                    self.complain(trouble)
                    return None
        return None

    def ended(self, count: int, at: float) -> None:
        """Note that attempts ended just now, by the monotonic clock."""
        self._endings.append((at, count))

    def view(self, in_flight: int, now: float) -> LaneView:
        """Return the lane as dispatch sees it.

        Its rate counts from the first report of endings, or from when it last had nothing before any.
        """
        if not in_flight and len(self._endings) < 2:
            self._endings.clear()
            self._endings.append((now, 0))
        since, before = self._endings[0] if self._endings else (now, 0)
        ended = sum(count for _, count in self._endings) - before
        return LaneView(
            name=self.name,
            slots=self._capabilities.slots,
            in_flight=in_flight,
            prefetches=self._capabilities.prefetches,
            ahead_s=self._capabilities.ahead_s,
            rate_hz=ended / (now - since) if ended and now > since else 0.0,
        )

    # Being there

    async def tried(self) -> None:
        """Wait until the source was opened, or failed to, for the first time."""
        await self._tried.wait()

    def end(self) -> None:
        """Note that whoever uses the source is being cancelled, whatever its session makes of that."""
        self._is_ending = True

    async def run(self, context: Callable[[], SweepContext], cursor: Callable[[], str]) -> None:
        """Keep the source open until cancelled; observe it from after `cursor()` on."""
        while not self.is_over:
            error = await self._serve(context(), cursor)
            if self._is_ending:
                return
            if self._is_parting:  # opened again it would make anew what was cleared away
                self.session = None
                return
            self.is_over = not error.transient
            self._close(error)
            self._tried.set()
            if not self.is_over:
                await self._world.sleep(self._pauses.next_s())

    async def _serve(self, context: SweepContext, cursor: Callable[[], str]) -> SourceError:
        """Open the source, let it work, and return what went wrong."""
        try:
            async with self.source.session(context) as session:
                self._open(session)
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._observe(session, cursor()))
                    group.create_task(self._work(session))
                    group.create_task(self._listen())
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything: it costs its own source
            return _trouble(self.name, error)
        raise AssertionError("a session ends by an error or by being cancelled")

    def _open(self, session: SourceSession) -> None:
        self.session = session
        self._capabilities = session.capabilities
        self._endings.clear()
        self._troubles.drain()
        self._post(LaneOpened(self.name, self._capabilities.slots))
        self._tried.set()

    def _close(self, error: SourceError) -> None:
        self.session = None
        for call in self._calls.drain():
            self.put(call)
        self._post(LaneFailed(self.name, error))

    async def _listen(self) -> None:
        """Raise what others complain of."""
        for error in await self._troubles.take():
            raise error

    async def _observe(self, session: SourceSession, cursor: str) -> None:
        async for batch in session.observations(cursor):
            self._pauses.reset()
            self._post(Seen(self.name, batch, self._world.monotonic()))

    async def _work(self, session: SourceSession) -> None:
        while True:
            call = await self._calls.take_one()
            if isinstance(call, Submit):
                await self._submit(session, call.orders)
            else:
                await self._tenure.check()
                await self._perform(session, call)

    async def _perform(self, session: SourceSession, call: Cancel | Recall | Find) -> None:
        match call:
            case Cancel(refs):
                await session.cancel(refs)
            case Recall(refs):
                await session.recall(refs)
            case Find(tokens):
                self._post(Found(self.name, tokens, await session.find(tokens)))

    async def _submit(self, session: SourceSession, orders: Sequence[AttemptOrder]) -> None:
        """Hand over; whatever breaks it off, which of the attempts arrived is then not known."""
        lost: SourceError | None = SourceError(self.name, "the hand-over was broken off", transient=True)
        try:
            await self._tenure.check()
            outcomes = await session.submit(orders)
            lost = None
        except SourceError as error:
            lost = error
            raise
        finally:
            if lost is not None:
                self._post(HandoverLost(orders, lost))
        self._pauses.reset()
        self._post(HandedOver(orders, outcomes))


def _trouble(name: str, error: Exception) -> SourceError:
    """Return what went wrong in a session as an error of its source.

    Raises:
        HsmError: it is none of the source: the engine must stop.
    """
    leaves = list(_leaves(error))
    for leaf in leaves:
        if isinstance(leaf, HsmError) and not isinstance(leaf, SourceError):
            raise leaf
    lasting = [leaf for leaf in leaves if isinstance(leaf, SourceError) and not leaf.transient]
    told = lasting or [leaf for leaf in leaves if isinstance(leaf, SourceError)]
    if told:
        return told[0]
    broken = SourceError(
        name, f"it broke: {type(leaves[0]).__name__}: {leaves[0]}", hint=remedy(leaves[0]), transient=True
    )
    broken.__cause__ = leaves[0]
    return broken


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
