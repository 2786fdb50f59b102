"""Reading a ledger: every event that counts, in order, from the beginning or from a mark on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

from hsm.core.errors import LedgerCorrupt, LedgerError, LedgerNewer
from hsm.core.events import Event, UnknownEvent, from_record
from hsm.core.segments import Headers, Mark, find_segment, live_segments, name_of, newest_name, opened
from hsm.core.storage import check_format
from hsm.core.tree import SweepTree
from hsm.wire import frames
from hsm.wire.files import Files
from hsm.wire.log import LogReader, Position, Record, Wanted, decode_record, everything


class LedgerReader:
    """Reads the events of a sweep in order, and can be asked again for those that came since.

    `mark` says where reading stands. A torn tail of the last segment is not an error: it is what a writer
    that died, or that is writing just now, leaves behind.
    """

    def __init__(
        self, files: Files, tree: SweepTree, mark: Mark = Mark(), wanted: Wanted = everything
    ) -> None:
        self._sweep_id = check_format(files, tree)
        self._files = files
        self._wanted = wanted
        self._tree = tree
        self._name = mark.segment
        self._reader = self._open(mark.segment, mark.position) if mark.segment else None
        self._again: deque[bytes] = deque()
        self._headers: Headers = {}

    def _open(self, name: str, position: Position) -> LogReader:
        path = find_segment(self._files, self._tree, name)
        return LogReader(opened(self._files, path), str(path), position, self._wanted)

    @property
    def mark(self) -> Mark:
        """Where reading stands."""
        return Mark(self._name, self._reader.position) if self._reader else Mark()

    @property
    def torn(self) -> bytes:
        """The bytes behind the last whole group of the last segment."""
        return self._reader.pending if self._reader else b""

    @property
    def doubt(self) -> tuple[Mark, list[bytes]]:
        """Return the place behind what is known to be durable, and the records behind it.

        A writer goes on only when its last group is durable, so that is the only one in doubt: it may be in
        the memory of this machine alone, of a writer that died or whose disk failed. In a segment that holds
        one group only, the segment is; and so is what has been read and this segment should say again, but
        does not yet: its writer died before it came to that.
        """
        last = self._reader.last if self._reader else None
        if last is None:
            return self.mark, []
        start, payloads = last
        if start.offset:
            return Mark(self._name, start), [*payloads, *self._again]
        prev = decode_record(payloads[0])["prev"]
        end = Position(prev["length"], prev["seq"], bytes.fromhex(prev["chain"]))
        return Mark(prev["segment"], end), [*payloads[1:], *self._again]

    def events(self) -> Iterator[Event]:
        """Yield every further event that is whole.

        Raises:
            LedgerCorrupt: bytes that count are damaged.
            LedgerNewer: an event is of a kind that this version does not know.
            LedgerError: events that were yielded were taken back; nobody had acknowledged them.
        """
        while True:
            following = self._following()
            if self._reader is not None:
                yield from self._rest(self._limit(following[1]["prev"]) if following else None)
            if following is None:
                self._check_tail()
                return
            self._cross(*following)

    def _limit(self, prev: Record) -> int:
        """Return the byte up to which this segment counts; where its successor skips it, no further."""
        length: int = prev["length"]
        return length if prev["segment"] == self._name else self.mark.position.offset

    def _rest(self, limit: int | None) -> Iterator[Event]:
        """Yield what the segment still holds, also when it goes to the archive meanwhile."""
        reader = self._reader
        while reader is not None:
            for record in reader.records(limit):
                event = self._event(record)
                if event is not None:
                    yield event
            if limit is None or reader.position.offset >= limit or self._files.is_file(reader.path):
                return
            self._reader = self._open(self._name, reader.position)
            reader = self._reader if self._reader.path != reader.path else None

    def _following(self) -> tuple[Path, Record] | None:
        """Return the next segment that counts, and its header.

        A segment without a whole header holds nothing: its writer died, or is at it just now.
        """
        if newest_name(self._files, self._tree) <= self._name:
            return None
        for path in live_segments(self._files, self._tree, self._headers):
            if name_of(path) > self._name:
                return path, self._headers[name_of(path)]
        return None

    def _event(self, record: Record) -> Event | None:
        if record.get("t") == "header":
            self._check_owner(record)
            return None
        if self._again:
            if record != decode_record(self._again.popleft()):
                raise LedgerError(
                    f"{self._tree.ledger / self._name}: it does not say again what had been read before it",
                    hint="its engine died before that was durable, and it was not acknowledged: look again",
                    transient=True,
                )
            return None
        try:
            return from_record(record)
        except UnknownEvent as error:
            if record.get("crit") is False:
                return None
            raise LedgerNewer(
                f"{self._tree.ledger / self._name}: {error}", hint="use the version of HSM that wrote it"
            ) from error

    def _check_owner(self, header: Record) -> None:
        """Refuse a segment of another sweep."""
        if self._sweep_id not in ("", header["sweep_id"]):
            raise self._corrupt(0, f"it is of the sweep {header['sweep_id']}, not of {self._sweep_id}")

    def _cross(self, path: Path, header: Record) -> None:
        """Go on to the next segment, after checking that this one ended where the next one says."""
        prev = header["prev"]
        end = Mark(prev["segment"], Position(prev["length"], prev["seq"], bytes.fromhex(prev["chain"])))
        again = self._behind(end)
        if again is None:
            reason = f"{path.name} goes on from byte {end.position.offset}"
            if not self._files.is_file(str(self._tree.ledger / end.segment)):
                reason = f"{path.name} goes on from {end.segment}, which is missing"
            raise self._corrupt(self.mark.position.offset, reason)
        self._again = deque(filter(self._wanted, again))
        self._name = name_of(path)
        self._reader = self._open(self._name, end.position._replace(offset=0))

    def _behind(self, end: Mark) -> list[bytes] | None:
        """Return what has been read behind `end`, which the next segment says again; None: it is nowhere."""
        here, (known, payloads) = self.mark, self.doubt
        if end in (here, known):
            return payloads if end == known else []
        if end.segment != here.segment or self._reader is None:
            return None
        count = here.position.offset - end.position.offset
        path = self._reader.path
        data = opened(self._files, Path(path)).read(path, end.position.offset, count) if count > 0 else b""
        reader = frames.GroupReader(
            offset=end.position.offset, seq=end.position.seq, chain=end.position.chain
        )
        groups = reader.feed(data)
        is_there = Position(reader.offset, reader.seq, reader.chain) == here.position
        return [payload for group in groups for payload in group.payloads] if is_there else None

    def _check_tail(self) -> None:
        """Refuse a tail that holds acknowledged groups behind its damage; any other one is torn."""
        if self._reader is None or self._reader.damage is None:
            return
        at, behind = self._reader.position, self._behind_what_is_read()
        again = frames.GroupReader(offset=at.offset, seq=at.seq, chain=at.chain)
        if again.feed(behind) or again.damage is None:
            return  # the writer has gone on in the meantime
        if frames.is_torn(behind, at.offset, at.seq) or behind != self._behind_what_is_read():
            return  # it was written while it was read, what came first too late to be seen
        raise self._corrupt(again.damage.offset, again.damage.reason)

    def _behind_what_is_read(self) -> bytes:
        path = self._reader.path if self._reader else ""
        return opened(self._files, Path(path)).read(path, self.mark.position.offset)

    def _corrupt(self, offset: int, reason: str) -> LedgerCorrupt:
        return LedgerCorrupt(f"{self._tree.ledger / self._name}: damaged at byte {offset}: {reason}")
