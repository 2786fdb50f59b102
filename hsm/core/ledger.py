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

import errno
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from hsm._version import __version__
from hsm.core.epochs import HELD, Claim, claim_epoch, holder, running
from hsm.core.errors import (
    EngineRunning,
    Fenced,
    LedgerCorrupt,
    LedgerError,
    LedgerFull,
    LedgerNewer,
    SweepError,
)
from hsm.core.events import Event, UnknownEvent, from_record, to_record
from hsm.core.segments import FORMAT, Mark, header_of, live_segments, new_header, segment_path, segments
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire import frames
from hsm.wire.files import Files
from hsm.wire.log import LogReader, LogWriter, Position, Record, encode_record

SEGMENT_BYTES = 64 << 20
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
STORAGE = NO_ROOM | {errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE}
"""Errors that can only come from the disk under the sweep, whichever part of the engine met them."""


def create_tree(files: Files, tree: SweepTree) -> None:
    """Make the directories of a new sweep and its FORMAT file, durable with their names.

    Raises:
        LedgerError: the directory exists or cannot be written.
    """
    try:
        files.make_directories(str(tree.root.parent))
        files.make_directory(str(tree.root))
        for directory in tree.directories():
            files.make_directories(str(directory))
        content = {"format": FORMAT, "min_reader": FORMAT, "sweep_id": tree.sweep_id, "hash": "sha256"}
        files.replace(str(tree.format), json.dumps(content).encode() + b"\n", durable=True)
        files.sync_filesystem(str(tree.root))
    except OSError as error:
        raise storage_error(tree.root, error) from error


def check_format(files: Files, tree: SweepTree) -> None:
    """Refuse a tree that is not a sweep, or that only a newer HSM can read.

    Raises:
        SweepError, LedgerNewer, LedgerCorrupt
    """
    try:
        content = json.loads(files.contents(str(tree.format)))
        min_reader = int(content["min_reader"])
    except FileNotFoundError as error:
        raise SweepError(f"{tree.root} is not a sweep", hint="`hsm sweep list` shows the sweeps") from error
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerCorrupt(f"{tree.format} is damaged: {error}") from error
    except OSError as error:
        raise storage_error(tree.format, error) from error
    if min_reader > FORMAT:
        raise LedgerNewer(
            f"{tree.root} has ledger format {min_reader}; this HSM {__version__} reads up to {FORMAT}",
            hint="use the version of HSM that wrote it, or a newer one",
        )


def storage_error(path: Path, error: OSError) -> LedgerError:
    """Return the error that a user sees when the file system refuses, with the fix."""
    reason = error.strerror or str(error)
    if error.errno in NO_ROOM:
        return LedgerFull(
            f"{path}: {reason}",
            hint="free space or raise the quota, then `hsm sweep complete ID`",
            transient=True,
        )
    hints = {
        errno.EROFS: "the file system is read-only; remount it or choose another output directory",
        errno.EACCES: "you may not write there; choose another output directory",
        errno.EEXIST: "choose another name",
    }
    return LedgerError(f"{path}: {reason}", hint=hints.get(error.errno or 0, ""))


class LedgerReader:
    """Reads the events of a sweep in order, and can be asked again for those that came since.

    `mark` says where reading stands. A torn tail of the last segment is not an error: it is what a writer
    that died, or that is writing just now, leaves behind.
    """

    def __init__(self, files: Files, tree: SweepTree, mark: Mark = Mark()) -> None:
        check_format(files, tree)
        self._files = files
        self._tree = tree
        self._name = mark.segment
        self._reader = self._open(mark.segment, mark.position) if mark.segment else None

    def _open(self, name: str, position: Position) -> LogReader:
        return LogReader(self._files, str(self._tree.ledger / name), position)

    @property
    def mark(self) -> Mark:
        """Where reading stands."""
        return Mark(self._name, self._reader.position) if self._reader else Mark()

    @property
    def torn(self) -> bytes:
        """The bytes behind the last whole group of the last segment."""
        return self._reader.pending if self._reader else b""

    def events(self) -> Iterator[Event]:
        """Yield every further event that is whole.

        Raises:
            LedgerCorrupt: bytes that count are damaged.
            LedgerNewer: an event is of a kind that this version does not know.
        """
        while True:
            following = self._following()
            if self._reader is not None:
                limit = following[1]["prev"]["length"] if following else None
                for record in self._reader.records(limit):
                    event = self._event(record)
                    if event is not None:
                        yield event
            if following is None:
                self._check_tail()
                return
            self._cross(*following)

    def _following(self) -> tuple[Path, Record] | None:
        """Return the next segment and its header.

        A segment without a whole header holds nothing: its writer died, or is at it just now.
        """
        candidates = (
            live_segments(self._files, self._tree) if not self._name else segments(self._files, self._tree)
        )
        for path in candidates:
            header = header_of(self._files, path) if path.name > self._name else None
            if header is not None:
                return path, header
        return None

    def _event(self, record: Record) -> Event | None:
        if record.get("t") == "header":
            return None
        try:
            return from_record(record)
        except UnknownEvent as error:
            if record.get("crit") is False:
                return None
            raise LedgerNewer(
                f"{self._tree.ledger / self._name}: {error}", hint="use the version of HSM that wrote it"
            ) from error

    def _cross(self, path: Path, header: Record) -> None:
        """Go on to the next segment, after checking that this one ended where the next one says."""
        here, prev = self.mark, header["prev"]
        end = Position(prev["length"], prev["seq"], bytes.fromhex(prev["chain"]))
        if here != Mark(prev["segment"], end):
            raise self._corrupt(here.position.offset, f"{path.name} goes on from byte {prev['length']}")
        self._name, self._reader = path.name, self._open(path.name, here.position._replace(offset=0))

    def _check_tail(self) -> None:
        """Refuse a tail that holds acknowledged groups behind its damage; any other one is torn."""
        if self._reader is None or self._reader.damage is None:
            return
        at = self._reader.position
        behind = self._files.read(self._reader.path, at.offset)
        again = frames.GroupReader(offset=at.offset, seq=at.seq, chain=at.chain)
        if again.feed(behind) or again.damage is None:
            return  # the writer has gone on in the meantime
        if frames.holds_commit(behind):
            raise self._corrupt(again.damage.offset, again.damage.reason)

    def _corrupt(self, offset: int, reason: str) -> LedgerCorrupt:
        return LedgerCorrupt(
            f"{self._tree.ledger / self._name}: damaged at byte {offset}: {reason}",
            hint="nothing has been changed; restore a copy, or see `hsm ledger verify ID`",
        )


