"""Drive: one engine at one sweep, from taking it over to letting it go.

    inputs ──> Reactions ──events──> tracker ──> planner, assigner ──> more events
                  │ recorder: durable, one group
                  └──> lanes (submit, cancel) · homing (fetch, judge, write) · scribe · keeper

The loop takes everything that has come in, folds it, decides, commits it all as one group, and only then
acts. What comes in meanwhile is the next group: that is the group commit. There are two coroutines per
source and a handful besides, and none per task.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence

from hsm.core import events as ev
from hsm.core import inputs as inp
from hsm.core.assigner import Assigner
from hsm.core.errors import SourceError
from hsm.core.homing import Homing
from hsm.core.job import SweepJob
from hsm.core.keeper import Keeper
from hsm.core.lane import Cancel, Lane, Recall, Submit
from hsm.core.ledger import Ledger
from hsm.core.machine import Command
from hsm.core.mailbox import Mailbox
from hsm.core.model import Task
from hsm.core.planner import Planner
from hsm.core.projection import Projector
from hsm.core.reactions import Reactions
from hsm.core.recorder import Listener, Recorder
from hsm.core.scribe import Scribe
from hsm.core.states import AttemptState, SweepStatus, TaskStatus
from hsm.core.tracker import Order, SweepTracker
from hsm.core.turn import Turn
from hsm.core.window import Window
from hsm.core.world import World


class Drive:
    """The engine's loop over one sweep that it has claimed."""

    def __init__(
        self, world: World, job: SweepJob, tracker: SweepTracker, ledger: Ledger, listen: Listener
    ) -> None:
        self.mailbox: Mailbox[inp.Input] = Mailbox()
        self.tracker = tracker
        self._world = world
        self._job = job
        self._ledger = ledger
        self._listen = listen
        self._lanes: dict[str, Lane] = {}
        self._projector = Projector(world.files, job.tree)
        self._scribe = Scribe(world, job.tree)
        self._keeper = Keeper(world, job.tree, self.mailbox.put)
        self._recorder = Recorder(world, job.tree, ledger, tracker, listen=listen, mailbox=self.mailbox)
        self._recalled = False
        self._window = Window(world)

    async def run(
        self,
        open_lanes: Callable[[], Awaitable[Sequence[Lane]]],
        openings: Sequence[ev.Event],
        program_digest: str,
    ) -> SweepStatus:
        """Drive the sweep until it is over, or the user leaves, and say where it stands then.

        While its sources are opened, a new sweep is planned; `openings` may grow meanwhile.

        Raises:
            SourceError: no source is left.
            LedgerError: the ledger cannot be written; nothing that was acknowledged is lost.
        """
        job, post = self._job, self.mailbox.put
        self._planner = Planner(self._world, job.tree, job.hunter, program_digest, job.spec)
        self._homing = Homing(self._world, self._projector, self._lanes, post)
        self._reactions = Reactions(self._world, self._lanes, self._planner, self._homing)
        self._assigner = Assigner(self._world, job, self._lanes)
        async with asyncio.TaskGroup() as group:
            projecting = group.create_task(self._homing.project())
            running = [
                group.create_task(work)
                for work in (self._homing.collect(), self._planner.work(post), self._keeper.work())
            ]
            try:
                if self.tracker.created is None:
                    self._planner.ask_if_due(self.tracker)
                self._lanes.update({lane.name: lane for lane in await open_lanes()})
                await self._begin(openings)
                await self._recorder.begin()
                for lane in self._lanes.values():
                    cursor = self.tracker.cursors.get(lane.name, "")
                    running += [group.create_task(lane.observe(cursor)), group.create_task(lane.work())]
                await self._loop()
                self._homing.no_more()
                await projecting
                status = await self._finish()
            finally:
                for task in (*running, projecting):
                    task.cancel()
        if self._reactions.failure is not None:
            raise self._reactions.failure
        return status

    # Taking over

    async def _begin(self, openings: Sequence[ev.Event]) -> None:
        """Commit who we are, settle what is not known of older attempts, and take up what was left undone."""
        turn, wishes = Turn(self.tracker), self._job.wishes
        for event in openings:
            turn.take(event)
        for lane in self._lanes.values():
            await self._reconcile(turn, lane)
        if wishes.reopen:
            turn.take(ev.TasksReopened(tasks=tuple(wishes.reopen), at=self._world.now()))
        if wishes.cancel:
            turn.take(ev.CancelRequested(at=self._world.now()))
        undone = self.tracker.live()
        await self._commit(turn)
        for task in undone:
            self._take_up(task)

    async def _reconcile(self, turn: Turn, lane: Lane) -> None:
        """Ask the source for every attempt of its that is in doubt: what it never got, never began."""
        doubtful = (AttemptState.INTENT, AttemptState.UNCONFIRMED)
        asked = {
            task.attempt.token: (task.index, task.attempt.number)
            for task in self.tracker.live()
            if task.attempt and task.attempt.source == lane.name and task.attempt.state in doubtful
        }
        found = await lane.session.find(asked) if asked else {}
        for token, (task, attempt) in asked.items():
            if token in found:
                turn.take(ev.AttemptSubmitted(task=task, attempt=attempt, ref=found[token]))
            else:
                reason, at = "it was never handed over", self._world.now()
                turn.take(ev.AttemptVoided(task=task, attempt=attempt, reason=reason, at=at))

    def _take_up(self, task: Task) -> None:
        """Do again what a dead engine may not have done."""
        attempt = task.attempt
        if attempt is None:
            return
        if attempt.state is AttemptState.EXITED:
            self._homing.collect_later(task, self._projector.directory(task, attempt))
        elif attempt.state is AttemptState.RUNNING:
            self._homing.project_later(task)
        if task.cancel_requested:
            self._cancel([task])

    # The loop

    async def _loop(self) -> None:
        while True:
            if not (self._is_winding_down or self.tracker.cancelled):
                await self._recorder.until_room()
            began = self._world.monotonic()
            turn = Turn(self.tracker)
            for item in sorted(self.mailbox.drain(), key=_is_reply):
                self._reactions.react(item, turn)
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
        """Wait until something comes in, or it is time to leave."""
        left = self._reactions.leave_at - self._world.monotonic()
        try:
            async with asyncio.timeout(None if math.isinf(left) else max(0.0, left)):
                await self.mailbox.wait()
        except TimeoutError:
            return

    def _decide(self, turn: Turn) -> None:
        if self._is_winding_down:
            self._recall()
            return
        self._stop_if_hopeless(turn)
        if not (self.tracker.stopped or self.tracker.hindrance or self._recorder.is_short):
            self._planner.ask_if_due(self.tracker)
            self._assigner.assign(turn)

    @property
    def _is_winding_down(self) -> bool:
        return bool(self._reactions.detaching or self.tracker.stopped or self._reactions.failure)

    def _stop_if_hopeless(self, turn: Turn) -> None:
        rate = self.tracker.failure_rate()
        if rate <= self._job.spec.max_failure_rate or self.tracker.open == 0:
            return
        worst = max(self.tracker.failures.values(), key=lambda group: group.count, default=None)
        reason = f"{rate:.0%} of the finished tasks failed"
        if worst is not None:
            reason += f", most of them for this cause: {worst.cause}: {worst.signature}"
        turn.take(ev.SweepStopped(reason=reason, at=self._world.now()))

    async def _commit(self, turn: Turn) -> None:
        """Make the turn's events durable, then act on them and tell whoever asked or listens."""
        if turn.events:
            await self._recorder.record(turn, patient=not self._reactions.detaching)
        self._act(turn)
        for done in turn.acks:
            if not done.done():  # who asked may have left
                done.set_result(None)
        self._listen(turn.news, self.tracker)
        self._keeper.note(turn.events, self.tracker, self._ledger.mark)
        await self._scribe.note(turn.events, self.tracker)

    def _is_done(self) -> bool:
        if self._world.monotonic() >= self._reactions.leave_at:
            return True
        if self._homing.pending:
            return False
        if self._reactions.failure is not None or _is_out_of_sight(self.tracker, self._job, self._lanes):
            return True
        if self._reactions.detaching:
            return not _waiting_refs(self.tracker)
        if self.tracker.stopped:
            return not self.tracker.live()
        return self.tracker.is_over or self._limit_reached()

    def _limit_reached(self) -> bool:
        limit = self._job.wishes.max_tasks
        if limit is None or self._planner.is_asking or not self.tracker.generations:
            return False
        return self.tracker.tasks.are_final(limit)

    # Acting on what is durable

    def _act(self, turn: Turn) -> None:
        for source, orders in turn.submissions.items():
            self._lanes[source].calls.put(Submit(orders))
        for order in turn.orders:
            self._carry_out(order)
        self._cancel([task for task, command in turn.orders if command is Command.CANCEL])
        for task in turn.started:
            if self.tracker.task(task.index).attempt is task.attempt:  # it still runs
                self._homing.project_later(task)

    def _carry_out(self, order: Order) -> None:
        task, command = order
        if command is Command.COLLECT and task.attempt is not None:
            self._homing.collect_later(task, self._projector.work_dir(task, task.attempt))
        elif command is not Command.CANCEL:
            self._homing.project_later(order)

    def _cancel(self, tasks: Sequence[Task]) -> None:
        for source, refs in _refs_to_cancel(tasks, self._lanes).items():
            self._lanes[source].calls.put(Cancel(refs))

    def _recall(self) -> None:
        """Take back, once, what has been handed over and has not begun."""
        if self._recalled:
            return
        self._recalled = True
        for name, refs in _waiting_refs(self.tracker).items():
            lane = self._lanes.get(name)
            if lane is not None and lane.is_open:
                lane.calls.put(Recall(refs))

    # Letting go

    async def _finish(self) -> SweepStatus:
        """Write down that we let go, finish the projections, and let the agents go if nothing is left."""
        status = self.tracker.status(driven=False)
        reason = self._reactions.detaching or self.tracker.stopped
        epoch = self._ledger.claim.epoch
        turn = Turn(self.tracker)
        turn.take(ev.EngineStopped(epoch=epoch, status=status, reason=reason, at=self._world.now()))
        await self._recorder.record(turn, patient=False)
        self._recorder.release()
        self._listen(turn.news, self.tracker)
        if not self.tracker.live():
            await _release(self._lanes)
        await self._scribe.close(turn.events, self.tracker, self._projector)
        await self._keeper.close(self.tracker, self._ledger.mark)
        return status


