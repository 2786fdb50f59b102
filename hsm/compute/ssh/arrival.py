"""An arrival: one attempt on its way home. What is there, what is lacking, and where each piece goes.

Everything that comes was said by the host and is worth no trust: names, sizes and places are checked before
anything is written, and nothing is whole before its bytes have the digest that its manifest tells. All of
this blocks.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hsm.core.source import CollectionResult, Fault, Wanted
from hsm.core.states import Cause
from hsm.wire import manifest
from hsm.wire.files import BLOCK_BYTES, Files, Kind, write_all
from hsm.wire.hashing import sha256_hex
from hsm.wire.manifest import NO_FILES, OUTSIDE, REPORT, Entry, is_safe

PARTIAL = ".partial"
"""What the name of a file that is not whole ends in, but for logs, which people read while they grow."""
GROWING = frozenset({"stdout.log", "stderr.log"})
REPORT_INDEX = -1
MAX_HELD = 1000
"""Of so many files, which are there before their manifest is, the host is told."""
MAX_ZEROS = 128 << 20
OTHER_BYTES = "its content is not what its manifest says"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ZEROS = bytes(BLOCK_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an attempt may be at most; one that is more has failed. `reserve_bytes` stay free on the disk."""

    files: int = 1_000_000
    bytes: int = 4 << 40
    depth: int = 64
    reserve_bytes: int = 16 << 20


class Room:
    """The room on the disk of home, looked at often enough that nothing ever fills it."""

    step_bytes = 8 << 20

    def __init__(self, files: Files, directory: str, reserve_bytes: int) -> None:
        self._files = files
        self._directory = directory
        self._reserve_bytes = reserve_bytes
        self._left = 0

    def take(self, size: int) -> None:
        """Note that so many bytes will be written.

        Raises:
            OSError: there is no room for them (ENOSPC).
        """
        self._left -= size
        if self._left < 0:
            free = self._files.free_bytes(self._directory) - self._reserve_bytes - size
            if free < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._directory)
            self._left = min(free, self.step_bytes)


class Wrong(Exception):
    """The host says what no agent and no relay says, in words for the user."""


@dataclass(slots=True)
class Part:
    """The beginning of a file that is at home, under the name `at`."""

    at: str
    size: int
    sha256: Any
    fd: int | None = None


