"""Drive: one engine at one sweep, from taking it over to letting it go.

    inputs ──> Reactions ──events──> tracker ──> planner, assigner ──> more events
                  │ recorder: durable, one group
                  └──> deeds: lanes (submit, cancel) · homing (fetch, judge, write) · scribe · keeper

The loop takes everything that has come in, folds it, decides, commits it all as one group, and only then
acts. What comes in meanwhile is the next group: that is the group commit. There are two coroutines per
source and a handful besides, and none per task.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from hsm.core import events as ev
from hsm.core import inputs as inp
from hsm.core.assigner import Assigner
from hsm.core.deeds import Deeds
from hsm.core.epochs import Tenure
from hsm.core.errors import LedgerError
from hsm.core.homing import Homing
from hsm.core.job import SweepJob
from hsm.core.keeper import Keeper
from hsm.core.lane import Lane
from hsm.core.ledger import Ledger
from hsm.core.mailbox import Mailbox
from hsm.core.plan import write_plan
from hsm.core.planner import Planner
from hsm.core.projection import Projector
from hsm.core.reactions import Reactions
from hsm.core.recorder import Listener, Recorder
from hsm.core.resolver import Resolver
from hsm.core.scribe import Scribe
from hsm.core.seal import sealed
from hsm.core.source import SweepContext
from hsm.core.standing import GO_ON
from hsm.core.states import AttemptState, SweepStatus
from hsm.core.tracker import SweepTracker
from hsm.core.turn import Turn
from hsm.core.window import Window
from hsm.core.world import World


class Drive:
    """The engine's loop over one sweep that it has claimed."""

    def __init__(
        self,
        world: World,
        job: SweepJob,
        tracker: SweepTracker,
        ledger: Ledger,
        *,
        tenure: Tenure,
        listen: Listener,
    ) -> None:
        self.mailbox: Mailbox[inp.Input] = Mailbox()
        self.tracker = tracker
        self._world = world
        self._job = job
        self._ledger = ledger
        self._tenure = tenure
        self._listen = listen
        self._lanes: dict[str, Lane] = {}
        self._projector = Projector(world.files, job.tree)
        self._scribe = Scribe(world, job.tree)
        self._recorder = Recorder(world, job.tree, ledger, tracker, listen=listen, mailbox=self.mailbox)
        self._window = Window(world)
        self._given_up = self._to_give_up()

    async def run(
        self, context: SweepContext, openings: Sequence[ev.Event], program_digest: str
    ) -> SweepStatus:
        """Drive the sweep until it is over, or the user leaves, and say where it stands then.

        While its sources are opened, a new sweep is planned.

        Raises:
            SourceError: no source can be opened, or none is left.
            LedgerError: the ledger cannot be written; nothing that was acknowledged is lost.
        """
        self._equip(program_digest)
        parts = self._homing.collect(), self._planner.work(self.mailbox.put), self._keeper.work()
        async with asyncio.TaskGroup() as group:
            projecting = group.create_task(self._homing.project())
            lanes = (one.run(self._context(context, one), self._cursor(one)) for one in self._lanes.values())
            running = [group.create_task(work) for work in (*parts, *lanes)]
            try:
                if self.tracker.created is None and not self._job.wishes.cancel:
                    self._planner.ask_if_due(self.tracker)
                for lane in self._lanes.values():
                    await lane.tried()
                await self._begin(openings)
                await self._recorder.begin()
                await self._loop()
                self._homing.no_more(self._is_leaving)
                await projecting
                self._recorder.end()
                status = await self._finish()
            finally:
                for lane in self._lanes.values():
                    lane.end()
                for task in (*running, projecting):
                    task.cancel()
        if self._reactions.failure is not None:
            raise self._reactions.failure
        return status

    def _equip(self, program_digest: str) -> None:
        """Make the parts, each of which knows the ones before it."""
        job, post, world = self._job, self.mailbox.put, self._world
        self._lanes = {s.name: Lane(world, s, self._tenure, post) for s in job.sources}
        self._planner = _planner(world, job, self._ledger, program_digest)
        self._homing = Homing(world, self._projector, self._lanes, self._tenure, post, placed=job.placed)
        self._keeper = Keeper(world, job.tree, post, self._homing.projected)
        self._resolver = Resolver(world, self._lanes)
        self._deeds = Deeds(self.tracker, self._lanes, self._homing, self._projector)
        self._reactions = Reactions(world, self._lanes, self._planner, self._homing, self._resolver)
        self._react = self._reactions.react  # bound once: a dispatching method is made anew at each look
        self._assigner = Assigner(world, job, self._lanes)

    def _to_give_up(self) -> set[str]:
        """Return the tokens of the attempts that the user wants to be given up."""
        live = (attempt for task in self.tracker.live() for attempt in task.live_attempts)
        given_up = (a for a in live if a.source in self._job.wishes.abandon)
        return {attempt.token for attempt in given_up if attempt.state is not AttemptState.EXITED}

    def _context(self, context: SweepContext, lane: Lane) -> Callable[[], SweepContext]:
        def of_now() -> SweepContext:
            here = (a for task in self.tracker.live() for a in task.live_attempts if a.source == lane.name)
            adopted = {a.token for a in here if a.state is not AttemptState.EXITED} - self._given_up
            return replace(context, adopted=sorted(adopted))

        return of_now

    def _cursor(self, lane: Lane) -> Callable[[], str]:
        return lambda: self.tracker.cursors.get(lane.name, "")

    # Taking over

    async def _begin(self, openings: Sequence[ev.Event]) -> None:
        """Commit who we are and what the user wants, and take up what was left undone.

        Raises:
            SourceError: no source could be opened.
        """
        heard = sorted(self.mailbox.drain(), key=_is_not_of_a_lane)
        if self._lanes and not any(lane.is_open for lane in self._lanes.values()):
            await _give_back(self._recorder, self.tracker, self._listen, openings, heard)
        turn, wishes = Turn(self.tracker), self._job.wishes
        for event in openings:
            turn.take(event)
            if isinstance(event, ev.ZombieFound):
                self._resolver.hunt_down(event.tokens, turn)
        self._resolver.doubt_all(self.tracker)
        for item in heard:
            self._react(item, turn)
        self._abandon(turn)
        if wishes.reopen:
            turn.take(ev.TasksReopened(tasks=tuple(wishes.reopen), at=self._world.now()))
        if wishes.cancel:
            turn.take(ev.CancelRequested(tasks=tuple(wishes.tasks), at=self._world.now()))
        await self._commit(turn)

    def _abandon(self, turn: Turn) -> None:
        """Give up what the user wants to be given up: attempts on sources of which nothing can be learnt."""
        for task in self.tracker.live() if self._given_up else ():
            for attempt in task.live_attempts:
                if attempt.token in self._given_up:
                    reason, at = f"{attempt.source} was given up", self._world.now()
                    turn.take(
                        ev.AttemptAbandoned(task=task.index, attempt=attempt.number, reason=reason, at=at)
                    )

    # The loop

    async def _loop(self) -> None:
        while True:
            if not (self._is_winding_down or self.tracker.cancelled):
                await self._recorder.until_room()
            began = self._world.monotonic()
            turn = Turn(self.tracker)
            for item in sorted(_without_what_has_passed(self.mailbox.drain()), key=_is_reply):
                self._react(item, turn)
            self._decide(turn)
            if turn.events or turn.acks:
                await self._commit(turn)
                if any(source.in_flight for source in self.tracker.sources.values()):
                    await self._window.pass_by(began, len(turn.events))
            elif self._is_done():
                return
            else:
                await self._wait()

    async def _wait(self) -> None:
        """Wait until something comes in, or it is time to ask again or to leave."""
        left = min(self._reactions.leave_at, self._resolver.due_at) - self._world.monotonic()
        try:
            async with asyncio.timeout(None if math.isinf(left) else max(0.0, left)):
                await self.mailbox.wait()
        except TimeoutError:
            return

    def _decide(self, turn: Turn) -> None:
        self._resolver.ask_if_due()
        if self._is_winding_down:
            self._deeds.recall()
            return
        self._stop_if_hopeless(turn)
        if not (self.tracker.stopped or self.tracker.hindrance or self._recorder.is_short):
            self._planner.ask_if_due(self.tracker)
            if not self._resolver.is_settling:
                self._assigner.assign(turn)

    @property
    def _is_winding_down(self) -> bool:
        reactions = self._reactions
        return bool(
            reactions.detaching or self.tracker.stopped or reactions.failure or self._job.wishes.cancel
        )

    def _stop_if_hopeless(self, turn: Turn) -> None:
        reason = _hopeless(self.tracker, self._job.spec.max_failure_rate)
        if reason:
            turn.take(ev.SweepStopped(reason=reason, at=self._world.now()))

    async def _commit(self, turn: Turn) -> None:
        """Make the turn's events durable, then act on them and tell whoever asked or listens."""
        if turn.events:
            await self._recorder.record(turn, patient=not self._reactions.detaching)
        self._deeds.carry_out(turn)
        for done in turn.acks:
            if not done.done():  # who asked may have left
                done.set_result(None)
        self._listen(turn.news, self.tracker)
        self._keeper.note(turn.events, self.tracker, self._ledger.mark)
        await self._scribe.note(turn.events, self.tracker)

    def _is_leaving(self) -> bool:
        return bool(self._reactions.detaching) or self.mailbox.holds((inp.DetachAsked,))

    def _is_done(self) -> bool:
        if self._world.monotonic() >= self._reactions.leave_at:
            return True
        if self._homing.pending:
            return False
        if self._reactions.failure is not None or self._deeds.is_out_of_sight:
            return True
        if self._reactions.detaching:
            return not self._deeds.waiting_refs()
        wishes = self._job.wishes
        if wishes.cancel and wishes.tasks:
            known = (self.tracker.task(index) for index in wishes.tasks if index <= len(self.tracker.tasks))
            return all(task.status.is_final for task in known)
        if self.tracker.stopped:
            return not self.tracker.live()
        if self.tracker.is_over:  # what lost against another attempt is ended, where it can be reached
            return not self._deeds.may_run_within_reach
        return self._limit_reached()

    def _limit_reached(self) -> bool:
        limit = self._job.wishes.max_tasks
        if limit is None or self._planner.is_asking or not self.tracker.generations:
            return False
        return self.tracker.tasks.are_final(limit)

    # Letting go

    async def _finish(self) -> SweepStatus:
        """Write down that we let go, finish the projections, and let the agents go if nothing is left."""
        status = self.tracker.status(driven=False)
        reason, now = self._reactions.detaching or self.tracker.stopped, self._world.now()
        seal = await self._world.blocking(sealed, self.tracker, now)
        if seal is not None:
            await self._say_last(seal)
        head = self._ledger.mark  # the last group may be said again by a successor, what is before it never
        stopped = ev.EngineStopped(epoch=self._ledger.claim.epoch, status=status, reason=reason, at=now)
        self._tenure.let_go()
        await self._say_last(stopped)
        self._recorder.release()
        if not self.tracker.live():
            await _part(self._lanes.values(), status, is_over=seal is not None)
        said: list[ev.Event] = [stopped] if seal is None else [seal, stopped]
        await self._scribe.close(said, self.tracker, head, self._projector)
        await self._keeper.close(self.tracker, self._ledger.mark)
        return status

    async def _say_last(self, event: ev.Event) -> None:
        turn = Turn(self.tracker)
        turn.take(event)
        await self._recorder.record(turn, patient=False)
        self._listen(turn.news, self.tracker)


