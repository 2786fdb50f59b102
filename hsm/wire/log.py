"""A single-writer append-only log of JSON records in the frame format, for ledger, inbox and records."""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Iterable, Iterator, NamedTuple

from hsm.wire import frames
from hsm.wire.files import Files, write_all

Record = dict[str, Any]
Wanted = Callable[[bytes], bool]
CHUNK_BYTES = 4 << 20

_ENCODE = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, separators=(",", ":"), check_circular=False
).encode


def encode_record(record: Record) -> bytes:
    """Return the payload of a record: one line of ASCII JSON."""
    return _ENCODE(record).encode("ascii")


def decode_record(payload: bytes) -> Record:
    """Return the record of a payload."""
    record: Record = json.loads(payload)
    return record


class Position(NamedTuple):
    """A place between two groups of a log; reading may begin there."""

    offset: int = 0
    seq: int = 0
    chain: bytes = frames.GENESIS


class LogWriter:
    """Appends groups of records. `write` hands them to the kernel, `sync` makes them durable.

    A write that fails is undone before the error is raised, so the log never keeps half a group that a
    later group would follow; where it cannot be undone, the writer refuses everything further. So it does
    after a failed `sync`: what the kernel still holds is not known (a second fdatasync may claim success for
    pages it dropped).
    """

    def __init__(self, files: Files, path: str, fd: int, position: Position) -> None:
        self.path = path
        self.position = position
        self._files = files
        self._fd = fd
        self._failed: OSError | None = None

    @classmethod
    def create(cls, files: Files, path: str, header: Record, position: Position = Position()) -> LogWriter:
        """Create the log with its header group, durable with its name. The file must not exist."""
        log = cls(files, path, files.create(path), position._replace(offset=0))
        try:
            log.write([encode_record(header)])
            log.sync()
            files.sync_directory(os.path.dirname(path))
        except OSError:
            log.close()
            raise
        return log

    def write(self, payloads: Iterable[bytes]) -> None:
        """Append one group.

        Raises:
            OSError: nothing of the group stays in the log.
        """
        if self._failed:
            raise self._failed
        offset, seq, chain = self.position
        data, seq, chain = frames.encode_group(seq, chain, payloads)
        try:
            write_all(self._files, self._fd, data)
        except OSError as error:
            self._undo(offset, error)
            raise
        self.position = Position(offset + len(data), seq, chain)

    def _undo(self, offset: int, error: OSError) -> None:
        try:
            self._files.truncate(self._fd, offset)
        except OSError:
            self._failed = error  # half a group may stay: nothing may ever follow it

    def sync(self) -> None:
        """Make everything written so far durable."""
        if self._failed:
            raise self._failed
        try:
            self._files.datasync(self._fd)
        except OSError as error:
            self._failed = error
            raise

    def close(self) -> None:
        """Close the file; what was not synced stays so."""
        self._files.close(self._fd)


def everything(_payload: bytes) -> bool:
    """Want every payload."""
    return True


class LogReader:
    """Reads a log on from where it last stopped. `damage` is what stopped it, if anything did.

    Payloads that are not `wanted` are checked like the others, but neither decoded nor yielded.
    """

    def __init__(
        self, files: Files, path: str, position: Position = Position(), wanted: Wanted = everything
    ) -> None:
        self.path = path
        self._wanted = wanted
        self._files = files
        self._reader = frames.GroupReader(offset=position.offset, seq=position.seq, chain=position.chain)

    @property
    def position(self) -> Position:
        """Where the last whole group ended."""
        return Position(self._reader.offset, self._reader.seq, self._reader.chain)

    @property
    def damage(self) -> frames.Damage | None:
        """What stopped the last read, None at a clean end."""
        return self._reader.damage

    @property
    def pending(self) -> bytes:
        """The bytes behind the last whole group that have been read so far."""
        return self._reader.pending

    def groups(self, limit: int | None = None) -> Iterator[list[Record]]:
        """Yield the records of every further whole group that the file holds now, before byte `limit`."""
        self._reader.pending = b""  # read again: the writer may have taken it back, the disk being full
        while True:
            at = self._reader.offset + len(self._reader.pending)
            size = CHUNK_BYTES if limit is None else min(CHUNK_BYTES, limit - at)
            data = self._files.read(self.path, at, size) if size > 0 else b""
            if not data:
                return
            for group in self._reader.feed(data):
                yield [decode_record(payload) for payload in group.payloads if self._wanted(payload)]
            if self.damage and not self.damage.incomplete:
                return

    def records(self, limit: int | None = None) -> Iterator[Record]:
        """Yield every further record that stands before byte `limit`."""
        for group in self.groups(limit):
            yield from group
