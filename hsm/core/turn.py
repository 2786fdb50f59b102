"""One turn of the engine's loop: what is to be committed, and what is to be done once it is durable."""

from __future__ import annotations

import asyncio

from hsm.core import events as ev
from hsm.core.lane import Call
from hsm.core.model import Task
from hsm.core.source import AttemptOrder
from hsm.core.tracker import Order, SweepTracker


class Turn:
    """Gathers events by folding them into the tracker; old news is folded away and not committed.

    `contested` are those that may tell of a second result of a task.
    """

    def __init__(self, tracker: SweepTracker) -> None:
        self.tracker = tracker
        self.events: list[ev.Event] = []
        self.orders: list[Order] = []
        self.contested: list[ev.AttemptSealed | ev.AttemptSuperseded] = []
        self.submissions: dict[str, list[AttemptOrder]] = {}
        self.started: list[Task] = []
        self.calls: list[tuple[str, Call]] = []
        self.reopened: list[str] = []
        self.told: list[ev.Event] = []
        self.acks: list[asyncio.Future[None]] = []

    def take(self, event: ev.Event) -> None:
        """Fold an event, and keep it and what it orders unless nothing came of it."""
        index: int | None = getattr(event, "task", None)
        if index is None:
            self.orders += self.tracker.fold(event)
        else:
            before = self.tracker.task(index)
            orders = self.tracker.fold(event)
            after = self.tracker.task(index)
            if after is before:
                return
            self.orders += orders
            if len(after.attempts) > 1 and isinstance(event, (ev.AttemptSealed, ev.AttemptSuperseded)):
                self.contested.append(event)
        self.events.append(event)

    @property
    def news(self) -> list[ev.Event]:
        """The events that nobody has been told of before they were durable."""
        return [event for event in self.events if event not in self.told]

    @property
    def needs_artifacts(self) -> bool:
        """Whether artifacts must be durable before these events are."""
        return any(isinstance(event, (ev.AttemptSealed, ev.AttemptFailed)) for event in self.events)
