"""Salvaging a damaged ledger: what can still be read becomes a new one; the old one is kept, and not read.

The new ledger is one segment that follows none: it counts from the moment it is renamed into place, so a
salvage that is killed has changed nothing. What is lost is lost for the ledger, not for the world: how far
the records of a source had been read is forgotten from the first loss on, so that the next engine reads them
again and learns anew what had ended. At worst a task is run once more; none is ever counted twice, since
every event still has to pass the table of states.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from hsm._version import __version__
from hsm.core import events as ev
from hsm.core.audit import SegmentState, audit
from hsm.core.epochs import Claim, claim_epoch, holder
from hsm.core.errors import EngineRunning, LedgerCorrupt, LedgerNewer, MachineError, SweepError
from hsm.core.segments import Mark, new_header, opened, segment_path
from hsm.core.spec import SweepSpec
from hsm.core.summary import tracker_of
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire import frames
from hsm.wire.files import Files
from hsm.wire.log import LogWriter, Record, decode_record, encode_record

Group = list[ev.Event]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Records that cannot be read any more, by their numbers in the ledger, both ends included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An event that can be read and makes no sense without one that is lost."""

    seq: int
    kind: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage:
    """What came out of a damaged ledger. `segment` begins the new one, None when nothing was written."""

    kept: int
    gaps: tuple[Gap, ...]
    refused: tuple[Refused, ...]
    forgotten_cursors: int
    segment: Path | None = None

    @property
    def lost(self) -> int:
        """How many records are lost."""
        return sum(gap.last - gap.first + 1 for gap in self.gaps)


def salvage(world: World, tree: SweepTree, spec: SweepSpec, *, dry_run: bool = False) -> Salvage:
    """Write a new ledger from what can be read of a damaged one, unless `dry_run`.

    Raises:
        SweepError: the ledger is sound.
        EngineRunning: an engine drives the sweep, or may do so on another host.
        LedgerNewer: it holds events of a newer version.
        OSError: the new ledger cannot be written; the old one is in its place.
    """
    if audit(world.files, tree).is_sound:
        raise SweepError("the ledger is sound", hint="`hsm sweep complete ID` goes on with the sweep")
    _refuse_if_held(world, tree)
    sieve = _Sieve(world.files, tree, tracker_of(world.files, tree, spec))
    groups = list(sieve.groups())
    found = sieve.result()
    if dry_run:
        return found
    claim = claim_epoch(world, tree, socket="")
    groups.append(_signature(world, claim, sieve.tracker, found))
    return replace(found, segment=_write(world.files, tree, claim, groups))


def _refuse_if_held(world: World, tree: SweepTree) -> None:
    """Refuse a sweep whose engine lives. On another host it may: a damaged ledger cannot tell of its end."""
    claim = holder(world, tree, released=0)
    if claim is not None and world.is_alive(claim.who):
        who = claim.who
        raise EngineRunning(
            f"an engine on host {who.host}, pid {who.pid}, drives this sweep",
            hint=f"end it: `kill {who.pid}`",
        )


class _Sieve:
    """Reads what can be read, and keeps what still makes sense."""

    def __init__(self, files: Files, tree: SweepTree, tracker: SweepTracker) -> None:
        self.tracker = tracker
        self._files = files
        self._tree = tree
        self._kept = 0
        self._cursors = 0
        self._gaps: list[Gap] = []
        self._refused: list[Refused] = []

    def groups(self) -> Iterator[Group]:
        """Yield the groups of events that stay."""
        expected = 0
        for found in self._readable():
            if found.seq > expected:
                self._gaps.append(Gap(first=expected, last=found.seq - 1))
            expected = max(expected, found.seq + len(found.payloads) + 1)
            group = list(self._sifted(found))
            if group:
                self._kept += len(group)
                yield group

    def result(self) -> Salvage:
        """Return what has been found, once every group has been yielded."""
        return Salvage(
            kept=self._kept,
            gaps=tuple(self._gaps),
            refused=tuple(self._refused),
            forgotten_cursors=self._cursors,
        )

    def _readable(self) -> Iterator[frames.Found]:
        after = -1
        for segment in audit(self._files, self._tree).segments:
            if segment.state is SegmentState.REPLACED:
                continue
            limit = -1 if segment.limit is None else segment.limit
            source = opened(self._files, segment.path)
            for found in frames.recover(source.read(str(segment.path), 0, limit)):
                if found.seq > after:
                    after = found.seq
                    yield found

    def _sifted(self, found: frames.Found) -> Iterator[ev.Event]:
        for number, payload in enumerate(found.payloads):
            record = decode_record(payload)
            event = None if record.get("t") == "header" else _event(record)
            if event is not None and self._is_kept(found.seq + number, event):
                yield event

    def _is_kept(self, seq: int, event: ev.Event) -> bool:
        if isinstance(event, ev.CursorMoved) and self._gaps:
            self._cursors += 1
            return False
        try:
            self.tracker.fold(event)
        except (MachineError, LedgerCorrupt, KeyError) as error:
            self._refused.append(Refused(seq=seq, kind=event.kind, reason=str(error)))
            return False
        return True


def _event(record: Record) -> ev.Event | None:
    try:
        return ev.from_record(record)
    except ev.UnknownEvent as error:
        if record.get("crit") is False:
            return None
        raise LedgerNewer(str(error), hint="use the version of HSM that wrote it") from error


def _signature(world: World, claim: Claim, tracker: SweepTracker, found: Salvage) -> Group:
    """Return what the new ledger says of its own making; with it the sweep is free for the next engine."""
    now, who = world.now(), claim.who
    started = ev.EngineStarted(epoch=claim.epoch, host=who.host, pid=who.pid, version=__version__, at=now)
    reason = f"salvaged: {found.lost} records are lost, {len(found.refused)} make no sense without them"
    status = tracker.status(driven=False)
    return [started, ev.EngineStopped(epoch=claim.epoch, status=status, reason=reason, at=now)]


def _write(files: Files, tree: SweepTree, claim: Claim, groups: Iterable[Group]) -> Path:
    """Write the new ledger as one segment that begins it; it counts from the moment it has its name."""
    path = segment_path(tree, claim.epoch, 1)
    part = f"{path}.part"
    log = LogWriter.create(files, part, new_header(tree, claim.epoch, 1, Mark()))
    try:
        for group in groups:
            log.write([encode_record(ev.to_record(event)) for event in group])
        log.sync()
    finally:
        log.close()
    files.remove(str(tree.summary))
    files.rename(part, str(path))
    files.sync_directory(str(tree.ledger))
    return path
