"""An arrival: one attempt on its way home. What is there, what is lacking, and where each piece goes.

Everything that comes was said by the host and is worth no trust: names, sizes and places are checked before
anything is written, and nothing is whole before its bytes have the digest that its manifest tells. All of
this blocks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from hsm.compute.ssh.landing import GROWING, PARTIAL, Landing, Limits, Part, Room, Wrong, check
from hsm.core.source import CollectionResult, Fault, Wanted
from hsm.core.states import Cause
from hsm.wire import manifest
from hsm.wire.files import Files
from hsm.wire.hashing import sha256_hex
from hsm.wire.manifest import NO_FILES, REPORT, Entry, is_safe

REPORT_INDEX = -1
MAX_HELD = 1000
"""Of so many files, which are there before their manifest is, the host is told."""
MAX_ZEROS = 128 << 20
OTHER_BYTES = "its content is not what its manifest says"


class Arrival:
    """Takes in one attempt. Paths are relative to its directory; files are known by place in the manifest."""

    def __init__(self, files: Files, wanted: Wanted, room: Room, limits: Limits) -> None:
        self.wanted = wanted
        self.fault: Fault | None = None
        self.moved_files = 0
        self.moved_bytes = 0
        self._files = files
        self._home = str(wanted.dest)
        self._limits = limits
        self._report = bytearray()
        self._report_sha256 = hashlib.sha256()
        self._report_words = "it did not come"
        self._entries: Sequence[Entry] | None = None
        self._places: dict[str, int] = {}
        self._lacking: dict[int, str] = {}
        self._parts: dict[str, Part] = {}
        self._landing = Landing(files, self._home, room)

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
        self._landing.present = {*found.sizes, *found.links}
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
                self._landing.remove(at)
            elif is_known and (self._entries is None or size <= self._entries[self._places[path]].size):
                yield path, self._landing.hashed(at, size)

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
                    self._landing.remove(part.at)
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
            self._landing.finish(part.at, entry.path)
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
        """Return what to ask the host for. A report that came in part is asked for from its beginning."""
        self._report.clear()
        self._report_sha256 = hashlib.sha256()
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
            self._landing.write(REPORT, report)
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
        self._landing.append(part, data, zeros)
        if part.size == entry.size:
            self._end(index, entry, part)

    def _take_whole(self, index: int, entry: Entry, data: bytes) -> None:
        """Write a file that came in one piece."""
        self._discard(entry)
        if sha256_hex(data) != entry.sha256:
            self._lacking[index] = OTHER_BYTES
            return
        self._landing.write(entry.path, data)
        del self._lacking[index]
        self.moved_files += 1

    def _begin(self, entry: Entry) -> Part:
        """Begin a file under another name; where that may not be, as of a log, just as it is called."""
        self._discard(entry)
        path, other = entry.path, entry.path + PARTIAL
        as_it_is = path in GROWING or other in self._places or not is_safe(other)
        part = self._parts[path] = self._landing.begin(path if as_it_is else other)
        return part

    def _discard(self, entry: Entry) -> None:
        """Remove what there is of a file."""
        part = self._parts.pop(entry.path, None)
        for at in {entry.path, part.at if part else entry.path}:
            self._landing.remove(at)

    def _end(self, index: int, entry: Entry, part: Part) -> None:
        """Give a file that is all there its name, or remove it."""
        self.close()
        if self._is_whole(index, part):
            del self._parts[entry.path]
            self.moved_files += 1
        else:
            self._discard(entry)
            self._lacking[index] = OTHER_BYTES

    # The end

    def fail(self, wrong: Wrong) -> None:
        """Note that it can never come home."""
        self.close()
        self.fault = self.fault or Fault(cause=Cause.PROTOCOL, reason=str(wrong))

    def close(self) -> None:
        """Let go of what is open; what is there stays."""
        self._landing.close()

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


def _ranges(count: int, lacking: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield first and length of each range of 0 … count - 1 that lies between what is lacking."""
    at = 0
    for index in sorted(lacking):
        if index > at:
            yield at, index - at
        at = index + 1
    if at < count:
        yield at, count - at