async def _part(lanes: Iterable[Lane], status: SweepStatus, *, is_over: bool) -> None:
    """Let the agents go; of a sweep that is over only what can be tried again stays there."""
    for lane in lanes:
        await lane.release()
        if is_over:
            await lane.clear(keeps_checkpoints=status is not SweepStatus.COMPLETE)


async def _give_back(
    recorder: Recorder,
    tracker: SweepTracker,
    listen: Listener,
    openings: Sequence[ev.Event],
    heard: Sequence[inp.Input],
) -> None:
    """Let go of a sweep that cannot be driven from here, so that nobody elsewhere waits for us.

    Raises:
        SourceError: the first that was heard.
    """
    error = next(item.error for item in heard if isinstance(item, inp.LaneFailed))
    turn = Turn(tracker)
    for event in openings:
        turn.take(event)
    started = next(event for event in openings if isinstance(event, ev.EngineStarted))
    status = tracker.status(driven=False)
    turn.take(ev.EngineStopped(epoch=started.epoch, status=status, reason=error.message, at=started.at))
    with contextlib.suppress(LedgerError):  # then they do; what is told is why it cannot be driven
        await recorder.record(turn, patient=False)
        listen(turn.news, tracker)
        if tracker.created is not None and GO_ON not in error.hint:
            kept = f"the sweep is kept as it is: when that is mended, `hsm {GO_ON}`"
            error.hint = "; ".join(filter(None, (error.hint, kept.replace("ID", tracker.created.sweep_id))))
    raise error


