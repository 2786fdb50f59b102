"""Reactions: what each input means, as events."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import singledispatchmethod

from hsm.core import events as ev
from hsm.core import inputs as inp
from hsm.core.credible import credible
from hsm.core.errors import SourceError
from hsm.core.homing import Homing
from hsm.core.lane import Lane
from hsm.core.listings import LISTED, Listings
from hsm.core.model import Attempt, Task
from hsm.core.observed import event_of
from hsm.core.planner import Planner
from hsm.core.resolver import DOUBTFUL, Resolver
from hsm.core.source import AttemptOrder, Observation, Rejected, SubmitOutcome, Submitted
from hsm.core.states import PRESUMED, TRANSITIONS, AttemptState, Hindrance, TaskStatus
from hsm.core.turn import Turn
from hsm.core.world import World

LEAVE_S = 5.0
"""A user who wants to leave waits at most so long for attempts to be taken back."""


class Reactions:
    """Turns inputs into events. `detaching` and `failure` say why the engine should come to an end.

    `leave_at`, by the monotonic clock, is when it leaves even if a source has not answered.
    """

    def __init__(
        self,
        world: World,
        lanes: Mapping[str, Lane],
        planner: Planner,
        homing: Homing,
        resolver: Resolver,
    ) -> None:
        self.detaching = ""
        self.leave_at = math.inf
        self.failure: SourceError | None = None
        self._world = world
        self._lanes = lanes
        self._planner = planner
        self._homing = homing
        self._resolver = resolver
        self._listings = Listings()

    @singledispatchmethod
    def react(self, item: inp.Input, turn: Turn) -> None:
        """Take in one input."""
        raise TypeError(f"an input of unknown kind: {item!r}")

    @react.register
    def _seen(self, item: inp.Seen, turn: Turn) -> None:
        over = {seen.token for seen in item.batch.seen if seen.state is AttemptState.EXITED}
        if over and item.source in self._lanes:
            self._lanes[item.source].ended(len(over), self._world.monotonic())
        is_doubted = self._listings.doubt(item, turn.tracker)
        for seen in item.batch.seen:
            found = turn.tracker.by_token(seen.token)
            if found is None or (seen.state is AttemptState.RUNNING and seen.token in over):
                continue  # of an attempt that is over, or that is over in the same breath
            self._take_in(_begun(seen, *found), *found, turn, item.heard_at, is_doubted=bool(is_doubted))
        doubt = self._listings.doubt(item, turn.tracker)
        self._hindered(item, item.batch.hindrance if doubt is None else doubt, turn)
        turn.take(ev.CursorMoved(source=item.source, cursor=item.batch.cursor))

    def _hindered(self, item: inp.Seen, is_now: str | None, turn: Turn) -> None:
        """Take in what keeps a source from beginning anything, or does no more."""
        known = turn.tracker.sources.get(item.source)
        was = known.hindrance if known else ""
        if is_now is not None and is_now != was:
            hint = item.batch.hint if is_now == item.batch.hindrance else ""
            turn.take(ev.SourceHindered(source=item.source, reason=is_now, hint=hint, at=self._world.now()))

    def _take_in(
        self, seen: Observation, task: Task, number: int, turn: Turn, heard_at: float, *, is_doubted: bool
    ) -> None:
        attempt = task.attempts[number - 1]
        if seen.state is AttemptState.MISSING:
            self._missed(seen, task, attempt, turn, heard_at, is_doubted=is_doubted)
            return
        if attempt.state in PRESUMED and seen.state is not AttemptState.EXITED:
            return  # only an exit record says more than that it was given up
        self._listings.listed(seen.token)
        seen = credible(seen, attempt, self._world.now())
        turn.take(event_of(seen, task.index, number, attempt.ref))
        after = turn.tracker.task(task.index)
        if seen.state is AttemptState.RUNNING:
            turn.started.append(after)
        if seen.state is AttemptState.EXITED and task.status is TaskStatus.SEALED:
            self._supersede(task.index, number, turn)

    def _missed(
        self,
        seen: Observation,
        task: Task,
        attempt: Attempt,
        turn: Turn,
        heard_at: float,
        *,
        is_doubted: bool,
    ) -> None:
        """A listing that worked lacks an attempt. That alone never ends it, and nothing does in doubt."""
        if attempt.state in DOUBTFUL:
            if attempt.state is AttemptState.INTENT:
                reason = "a listing lacks it"
                turn.take(
                    ev.AttemptUnconfirmed(task=task.index, attempt=attempt.number, reason=reason, at=seen.at)
                )
                self._resolver.doubt(task.index, attempt)
            return
        if attempt.state not in LISTED:
            return
        turn.take(ev.AttemptMissed(task=task.index, attempt=attempt.number, at=seen.at))
        lane = self._lanes.get(attempt.source)
        session = lane.session if lane else None
        missing_s = session.capabilities.missing_s if session else math.inf
        vanished = self._listings.lacked(seen.token, missing_s, heard_at)
        if vanished and not is_doubted:
            self._listings.listed(seen.token)
            turn.take(
                ev.AttemptLost(
                    task=task.index, attempt=attempt.number, reason=vanished, agent=seen.agent, at=seen.at
                )
            )

    def _supersede(self, task: int, attempt: int, turn: Turn) -> None:
        turn.take(ev.AttemptSuperseded(task=task, attempt=attempt, at=self._world.now()))

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
            attempt = turn.tracker.task(order.task).attempts[order.attempt - 1]
            if attempt.state is AttemptState.UNCONFIRMED:
                self._resolver.doubt(order.task, attempt)

    @react.register
    def _not_handed_over(self, item: inp.NotHandedOver, turn: Turn) -> None:
        for order in item.orders:
            reason, at = "its source failed before it was handed over", self._world.now()
            turn.take(ev.AttemptVoided(task=order.task, attempt=order.attempt, reason=reason, at=at))

    @react.register
    def _found(self, item: inp.Found, turn: Turn) -> None:
        self._resolver.answered(item, turn)

    @react.register
    def _judged(self, item: inp.Judged, turn: Turn) -> None:
        self._homing.delivered(item.tokens)
        for verdict in item.verdicts:
            if turn.tracker.task(verdict.task).status.is_final:
                self._supersede(verdict.task, verdict.attempt, turn)  # another attempt was sealed meanwhile
            else:
                turn.take(verdict)
        for finding in item.found:
            turn.take(finding)

    @react.register
    def _lane_opened(self, item: inp.LaneOpened, turn: Turn) -> None:
        turn.take(ev.SourceOpened(source=item.source, slots=item.slots, at=self._world.now()))
        turn.reopened.append(item.source)

    @react.register
    def _lane_failed(self, item: inp.LaneFailed, turn: Turn) -> None:
        self._resolver.closed(item.source)
        error, at = item.error, self._world.now()
        turn.take(
            ev.SourceFailed(
                source=item.source,
                reason=error.message,
                hint=error.hint,
                paused=error.transient,
                lacks=error.lacks,
                at=at,
            )
        )
        if all(other.is_over for other in self._lanes.values()):
            self.failure = error

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


def _begun(seen: Observation, task: Task, number: int) -> Observation:
    """Return what was seen: that an attempt is not known, which had begun, says that it was lost."""
    attempt = task.attempts[number - 1]
    never_began = attempt.started_at is None and AttemptState.VOID in TRANSITIONS[attempt.state]
    if seen.state is not AttemptState.VOID or never_began:
        return seen
    return replace(seen, state=AttemptState.LOST)
