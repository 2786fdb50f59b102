"""Drive: one engine at one sweep, from taking it over to letting it go.

    inputs ──> events ──fold──> tracker ──> more events (plan, dispatch)
                 │ commit (durable, one group)
                 └──> orders ──> lanes (submit, cancel) · collector (fetch, verify) · projector (files)

The loop takes everything that has come in, folds it, decides, commits it all as one group, and only then
acts. While one group is being made durable the next one gathers: that is the group commit. There are two
coroutines per source and a handful besides, and none per task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hsm.core import events as ev
from hsm.core import inputs as inp
from hsm.core.collector import Ended, judge
from hsm.core.command import CommandTemplate
from hsm.core.dispatch import dispatch, room
from hsm.core.errors import SourceError
from hsm.core.lane import Cancel, Lane, Recall, Submit
from hsm.core.ledger import Ledger
from hsm.core.machine import Command
from hsm.core.mailbox import Mailbox
from hsm.core.model import Hunter, Task
from hsm.core.observed import event_of
from hsm.core.planner import Planner
from hsm.core.projection import Projector
from hsm.core.scribe import Scribe
from hsm.core.source import AttemptOrder, Rejected
from hsm.core.spec import SweepSpec
from hsm.core.states import AttemptState, SweepStatus
from hsm.core.tracker import Order, SweepTracker
from hsm.core.tree import SweepTree
from hsm.core.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user wants of this drive.

    `max_tasks` limits it to the first tasks; `reopen` are tasks to be tried again; `cancel` ends
    everything and begins nothing.
    """

    max_tasks: int | None = None
    reopen: Sequence[int] = ()
    cancel: bool = False


@dataclass(slots=True)
class _Turn:
    """What one turn of the loop gathers: events to be committed, and what is to be done afterwards."""

    events: list[ev.Event] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    intents: dict[str, list[AttemptOrder]] = field(default_factory=dict)
    acks: list[asyncio.Future[None]] = field(default_factory=list)
    started: list[Task] = field(default_factory=list)


