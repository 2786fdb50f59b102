"""Sending: what attempts left goes home as one stream of pieces, small files first, many to a packet.

    asked   attempts   {"sweep": ID, "attempts": [{"directory", "report", "skip", "held"}]}
    said    pieces     {"pieces": [[attempt, file, offset, length]…]} and their bytes, one behind the other
            lacking    {"lacking": [[attempt, file, reason]…]}
            still      a large file is being read, and there is nothing of it to be sent yet

A file is known by its place in the manifest of its attempt's provenance report, -1 is the report itself, and
comes first. A negative length says that so many bytes are zero: they are not sent. `skip` holds ranges of
files that are at home, and is None where the report is not; `held` says how much of a file is, `[path, size,
SHA-256]`: if the file here begins with just that, it is sent from there on.
"""

from __future__ import annotations

import hashlib
from typing import Any, Dict, Generator, Iterator, List, NamedTuple, Tuple

from hsm.compute.agent.relay import Answer, Refusal, Service
from hsm.wire import manifest
from hsm.wire.files import Files
from hsm.wire.hashing import sha256_hex
from hsm.wire.link import Packet

REPORT = -1
PACKET_BYTES = 256 << 10
PACKET_PIECES = 2048
SMALL_BYTES = 64 << 10
STILL_BYTES = 64 << 20
"""After so many bytes that were read and not sent, something is said."""

_ZEROS = bytes(PACKET_BYTES)


class Large(NamedTuple):
    """A file that goes home in pieces of its own, from `held` bytes on where these begin it."""

    attempt: int
    place: int
    path: str
    size: int
    held: int
    held_sha256: str


class Sending(Service):
    """Sends what is in the directories of attempts; never follows a link."""

    def __init__(self, files: Files, root: str) -> None:
        self._files = files
        self._root = root

    def answers(self) -> Dict[str, Answer]:
        """Answer `attempts`."""
        return {"attempts": self._attempts}

    def _attempts(self, packet: Packet) -> Iterator[Packet]:
        sweep = sweep_directory(self._root, packet.fields)
        load = Load()
        large: List[Large] = []
        for number, asked in enumerate(packet.fields["attempts"]):
            directory = attempt_directory(sweep, asked["directory"])
            yield from self._attempt(load, large, number, directory, asked)
        yield from load.rest()
        for one in large:
            yield from self._large(load, one)
        yield from load.rest()

    def _attempt(
        self, load: "Load", large: List[Large], number: int, directory: str, asked: Dict[str, Any]
    ) -> Iterator[Packet]:
        """Send an attempt's report and small files, and note the large ones."""
        try:
            report = self._report(directory, asked["report"])
            entries = manifest.parse(report).entries
        except (OSError, ValueError) as error:
            yield load.lose(number, REPORT, reason_of(error))
            return
        if asked["skip"] is None:
            for start in range(0, len(report), PACKET_BYTES):
                yield from load.add(number, REPORT, start, report[start : start + PACKET_BYTES])
        held = {path: (size, sha256) for path, size, sha256 in asked["held"]}
        for index in _wanted(len(entries), asked["skip"] or ()):
            path, size, sha256 = entries[index]
            if size == 0 or held.get(path) == (size, sha256):
                continue
            if size > SMALL_BYTES or path in held:
                large.append(Large(number, index, f"{directory}/{path}", size, *held.get(path, (0, ""))))
            else:
                yield from self._small(load, number, index, f"{directory}/{path}", size)

    def _report(self, directory: str, wanted: str) -> bytes:
        blocks, size = [], 0
        for block in self._files.chunks(f"{directory}/{manifest.REPORT}"):
            blocks.append(block)
            size += len(block)
            if size > manifest.MAX_REPORT_BYTES:
                raise ValueError("it is too large")
        report = b"".join(blocks)
        if sha256_hex(report) != wanted:
            raise ValueError("it is not the one of the exit record")
        return report

    def _small(self, load: "Load", number: int, index: int, path: str, size: int) -> Iterator[Packet]:
        try:
            data = self._files.beginning(path, size)
        except OSError as error:
            yield load.lose(number, index, reason_of(error))
            return
        if len(data) < size:
            yield load.lose(number, index, _shorter(len(data)))
        elif data == _ZEROS[:size]:
            yield from load.add_zeros(number, index, 0, size)
        else:
            yield from load.add(number, index, 0, data)

    def _large(self, load: "Load", one: Large) -> Iterator[Packet]:
        """Send one file, piece by piece, not longer than its manifest says."""
        try:
            offset = yield from self._begins_with(one)
            zeros = 0
            for data in _cut(self._files.chunks(one.path, offset), one.size - offset):
                if data == _ZEROS[: len(data)]:
                    zeros += len(data)
                else:
                    if zeros:
                        yield from load.add_zeros(one.attempt, one.place, offset - zeros, zeros)
                    yield from load.add(one.attempt, one.place, offset, data)
                    zeros = 0
                offset += len(data)
                if zeros >= STILL_BYTES:
                    yield from load.add_zeros(one.attempt, one.place, offset - zeros, zeros)
                    yield from load.rest()
                    zeros = 0
            if zeros:
                yield from load.add_zeros(one.attempt, one.place, offset - zeros, zeros)
            if offset < one.size:
                yield load.lose(one.attempt, one.place, _shorter(offset))
        except OSError as error:
            yield load.lose(one.attempt, one.place, reason_of(error))

    def _begins_with(self, one: Large) -> Generator[Packet, None, int]:
        """Return where to begin: behind what is held at home, if the file here begins with just that."""
        if not 0 < one.held <= one.size:
            return 0
        sha256, read = hashlib.sha256(), 0
        for data in _cut(self._files.chunks(one.path), one.held):
            sha256.update(data)
            read += len(data)
            if read % STILL_BYTES < len(data):
                yield Packet("still")
        return one.held if sha256.hexdigest() == one.held_sha256 else 0


