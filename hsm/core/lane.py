"""A lane: one opened source as the engine drives it. Two coroutines per source, none per task."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hsm.core.dispatch import LaneView
from hsm.core.errors import SourceError
from hsm.core.inputs import HandedOver, HandoverLost, Input, LaneFailed, Seen
from hsm.core.mailbox import Mailbox
from hsm.core.source import AttemptOrder, ComputeSource, SourceSession

RATE_WINDOW = 64
"""The rate at which a source ends attempts is taken over so many of its reports."""


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


Call: TypeAlias = Submit | Cancel | Recall


class Lane:
    """One source. `calls` are performed in order; what is seen and answered is posted to the engine."""

    def __init__(self, source: ComputeSource, session: SourceSession, post: Callable[[Input], None]) -> None:
        self.source = source
        self.session = session
        self.calls: Mailbox[Call] = Mailbox()
        self.is_open = True
        self._post = post
        self._endings: deque[tuple[float, int]] = deque(maxlen=RATE_WINDOW)

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

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
            slots=self.session.capabilities.slots,
            in_flight=in_flight,
            prefetches=self.session.capabilities.prefetches,
            rate_hz=ended / (now - since) if ended and now > since else 0.0,
        )

    async def observe(self, cursor: str) -> None:
        """Post what the source sees, from after `cursor` on, until cancelled."""
        try:
            async for batch in self.session.observations(cursor):
                self._post(Seen(self.name, batch))
        except SourceError as error:
            self._post(LaneFailed(self.name, error))

    async def work(self) -> None:
        """Perform calls until cancelled."""
        try:
            while True:
                for call in await self.calls.take():
                    await self._perform(call)
        except SourceError as error:
            self._post(LaneFailed(self.name, error))

    async def _perform(self, call: Call) -> None:
        match call:
            case Submit(orders):
                await self._submit(orders)
            case Cancel(refs):
                await self.session.cancel(refs)
            case Recall(refs):
                await self.session.recall(refs)

    async def _submit(self, orders: Sequence[AttemptOrder]) -> None:
        try:
            outcomes = await self.session.submit(orders)
        except SourceError as error:
            self._post(HandoverLost(orders, error))
            raise
        self._post(HandedOver(orders, outcomes))