async def _release(lanes: Mapping[str, Lane]) -> None:
    """Let the agents go."""
    for lane in lanes.values():
        if lane.is_open:
            try:
                await lane.session.release()
            except SourceError:
                continue  # it will leave by itself when it has idled long enough


def _waiting_refs(tracker: SweepTracker) -> dict[str, list[str]]:
    """Return, by source, the attempts that have been handed over and are not known to have begun."""
    waiting: dict[str, list[str]] = {}
    for task in tracker.live():
        attempt = task.attempt
        if attempt and attempt.state in (AttemptState.INTENT, AttemptState.SUBMITTED):
            waiting.setdefault(attempt.source, []).append(attempt.ref or attempt.token)
    return waiting


def _is_reply(item: inp.Input) -> bool:
    """Order replies behind sightings: that an attempt has ended says more than that it was handed over."""
    return isinstance(item, inp.HandedOver)


def _is_out_of_sight(tracker: SweepTracker, job: SweepJob, lanes: Mapping[str, Lane]) -> bool:
    """Tell whether all that is not over is at sources that failed: a later engine will see to it."""
    seen = {name for name, lane in lanes.items() if lane.is_open}
    if len(seen) == len(job.sources):
        return False
    live = tracker.live()
    return bool(live) and not any(task.attempt and task.attempt.source in seen for task in live)


def _refs_to_cancel(tasks: Sequence[Task], lanes: Mapping[str, Lane]) -> dict[str, list[str]]:
    """Return, by source, attempts that wait before those that run, whose slots they would take."""
    refs: dict[str, list[str]] = {}
    for task in sorted(tasks, key=lambda task: task.status is TaskStatus.RUNNING):
        if task.attempt is not None and task.attempt.source in lanes:
            refs.setdefault(task.attempt.source, []).append(task.attempt.ref or task.attempt.token)
    return refs