class Arrival:
    """Takes in one attempt. Paths are relative to its directory, files known by their place in its manifest."""

    def __init__(self, files: Files, wanted: Wanted, room: Room, limits: Limits) -> None:
        self.wanted = wanted
        self.fault: Fault | None = None
        self.moved_files = 0
        self.moved_bytes = 0
        self._files = files
        self._home = str(wanted.dest)
        self._room = room
        self._limits = limits
        self._report = bytearray()
        self._report_sha256 = hashlib.sha256()
        self._report_words = "it did not come"
        self._entries: Sequence[Entry] | None = None
        self._places: dict[str, int] = {}
        self._lacking: dict[int, str] = {}
        self._parts: dict[str, Part] = {}
        self._present: set[str] = set()
        self._folders = {""}
        self._open: Part | None = None

    # What is there

    def look(self) -> None:
        """See what of it is at home already, and make its directory where there is nothing."""
        if self.wanted.report in (None, NO_FILES):
            self._entries = ()
            return
        if self._files.kind(self._home) is None:
            self._files.make_directories(self._home)
            return
        found = manifest.find(self._files, self._home)
        for path in found.links:
            self._files.unlink(f"{self._home}/{path}")  # none that we made
        self._present = set(found.sizes)
        if REPORT in found.reserved:
            self._look_at_report()
        self._parts = dict(self._held(found.sizes))
        if self._entries is not None:
            self._match()

    def _look_at_report(self) -> None:
        report = self._files.beginning(f"{self._home}/{REPORT}", manifest.MAX_REPORT_BYTES)
        if sha256_hex(report) == self.wanted.report:
            self._know(report)
        else:
            self._files.unlink(f"{self._home}/{REPORT}")

    def _held(self, sizes: dict[str, int]) -> Iterator[tuple[str, Part]]:
        """Hash what may be files of this attempt, or the beginnings of some."""
        for at, size in sizes.items():
            path = at
            if at.endswith(PARTIAL) and at not in self._places:
                path = at.removesuffix(PARTIAL)
            is_known = self._entries is None or path in self._places
            if path != at and (path in sizes or not is_known):
                self._files.unlink(f"{self._home}/{at}")
            elif is_known and (self._entries is None or size <= self._entries[self._places[path]].size):
                yield path, Part(at, size, _hashed(self._files, f"{self._home}/{at}"))

    def _know(self, report: bytes) -> None:
        """Take the manifest for what is to come."""
        try:
            entries = manifest.parse(report).entries
        except ValueError as error:
            raise Wrong(f"its report cannot be read: {error}") from error
        check(entries, self._limits)
        self._entries = entries
        self._places = {entry.path: index for index, entry in enumerate(entries)}
        self._lacking = dict.fromkeys(range(len(entries)), "it did not come")

    def _match(self) -> None:
        """Find out what of that which is there is whole; empty files are made at once."""
        parts, self._parts = self._parts, {}
        for path, part in parts.items():
            index = self._places.get(path)
            if index is None or part.size > self._listed[index].size:
                if part.at != path:
                    self._files.unlink(f"{self._home}/{part.at}")
            elif not self._is_whole(index, part) and part.size < self._listed[index].size:
                self._parts[path] = part
        for index, entry in enumerate(self._listed):
            if entry.size == 0 and index in self._lacking:
                self._take_whole(index, entry, b"")

    def _is_whole(self, index: int, part: Part) -> bool:
        """Tell whether a part is all of a file, which is then given its name and lacks no more."""
        entry = self._listed[index]
        if part.size != entry.size or part.sha256.hexdigest() != entry.sha256:
            return False
        if part.at != entry.path:
            self._files.rename(f"{self._home}/{part.at}", f"{self._home}/{entry.path}")
        self._lacking.pop(index, None)
        return True

    @property
    def _listed(self) -> Sequence[Entry]:
        if self._entries is None:
            raise Wrong("the host sends files before its report")
        return self._entries

    @property
    def lacks(self) -> bool:
        """Whether something has to be asked for."""
        return self.fault is None and (self._entries is None or bool(self._lacking))

    def asked(self) -> dict[str, object]:
        """Return what to ask the host for."""
        parts = list(self._parts.items())[: None if self._entries is not None else MAX_HELD]
        return {
            "directory": self.wanted.directory,
            "report": self.wanted.report,
            "skip": None if self._entries is None else list(_ranges(len(self._entries), self._lacking)),
            "held": [[path, part.size, part.sha256.hexdigest()] for path, part in parts if part.size],
        }

    # What comes

    def take(self, index: int, offset: int, data: bytes, zeros: int) -> None:
        """Take in a piece of a file: its bytes, or so many zeros.

        Raises:
            Wrong: no host says that.
            OSError: it cannot be written.
        """
        if index == REPORT_INDEX:
            self._take_report(offset, data)
        else:
            self._take_piece(index, offset, data, zeros)
        self.moved_bytes += len(data)

    def lose(self, index: int, reason: str) -> None:
        """Note why a file does not come, in the host's words."""
        words = "".join(letter if letter.isprintable() else "?" for letter in reason[:200])
        if index == REPORT_INDEX:
            self._report_words = words
        elif index in self._lacking:
            self._lacking[index] = words

    def _take_report(self, offset: int, data: bytes) -> None:
        if self._entries is not None or offset != len(self._report):
            raise Wrong("the host sends its report in disorder")
        if offset + len(data) > manifest.MAX_REPORT_BYTES:
            raise Wrong("its report is too large")
        self._report += data
        self._report_sha256.update(data)
        if self._report_sha256.hexdigest() == self.wanted.report:
            report = bytes(self._report)
            self._report.clear()
            self._know(report)
            self._room.take(len(report))
            self._files.write_new(f"{self._home}/{REPORT}", report)
            self._match()

    def _take_piece(self, index: int, offset: int, data: bytes, zeros: int) -> None:
        size = len(data) or zeros
        if index not in self._lacking or not self._listed:
            raise Wrong("the host sends what nobody asked for")
        entry = self._listed[index]
        if offset < 0 or not 0 < size <= max(len(data), MAX_ZEROS) or offset + size > entry.size:
            raise Wrong(f"the host sends more of {entry.path!a} than its manifest lists")
        if size == entry.size and data:
            self._take_whole(index, entry, data)
            return
        part = self._parts.get(entry.path) if offset else self._begin(entry)
        if part is None or offset != part.size:
            raise Wrong(f"the host sends pieces of {entry.path!a} in disorder")
        self._append(part, data, zeros)
        if part.size == entry.size:
            self._end(index, entry, part)

    def _take_whole(self, index: int, entry: Entry, data: bytes) -> None:
        """Write a file that came in one piece."""
        self._discard(entry)
        if sha256_hex(data) != entry.sha256:
            self._lacking[index] = OTHER_BYTES
            return
        self._room.take(len(data))
        self._make_folder(_above(entry.path))
        path = f"{self._home}/{entry.path}"
        try:
            self._files.write_new(path, data)
        except OSError:
            self._files.remove(path)
            raise
        del self._lacking[index]
        self.moved_files += 1

    def _begin(self, entry: Entry) -> Part:
        self._discard(entry)
        part = Part(self._name_meanwhile(entry.path), 0, hashlib.sha256())
        self._make_folder(_above(part.at))
        self.close()
        part.fd = self._files.create(f"{self._home}/{part.at}")
        self._present.add(part.at)
        self._open = self._parts[entry.path] = part
        return part

    def _name_meanwhile(self, path: str) -> str:
        """Return what a file is called that is not whole: where its name cannot be longer, just as it is."""
        other = path + PARTIAL
        return path if path in GROWING or other in self._places or not is_safe(other) else other

    def _discard(self, entry: Entry) -> None:
        """Remove what there is of a file."""
        part = self._parts.pop(entry.path, None)
        if part is not None and part is self._open:
            self.close()
        for at in {entry.path, part.at if part else entry.path} & self._present:
            self._files.remove(f"{self._home}/{at}")

    def _append(self, part: Part, data: bytes, zeros: int) -> None:
        if part.fd is None:
            self.close()
            part.fd, self._open = self._files.open_append(f"{self._home}/{part.at}"), part
            self._files.truncate(part.fd, part.size)
        if data:
            self._room.take(len(data))
            write_all(self._files, part.fd, data)
            part.sha256.update(data)
        else:
            self._files.truncate(part.fd, part.size + zeros)
            for size in _in_blocks(zeros):
                part.sha256.update(_ZEROS[:size])
        part.size += len(data) or zeros

    def _end(self, index: int, entry: Entry, part: Part) -> None:
        self.close()
        self._parts.pop(entry.path)
        if self._is_whole(index, part):
            self.moved_files += 1
        else:
            self._files.remove(f"{self._home}/{part.at}")
            self._lacking[index] = OTHER_BYTES

    def _make_folder(self, folder: str) -> None:
        """Make a folder and those above it; none of them may be anything else."""
        if folder in self._folders:
            return
        self._make_folder(_above(folder))
        kind = self._files.kind(f"{self._home}/{folder}")
        if kind is None:
            self._files.make_directory(f"{self._home}/{folder}")
        elif kind is not Kind.DIRECTORY:
            raise Wrong(f"{folder!a} is no directory at home")
        self._folders.add(folder)

    # The end

    def fail(self, wrong: Wrong) -> None:
        """Note that it can never come home."""
        self.close()
        self.fault = self.fault or Fault(cause=Cause.PROTOCOL, reason=str(wrong))

    def close(self) -> None:
        """Let go of the file that is open; what is there stays."""
        if self._open is not None and self._open.fd is not None:
            self._files.close(self._open.fd)
            self._open.fd = None
        self._open = None

    def result(self) -> CollectionResult:
        """Return what became of it."""
        fault = self.fault
        if fault is None and self.lacks:
            index = min(self._lacking, default=REPORT_INDEX)
            path = REPORT if index == REPORT_INDEX else self._listed[index].path
            words = self._lacking.get(index, self._report_words)
            fault = Fault(cause=Cause.TRANSFER, reason=f"{path}: {words}")
        return CollectionResult(
            directory=self.wanted.dest, files=self.moved_files, bytes=self.moved_bytes, fault=fault
        )


