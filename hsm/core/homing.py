"""Homing: bringing ended attempts home and judging them, and writing what people read. Two coroutines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from hsm.core.collector import Ended, judge
from hsm.core.divergence import Rival, divergence_of
from hsm.core.epochs import Tenure
from hsm.core.events import AttemptFailed, AttemptSealed, ResultsDiverged
from hsm.core.inputs import Input, Judged, RoomMissed
from hsm.core.lane import Lane
from hsm.core.mailbox import Mailbox
from hsm.core.model import Attempt, Task
from hsm.core.projection import Projector
from hsm.core.room import never, when_there_is_room
from hsm.core.tracker import Order
from hsm.core.world import World
from hsm.wire.manifest import NO_FILES

Verdict: TypeAlias = AttemptSealed | AttemptFailed


class Homing:
    """Collects and projects in the background. `pending` has the tokens of what is being collected."""

    def __init__(
        self,
        world: World,
        projector: Projector,
        lanes: Mapping[str, Lane],
        tenure: Tenure,
        post: Callable[[Input], None],
    ) -> None:
        self.pending: set[str] = set()
        self._world = world
        self._projector = projector
        self._lanes = lanes
        self._tenure = tenure
        self._post = post
        self._ended: Mailbox[Ended | Rival] = Mailbox()
        self._written: Mailbox[Order | Task | None] = Mailbox()
        self._is_leaving: Callable[[], bool] = never

    def collect_later(self, task: Task, attempt: Attempt, directory: Path) -> None:
        """Have an attempt that has exited brought home and judged, unless it is being brought home."""
        if attempt.token not in self.pending:
            self.pending.add(attempt.token)
            self._ended.put(Ended(task, attempt, directory))

    def compare_later(self, task: Task, attempt: Attempt, other: Attempt) -> None:
        """Have the results of an attempt, which has ended, compared with those of another one of its task."""
        if attempt.token not in self.pending:
            self.pending.add(attempt.token)
            self._ended.put(Rival(task, attempt, other))

    def delivered(self, tokens: Iterable[str]) -> None:
        """Note that nothing more comes of these: verdicts have been folded, or they did not come home."""
        self.pending.difference_update(tokens)

    def project_later(self, item: Order | Task) -> None:
        """Have an order carried out in `tasks/`, or a running task linked there."""
        self._written.put(item)

    def no_more(self, is_leaving: Callable[[], bool]) -> None:
        """Let `project` end when it has written everything, or finds no room for it when the user leaves."""
        self._is_leaving = is_leaving
        self._written.put(None)

    async def collect(self) -> None:
        """Bring home and judge until cancelled."""
        while True:
            ended = await self._ended.take()
            home = [one for one in ended if await self._fetch(one)]
            # Posted even when empty: that less is pending may be what the engine waits for.
            verdicts, found = await self._world.blocking(self._look_at, home) if home else ((), ())
            self._post(Judged([one.attempt.token for one in ended], verdicts, found))

    def _look_at(self, home: Sequence[Ended | Rival]) -> tuple[list[Verdict], list[ResultsDiverged]]:
        at, files = self._world.now(), self._world.files
        rivals = [one for one in home if isinstance(one, Rival)]
        found = [divergence_of(files, self._projector, one, at) for one in rivals]
        return self._judge([one for one in home if isinstance(one, Ended)]), [one for one in found if one]

    def _judge(self, ended: Sequence[Ended]) -> list[Verdict]:
        at = self._world.now()
        return [judge(self._world.files, self._located(item), at) for item in ended]

    def _located(self, ended: Ended) -> Ended:
        """Look elsewhere for an attempt that has been placed before, by an engine whose ledger lost it."""
        if ended.attempt.manifest == NO_FILES or self._world.files.is_directory(str(ended.directory)):
            return ended
        return replace(ended, directory=self._projector.directory(ended.task, ended.attempt))

    async def _fetch(self, ended: Ended | Rival) -> bool:
        """Bring one attempt home; when its source fails it stays as it is until the source is back."""
        attempt = ended.attempt
        lane = self._lanes.get(attempt.source)
        return lane is not None and await lane.fetch(attempt.ref or attempt.token, self._home_of(ended))

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
        while None not in items:
            items = await self._written.take()
            await self._tenure.check()
            todo = [item for item in items if item is not None]
            await when_there_is_room(
                self._world,
                partial(self._write, todo),
                lambda reason: self._post(RoomMissed(reason)),
                self._gives_up,
            )

    def _gives_up(self) -> bool:
        return self._is_leaving()

    def _write(self, items: Sequence[Order | Task]) -> None:
        self._projector.link([item for item in items if isinstance(item, Task)])
        self._projector.apply([item for item in items if not isinstance(item, Task)])
