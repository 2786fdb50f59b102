"""Homing: bringing ended attempts home and judging them, and writing what people read.

What has ended is brought home by source, a few groups at a time, and judged as it comes: neither a source
that is slow nor an attempt that is large holds the others up. One coroutine per source, and two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from hsm.core.collector import Ended, judge
from hsm.core.divergence import Rival, divergence_of
from hsm.core.epochs import Tenure
from hsm.core.events import AttemptFailed, AttemptSealed, ResultsDiverged
from hsm.core.inputs import Input, Judged, RoomMissed
from hsm.core.job import Placed, nowhere
from hsm.core.lane import Lane
from hsm.core.machine import Command
from hsm.core.mailbox import Mailbox
from hsm.core.model import Attempt, Task
from hsm.core.projection import Projector
from hsm.core.room import RETRY_S, never, when_there_is_room
from hsm.core.source import CollectionResult, Wanted
from hsm.core.tracker import Order
from hsm.core.world import World
from hsm.wire.manifest import NO_FILES

Verdict: TypeAlias = AttemptSealed | AttemptFailed

GROUP = 128
"""So many attempts at most are brought home by one call."""

GROUPS = 4
"""So many calls at a time to one source."""


@dataclass(frozen=True, slots=True)
class Brought:
    """An attempt, and how it came home."""

    ended: Ended | Rival
    result: CollectionResult


class Homing:
    """Collects and projects in the background. `pending` has the tokens of what is being collected."""

    def __init__(
        self,
        world: World,
        projector: Projector,
        lanes: Mapping[str, Lane],
        tenure: Tenure,
        post: Callable[[Input], None],
        *,
        placed: Placed = nowhere,
    ) -> None:
        self.pending: set[str] = set()
        self._world = world
        self._projector = projector
        self._lanes = lanes
        self._tenure = tenure
        self._post = post
        self._placed = placed
        self._ended: dict[str, Mailbox[Ended | Rival]] = {name: Mailbox() for name in lanes}
        self._brought: Mailbox[Brought] = Mailbox()
        self._written: Mailbox[Order | Task | None] = Mailbox()
        self._is_leaving: Callable[[], bool] = never
        self._ordered = 0
        self._projected = 0
        self._moved = asyncio.Event()
        self._projects = True

    def collect_later(self, task: Task, attempt: Attempt, directory: Path) -> None:
        """Have an attempt that has exited brought home and judged, unless it is being brought home."""
        if attempt.token not in self.pending:
            self.pending.add(attempt.token)
            self._bring_later(Ended(task, attempt, directory))

    def compare_later(self, task: Task, attempt: Attempt, other: Attempt) -> None:
        """Have the results of an attempt, which has ended, compared with those of another one of its task."""
        if attempt.token not in self.pending:
            self.pending.add(attempt.token)
            self._bring_later(Rival(task, attempt, other))

    def _bring_later(self, ended: Ended | Rival) -> None:
        """Have an attempt brought home; one of a source that this engine has not stays as it is."""
        mailbox = self._ended.get(ended.attempt.source)
        if mailbox is None:
            self._leave([ended])
        else:
            mailbox.put(ended)

    def _leave(self, ended: Sequence[Ended | Rival]) -> None:
        """Tell at once what does not come: that less is pending may be what the engine waits for.

        It is told before the source is open again, which is when it will be asked for again.
        """
        self._post(Judged([one.attempt.token for one in ended], ()))

    def delivered(self, tokens: Iterable[str]) -> None:
        """Note that nothing more comes of these: verdicts have been folded, or they did not come home."""
        self.pending.difference_update(tokens)

    def project_later(self, item: Order | Task) -> None:
        """Have an order carried out in `tasks/`, or a running task linked there."""
        self._ordered += 1
        self._written.put(item)

    async def projected(self) -> bool:
        """Wait until all that has been ordered so far is written; False when some of it never is."""
        ordered = self._ordered
        while self._projected < ordered and self._projects:
            self._moved.clear()
            await self._moved.wait()
        return self._projected >= ordered

    def no_more(self, is_leaving: Callable[[], bool]) -> None:
        """Let `project` end when it has written everything, or finds no room for it when the user leaves."""
        self._is_leaving = is_leaving
        self._written.put(None)

    async def collect(self) -> None:
        """Bring home and judge until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, mailbox in self._ended.items():
                group.create_task(self._bring(self._lanes[name], mailbox))
            group.create_task(self._judge())

    async def _bring(self, lane: Lane, mailbox: Mailbox[Ended | Rival]) -> None:
        """Bring home what ends at one source, some of it at a time."""
        room = asyncio.Semaphore(GROUPS)
        async with asyncio.TaskGroup() as group:
            while True:
                await room.acquire()
                ended = await mailbox.take_some(GROUP)
                fetching = group.create_task(self._fetch(lane, mailbox, ended))
                fetching.add_done_callback(lambda _: room.release())

    async def _fetch(
        self, lane: Lane, mailbox: Mailbox[Ended | Rival], ended: Sequence[Ended | Rival]
    ) -> None:
        """Bring a group home; when its source fails it stays as it is until the source is back."""
        wanted = {one.attempt.token: self._wanted(one) for one in ended}
        results = await when_there_is_room(
            self._world,
            partial(lane.fetch, list(wanted.values())),
            lambda reason: self._post(RoomMissed(reason)),
        )
        if results is None:
            self._leave(ended)
            return
        late: list[Ended | Rival] = []
        for one in ended:
            result = results.get(wanted[one.attempt.token].ref)
            if result is None:
                late.append(one)
            else:
                self._brought.put(Brought(one, result))
        if late:
            await self._world.sleep(RETRY_S)
        for one in late:
            mailbox.put(one)

    def _wanted(self, ended: Ended | Rival) -> Wanted:
        attempt = ended.attempt
        return Wanted(
            ref=attempt.ref or attempt.token,
            directory=self._projector.ordered(ended.task, attempt),
            report=attempt.manifest,
            dest=self._home_of(ended),
        )

    async def _judge(self) -> None:
        """Judge what has come home."""
        while True:
            brought = await self._brought.take()
            verdicts, found = await self._world.blocking(self._look_at, brought)
            self._post(Judged([one.ended.attempt.token for one in brought], verdicts, found))

    def _look_at(self, home: Sequence[Brought]) -> tuple[list[Verdict], list[ResultsDiverged]]:
        at, files = self._world.now(), self._world.files
        verdicts: list[Verdict] = []
        found: list[ResultsDiverged] = []
        for one in home:
            if isinstance(one.ended, Ended):
                verdicts.append(judge(files, self._located(one.ended), at, one.result.fault))
            elif (divergence := divergence_of(files, self._projector, one.ended, at)) is not None:
                found.append(divergence)
        return verdicts, found

    def _located(self, ended: Ended) -> Ended:
        """Look elsewhere for an attempt that has been placed before, by an engine whose ledger lost it."""
        if ended.attempt.manifest == NO_FILES or self._world.files.is_directory(str(ended.directory)):
            return ended
        return replace(ended, directory=self._projector.directory(ended.task, ended.attempt))

    def _home_of(self, ended: Ended | Rival) -> Path:
        """Return where an attempt is brought: one that is no result never to the place of that."""
        if isinstance(ended, Ended):
            return ended.directory
        is_result = ended.attempt is ended.task.attempt
        where = self._projector.directory if is_result else self._projector.aside
        return where(ended.task, ended.attempt)

    async def project(self) -> None:
        """Write what people read, until there is no more.

        Raises:
            OSError: it cannot be written; the next engine will.
        """
        items: list[Order | Task | None] = []
        try:
            while None not in items:
                items = await self._written.take()
                await self._tenure.check()
                todo = [item for item in items if item is not None]
                await when_there_is_room(
                    self._world,
                    partial(self._world.blocking, self._write, todo),
                    lambda reason: self._post(RoomMissed(reason)),
                    self._gives_up,
                )
                self._projected += len(todo)
                self._moved.set()
                orders = [item for item in todo if not isinstance(item, Task)]
                await self._placed([task for task, command in orders if command is Command.PLACE])
        finally:
            self._projects = False
            self._moved.set()

    def _gives_up(self) -> bool:
        return self._is_leaving()

    def _write(self, items: Sequence[Order | Task]) -> None:
        self._projector.link([item for item in items if isinstance(item, Task)])
        self._projector.apply([item for item in items if not isinstance(item, Task)])