def _hopeless(tracker: SweepTracker, limit: float) -> str:
    """Return why a sweep is not gone on with, empty while it is: too many of its finished tasks failed."""
    rate = tracker.failure_rate()
    if rate <= limit or tracker.open == 0:
        return ""
    worst = max(tracker.failures.values(), key=lambda group: group.count, default=None)
    reason = f"{rate:.0%} of the finished tasks failed, more than max_failure_rate ({limit:.0%}) allows"
    if worst is not None:
        reason += f"; most of them for this cause: {worst.cause}: {worst.signature}"
    return reason


def _without_what_has_passed(items: list[inp.Input]) -> list[inp.Input]:
    """Leave out that room was missed where it has been found since."""
    if inp.RoomMissed("") not in items:
        return items
    return [item for item in items if not (isinstance(item, inp.RoomMissed) and item.reason)]


def _is_reply(item: inp.Input) -> bool:
    """Order replies behind sightings: that an attempt has ended says more than that it was handed over."""
    return isinstance(item, inp.HandedOver)


def _is_not_of_a_lane(item: inp.Input) -> bool:
    """Order news of the sources themselves before everything else."""
    return not isinstance(item, (inp.LaneOpened, inp.LaneFailed))


def _planner(world: World, job: SweepJob, ledger: Ledger, program_digest: str) -> Planner:
    """Return who plans in the epoch of this ledger."""
    plans, epoch = job.tree.plans, ledger.claim.epoch
    write = partial(write_plan, world.files, plans, program_digest=program_digest, epoch=epoch)
    return Planner(world, job.tree, job.hunter, write, job.spec, due=job.due)