def check(entries: Sequence[Entry], limits: Limits) -> None:
    """Check that a manifest lists nothing but files that may be written into the attempt's directory.

    Raises:
        Wrong: it does, or they are too many or too large.
    """
    if len(entries) > limits.files:
        raise Wrong(f"its manifest lists {len(entries)} files, more than {limits.files}")
    paths: set[str] = set()
    folders: set[str] = set()
    for entry in entries:
        wrong = _wrong_with(entry, paths, limits)
        if wrong:
            raise Wrong(f"its manifest lists {entry.path[:200]!a}, {wrong}")
        paths.add(entry.path)
        folder = _above(entry.path)
        while folder and folder not in folders:
            folders.add(folder)
            folder = _above(folder)
    both = paths & folders
    if both:
        raise Wrong(f"its manifest lists {min(both)!a} as a file and as a folder")
    total = sum(entry.size for entry in entries)
    if total > limits.bytes:
        raise Wrong(f"its files are {total / 1e9:.0f} GB together, more than {limits.bytes / 1e9:.0f} GB")


def _wrong_with(entry: Entry, before: Collection[str], limits: Limits) -> str:
    path = entry.path
    if not is_safe(path):
        return "which leads out of its directory"
    if path in before:
        return "and lists it twice"
    if path.partition("/")[0] in OUTSIDE:
        return "which no manifest may list"
    if entry.size < 0 or not _SHA256.fullmatch(entry.sha256):
        return "with a size or a digest that is none"
    if path.count("/") >= limits.depth:
        return f"which is more than {limits.depth} folders deep"
    return ""


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _ranges(count: int, lacking: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield first and length of each range of 0 … count - 1 that lies between what is lacking."""
    at = 0
    for index in sorted(lacking):
        if index > at:
            yield at, index - at
        at = index + 1
    if at < count:
        yield at, count - at


def _hashed(files: Files, path: str) -> Any:
    sha256 = hashlib.sha256()
    for block in files.chunks(path):
        sha256.update(block)
    return sha256


def _in_blocks(size: int) -> Iterator[int]:
    while size > 0:
        yield min(size, BLOCK_BYTES)
        size -= BLOCK_BYTES
