"""The keeper: writes summaries and snapshots of a running sweep in the background, and archives behind them.

A durable snapshot is due when so much has been recorded since the last that folding it would take seconds.
An event tells of it; once that is durable, what lies before the older of the two newest ones is archived.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from hsm.core import archive, snapshots
from hsm.core import events as ev
from hsm.core.inputs import Input, SnapshotWritten
from hsm.core.mailbox import Mailbox
from hsm.core.scribe import Pace
from hsm.core.segments import Mark
from hsm.core.snapshots import Frozen, SnapshotInvalid
from hsm.core.sweep_state import KEPT_SNAPSHOTS
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire.log import NO_ROOM

SNAPSHOT_RECORDS = 200_000
SNAPSHOT_BYTES = 256 << 20
SUMMARY_S = 1.0
AGAIN_S = 60.0
"""A snapshot that found no room is tried again after this time."""


@dataclass(frozen=True, slots=True)
class _Write:
    """Write what a tracker was. `written` is set when that is done, where somebody waits for it."""

    frozen: Frozen
    is_durable: bool = False
    written: asyncio.Future[None] | None = None


@dataclass(frozen=True, slots=True)
class _Archive:
    """Archive what lies before the older of these snapshots."""

    names: Sequence[str]


class Keeper:
    """One job at a time, for rows that no snapshot names yet must not be cleaned away by another.

    What is due while it is busy is left out: the next will hold it.
    """

    def __init__(
        self,
        world: World,
        tree: SweepTree,
        post: Callable[[Input], None],
        projected: Callable[[], Awaitable[bool]],
    ) -> None:
        self._world = world
        self._tree = tree
        self._post = post
        self._projected = projected
        self._jobs: Mailbox[_Write | _Archive] = Mailbox()
        self._is_busy = False
        self._summary = Pace(SUMMARY_S)
        self._not_before = 0.0
        self._last: Mark | None = None
        self._bytes = 0
        self._newest = 0

    def note(self, events: Sequence[ev.Event], tracker: SweepTracker, mark: Mark) -> None:
        """Take in what is durable, and begin what is due."""
        self._grown(mark)
        if any(isinstance(event, ev.SnapshotTaken) for event in events):
            self._jobs.put(_Archive(tracker.snapshots))
        if self._is_busy:
            return
        now = self._world.monotonic()
        is_due = self._is_due(tracker, mark) and now >= self._not_before
        if is_due or self._summary.is_due(now):
            self._is_busy = True
            if is_due:
                self._bytes, self._newest = 0, mark.position.seq
            self._jobs.put(_Write(snapshots.freeze(tracker, mark), is_due))

    def _grown(self, mark: Mark) -> None:
        before = self._last.position.offset if self._last and self._last.segment == mark.segment else 0
        self._bytes += mark.position.offset - before
        self._last = mark

    def _is_due(self, tracker: SweepTracker, mark: Mark) -> bool:
        newest = int(tracker.snapshots[-1].partition("-")[0]) if tracker.snapshots else 0
        records = mark.position.seq - max(newest, self._newest)
        return records >= SNAPSHOT_RECORDS or self._bytes >= SNAPSHOT_BYTES

    async def work(self) -> None:
        """Do what is due until cancelled."""
        while True:
            for job in await self._jobs.take():
                if isinstance(job, _Archive):
                    await self._archive(job)
                else:
                    await self._write(job)
                    self._is_busy = False

    async def _write(self, job: _Write) -> None:
        began = self._world.monotonic()
        is_durable = job.is_durable and await self._projected()  # of what it knows nothing is left to do
        write = self._keep if is_durable else self._save
        try:
            await self._world.blocking_to_its_end(write, job.frozen)
        except (OSError, SnapshotInvalid) as error:
            if not _passes(error):
                raise
            self._not_before = self._world.monotonic() + AGAIN_S
        self._summary.done(began, self._world.monotonic())
        if job.written is not None and not job.written.done():
            job.written.set_result(None)

    def _save(self, frozen: Frozen) -> None:
        snapshots.save(self._world.files, self._tree, frozen)

    def _keep(self, frozen: Frozen) -> None:
        name = snapshots.keep(self._world.files, self._tree, frozen)
        self._save(frozen)
        self._post(SnapshotWritten(name, frozen.mark.position.seq))

    async def _archive(self, job: _Archive) -> None:
        try:
            await self._world.blocking_to_its_end(self._put_away, job.names)
        except (OSError, SnapshotInvalid) as error:
            if not _passes(error):
                raise

    def _put_away(self, names: Sequence[str]) -> None:
        files, tree = self._world.files, self._tree
        snapshots.drop_old(files, tree, names)
        if len(names) == KEPT_SNAPSHOTS:
            head = snapshots.read_head(files, str(tree.snapshots / names[0]))
            archive.archive_before(files, tree, head.mark)

    async def close(self, tracker: SweepTracker, mark: Mark) -> None:
        """Write the summary for the last time, after all that was due before, while `work` still runs."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Write(snapshots.freeze(tracker, mark), written=written))
        await written


def _passes(error: Exception) -> bool:
    """Tell whether this may succeed another time.

    Another engine that takes the sweep over at this moment may clean up under our hands.
    """
    if isinstance(error, OSError):
        return error.errno in NO_ROOM or isinstance(error, FileNotFoundError)
    return True
