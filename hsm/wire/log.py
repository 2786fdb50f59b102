"""A single-writer append-only log of JSON records in the frame format, for ledger, inbox and records."""

from __future__ import annotations

import contextlib
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
GROUPS_AHEAD = 4  # zeros are laid out for so many groups at least, else they cost more than they save

_ENCODE = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, separators=(",", ":"), check_circular=False
).encode
_DECODE = json.JSONDecoder().raw_decode  # without a look for other encodings, and for blanks around it


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
        text = payload.decode("utf-8")
        record, end = _DECODE(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableRecord(f"no record: {payload[:80]!r}") from error
    if type(record) is not dict or end != len(text):
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

    With `ahead_bytes`, so many zeros are laid out behind the end, and small groups are written over them: to
    make a group durable whose file does not grow, a file system need not make it known that it has grown.

    One thread may write while another one syncs.
    """

    def __init__(self, files: Files, path: str, fd: int, position: Position, *, ahead_bytes: int = 0) -> None:
        self.path = path
        self.position = position
        self.synced = position
        self.unsynced: list[list[bytes]] = []
        self._files = files
        self._fd = fd
        self._failed: OSError | None = None
        self._ahead_bytes = ahead_bytes
        self._length = position.offset
        self._inode: int | None = None

    @classmethod
    def create(
        cls,
        files: Files,
        path: str,
        header: Record,
        position: Position = Position(),
        again: Iterable[bytes] = (),
        *,
        ahead_bytes: int = 0,
    ) -> LogWriter:
        """Create the log with its header group, durable with its name. The file must not exist.

        `again` are the payloads that it takes over from another log, in the group of the header.
        """
        start = position._replace(offset=0)
        log = cls(files, path, files.create(path), start, ahead_bytes=ahead_bytes)
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
        end = offset + len(data)
        try:
            self._check()
            write_all(self._files, self._fd, data)
            self._length = max(end, self._length)
            if self._length == end and len(data) <= self._ahead_bytes // GROUPS_AHEAD:
                self._lay_out(end)
        except OSError as error:
            if error.errno in NO_ROOM:
                self._undo(offset, error)
            else:
                self._failed = error
            raise
        self.unsynced.append(group)
        self.position = Position(end, seq, chain)

    def _check(self) -> None:
        """Look whether what has the file's name is still the file that this writer left, and as long."""
        try:
            inode, length = self._files.extent(self.path)
        except FileNotFoundError as error:
            raise LogChanged(errno.ESTALE, "it has been removed", self.path) from error
        if length != self._length:
            told = f"it holds {length} bytes where {self._length} were written"
            raise LogChanged(errno.ESTALE, told, self.path)
        if inode != (self._inode or inode):
            raise LogChanged(errno.ESTALE, "another file has its name", self.path)
        self._inode = inode

    def _lay_out(self, end: int) -> None:
        """Write zeros behind the end; where not all of them fit, the last of the room is for others."""
        laid = 0
        try:
            laid = self._files.write(self._fd, bytes(self._ahead_bytes))
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
        if laid < self._ahead_bytes:
            self._cut(end)
        else:
            self._length += laid
        self._files.seek(self._fd, end)

    def _undo(self, offset: int, error: OSError) -> None:
        try:
            self._cut(offset)
        except OSError:
            self._failed = error  # half a group may stay: nothing may ever follow it

    def _cut(self, offset: int) -> None:
        self._files.truncate(self._fd, offset)
        self._length = offset

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
        """Close the file, without the zeros behind its end; what was not synced stays so."""
        if not self._failed and self._length > self.position.offset:
            with contextlib.suppress(OSError):  # readers know what zeros there mean
                self._cut(self.position.offset)
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
        """The bytes behind the last whole group that have been read so far, without the zeros behind them."""
        return self._reader.pending.rstrip(b"\0")

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
