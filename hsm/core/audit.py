"""Auditing a ledger: every byte of every segment looked at, and everything that is wrong told at once.

Reading for use (`hsm.core.ledger`) stops at the first damage. An audit goes on: each segment's header says
where the one before it ended, so one that is damaged does not hide the state of the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hsm.core.archive import pruned_before
from hsm.core.errors import LedgerCorrupt
from hsm.core.segments import first_group, is_on_ledger, name_of, opened, segments
from hsm.core.snapshots import SnapshotInvalid, check_rows, kept, read_head
from hsm.core.storage import check_format
from hsm.core.tree import SweepTree
from hsm.wire import frames
from hsm.wire.files import Files
from hsm.wire.log import LogReader, Position, Record, decode_record


class SegmentState(StrEnum):
    """What an audit finds of one segment or log."""

    WHOLE = "whole"
    TORN = "torn"
    """Its writer died, or is at work: the last group never counted. No damage."""
    OVERRUN = "overrun"
    """A superseded engine wrote on behind the place where its successor began. Ignored, no damage."""
    EMPTY = "empty"
    """It has no header: its writer died before it held anything. No damage."""
    STRAY = "stray"
    """A later segment goes on from before it: its engine was superseded, or recorded nothing. No damage."""
    REPLACED = "replaced"
    """A salvaged ledger begins behind it: kept, and not read."""
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentAudit:
    """One segment. It can be read up to byte `end`, and `extra_bytes` lie behind.

    `limit` is the byte up to which it counts, None where no later segment says so.
    """

    path: Path
    state: SegmentState
    end: int
    extra_bytes: int
    records: int
    limit: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotAudit:
    """One durable snapshot. `reason` says why it cannot be used, which costs time only."""

    name: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """A ledger as it was found. `chain` is the hash over every record up to `seq`, as hexadecimal digits.

    What happened before record `pruned` has been deleted on request, nothing where it is 0.
    """

    segments: tuple[SegmentAudit, ...]
    snapshots: tuple[SnapshotAudit, ...]
    pruned: int
    plans: int
    faults: tuple[str, ...]
    seq: int
    chain: str

    @property
    def records(self) -> int:
        """How many records count."""
        return sum(segment.records for segment in self.segments)

    @property
    def is_sound(self) -> bool:
        """Whether nothing that was acknowledged is damaged or missing."""
        return not self.faults


def audit(files: Files, tree: SweepTree) -> Audit:
    """Look at every segment and plan of a sweep's ledger; nothing is changed.

    Raises:
        SweepError: the tree is not a sweep.
        LedgerNewer: only a newer version can read it.
    """
    check_format(files, tree)
    walk = _Walk(files, tree)
    found = tuple(walk.audits())
    faults = [*walk.faults, *_plan_faults(files, tree, walk.plans)]
    faults += [segment.reason for segment in found if segment.state is SegmentState.DAMAGED]
    return Audit(
        segments=found,
        snapshots=tuple(_snapshots(files, tree)),
        pruned=walk.pruned,
        plans=len(walk.plans),
        faults=tuple(faults),
        seq=walk.here.seq,
        chain=walk.here.chain.hex(),
    )


def _snapshots(files: Files, tree: SweepTree) -> Iterator[SnapshotAudit]:
    for path in kept(files, tree):
        name = Path(path).name
        try:
            head = read_head(files, path)
            check_rows(files, tree, head)
            reason = "" if is_on_ledger(files, tree, head.mark) else f"{path}: of no place in this ledger"
        except (SnapshotInvalid, LedgerCorrupt) as error:
            reason = str(error)
        yield SnapshotAudit(name=name, reason=reason)


def raw_records(files: Files, tree: SweepTree) -> Iterator[tuple[str, Record]]:
    """Yield every record that counts, as it stands in the ledger, with the name of its segment.

    Kinds that only a newer version knows come too.

    Raises:
        LedgerCorrupt: bytes that count are damaged; what came before has been yielded.
    """
    walk = _Walk(files, tree)
    for known, limit in walk.live():
        if walk.is_stray(known):
            continue
        if known.header is not None:
            for group in walk.groups(known.path, known.header, limit):
                for record in group:
                    yield name_of(known.path), record
            fault = walk.judge(known.path, limit).reason or next(iter(walk.faults), "")
        else:
            fault = known.fault
        if fault:
            raise LedgerCorrupt(fault, hint="`hsm ledger salvage ID` keeps what can be read")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    """A segment before its groups are read: `header` None where it has none, `fault` where it is damaged.

    `again` are the records of the segment before that it says again.
    """

    path: Path
    header: Record | None
    again: Sequence[bytes] = ()
    fault: str = ""


def _strays(known: Sequence[_Segment]) -> list[_Segment]:
    """Return the segments that a later one skips."""
    found, prev = list[_Segment](), None
    for segment in reversed(known):
        if prev is not None and name_of(segment.path) > prev:
            found.append(segment)
        elif segment.header is not None:
            prev = segment.header["prev"]["segment"]
    return found


class _Walk:
    """Goes through the segments in order; `here` is where the last one that was read ended."""

    def __init__(self, files: Files, tree: SweepTree) -> None:
        self.here = Position()
        self.faults: list[str] = []
        self.plans: list[str] = []
        self.pruned = pruned_before(files, tree)
        self._files = files
        self._name = ""
        self._records = 0
        self._known = [self._head(path) for path in segments(files, tree)]
        begins = [
            i for i, known in enumerate(self._known) if known.header and not known.header["prev"]["segment"]
        ]
        self._first = begins[-1] if begins else 0

    def _head(self, path: Path) -> _Segment:
        try:
            group = first_group(self._files, path)
            header = decode_record(group[0]) if group else None
            return _Segment(path=path, header=header, again=group[1:])
        except LedgerCorrupt as error:
            return _Segment(path=path, header=None, fault=error.message)

    def audits(self) -> Iterator[SegmentAudit]:
        """Read and judge every segment, those too that a salvage has replaced."""
        for known in self._known[: self._first]:
            yield self._unread(known.path, SegmentState.REPLACED)
        for known, limit in self.live():
            if self.is_stray(known):
                yield self._unread(known.path, SegmentState.STRAY)
                continue
            if known.header is None:
                state = SegmentState.DAMAGED if known.fault else SegmentState.EMPTY
                yield self._unread(known.path, state, known.fault, limit)
                continue
            for _ in self.groups(known.path, known.header, limit):
                pass
            yield self.judge(known.path, limit)

    def _unread(
        self, path: Path, state: SegmentState, reason: str = "", limit: int | None = None
    ) -> SegmentAudit:
        size = self._files.length(str(path))
        return SegmentAudit(
            path=path, state=state, end=0, extra_bytes=size, records=0, limit=limit, reason=reason
        )

    def live(self) -> Iterator[tuple[_Segment, int | None]]:
        """Yield each segment that counts, with the byte up to which it does where that is known."""
        live = self._known[self._first :]
        self._strays = _strays(live)
        for index, known in enumerate(live):
            later = (later for later in live[index + 1 :] if later.header and later not in self._strays)
            following = next(later, None)
            prev = following.header["prev"] if following and following.header else {"segment": ""}
            is_prev = prev["segment"] == name_of(known.path)
            self._again = following.again if following and is_prev else ()
            yield known, int(prev["length"]) if is_prev else None

    def is_stray(self, known: _Segment) -> bool:
        """Tell whether a later segment goes on from before this one."""
        return known in self._strays

    def groups(self, path: Path, header: Record, limit: int | None) -> Iterator[list[Record]]:
        """Yield the groups of a segment that count, after checking that it follows the one before it."""
        prev = header["prev"]
        start = Position(0, prev["seq"], bytes.fromhex(prev["chain"]))
        if not self._name and prev["seq"] <= self.pruned:
            self._name, self.here = prev["segment"], start  # what it follows was pruned
        if self._name != prev["segment"]:
            self.faults.append(f"{path}: it follows {prev['segment']}, which cannot be read")
        elif start != self.here._replace(offset=0):
            self.faults.append(f"{path}: it goes on from another end of {prev['segment']} than is there")
        self._name, self._records = name_of(path), 0
        self._source = opened(self._files, path)
        self._reader = LogReader(self._source, str(path), start)
        for group in self._reader.groups(limit):
            self._records += len(group)
            self.plans += [record["plan"] for record in group if record.get("t") == "generation_planned"]
            yield group
        self.here = self._reader.position

    def _is_said_again(self, path: Path) -> bool:
        """Tell whether all that stands behind where a segment counts begins the next one."""
        offset, seq, chain = self._reader.position
        reader = frames.GroupReader(offset=offset, seq=seq, chain=chain)
        groups = reader.feed(self._source.read(str(path), offset))
        return [group.payloads for group in groups] == [list(self._again)] and not reader.pending.strip(b"\0")

    def judge(self, path: Path, limit: int | None) -> SegmentAudit:
        """Return what has been found of the segment whose groups have just been read."""
        end, damage = self._reader.position.offset, self._reader.damage
        size = end + len(self._source.read(str(path), end).rstrip(b"\0"))
        state, reason = SegmentState.WHOLE, ""
        told = f"{path}: damaged at byte {damage.offset}: {damage.reason}" if damage else f"{path}: cut short"
        if limit is not None and end != limit:
            state, reason = SegmentState.DAMAGED, f"{told}; it must reach byte {limit}"
        elif limit is not None and size > limit:
            state = SegmentState.WHOLE if self._is_said_again(path) else SegmentState.OVERRUN
        elif limit is None and size > end:
            is_torn = frames.is_torn(self._source.read(str(path), end), end, self._reader.position.seq)
            state, reason = (SegmentState.TORN, "") if is_torn else (SegmentState.DAMAGED, told)
        return SegmentAudit(
            path=path,
            state=state,
            end=end,
            extra_bytes=size - end,
            records=self._records,
            limit=limit,
            reason=reason,
        )


def _plan_faults(files: Files, tree: SweepTree, names: list[str]) -> Iterator[str]:
    """Yield what is wrong with the plans that the ledger names; a plan's name is the hash of its content."""
    for name in dict.fromkeys(names):
        path = tree.plans / f"{name}.jsonl"
        try:
            same = _digest(files, path) == name
        except FileNotFoundError:
            yield f"{path}: the plan is missing"
            continue
        if not same:
            yield f"{path}: its content is not what its name says"


def _digest(files: Files, path: Path) -> str:
    sha = hashlib.sha256()
    for block in files.chunks(str(path)):
        sha.update(block)
    return sha.hexdigest()
