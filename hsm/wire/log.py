"""A single-writer append-only log of JSON records in the frame format, for ledger, inbox and records."""

from __future__ import annotations

import errno
import json
import os
from typing import Any, Callable, Iterable, Iterator, NamedTuple

from hsm.wire import frames
from hsm.wire.files import Files, write_all

Record = dict[str, Any]
Wanted = Callable[[bytes], bool]
CHUNK_BYTES = 4 << 20
FIRST_CHUNK_BYTES = 128 << 10  # who wants the first records only does not wait for megabytes

_ENCODE = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, separators=(",", ":"), check_circular=False
).encode


def encode_record(record: Record) -> bytes:
    """Return the payload of a record: one line of ASCII JSON."""
    return _ENCODE(record).encode("ascii")


class UnreadableRecord(ValueError):
    """A payload that no log of ours holds."""


def decode_record(payload: bytes) -> Record:
    """Return the record of a payload.

    Raises:
        UnreadableRecord: it is no JSON object, or one without bounds.
    """
    try:
        record: Record = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise UnreadableRecord(f"no record: {payload[:80]!r}") from error
    if not isinstance(record, dict):
        raise UnreadableRecord(f"no record: {payload[:80]!r}")
    return record


class Position(NamedTuple):
    """A place between two groups of a log; reading may begin there."""

    offset: int = 0
    seq: int = 0
    chain: bytes = frames.GENESIS


NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors that say there is no room: what was written is as it was, and later there may be some."""


class LogChanged(OSError):
    """Somebody else has changed or removed a log under its writer."""


class LogWriter:
    """Appends groups of records. `write` hands them to the kernel, `sync` makes them durable.

    A write that finds no room is undone before the error is raised, so the log never keeps half a group that
    a later group would follow. After any other failure, of `sync` above all, the writer refuses everything
    further: what the kernel still holds is not known (a second fdatasync may claim success for pages it
    dropped). What is not known to be durable is in `unsynced`, to be written to another log.

    One thread may write while another one syncs.
    """

    def __init__(self, files: Files, path: str, fd: int, position: Position) -> None:
        self.path = path
        self.position = position
        self.synced = position
        self.unsynced: list[list[bytes]] = []
        self._files = files
        self._fd = fd
        self._failed: OSError | None = None

    @classmethod
    def create(
        cls,
        files: Files,
        path: str,
        header: Record,
        position: Position = Position(),
        again: Iterable[bytes] = (),
    ) -> LogWriter:
        """Create the log with its header group, durable with its name. The file must not exist.

        `again` are the payloads that it takes over from another log, in the group of the header.
        """
        log = cls(files, path, files.create(path), position._replace(offset=0))
        try:
            log.write([encode_record(header), *again])
            log.sync()
            files.sync_directory(os.path.dirname(path))
        except OSError:
            log.close()
            raise
        return log

    @property
    def is_broken(self) -> bool:
        """Whether nothing may be written to this log any more."""
        return self._failed is not None

    def write(self, payloads: Iterable[bytes]) -> None:
        """Append one group.

        Raises:
            LogChanged: the file is not what this writer left.
            OSError: nothing of the group stays in the log, or the log is broken.
        """
        if self._failed:
            raise self._failed
        group = list(payloads)
        offset, seq, chain = self.position
        data, seq, chain = frames.encode_group(seq, chain, group)
        try:
            self._check(offset)
            write_all(self._files, self._fd, data)
        except OSError as error:
            if error.errno in NO_ROOM:
                self._undo(offset, error)
            else:
                self._failed = error
            raise
        self.unsynced.append(group)
        self.position = Position(offset + len(data), seq, chain)

    def _check(self, offset: int) -> None:
        """Look whether what has the file's name still ends where this writer stopped."""
        try:
            length = self._files.length(self.path)
        except FileNotFoundError as error:
            raise LogChanged(errno.ESTALE, "it has been removed", self.path) from error
        if length != offset:
            told = f"it holds {length} bytes where {offset} were written"
            raise LogChanged(errno.ESTALE, told, self.path)

    def _undo(self, offset: int, error: OSError) -> None:
        try:
            self._files.truncate(self._fd, offset)
        except OSError:
            self._failed = error  # half a group may stay: nothing may ever follow it

    def sync(self) -> None:
        """Make everything written so far durable.

        Raises:
            OSError: the log is broken.
        """
        if self._failed:
            raise self._failed
        written, count = self.position, len(self.unsynced)
        try:
            self._files.datasync(self._fd)
        except OSError as error:
            self._failed = error
            raise
        self.synced = written
        del self.unsynced[:count]

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

    @property
    def last(self) -> tuple[Position, list[bytes]] | None:
        """Where the last group began and what is in it, None before the first one that was read."""
        last, before = self._reader.last, self._reader.before
        return (Position(*before), last.payloads) if last and before else None

    def groups(self, limit: int | None = None) -> Iterator[list[Record]]:
        """Yield the records of every further whole group that the file holds now, before byte `limit`."""
        self._reader.pending = b""  # read again: the writer may have taken it back, the disk being full
        chunk = FIRST_CHUNK_BYTES
        while True:
            at = self._reader.offset + len(self._reader.pending)
            size = chunk if limit is None else min(chunk, limit - at)
            chunk = min(2 * chunk, CHUNK_BYTES)
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
