"""Growing: what running attempts write is told while they run, as far as somebody asked and there is room.

    said    watch      {"sweep": ID, "attempts": {directory: {log: bytes at home}}}
            unwatch    {"attempts": [directory]}
    pushed  grown      {"directory", "path", "how", "offset", "size"} and bytes
            seen       nothing is new

Output (`log`) goes first, from where it is at home; then small files beside it (`whole`) when they change;
last, and seldom, snapshots of everything else (`part`), of which only blocks are sent that are not as before.
What is told is within a budget: the final transfer brings every byte, this is only for looking.
"""

from __future__ import annotations

import hashlib
import time
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from hsm.compute.agent.relay import Answer, Service
from hsm.compute.agent.sending import attempt_directory, sweep_directory
from hsm.wire import manifest
from hsm.wire.files import Files, Kind
from hsm.wire.link import Packet

LOOK_S = 0.5
LOGS = ("stdout.log", "stderr.log")
LOG_BYTES = 1 << 20
"""So much of all output goes home with one look, and of one log a quarter of it."""
WHOLE_BYTES = 64 << 10
WHOLE_FILES = 32
SNAPSHOT_S = 5.0
SNAPSHOT_BYTES = 64 << 20
"""Of larger files there is no snapshot."""
SNAPSHOT_FILES = 500
BUDGET_BYTES = 512 << 10
"""So much of snapshots goes home with one look."""


class Attempt:
    """What is known of one attempt that is watched, and what of it is at home."""

    def __init__(self, place: str, held: Dict[str, int]) -> None:
        self.place = place
        self.sent = {name: max(0, int(held.get(name, 0))) for name in LOGS}
        self.wholes: Dict[str, Tuple[int, int]] = {}
        self.parts: Dict[str, Tuple[int, int]] = {}
        self.blocks: Dict[str, List[bytes]] = {}
        self.snapshot_at = 0.0


class Piece(NamedTuple):
    """Something that is told of a file."""

    path: str
    how: str
    offset: int
    size: int
    data: bytes