class Ledger:
    """The writer of one epoch."""

    def __init__(self, world: World, tree: SweepTree, claim: Claim, log: LogWriter, number: int) -> None:
        self.claim = claim
        self._world = world
        self._tree = tree
        self._log = log
        self._number = number

    @classmethod
    def open(
        cls,
        world: World,
        tree: SweepTree,
        reader: LedgerReader,
        *,
        socket: str,
        released: int,
        takeover: bool,
    ) -> Ledger:
        """Claim the next epoch and begin its segment where `reader`, which has read everything, stands.

        Raises:
            EngineRunning: another engine drives the sweep.
            LedgerError: the tree cannot be written.
        """
        current = holder(world, tree, released=released)
        if current is not None and (not takeover or world.is_alive(current.who)):
            raise running(world, current)
        try:
            claim = claim_epoch(world, tree, socket)
            if next(reader.events(), None) is not None:
                raise EngineRunning("another engine was at this sweep just now", transient=True)
            _keep_torn(world.files, tree, reader)
            if reader.mark.segment:  # what is built upon must not be lost: its writer may have died before
                world.files.sync_file(str(tree.ledger / reader.mark.segment))
            log = _begin(world.files, tree, claim.epoch, 1, reader.mark)
        except OSError as error:
            raise storage_error(tree.hsm, error) from error
        HELD.add(claim.token)
        return cls(world, tree, claim, log, 1)

    @property
    def mark(self) -> Mark:
        """Where the ledger stands."""
        return Mark(Path(self._log.path).name, self._log.position)

    async def commit(self, events: Sequence[Event], *, artifacts: bool = False) -> None:
        """Make the events durable, in order, as one group. With `artifacts`, all files of the tree before.

        Raises:
            LedgerFull: there is no room; none of the events happened.
            LedgerError: the disk failed; none of the events may be relied on.
        """
        payloads = [encode_record(to_record(event)) for event in events]
        try:
            await self._world.blocking_to_its_end(self._write, payloads, artifacts=artifacts)
        except OSError as error:
            raise storage_error(Path(self._log.path), error) from error

    def _write(self, payloads: list[bytes], *, artifacts: bool) -> None:
        self._check_epoch()
        if artifacts:
            self._world.files.sync_filesystem(str(self._tree.hsm))
        if self._log.position.offset > SEGMENT_BYTES:
            self._rotate()
        self._log.write(payloads)
        self._log.sync()

    def _check_epoch(self) -> None:
        """Stop at once when a newer engine has taken the sweep."""
        names = self._world.files.list(str(self._tree.epochs))
        newest = max(int(name[:6]) for name in names if name.endswith(".claim"))
        if newest > self.claim.epoch:
            raise Fenced(
                f"another engine took this sweep over, as epoch {newest}",
                hint="nothing is lost: it goes on from here; `hsm monitor watch` shows it",
            )

    def _rotate(self) -> None:
        full = self._log
        self._number += 1
        self._log = _begin(self._world.files, self._tree, self.claim.epoch, self._number, self.mark)
        full.close()

    def close(self) -> None:
        """Close the segment."""
        HELD.discard(self.claim.token)
        self._log.close()


def _keep_torn(files: Files, tree: SweepTree, reader: LedgerReader) -> None:
    if reader.torn:
        torn = tree.hsm / "torn"
        files.make_directories(str(torn))
        mark = reader.mark
        files.replace(str(torn / f"{mark.segment}.{mark.position.offset}"), reader.torn, durable=True)


def _begin(files: Files, tree: SweepTree, epoch: int, number: int, mark: Mark) -> LogWriter:
    path = segment_path(tree, epoch, number)
    return LogWriter.create(files, str(path), new_header(tree, epoch, number, mark), mark.position)
