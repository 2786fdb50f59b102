"""Reactions: what each input means, as events."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import singledispatchmethod

from hsm.core import events as ev
from hsm.core import inputs as inp
from hsm.core.errors import HsmError, SourceError
from hsm.core.homing import Homing
from hsm.core.lane import Lane
from hsm.core.observed import event_of
from hsm.core.planner import Planner
from hsm.core.source import AttemptOrder, Rejected, SubmitOutcome, Submitted
from hsm.core.states import AttemptState, Hindrance
from hsm.core.turn import Turn
from hsm.core.world import World

LEAVE_S = 5.0
"""A user who wants to leave waits at most so long for attempts to be taken back."""


class Reactions:
    """Turns inputs into events. `detaching` and `failure` say why the engine should come to an end.

    `leave_at`, by the monotonic clock, is when it leaves even if a source has not answered.
    """

    def __init__(self, world: World, lanes: Mapping[str, Lane], planner: Planner, homing: Homing) -> None:
        self.detaching = ""
        self.leave_at = math.inf
        self.failure: SourceError | None = None
        self._world = world
        self._lanes = lanes
        self._planner = planner
        self._homing = homing

    @singledispatchmethod
    def react(self, item: inp.Input, turn: Turn) -> None:
        """Take in one input."""
        raise TypeError(f"an input of unknown kind: {item!r}")

    @react.register
    def _seen(self, item: inp.Seen, turn: Turn) -> None:
        over = {seen.token for seen in item.batch.seen if seen.state is AttemptState.EXITED}
        if over and item.source in self._lanes:
            self._lanes[item.source].ended(len(over), self._world.monotonic())
        for seen in item.batch.seen:
            found = turn.tracker.by_token(seen.token)
            if found is None or (seen.state is AttemptState.RUNNING and seen.token in over):
                continue  # of an attempt that is over, or that is over in the same breath
            task, number = found
            turn.take(event_of(seen, task.index, number))
            if seen.state is AttemptState.RUNNING:
                turn.started.append(turn.tracker.task(task.index))
        turn.take(ev.CursorMoved(source=item.source, cursor=item.batch.cursor))

    @react.register
    def _handed_over(self, item: inp.HandedOver, turn: Turn) -> None:
        for order, outcome in zip(item.orders, item.outcomes, strict=True):
            if outcome != Submitted(ref=order.token):  # that says no more than the intent did
                turn.take(self._answer(order, outcome))

    def _answer(self, order: AttemptOrder, outcome: SubmitOutcome) -> ev.TaskEvent:
        if not isinstance(outcome, Rejected):
            return ev.AttemptSubmitted(task=order.task, attempt=order.attempt, ref=outcome.ref)
        return ev.AttemptRejected(
            task=order.task,
            attempt=order.attempt,
            cause=outcome.cause,
            reason=outcome.reason,
            at=self._world.now(),
        )

    @react.register
    def _handover_lost(self, item: inp.HandoverLost, turn: Turn) -> None:
        for order in item.orders:
            lost = ev.AttemptUnconfirmed(
                task=order.task, attempt=order.attempt, reason=item.error.message, at=self._world.now()
            )
            turn.take(lost)

    @react.register
    def _judged(self, item: inp.Judged, turn: Turn) -> None:
        self._homing.delivered(len(item.verdicts))
        for verdict in item.verdicts:
            turn.take(verdict)

    @react.register
    def _lane_failed(self, item: inp.LaneFailed, turn: Turn) -> None:
        lane = self._lanes[item.source]
        if not lane.is_open:
            return
        lane.is_open = False
        error, at = item.error, self._world.now()
        turn.take(ev.SourceFailed(source=item.source, reason=error.message, hint=error.hint, at=at))
        if not any(other.is_open for other in self._lanes.values()):
            self.failure = _as_source_error(item.source, error)

    @react.register
    def _planned(self, item: inp.Planned, turn: Turn) -> None:
        now, tracker = self._world.now(), turn.tracker
        if tracker.cancelled:
            self._planner.accepted()  # somebody ended the sweep while the hunter was being asked
            return
        if item.plan is not None:
            tracker.preload(item.plan)
            planned = ev.GenerationPlanned(
                generation=item.generation,
                plan=item.plan.name,
                first=len(tracker.tasks) + 1,
                count=len(item.plan),
                forbidden=item.forbidden,
                at=now,
            )
            turn.take(planned)
        else:
            turn.take(ev.HuntEnded(generation=item.generation, reason=item.over, at=now))
        self._planner.accepted()
        for reused in tracker.take_duplicates():
            turn.take(reused)

    @react.register
    def _room_missed(self, item: inp.RoomMissed, turn: Turn) -> None:
        at = self._world.now()
        if item.reason and not turn.tracker.hindrance:
            turn.take(ev.RecordingHindered(hindrance=Hindrance.FULL, reason=item.reason, at=at))
        elif not item.reason and turn.tracker.hindrance:
            turn.take(ev.RecordingResumed(at=at))

    @react.register
    def _snapshot_written(self, item: inp.SnapshotWritten, turn: Turn) -> None:
        turn.take(ev.SnapshotTaken(snapshot=item.name, seq=item.seq, at=self._world.now()))

    @react.register
    def _cancel_asked(self, item: inp.CancelAsked, turn: Turn) -> None:
        known = range(1, len(turn.tracker.tasks) + 1)
        tasks = tuple(index for index in item.tasks if index in known)
        if tasks or not item.tasks:
            turn.take(ev.CancelRequested(tasks=tasks, at=self._world.now()))
        if item.done is not None:
            turn.acks.append(item.done)

    @react.register
    def _detach_asked(self, item: inp.DetachAsked, turn: Turn) -> None:
        self.detaching = item.reason
        self.leave_at = self._world.monotonic() + LEAVE_S


def _as_source_error(source: str, error: HsmError) -> SourceError:
    return error if isinstance(error, SourceError) else SourceError(source, error.message, hint=error.hint)
