"""Watching a sweep from its ledger: what has come in, what can be asked of it, and the live screen."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hsm.cli import allowed, closing, words
from hsm.cli.ages import aged
from hsm.cli.commands.sweep_status import notice, task_cells
from hsm.cli.console import Console, Tone, line
from hsm.cli.dashboard import Stage, TaskPage, picture
from hsm.cli.details import Details
from hsm.cli.opened import OpenedTask
from hsm.cli.screen import Scene
from hsm.cli.view import Facts, Order, Page, View, Wish, press, selected_of
from hsm.cli.workspace import Look, Workspace, analysed_of
from hsm.core import events as ev
from hsm.core import summary
from hsm.core.epochs import holder
from hsm.core.errors import HsmError, MachineError, SelectorInvalid, SweepError
from hsm.core.ledger_reader import LedgerReader
from hsm.core.selectors import compact, parse_selector, ranking, select
from hsm.core.states import FINAL, TaskStatus
from hsm.core.story import line_of
from hsm.core.tracker import SweepTracker

if TYPE_CHECKING:
    from hsm.results.analysed import Analysed

READ_S = 0.5
ANALYSED_S = 2.0
FRAME_S = 0.25
"""At most one picture in so long a time."""
STILL_S = 1.0
"""Without news a picture is made so often: ages grow."""
PATIENCE_S = 3.0
"""A sweep without an engine is given up after this time: its engine may just be starting."""
RECENT = 8
DETAILED_TASKS = 5000
"""Sweeps of up to so many tasks are read whole, so that times and scores of finished tasks are known."""
SHARE = 0.02
"""Listing tasks may take this share of the time."""


class Feed:
    """A sweep as its ledger tells it, read on and on."""

    def __init__(self, space: Workspace, look: Look, reader: LedgerReader) -> None:
        self.look = look
        self.recent: deque[str] = deque(maxlen=RECENT)
        self.touched: deque[int] = deque(maxlen=200)
        self._space = space
        self._reader = reader
        self.analyses: Sequence[Analysed] = ()
        self._idle_since: float | None = None
        self._analysed_at = -math.inf

    async def read_whole(self) -> None:
        """Read every detail of a sweep that is small enough."""
        if len(self.look.tracker.tasks) <= DETAILED_TASKS:
            await self._replay()

    async def _replay(self) -> None:
        look, world = self.look, self._space.world
        tracker, self._reader = await world.blocking(summary.replay, world.files, look.tree, look.spec)
        self._turn_to(tracker)

    async def read(self) -> Sequence[ev.Event]:
        """Take in what came since."""
        world, tracker = self._space.world, self.look.tracker
        if world.monotonic() - self._analysed_at >= ANALYSED_S:
            self.analyses = await world.blocking(analysed_of, world, self.look)
            self._analysed_at = world.monotonic()
        events = await world.blocking(lambda: list(self._reader.events()))
        for event in events:
            try:
                tracker.fold(event)
            except MachineError:  # about a task that is known by its status alone
                await self._replay()
                return events
            text = line_of(event, tracker)
            if text:
                self.recent.append(stamped(event, text))
            task = getattr(event, "task", None)
            if task is not None:
                self.touched.append(task)
        self._turn_to(tracker)
        return events

    def _turn_to(self, tracker: SweepTracker) -> None:
        look, world = self.look, self._space.world
        claim = holder(world, look.tree, released=tracker.released)
        self.look = Look(look.tree, look.spec, tracker, claim, world.now())

    @property
    def is_at_its_end(self) -> bool:
        """Whether nothing more will come by itself, as far as can be told."""
        now = self._space.world.monotonic()
        if self.look.tracker.is_over and not self.look.is_driven:
            return True
        if self.look.is_driven:
            self._idle_since = None
            return False
        self._idle_since = now if self._idle_since is None else self._idle_since
        return now - self._idle_since >= PATIENCE_S


def stamped(event: ev.Event, text: str) -> str:
    """Return an event's words behind the time of day."""
    at = getattr(event, "at", None)
    return f"{words.clock(at)} {text}" if at is not None else text


def scene_of(space: Workspace, feed: Feed) -> Scene:
    """Return what is to be seen of a sweep now."""
    look = feed.look.at_time(space.world.now())
    return Scene(
        tree=look.tree,
        progress=aged(space.world, look.tree, look.progress),
        best_params=closing.best_params(look),
        recent=tuple(feed.recent),
        notice=notice(space, look),
        analyses=feed.analyses,
    )


