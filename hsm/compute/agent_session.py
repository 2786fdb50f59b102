"""A source session that speaks to an agent through its two logs, whatever carries them.

Submitting is appending to the inbox, observing is reading records, reattaching is reading on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from hsm.compute.carrier import Carrier, Place
from hsm.compute.refusal import refusal
from hsm.core.model import Exit
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
from hsm.core.states import AttemptState, Cause
from hsm.wire.log import Position, Record
from hsm.wire.messages import (
    Cancel,
    Close,
    Ended,
    Lost,
    Message,
    Recall,
    Run,
    Started,
    Withdrawn,
    from_record,
)

START = Place(0, Position())
CANCELLED = "cancelled"


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

    def __init__(self, carrier: Carrier, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._carrier = carrier
        self._ended: set[str] = set()
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
            records, place = await self._carrier.receive(place)
            if records:
                seen = tuple(self._charged(observations_of(records)))
                self._note(seen)
                yield Observations(seen=seen, cursor=cursor_of(place), hindrance=hindrance_of(records))
            if await self._carrier.wait():
                continue
            if self._released:
                return  # it left because we said so
            await self.replace_agent()

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
        for observation in seen:
            if observation.state is not AttemptState.RUNNING:
                self._open.discard(observation.token)
                self._ended.add(observation.token)

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
            records, _ = await self._carrier.receive(START)
            self._note(observations_of(records))

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
    )


def observations_of(records: Iterable[Record]) -> Iterator[Observation]:
    """Yield what the agents' records mean to the engine."""
    for record in records:
        observation = observation_of(from_record(record))
        if observation is not None:
            yield observation


def observation_of(message: Message) -> Observation | None:
    """Return what an agent's record means to the engine."""
    match message:
        case Started():
            return Observation(
                token=message.token, state=AttemptState.RUNNING, at=message.at, started_at=message.at
            )
        case Ended():
            return _ended(message)
        case Withdrawn():
            return Observation(
                token=message.token,
                state=AttemptState.VOID,
                at=message.at,
                reason=message.reason or "taken back before it began",
            )
        case Lost():
            return Observation(
                token=message.token,
                state=AttemptState.LOST,
                at=message.at,
                reason=message.reason,
                cause=Cause.LOST,
                agent=f"that of attempt {message.token[:8]}",
            )
        case _:
            return None


def _ended(ended: Ended) -> Observation:
    if ended.cause == CANCELLED:
        return Observation(token=ended.token, state=AttemptState.CANCELLED, at=ended.at, reason=ended.reason)
    return Observation(
        token=ended.token,
        state=AttemptState.EXITED,
        at=ended.at,
        exit=Exit(
            code=ended.code,
            signal=ended.signal,
            wall_s=ended.wall_s,
            cpu_user_s=ended.user_s,
            cpu_system_s=ended.system_s,
            max_rss_bytes=ended.rss_bytes,
        ),
        manifest=ended.report,
        cause=Cause(ended.cause) if ended.cause else None,
        reason=ended.reason,
        started_at=ended.started_at,
    )


def hindrance_of(records: Iterable[Record]) -> str | None:
    """Return what the agent lacks by the last of its records that tell, None where none does."""
    found = None
    for record in records:
        if record.get("t") in ("hindered", "opened"):
            found = str(record.get("reason", ""))  # one that has just begun lacks nothing that it knows of
    return found


def is_opened(record: Record) -> bool:
    """Tell whether a record says that an agent began."""
    return record.get("t") == "opened"