class Drive:
    """The engine's loop over one sweep that it has claimed."""

    def __init__(
        self,
        world: World,
        tree: SweepTree,
        spec: SweepSpec,
        hunter: Hunter,
        tracker: SweepTracker,
        ledger: Ledger,
        commands: CommandTemplate,
        program_digest: str,
        wishes: Wishes,
        listen: Callable[[Sequence[ev.Event], SweepTracker], None],
    ) -> None:
        self.mailbox: Mailbox[inp.Input] = Mailbox()
        self.tracker = tracker
        self._world = world
        self._tree = tree
        self._spec = spec
        self._ledger = ledger
        self._commands = commands
        self._wishes = wishes
        self._listen = listen
        self._lanes: dict[str, Lane] = {}
        self._detaching = ""
        self._recalled = False
        self._planner = Planner(world, tree, hunter, program_digest, spec)
        self._projector = Projector(world.files, tree)
        self._scribe = Scribe(world, tree)
        self._to_collect: Mailbox[Ended] = Mailbox()
        self._to_project: Mailbox[Order | Task | None] = Mailbox()
        self._collecting = 0
        self._error: SourceError | None = None

    # Life

    async def run(self, lanes: Sequence[Lane], openings: Sequence[ev.Event]) -> SweepStatus:
        """Drive the sweep until it is over, or the user leaves, and say where it stands then.

        Raises:
            SourceError: no source is left.
            LedgerError: the ledger cannot be written; nothing that was acknowledged is lost.
        """
        self._lanes = {lane.name: lane for lane in lanes}
        async with asyncio.TaskGroup() as group:
            projecting = group.create_task(self._project())
            running = [group.create_task(self._collect())]
            try:
                await self._begin(openings)
                for lane in lanes:
                    cursor = self.tracker.cursors.get(lane.name, "")
                    running.append(group.create_task(lane.observe(cursor)))
                    running.append(group.create_task(lane.work()))
                running.append(group.create_task(self._planner.work(self.mailbox.put)))
                await self._loop()
                self._to_project.put(None)
                await projecting
                status = await self._finish()
            finally:
                for task in (*running, projecting):
                    task.cancel()
        if self._error is not None:
            raise self._error
        return status

    async def _begin(self, openings: Sequence[ev.Event]) -> None:
        """Commit who we are, settle what is not known of older attempts, and take up what was left undone."""
        turn = _Turn()
        for event in openings:
            self._take(turn, event)
        for lane in self._lanes.values():
            await self._reconcile(turn, lane)
        if self._wishes.reopen:
            self._take(turn, ev.TasksReopened(tasks=tuple(self._wishes.reopen), at=self._world.now()))
        if self._wishes.cancel:
            self._take(turn, ev.CancelRequested(at=self._world.now()))
        await self._commit(turn)
        for task in self.tracker.live():
            self._take_up(task)

    async def _reconcile(self, turn: _Turn, lane: Lane) -> None:
        """Ask the source for every attempt of its that was intended: what it never got, never began."""
        doubtful = (AttemptState.INTENT, AttemptState.UNCONFIRMED)
        asked = [
            task
            for task in self.tracker.live()
            if task.attempt and task.attempt.source == lane.name and task.attempt.state in doubtful
        ]
        if not asked:
            return
        found = await lane.session.find([task.attempt.token for task in asked if task.attempt])
        for task in asked:
            assert task.attempt is not None
            number, ref = task.attempt.number, found.get(task.attempt.token)
            if ref is None:
                reason, at = "it was never handed over", self._world.now()
                self._take(turn, ev.AttemptVoided(task=task.index, attempt=number, reason=reason, at=at))
            else:
                self._take(turn, ev.AttemptSubmitted(task=task.index, attempt=number, ref=ref))

    def _take_up(self, task: Task) -> None:
        """Do again what a dead engine may not have done."""
        attempt = task.attempt
        assert attempt is not None
        if attempt.state is AttemptState.EXITED:
            self._order_collection(task)
        elif task.cancel_requested and attempt.source in self._lanes:
            self._lanes[attempt.source].calls.put(Cancel([attempt.ref or attempt.token]))
        elif attempt.state is AttemptState.RUNNING:
            self._to_project.put(task)

    # The loop

    async def _loop(self) -> None:
        while True:
            turn = _Turn()
            for item in self.mailbox.drain():
                self._react(turn, item)
            self._decide(turn)
            if turn.events:
                await self._commit(turn)
            elif self._is_done():
                return
            else:
                await self.mailbox.wait()

    def _take(self, turn: _Turn, event: ev.Event) -> None:
        """Fold an event and remember it for the ledger, unless it is old news."""
        index = getattr(event, "task", None)
        before = None if index is None else self.tracker.task(index)
        orders = self.tracker.fold(event)
        if index is not None and self.tracker.task(index) is before:
            return
        turn.events.append(event)
        turn.orders += orders

    async def _commit(self, turn: _Turn) -> None:
        artifacts = any(isinstance(event, (ev.AttemptSealed, ev.AttemptFailed)) for event in turn.events)
        await self._ledger.commit(turn.events, artifacts=artifacts)
        self._act(turn)
        for done in turn.acks:
            done.set_result(None)
        self._listen(turn.events, self.tracker)
        await self._scribe.note(turn.events, self.tracker, self._ledger.mark)

    def _is_done(self) -> bool:
        if self._detaching:
            return self._collecting == 0 and not self._recallable()
        idle = not any(lane.is_open for lane in self._lanes.values()) if self._error else False
        if self.tracker.is_over or idle:
            return True
        return self._limit_reached()

    def _limit_reached(self) -> bool:
        limit = self._wishes.max_tasks
        if limit is None or self._planner.is_asking or not self.tracker.generations:
            return False
        return all(task.status.is_final for task in self.tracker.tasks[:limit])

    # What came in

    def _react(self, turn: _Turn, item: inp.Input) -> None:
        match item:
            case inp.Seen(source, batch):
                self._see(turn, source, batch)
            case inp.HandedOver(orders, outcomes):
                for order, outcome in zip(orders, outcomes, strict=True):
                    self._handed_over(turn, order, outcome)
            case inp.HandoverLost(orders, error):
                for order in orders:
                    self._take(turn, self._unconfirmed(order, error.message))
            case inp.Judged(verdicts):
                self._collecting -= len(verdicts)
                for verdict in verdicts:
                    self._take(turn, verdict)
            case inp.LaneFailed(source, error):
                self._fail_lane(turn, source, error)
            case inp.Planned():
                self._plan(turn, item)
            case inp.CancelAsked(tasks, done):
                self._take(turn, ev.CancelRequested(tasks=tuple(tasks), at=self._world.now()))
                if done is not None:
                    turn.acks.append(done)
            case inp.DetachAsked(reason):
                self._detaching = reason

    def _see(self, turn: _Turn, source: str, batch: inp.Observations) -> None:
        over = {seen.token for seen in batch.seen if seen.state is AttemptState.EXITED}
        if over and source in self._lanes:
            self._lanes[source].ended(len(over), self._world.monotonic())
        for seen in batch.seen:
            found = self.tracker.by_token(seen.token)
            if found is None or (seen.state is AttemptState.RUNNING and seen.token in over):
                continue
            task, number = found
            self._take(turn, event_of(seen, task.index, number))
            if seen.state is AttemptState.RUNNING:
                turn.started.append(self.tracker.task(task.index))
        self._take(turn, ev.CursorMoved(source=source, cursor=batch.cursor))

    def _handed_over(self, turn: _Turn, order: AttemptOrder, outcome: inp.SubmitOutcome) -> None:
        task, attempt = order.task, order.attempt
        if isinstance(outcome, Rejected):
            at, cause, reason = self._world.now(), outcome.cause, outcome.reason
            event: ev.Event = ev.AttemptRejected(task=task, attempt=attempt, cause=cause, reason=reason, at=at)
        else:
            event = ev.AttemptSubmitted(task=task, attempt=attempt, ref=outcome.ref)
        self._take(turn, event)

    def _unconfirmed(self, order: AttemptOrder, reason: str) -> ev.AttemptUnconfirmed:
        at = self._world.now()
        return ev.AttemptUnconfirmed(task=order.task, attempt=order.attempt, reason=reason, at=at)

    def _fail_lane(self, turn: _Turn, source: str, error: inp.HsmError) -> None:
        lane = self._lanes[source]
        if not lane.is_open:
            return
        lane.is_open = False
        at = self._world.now()
        self._take(turn, ev.SourceFailed(source=source, reason=error.message, hint=error.hint, at=at))
        if not any(other.is_open for other in self._lanes.values()):
            self._error = error if isinstance(error, SourceError) else SourceError(source, error.message)

    def _plan(self, turn: _Turn, planned: inp.Planned) -> None:
        now = self._world.now()
        if planned.count:
            self.tracker.preload(planned.name, planned.tasks)
            event: ev.Event = ev.GenerationPlanned(
                generation=planned.generation,
                plan=planned.name,
                first=len(self.tracker.tasks) + 1,
                count=planned.count,
                at=now,
            )
        else:
            event = ev.HuntEnded(generation=planned.generation, at=now)
        self._take(turn, event)
        self._planner.accepted()
        for reused in self.tracker.take_duplicates():
            self._take(turn, reused)

    # What to do next

    def _decide(self, turn: _Turn) -> None:
        if not self._detaching and not self.tracker.stopped:
            self._stop_if_hopeless(turn)
        if self._detaching or self.tracker.stopped or self._error:
            self._recall()
            return
        self._planner.ask_if_due(self.tracker)
        self._dispatch(turn)

    def _stop_if_hopeless(self, turn: _Turn) -> None:
        rate = self.tracker.failure_rate()
        if rate <= self._spec.max_failure_rate or self.tracker.open == 0:
            return
        worst = max(self.tracker.failures.values(), key=lambda group: group.count, default=None)
        reason = f"{rate:.0%} of the finished tasks failed"
        if worst is not None:
            reason += f", most of them for this cause: {worst.cause}: {worst.signature}"
        self._take(turn, ev.SweepStopped(reason=reason, at=self._world.now()))

    def _recall(self) -> None:
        """Take back, once, what has been handed over and has not begun."""
        if self._recalled:
            return
        self._recalled = True
        for lane in self._lanes.values():
            refs = [ref for task, ref in self._recallable() if task.attempt and task.attempt.source == lane.name]
            if refs and lane.is_open:
                lane.calls.put(Recall(refs))

    def _recallable(self) -> list[tuple[Task, str]]:
        waiting = (AttemptState.INTENT, AttemptState.SUBMITTED)
        return [
            (task, task.attempt.ref or task.attempt.token)
            for task in self.tracker.live()
            if task.attempt and task.attempt.state in waiting
        ]

    def _dispatch(self, turn: _Turn) -> None:
        now, at = self._world.monotonic(), self._world.now()
        lanes = [
            lane.view(self.tracker.sources[lane.name].in_flight, now)
            for lane in self._lanes.values()
            if lane.is_open
        ]
        ready = [task.index for task in self.tracker.ready(room(lanes)) if self._is_wanted(task)]
        for assignment in dispatch(ready, lanes):
            task = self.tracker.task(assignment.task)
            intent = ev.AttemptIntended(
                task=task.index,
                attempt=len(task.attempts) + 1,
                token=self._world.token(),
                source=assignment.source,
                at=at,
            )
            self._take(turn, intent)
            turn.intents.setdefault(assignment.source, []).append(self._order(task, intent))

    def _is_wanted(self, task: Task) -> bool:
        return self._wishes.max_tasks is None or task.index <= self._wishes.max_tasks

    def _order(self, task: Task, intent: ev.AttemptIntended) -> AttemptOrder:
        argv = self._lanes[intent.source].source.argv(self._commands.argv(task))
        return AttemptOrder(
            task=task.index,
            attempt=intent.attempt,
            token=intent.token,
            directory=self._tree.attempt_name(task.index, intent.attempt, intent.token),
            argv=argv,
            params_json=task.params_json,
            seed=task.seed,
            config_hash=task.config_hash,
            task_key=task.task_key,
            timeout_s=self._spec.timeout_s,
            resources=self._spec.resources,
        )

    # Acting on what is durable

    def _act(self, turn: _Turn) -> None:
        for source, orders in turn.intents.items():
            self._lanes[source].calls.put(Submit(orders))
        for order in turn.orders:
            self._carry_out(order)
        for task in turn.started:
            if self.tracker.task(task.index).attempt is task.attempt:
                self._to_project.put(task)

    def _carry_out(self, order: Order) -> None:
        task, command = order
        attempt = task.attempt
        if command is Command.COLLECT:
            self._order_collection(task)
        elif command is Command.CANCEL:
            if attempt is not None and attempt.source in self._lanes:
                self._lanes[attempt.source].calls.put(Cancel([attempt.ref or attempt.token]))
        else:
            self._to_project.put(order)

    def _order_collection(self, task: Task) -> None:
        assert task.attempt is not None
        self._collecting += 1
        self._to_collect.put(Ended(task, task.attempt, self._projector.directory(task, task.attempt)))

    async def _collect(self) -> None:
        while True:
            ended = await self._to_collect.take()
            home = [item for item in ended if await self._fetch(item)]
            self._collecting -= len(ended) - len(home)
            at = self._world.now()
            verdicts = await self._world.blocking(lambda batch=home: [judge(item, at) for item in batch])
            self.mailbox.put(inp.Judged(verdicts))

    async def _fetch(self, ended: Ended) -> bool:
        """Bring an attempt home; when its source fails it stays EXITED, for a later engine to collect."""
        attempt = ended.attempt
        lane = self._lanes.get(attempt.source)
        if lane is None or not lane.is_open:
            return lane is None and ended.directory.is_dir()
        try:
            await lane.session.fetch(attempt.ref or attempt.token, ended.directory)
        except SourceError as error:
            self.mailbox.put(inp.LaneFailed(lane.name, error))
            return False
        return True

    async def _project(self) -> None:
        """Write what people read, until a None comes."""
        items: list[Order | Task | None] = []
        while None not in items:
            items = await self._to_project.take()
            await self._world.blocking(self._write, [item for item in items if item is not None])

    def _write(self, items: Sequence[Order | Task]) -> None:
        self._projector.link([item for item in items if isinstance(item, Task)])
        self._projector.apply([item for item in items if not isinstance(item, Task)])

    # The end

    async def _finish(self) -> SweepStatus:
        """Write down that we let go, finish the projections, and let the sources go if nothing is left."""
        status = self.tracker.status(driven=False)
        stop = ev.EngineStopped(
            epoch=self._ledger.claim.epoch, status=status, reason=self._detaching, at=self._world.now()
        )
        turn = _Turn()
        self._take(turn, stop)
        await self._ledger.commit(turn.events)
        self._listen(turn.events, self.tracker)
        if not self.tracker.live():
            for lane in self._lanes.values():
                if lane.is_open:
                    await lane.session.release()
        await self._scribe.close(turn.events, self.tracker, self._ledger.mark, self._projector)
        return status
