"""The recorder: commits turns, and waits where the ledger cannot be written for now, and says so.

No room: the turn is kept, and a file that only takes up room is given up for it, so that it is recorded that
no attempt is begun any more. What runs goes on, and what is seen of it waits; only wishes (cancel, leave) are
still recorded, in what is left of that room. When the file can be made again, all goes on by itself.
A disk that does not answer: nothing is acknowledged, and everything waits until it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from hsm.core import events as ev
from hsm.core.errors import LedgerFull
from hsm.core.inputs import CancelAsked, DetachAsked, Input, RoomMissed
from hsm.core.ledger import Ledger
from hsm.core.mailbox import Mailbox
from hsm.core.room import RETRY_S
from hsm.core.states import Hindrance
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.core.turn import Turn
from hsm.core.world import World
from hsm.wire.log import NO_ROOM

Listener = Callable[[Sequence[ev.Event], SweepTracker], None]
RESERVE_BYTES = 4 << 20
STALLED_S = 10.0
WISHES = (CancelAsked, DetachAsked)


class Recorder:
    """Makes turns durable. `is_short` says that the room that was held for the last is given up."""

    def __init__(
        self,
        world: World,
        tree: SweepTree,
        ledger: Ledger,
        tracker: SweepTracker,
        *,
        listen: Listener,
        mailbox: Mailbox[Input],
    ) -> None:
        self.is_short = False
        self._world = world
        self._reserve = str(tree.reserve)
        self._ledger = ledger
        self._tracker = tracker
        self._listen = listen
        self._mailbox = mailbox
        self._untold: list[ev.Event] = []

    async def begin(self) -> None:
        """Hold room back for a day on which there is none; a disk that is full already is one."""
        if not await self._world.blocking(self._hold):
            self.is_short = True
            size = f"{RESERVE_BYTES >> 20} MiB"
            self._hindered(f"no room for the {size} held back for what must be recorded: {self._reserve}")

    def _hold(self) -> bool:
        files = self._world.files
        if files.exists(self._reserve):
            return True
        try:
            files.allocate(self._reserve, RESERVE_BYTES)
        except FileExistsError:
            return True  # an engine that was superseded was at it too
        except OSError as error:
            files.remove(self._reserve)
            if error.errno not in NO_ROOM:
                raise
            return False
        return True

    def release(self) -> None:
        """Give up the room that is held."""
        self._world.files.remove(self._reserve)

    def end(self) -> None:
        """Tell that what waited for room at last has found it, which nobody is left to react to."""
        if RoomMissed("") in self._mailbox.drain() and self._tracker.hindrance:
            self._tell(ev.RecordingResumed(at=self._world.now()))

    async def record(self, turn: Turn, *, patient: bool = True) -> None:
        """Make a turn's events durable; however long that takes where there is no room, if `patient`.

        Nobody who wants to leave is kept waiting.

        Raises:
            LedgerError: they cannot be recorded, and waiting does not help.
        """
        while True:
            turn.told += self._untold
            turn.events[:0], self._untold = self._untold, []
            try:
                await self._commit(turn)
            except LedgerFull as full:
                if self.is_short and (not patient or self._mailbox.holds((DetachAsked,))):
                    raise
                await self._make_room(turn, full)
            else:
                return

    async def _commit(self, turn: Turn) -> None:
        timer = asyncio.get_running_loop().call_later(STALLED_S, self._stalled)
        try:
            await self._ledger.commit(turn.events, artifacts=turn.needs_artifacts)
        finally:
            timer.cancel()
        if self._untold:
            self._tell(ev.RecordingResumed(at=self._world.now()))

    def _stalled(self) -> None:
        reason = f"the disk has not answered for {STALLED_S:g} s"
        self._tell(ev.RecordingHindered(hindrance=Hindrance.STALLED, reason=reason, at=self._world.now()))

    def _tell(self, event: ev.Event) -> None:
        """Let an event be known at once; it is recorded with the next turn."""
        self._tracker.fold(event)
        self._untold.append(event)
        self._listen([event], self._tracker)

    async def _make_room(self, turn: Turn, full: LedgerFull) -> None:
        if not self._tracker.hindrance:
            self._hindered(full.message)
            turn.told += self._untold
            turn.events += self._untold
            self._untold = []
        if self.is_short:
            await self._world.sleep(RETRY_S)
        else:
            self.is_short = True
            await self._world.blocking(self.release)

    def _hindered(self, reason: str) -> None:
        now = self._world.now()
        self._tell(ev.RecordingHindered(hindrance=Hindrance.FULL, reason=reason, at=now))

    async def until_room(self) -> None:
        """Return when there is room again, or somebody wishes something that must be recorded without."""
        while self.is_short and not self._mailbox.holds(WISHES):
            if await self._world.blocking(self._hold):
                self.is_short = False
                if self._tracker.hindrance:
                    self._tell(ev.RecordingResumed(at=self._world.now()))
            else:
                await self._world.sleep(RETRY_S)
