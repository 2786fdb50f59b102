"""A source session that speaks to an agent through its two logs, whatever carries them.

Submitting is appending to the inbox, observing is reading records, reattaching is reading on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from hsm.compute.carrier import Carrier, Place
from hsm.compute.reading import NotBelieved, hindrance_of, observations_of
from hsm.compute.refusal import refusal
from hsm.core.source import (
    AttemptOrder,
    CancelOutcome,
    Capabilities,
    CollectionResult,
    Observation,
    Observations,
    SourceSession,
    SubmitOutcome,
    Submitted,
    Wanted,
)
from hsm.core.states import AttemptState
from hsm.wire.log import Position, Record, UnreadableRecord
from hsm.wire.messages import Cancel, Close, Recall, Run

START = Place(0, Position())


def cursor_of(place: Place) -> str:
    """Return a place in the agents' records as text."""
    incarnation, (offset, seq, chain) = place
    return f"{incarnation}:{offset}:{seq}:{chain.hex()}"


def place_of(cursor: str) -> Place:
    """Return the place that a cursor names; the beginning when empty.

    Raises:
        ValueError: it is not a cursor.
    """
    if not cursor:
        return START
    incarnation, offset, seq, chain = cursor.split(":")
    return Place(int(incarnation), Position(int(offset), int(seq), bytes.fromhex(chain)))


class AgentSession(SourceSession):
    """One agent, reached through a carrier. A ref is the attempt's token."""

    def __init__(self, name: str, carrier: Carrier, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._name = name
        self._carrier = carrier
        self._ended: dict[str, int] = {}
        """How those ended that are over, as a number that tells one end from another."""
        self._open: set[str] = set()
        self._released = False

    async def submit(self, orders: Sequence[AttemptOrder]) -> Sequence[SubmitOutcome]:
        """Append the attempts to the inbox, less those that no agent could ever run."""
        refused = [refusal(order, self.capabilities) for order in orders]
        taken = [order for order, no in zip(orders, refused, strict=True) if no is None]
        if taken:
            await self._carrier.send([run_of(order) for order in taken])
        self._open.update(order.token for order in taken if order.token not in self._ended)
        return [no or Submitted(ref=order.token) for order, no in zip(orders, refused, strict=True)]

    async def observations(self, cursor: str = "") -> AsyncIterator[Observations]:
        """Yield what the agents recorded after the cursor, and go on as they record."""
        place = place_of(cursor)
        while True:
            records, place = await self._recorded(place)
            if records:
                seen = tuple(self._charged(observations_of(self._name, records)))
                self._note(seen)
                lack, hint = hindrance_of(self._name, records)
                yield Observations(seen=seen, cursor=cursor_of(place), hindrance=lack, hint=hint)
            if await self._carrier.wait():
                continue
            if self._released:
                return  # it left because we said so
            await self.replace_agent()

    async def _recorded(self, place: Place) -> tuple[list[Record], Place]:
        """Return the agents' records after a place, and the place behind them.

        Raises:
            NotBelieved: one of them is no record at all.
        """
        try:
            return await self._carrier.receive(place)
        except UnreadableRecord as error:
            raise NotBelieved(self._name, "a record", str(error)) from error

    def _charged(self, seen: Iterable[Observation]) -> Iterator[Observation]:
        """Yield what was seen; what was lost with agents that die at once is charged to no task."""
        for one in seen:
            is_free = one.state is AttemptState.LOST and self.is_suspected
            yield replace(one, charged=False) if is_free else one

    @property
    def is_suspected(self) -> bool:
        """Whether agents of this session die at once, whatever they run."""
        return False

    async def replace_agent(self) -> None:
        """Bring up another agent in place of one that has gone."""
        raise NotImplementedError

    def _note(self, seen: Iterable[Observation]) -> None:
        """Note what has ended.

        Raises:
            NotBelieved: an end was told before, and was another one.
        """
        for one in seen:
            if one.state is AttemptState.RUNNING:
                continue
            self._open.discard(one.token)
            end = hash((one.exit, one.manifest, one.cause)) if one.exit else 0
            before = self._ended.setdefault(one.token, end)
            if end and before and end != before:
                field = f"the end of attempt {one.token[:8]}, told before as another one,"
                raise NotBelieved(self._name, field, one.exit and one.exit.words)
            self._ended[one.token] = end or before

    async def find(self, tokens: Iterable[str]) -> Mapping[str, Sequence[str]]:
        """Return those attempts that stand in the inbox."""
        known = {record["token"] for record in await self._carrier.sent() if record.get("t") == "run"}
        return {token: (token,) for token in tokens if token in known}

    async def cancel(self, refs: Sequence[str]) -> Mapping[str, CancelOutcome]:
        """Ask the agent to end attempts."""
        await self._learn(refs)
        asked = [ref for ref in refs if ref in self._open]
        if asked:
            await self._carrier.send([Cancel(asked)])
        return {ref: self._outcome(ref) for ref in refs}

    async def _learn(self, refs: Sequence[str]) -> None:
        """Look up attempts that an earlier session handed over."""
        unknown = [ref for ref in refs if ref not in self._open and ref not in self._ended]
        if unknown:
            self._open.update(await self.find(unknown))
            records, _ = await self._recorded(START)
            self._note(observations_of(self._name, records))

    def _outcome(self, ref: str) -> CancelOutcome:
        if ref in self._open:
            return CancelOutcome.REQUESTED
        return CancelOutcome.ALREADY_ENDED if ref in self._ended else CancelOutcome.UNKNOWN

    async def recall(self, refs: Sequence[str]) -> None:
        """Ask the agent for attempts back that have not begun."""
        await self._carrier.send([Recall(list(refs))])

    async def fetch(self, wanted: Sequence[Wanted]) -> Mapping[str, CollectionResult]:
        """Return what is there: the attempts ran in their places in the sweep's tree."""
        return {one.ref: CollectionResult(directory=one.dest, files=0, bytes=0) for one in wanted}

    async def release(self) -> None:
        """Tell the agent that nothing more will come."""
        self._released = True
        await self._carrier.send([Close()])


def run_of(order: AttemptOrder) -> Run:
    """Return the message that orders an attempt."""
    return Run(
        token=order.token,
        task=order.task,
        attempt=order.attempt,
        directory=order.directory,
        argv=list(order.argv),
        params=order.params_json,
        seed=order.seed,
        config_hash=order.config_hash,
        task_key=order.task_key,
        timeout_s=order.timeout_s,
        memory_bytes=order.resources.memory_bytes,
        gpus=order.resources.gpus,
        batch=order.batch,
    )