class Lister:
    """Lists the tasks that a view shows, seldom enough that it costs next to nothing."""

    def __init__(self, world_clock: Callable[[], float]) -> None:
        self.open_tasks: Sequence[int] = ()
        self._clock = world_clock
        self._rows: Sequence[int] = ()
        self._key: tuple[object, ...] = ()
        self._again_at = 0.0

    def rows(self, feed: Feed, view: View) -> Sequence[int]:
        """Return the tasks in their order; a moment old, unless the view asks for others."""
        key, began = (view.filter, view.order, len(feed.look.tracker.tasks)), self._clock()
        if key != self._key or began >= self._again_at:
            tracker = feed.look.tracker
            self._rows = listed(tracker, list(feed.touched), view)
            self.open_tasks = [task.index for task in tracker.tasks if task.status not in FINAL]
            self._key = key
            self._again_at = began + max(READ_S, (self._clock() - began) / SHARE)
        return self._rows


def listed(tracker: SweepTracker, touched: Sequence[int], view: View) -> list[int]:
    """Return the tasks that a view shows, in its order."""
    chosen = _filtered(tracker, view.filter)
    match view.order:
        case Order.NUMBER:
            return sorted(chosen)
        case Order.STATUS:
            places = {status: place for place, status in enumerate(TaskStatus)}
            return sorted(chosen, key=lambda index: (places[tracker.task(index).status], index))
        case Order.TIME:
            return sorted(chosen, key=lambda index: -_wall_s(tracker, index))
        case Order.SCORE:
            places_ = {index: place for place, index in enumerate(ranking(tracker))}
            return sorted(chosen, key=lambda index: (places_.get(index, len(places_)), index))
        case Order.ACTIVITY:
            return _by_activity(tracker, touched, chosen)


def _by_activity(tracker: SweepTracker, touched: Sequence[int], chosen: list[int]) -> list[int]:
    """Return what runs, then what something happened to last, then failures, then the others."""
    live = sorted(tracker.live(), key=lambda task: (task.status is not TaskStatus.RUNNING, task.index))
    order = [task.index for task in live]
    order += list(touched)[::-1]
    failed = [index for index in chosen if tracker.tasks[index - 1].status is TaskStatus.FAILED]
    allowed = set(chosen)
    return list(dict.fromkeys(index for index in [*order, *failed, *chosen] if index in allowed))


def _wall_s(tracker: SweepTracker, index: int) -> float:
    attempt = tracker.task(index).attempt
    if attempt is None:
        return -1.0
    if attempt.exit is not None:
        return attempt.exit.wall_s
    return max(0.0, (tracker.last_at or 0.0) - attempt.started_at) if attempt.started_at else -0.5


def _filtered(tracker: SweepTracker, text: str) -> list[int]:
    """Return the tasks that a filter lets through: a selector, or a text that is found in what is known."""
    if not text:
        return list(range(1, len(tracker.tasks) + 1))
    try:
        return select(parse_selector(text), tracker)
    except SelectorInvalid:
        wanted = text.lower()
        return [task.index for task in tracker.tasks if wanted in f"{task.task_id} {task.reason}".lower()]
    except SweepError:
        return []