class Load:
    """Pieces that wait until a packet is full."""

    def __init__(self) -> None:
        self._pieces: List[Tuple[int, int, int, int]] = []
        self._bodies: List[bytes] = []
        self._size = 0

    def add(self, attempt: int, index: int, offset: int, data: bytes) -> Iterator[Packet]:
        """Add a piece, and yield the packets that are full."""
        if self._size + len(data) > PACKET_BYTES or len(self._pieces) >= PACKET_PIECES:
            yield from self.rest()
        self._pieces.append((attempt, index, offset, len(data)))
        self._bodies.append(data)
        self._size += len(data)

    def add_zeros(self, attempt: int, index: int, offset: int, length: int) -> Iterator[Packet]:
        """Add a piece that is all zeros."""
        if len(self._pieces) >= PACKET_PIECES:
            yield from self.rest()
        self._pieces.append((attempt, index, offset, -length))

    def rest(self) -> Iterator[Packet]:
        """Yield what waits."""
        if self._pieces:
            yield Packet("pieces", 0, {"pieces": self._pieces}, b"".join(self._bodies))
            self._pieces, self._bodies, self._size = [], [], 0

    @staticmethod
    def lose(attempt: int, index: int, reason: str) -> Packet:
        """Return what tells that a file cannot be sent."""
        return Packet("lacking", 0, {"lacking": [[attempt, index, reason]]})


def _wanted(count: int, skip: "Any") -> Iterator[int]:
    """Yield the places in a manifest of so many files that are in no range of `skip`, which is sorted."""
    at = 0
    for first, length in skip:
        yield from range(at, min(first, count))
        at = first + length
    yield from range(at, count)


def _cut(blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Yield `size` bytes of what is read, less where it ends before, in pieces of a packet."""
    waiting: List[bytes] = []
    length = 0
    for block in blocks:
        waiting.append(block[: size - length])
        length += len(block)
        if length % PACKET_BYTES < len(block) or length >= size:
            yield b"".join(waiting)
            waiting = []
        if length >= size:
            return
    if waiting:
        yield b"".join(waiting)


def sweep_directory(root: str, fields: Dict[str, Any]) -> str:
    """Return where a sweep is on this host.

    Raises:
        Refusal: its id is none.
    """
    sweep = fields["sweep"]
    if not isinstance(sweep, str) or not manifest.is_safe(sweep) or "/" in sweep:
        raise Refusal(f"no sweep is called {sweep!r}")
    return f"{root}/sweeps/{sweep}"


def attempt_directory(sweep: str, directory: object) -> str:
    """Return where an attempt runs, or ran.

    Raises:
        Refusal: that would not be below the sweep.
    """
    if not isinstance(directory, str) or not manifest.is_safe(directory):
        raise Refusal(f"no attempt runs in {directory!r}")
    return f"{sweep}/{directory}"


def reason_of(error: Exception) -> str:
    """Return an error in words, without the path, which the other side knows."""
    if isinstance(error, FileNotFoundError):
        return "it is no longer there"
    return str(error.strerror) if isinstance(error, OSError) else str(error)


def _shorter(length: int) -> str:
    return f"only {length} bytes of it are left"