class Growing(Service):
    """Looks at the attempts that are watched, twice a second."""

    def __init__(self, files: Files, root: str) -> None:
        self._files = files
        self._root = root
        self._attempts: Dict[str, Attempt] = {}
        self._look_at = 0.0
        self._snapshots: Dict[str, Iterator[Piece]] = {}

    def answers(self) -> Dict[str, Answer]:
        """Hear `watch` and `unwatch`."""
        return {"watch": self._watch, "unwatch": self._unwatch}

    def _watch(self, packet: Packet) -> None:
        sweep = sweep_directory(self._root, packet.fields)
        for directory, held in packet.fields["attempts"].items():
            self._attempts[directory] = Attempt(attempt_directory(sweep, directory), held)
            self._snapshots.pop(directory, None)
        self._look_at = 0.0

    def _unwatch(self, packet: Packet) -> None:
        for directory in packet.fields["attempts"]:
            self._attempts.pop(directory, None)
            self._snapshots.pop(directory, None)

    def due_s(self) -> Optional[float]:
        """Return when to look again, None when nothing is watched."""
        return self._look_at - time.monotonic() if self._attempts else None

    def look(self) -> None:
        """Tell what is new, when it is time."""
        now = time.monotonic()
        if not self._attempts or now < self._look_at:
            return
        self._look_at = now + LOOK_S
        said = self._tell_logs() + self._tell_wholes() + self._tell_snapshots(now)
        if not said:
            self.send(Packet("seen"))

    def _tell(self, directory: str, piece: Piece) -> int:
        fields = {"directory": directory, **piece._asdict()}
        del fields["data"]
        self.send(Packet("grown", 0, fields, piece.data))
        return len(piece.data) + 1

    # Output

    def _tell_logs(self) -> int:
        """Send what came of every log, the same share of it for each."""
        told = 0
        growing = [(d, one, name) for d, one in self._attempts.items() for name in LOGS]
        share = max(4096, LOG_BYTES // max(1, len(growing)))
        for directory, one, name in growing:
            size = _size_of(self._files, f"{one.place}/{name}")
            if size is None or size == one.sent[name]:
                continue
            if size < one.sent[name]:
                one.sent[name] = 0  # it was emptied, and begins anew
            data = _read(self._files, f"{one.place}/{name}", one.sent[name], min(share, LOG_BYTES // 4))
            if data:
                told += self._tell(directory, Piece(name, "log", one.sent[name], size, data))
                one.sent[name] += len(data)
        return told

    def _tell_wholes(self) -> int:
        """Send the small files that lie beside the logs and have changed."""
        told = 0
        for directory, one in self._attempts.items():
            for name, size in self._beside(one.place):
                mark = (size, _written_ns(self._files, f"{one.place}/{name}"))
                if one.wholes.get(name) != mark:
                    one.wholes[name] = mark
                    data = _read(self._files, f"{one.place}/{name}", 0, WHOLE_BYTES)
                    told += self._tell(directory, Piece(name, "whole", 0, len(data), data))
        return told

    def _beside(self, place: str) -> List[Tuple[str, int]]:
        try:
            found = self._files.scan(place)
        except OSError:
            return []
        names = [
            (entry.name, entry.length)
            for entry in found
            if entry.kind is Kind.FILE
            and entry.length <= WHOLE_BYTES
            and entry.name not in LOGS
            and entry.name not in manifest.OUTSIDE
            and manifest.is_safe(entry.name)
        ]
        return sorted(names)[:WHOLE_FILES]

    # Everything else

    def _tell_snapshots(self, now: float) -> int:
        """Go on with the snapshots that are being sent, within the budget, and begin those that are due."""
        told, left = 0, BUDGET_BYTES
        for directory, one in self._attempts.items():
            if directory not in self._snapshots and now >= one.snapshot_at:
                one.snapshot_at = now + SNAPSHOT_S
                self._snapshots[directory] = self._snapshot(one)
        for directory, pieces in list(self._snapshots.items()):
            for piece in pieces:
                said = self._tell(directory, piece)
                told, left = told + said, left - said
                if left <= 0:
                    self._snapshots[directory] = self._snapshots.pop(directory)  # others go first now
                    return told
            del self._snapshots[directory]
        return told

    def _snapshot(self, one: Attempt) -> Iterator[Piece]:
        """Yield what is new in files that have changed, the smallest first."""
        try:
            sizes = manifest.find(self._files, one.place).sizes
        except OSError:
            return
        paths = [path for path, size in sizes.items() if "/" in path or size > WHOLE_BYTES]
        present: Set[str] = set(sizes)
        for path in sorted(paths, key=sizes.__getitem__)[:SNAPSHOT_FILES]:
            if path in LOGS or sizes[path] > SNAPSHOT_BYTES or f"{path}.partial" in present:
                continue
            mark = (sizes[path], _written_ns(self._files, f"{one.place}/{path}"))
            if one.parts.get(path) != mark:
                yield from self._changes(one, path)
                one.parts[path] = mark

    def _changes(self, one: Attempt, path: str) -> Iterator[Piece]:
        """Yield the blocks of a file that are not as they were sent before."""
        before, blocks, offset = one.blocks.get(path, []), [], 0
        size = _size_of(self._files, f"{one.place}/{path}") or 0
        try:
            for number, block in enumerate(self._files.chunks(f"{one.place}/{path}")):
                data = block[: size - offset]
                digest = hashlib.sha256(data).digest()
                blocks.append(digest)
                if number >= len(before) or before[number] != digest:
                    yield Piece(path, "part", offset, size, data)
                offset += len(data)
                if offset >= size:
                    break
        except OSError:
            one.blocks.pop(path, None)
            return
        one.blocks[path] = blocks


def _size_of(files: Files, path: str) -> Optional[int]:
    try:
        return files.length(path) if files.kind(path) is Kind.FILE else None
    except OSError:
        return None


def _written_ns(files: Files, path: str) -> int:
    try:
        return files.modified_ns(path)
    except OSError:
        return 0


def _read(files: Files, path: str, offset: int, most: int) -> bytes:
    """Return at most so many bytes of a regular file; none where it cannot be read."""
    data: List[bytes] = []
    length = 0
    try:
        for block in files.chunks(path, offset):
            data.append(block[: most - length])
            length += len(block)
            if length >= most:
                break
    except OSError:
        return b""
    return b"".join(data)