class LiveWatch:
    """The live screen: keys in, pictures out, until the user leaves. `wish` is what is to follow."""

    def __init__(self, console: Console, space: Workspace, feed: Feed) -> None:
        from hsm.cli.canvas import Canvas
        from hsm.cli.keys import Keyboard

        self.feed = feed
        self.wish: Wish | None = None
        self._console = console
        self._space = space
        self._view = View()
        self._canvas = Canvas(console)
        self._keyboard = Keyboard(self._press)
        self._has_keys = Keyboard.is_there()
        self._lister = Lister(space.world.monotonic)
        self._opened: OpenedTask | None = None
        self._to_cancel: tuple[int, ...] | None = None
        self._signal = 0
        self._awake = asyncio.Event()
        self._details = Details(space, lambda: self.feed.look, self._awake)

    async def run(self) -> None:
        """Show the sweep until the user leaves, or, where there are no keys, until it is over."""
        with self._terminal():
            self._paint()
            await self.feed.read_whole()
            try:
                async with asyncio.TaskGroup() as group:
                    reading = group.create_task(self._details.keep())
                    await self._stay()
                    reading.cancel()
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from errors
        if self._signal:
            signal.signal(self._signal, signal.SIG_DFL)
            os.kill(os.getpid(), self._signal)

    async def _stay(self) -> None:
        world, read_at = self._space.world, 0.0
        while self.wish is None and not self._signal:
            if world.monotonic() >= read_at:
                read_at = world.monotonic() + READ_S
                await self._take()
            self._paint()
            if not self._has_keys and self.feed.is_at_its_end:
                break
            await self._pause(read_at)

    async def _take(self) -> None:
        events = await self.feed.read()
        if self._to_cancel is not None:
            await self._cancel(self._to_cancel)
        view = self._view
        if view.page not in (Page.TASK, Page.LOG):
            self._opened = None
            return
        if self._opened is None or self._opened.index != view.selected:
            opened = OpenedTask(self._space, self.feed.look, view.selected)
            await self._space.world.blocking(opened.open)
            self._opened = opened
        self._opened.take(events, self.feed.look)

    async def _pause(self, read_at: float) -> None:
        """Wait for a key or for the next reading, at least as long as a picture is shown."""
        world = self._space.world
        await world.sleep(FRAME_S)
        try:
            async with asyncio.timeout(max(0.0, read_at - world.monotonic())):
                await self._awake.wait()
        except TimeoutError:
            pass
        self._awake.clear()

    # The terminal

    @contextmanager
    def _terminal(self) -> Iterator[None]:
        """Hold the terminal; however this ends, it is given back as it was found."""
        loop = asyncio.get_running_loop()
        answers: dict[int, Callable[[], None]] = {
            signal.SIGTERM: lambda: self._end_by(signal.SIGTERM),
            signal.SIGHUP: lambda: self._end_by(signal.SIGHUP),
            signal.SIGTSTP: self._suspend,
            signal.SIGWINCH: self._awake.set,
        }
        for number, answer in answers.items():
            loop.add_signal_handler(number, answer)
        try:
            self._hold()
            yield
        finally:
            self._let_go()
            for number in answers:
                loop.remove_signal_handler(number)

    def _hold(self) -> None:
        self._canvas.start()
        self._keyboard.start()

    def _let_go(self) -> None:
        self._keyboard.stop()
        self._canvas.stop()

    def _end_by(self, number: int) -> None:
        self._signal = number
        self._awake.set()

    def _suspend(self) -> None:
        self._let_go()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._hold()

    # Keys

    def _press(self, key: str) -> None:
        facts = self._facts()
        before = self._view
        self._view, wish = press(before, key, facts)
        if wish is Wish.CANCEL:
            self._to_cancel = before.doomed
        elif wish is not None:
            self.wish = wish
        self._awake.set()

    async def _cancel(self, tasks: tuple[int, ...]) -> None:
        """Ask the engine to end tasks; its answer is the message."""
        from dataclasses import replace

        from hsm.core import control

        self._to_cancel = None
        what = f"task {tasks[0]}" if tasks else "the whole sweep"
        claim = self.feed.look.claim
        try:
            if claim is not None:
                await control.ask_to_cancel(self._space.world, claim.socket, tasks)
            said = f"asked the engine to end {what}"
        except HsmError as error:
            said = f"{what}: {error.message}"
        self._view = replace(self._view, message=said)

    # Pictures

    def _facts(self) -> Facts:
        look = self.feed.look
        tracker = look.tracker
        rows = self._lister.rows(self.feed, self._view)
        failures = look.progress.failures
        return Facts(
            rows=rows,
            groups=[compact(group.tasks) for group in failures],
            group_notes=[allowed.group_note(group) for group in failures],
            open_tasks=self._lister.open_tasks,
            failed=tracker.counts[TaskStatus.FAILED],
            has_score=look.spec.hunt is not None,
            no_cancel=allowed.no_cancel(self._space, look),
            no_retry=allowed.no_retry(look),
            page_rows=max(1, self._canvas.size[1] // 2),
        )

    def _paint(self) -> None:
        look = self.feed.look
        width, height = self._canvas.size
        now = self._space.world.now() if look.is_driven else look.tracker.last_at  # nobody sees what runs on
        facts, tracker = self._facts(), look.tracker
        self._details.want(tracker, facts.rows, selected_of(self._view, facts), height)
        stage = Stage(
            view=self._view,
            facts=facts,
            scene=scene_of(self._space, self.feed),
            row=lambda index: task_cells(look, self._details.task(tracker, index), now=now),
            driver=allowed.driver(look),
            page=self._opened.page() if self._opened else opening(self._view),
        )
        self._canvas.paint(picture(stage, width, height, self._console.glyphs))


def opening(view: View) -> TaskPage:
    """Return what is shown of a task that is being read."""
    return TaskPage(head=[line((f"reading task {view.selected} ...", Tone.DIM))])
