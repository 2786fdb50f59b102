"""Growing: what running attempts write is told while they run, as far as somebody asked and the line allows.

    said    watch      {"sweep": ID, "attempts": {directory: {log: bytes at home}}}
            unwatch    {"attempts": [directory]}
            shown      all that was told is at home
    pushed  grown      {"directory", "path", "how", "offset", "size"} and bytes
            seen       that was all for now

Output (`log`) goes first, from where it is at home; then small files beside it (`whole`) when they change;
last, and seldom, snapshots of everything else (`part`), of which only blocks are sent that are not as before.
Nothing more is told before what was told has been shown, and on a slow line little at a time, so that
records, which take the same way, never wait for long. The transfer at the end brings every byte; this is for
looking.
"""

from __future__ import annotations

import hashlib
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from hsm.compute.agent.host import Host
from hsm.compute.agent.relay import Answer, Service
from hsm.compute.agent.sending import attempt_directory, sweep_directory
from hsm.wire import manifest
from hsm.wire.files import Files, Kind
from hsm.wire.link import Packet

LOOK_S = 0.5
LOGS = ("stdout.log", "stderr.log")
WHOLE_BYTES = 64 << 10
WHOLE_FILES = 32
SNAPSHOT_S = 5.0
SNAPSHOT_BYTES = 64 << 20
"""Of larger files there is no snapshot."""
SNAPSHOT_FILES = 500
LEAST_BYTES = 8 << 10
FIRST_BYTES = 128 << 10
MOST_BYTES = 1 << 20
"""So much is told by one look, depending on how soon it is shown."""
SOON_S = 0.5
LATE_S = 1.0
FRESH_S = 0.1
"""File systems tell times by ticks of a few milliseconds."""
HEAD_BYTES = 256
"""What a piece costs beside its bytes."""


class Mark(NamedTuple):
    """Size of a file and when it was written; None while it may be written again without another time."""

    size: int
    written_ns: Optional[int]


class Attempt:
    """What is known of one attempt that is watched, and what of it is at home."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.sent = dict.fromkeys(LOGS, 0)
        self.marks: Dict[str, Mark] = {}
        self.wholes: Dict[str, bytes] = {}
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

    def __init__(self, host: Host, root: str) -> None:
        self._host = host
        self._files = host.files
        self._root = root
        self._attempts: Dict[str, Attempt] = {}
        self._snapshots: Dict[str, Iterator[Piece]] = {}
        self._look_at = 0.0
        self._told_at = 0.0
        self._awaits_shown = False
        self._budget = FIRST_BYTES
        self._left = 0

    def answers(self) -> Dict[str, Answer]:
        """Hear `watch`, `unwatch` and `shown`."""
        return {"watch": self._watch, "unwatch": self._unwatch, "shown": self._shown}

    def _watch(self, packet: Packet) -> None:
        sweep = sweep_directory(self._root, packet.fields)
        for directory, held in packet.fields["attempts"].items():
            place = attempt_directory(sweep, directory)
            one = self._attempts.setdefault(directory, Attempt(place))
            one.sent = {name: max(0, int(held.get(name, 0))) for name in LOGS}
        self._look_at = 0.0

    def _unwatch(self, packet: Packet) -> None:
        for directory in packet.fields["attempts"]:
            self._attempts.pop(directory, None)
            self._snapshots.pop(directory, None)

    def _shown(self, _: Packet) -> None:
        self._awaits_shown = False
        took_s = self._host.monotonic() - self._told_at
        if took_s > LATE_S:
            self._budget = max(LEAST_BYTES, self._budget // 2)
        elif took_s < SOON_S:
            self._budget = min(MOST_BYTES, self._budget * 2)

    def due_s(self) -> Optional[float]:
        """Return when to look again, None when nothing is watched, or not shown yet."""
        if self._awaits_shown or not self._attempts:
            return None
        return self._look_at - self._host.monotonic()

    def look(self) -> None:
        """Tell what is new, when it is time."""
        now = self._host.monotonic()
        if self._awaits_shown or not self._attempts or now < self._look_at:
            return
        self._left = self._budget
        self._tell_logs()
        self._tell_wholes()
        self._tell_snapshots(now)
        self.send(Packet("seen"))
        self._told_at, self._look_at, self._awaits_shown = now, now + LOOK_S, True

    def _tell(self, directory: str, piece: Piece) -> None:
        fields = {"directory": directory, **piece._asdict()}
        del fields["data"]
        self.send(Packet("grown", 0, fields, piece.data))
        self._left -= len(piece.data) + HEAD_BYTES

    # Output

    def _tell_logs(self) -> None:
        """Send what came of every log, the same share of it for each."""
        grown = []
        for directory, one in self._attempts.items():
            for name in LOGS:
                size = _size_of(self._files, f"{one.place}/{name}")
                if size is not None and size != one.sent[name]:
                    grown.append((directory, one, name, size))
        share = max(1024, self._left // max(1, len(grown)))
        for directory, one, name, size in grown:
            if size < one.sent[name]:
                one.sent[name] = 0  # it was emptied, and begins anew
            data = _read(self._files, f"{one.place}/{name}", one.sent[name], min(share, MOST_BYTES // 2))
            if data or size == 0:
                self._tell(directory, Piece(name, "log", one.sent[name], size, data))
                one.sent[name] += len(data)

    def _tell_wholes(self) -> None:
        """Send the small files that lie beside the logs and have changed."""
        for directory, one in self._attempts.items():
            for name, size in self._beside(one.place) if self._left > 0 else ():
                mark = self._mark(f"{one.place}/{name}", size)
                if self._left <= 0 or (one.marks.get(name) == mark and mark.written_ns is not None):
                    continue
                data = _read(self._files, f"{one.place}/{name}", 0, WHOLE_BYTES)
                if one.wholes.get(name) != data:
                    self._tell(directory, Piece(name, "whole", 0, len(data), data))
                one.wholes[name], one.marks[name] = data, mark

    def _mark(self, path: str, size: int) -> Mark:
        """Return by what to tell whether a file has changed since."""
        written_ns = _written_ns(self._files, path)
        return Mark(size, written_ns if written_ns < (self._host.now() - FRESH_S) * 1e9 else None)

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

    def _tell_snapshots(self, now: float) -> None:
        """Go on with the snapshots that are being sent, and begin those that are due."""
        for directory, one in self._attempts.items():
            if directory not in self._snapshots and now >= one.snapshot_at:
                one.snapshot_at = now + SNAPSHOT_S
                self._snapshots[directory] = self._snapshot(one)
        for directory in list(self._snapshots):
            for piece in self._snapshots[directory] if self._left > 0 else ():
                self._tell(directory, piece)
                if self._left <= 0:
                    self._snapshots[directory] = self._snapshots.pop(directory)  # others go first next time
                    return
            self._snapshots.pop(directory)

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
            mark = self._mark(f"{one.place}/{path}", sizes[path])
            if one.marks.get(path) != mark or mark.written_ns is None:
                yield from self._changes(one, path)
                one.marks[path] = mark

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
