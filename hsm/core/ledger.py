"""The ledger: the durable, hash-chained log of everything that happened to a sweep. The truth.

    .hsm/FORMAT                  what this tree is; written first, never again
    .hsm/epochs/000003.claim     who drives: linked into place, so two engines never share an epoch
    .hsm/ledger/000003-0001.hsl  one writer per epoch, frames of `hsm.wire.frames`, chained across segments
    .hsm/torn/                   everything that was ever cut off

Each segment's header says how much of the one before it counts (`prev`): what a superseded engine may
still write there is behind that mark and ignored for ever. A segment that follows none begins the ledger
anew (`hsm.core.salvage`); those before it are kept and not read. An event is acknowledged after fdatasync.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hsm.core.epochs import HELD, Claim, last_claim, next_claim, superseded, take
from hsm.core.errors import EngineRunning, LedgerCorrupt
from hsm.core.events import Event, to_record
from hsm.core.ledger_reader import LedgerReader
from hsm.core.segments import Mark, new_header, segment_path
from hsm.core.storage import check_place, check_size, storage_error
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire.files import Files
from hsm.wire.log import NO_ROOM, LogChanged, LogWriter, encode_record

SEGMENT_BYTES = 64 << 20
AHEAD_BYTES = 64 << 10
"""So many zeros are laid out for small commits, which are twice as fast where a file does not grow."""

CHECK_S = 0.05
"""After so long a pause an engine looks whether it still holds the sweep before it writes anything."""


class Ledger:
    """The writer of one epoch."""

    def __init__(self, world: World, tree: SweepTree, claim: Claim, log: LogWriter, number: int) -> None:
        self.claim = claim
        self._world = world
        self._tree = tree
        self._epochs, self._next = str(tree.epochs), next_claim(claim)  # made once: every commit looks there
        self._log = log
        self._number = number
        self._checked_at = world.monotonic()

    @classmethod
    def open(
        cls,
        world: World,
        tree: SweepTree,
        reader: LedgerReader,
        *,
        socket: str,
        released: int,
        dead: int = 0,
    ) -> Ledger:
        """Claim the next epoch (`epochs.take`) and begin its segment where `reader` stands, having read all.

        Raises:
            EngineRunning: another engine drives the sweep.
            SweepError: the tree is a copy.
            LedgerError: the tree cannot be written, or is on a disk that is too small to drive it there.
        """
        if socket:  # who has no address only notes something
            check_size(world.files, tree.root)
        if not dead:
            last = last_claim(world.files, tree)
            check_place(world.files, tree, last, socket=socket, released=released)
        try:
            claim = take(world, tree, socket=socket, released=released, dead=dead)
            if next(reader.events(), None) is not None:
                raise EngineRunning("another engine was at this sweep just now", transient=True)
            _keep_torn(world.files, tree, reader)
            mark, doubtful = reader.doubt
            log = _begin(world.files, tree, claim.epoch, mark=mark, again=doubtful)
        except OSError as error:
            raise storage_error(tree.hsm, error) from error
        HELD.add(claim.token)
        return cls(world, tree, claim, log, 1)

    @property
    def mark(self) -> Mark:
        """Where the ledger stands."""
        return Mark(os.path.basename(self._log.path), self._log.position)

    async def commit(self, events: Sequence[Event], *, artifacts: bool = False) -> None:
        """Make the events durable, in order, as one group. With `artifacts`, all files of the tree before.

        Raises:
            LedgerFull: there is no room; none of the events happened.
            Fenced: a newer engine has taken the sweep.
            LedgerCorrupt: somebody has changed the ledger under this engine.
            LedgerError: the disk failed twice, in two files; none of the events may be relied on.
        """
        payloads = [encode_record(to_record(event)) for event in events]
        try:
            await self._world.blocking_to_its_end(self._write, payloads, artifacts=artifacts)
        except LogChanged as error:
            raise LedgerCorrupt(
                f"{self._log.path}: changed while this engine was writing it: {error.strerror}",
                hint="what runs goes on; find out who did it, restore the file, then `hsm sweep complete ID`",
            ) from error
        except OSError as error:
            raise storage_error(Path(self._log.path), error) from error

    def _write(self, payloads: list[bytes], *, artifacts: bool) -> None:
        if self._world.monotonic() - self._checked_at > CHECK_S:  # it may have been stopped meanwhile
            self._check_epoch()
        if artifacts:
            self._world.files.sync_filesystem(str(self._tree.hsm))
        if self._log.is_broken or self._log.position.offset > SEGMENT_BYTES:
            self._begin_next()
        try:
            self._append(payloads)
        except LogChanged:
            raise
        except OSError as error:
            if error.errno in NO_ROOM and not self._log.is_broken:
                raise  # it is as it was
            self._check_epoch()  # so a lock shows that was lost on a network file system
            self._begin_next()
            self._append(payloads)
        self._check_epoch()  # who claims the sweep from here on reads these events

    def _append(self, payloads: list[bytes]) -> None:
        self._log.write(payloads)
        self._log.sync()

    def _check_epoch(self) -> None:
        now = self._world.monotonic()
        if self._world.files.holds(self._epochs, self._next):
            raise superseded(self.claim)
        self._checked_at = now

    def _begin_next(self) -> None:
        """Go on in a new segment, behind what is known to be durable; the old one is let go."""
        old = self._log
        self._number += 1
        mark = Mark(Path(old.path).name, old.synced)
        self._log = _begin(self._world.files, self._tree, self.claim.epoch, self._number, mark=mark)
        old.close()

    def close(self) -> None:
        """Close the segment."""
        HELD.discard(self.claim.token)
        self._log.close()


def _keep_torn(files: Files, tree: SweepTree, reader: LedgerReader) -> None:
    if reader.torn:
        torn, mark = tree.hsm / "torn", reader.mark
        files.make_directories(str(torn))
        files.replace(str(torn / f"{mark.segment}.{mark.position.offset}"), reader.torn, durable=True)


def _begin(
    files: Files, tree: SweepTree, epoch: int, number: int = 1, *, mark: Mark, again: Sequence[bytes] = ()
) -> LogWriter:
    """Begin a segment that goes on at a mark, and says the records again that are in doubt."""
    path, header = segment_path(tree, epoch, number), new_header(tree, epoch, number, mark)
    return LogWriter.create(files, str(path), header, mark.position, again, ahead_bytes=AHEAD_BYTES)
