"""The live view: what attempts write on a host is written at home while they run, for whoever looks there.

Output grows under its own name, small files are replaced, and of everything else there are snapshots called
`<name>.partial`. All of it is for looking: the transfer at the end goes on from what is here, and checks it.
What comes was said by the host and is worth no trust: it is written below directories of attempts that are
watched and nowhere else, and only so much of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hsm.compute.link import Link
from hsm.compute.ssh.landing import GROWING, PARTIAL, Limits, Room
from hsm.core.hearing import note_heard
from hsm.core.mailbox import Mailbox
from hsm.core.source import AttemptOrder, Observation
from hsm.core.states import AttemptState
from hsm.core.world import World
from hsm.wire.files import Files, Kind, write_all
from hsm.wire.link import Packet
from hsm.wire.manifest import OUTSIDE, is_safe

MOST_WATCHED = 200
MOST_WAITING_BYTES = 4 << 20
"""So much of what was pushed may wait to be written; no relay pushes more unheard."""
MAX_WHOLE_BYTES = 64 << 10
MAX_PART_BYTES = 64 << 20
MAX_PARTS = 500
HEARD_S = 1.0
HEAD_BYTES = 256


@dataclass(slots=True)
class Watched:
    """One attempt that is watched: how long its logs are at home, and of what there is a snapshot."""

    home: str
    logs: dict[str, int] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


class LiveView:
    """Watches the attempts of one sweep on one host."""

    def __init__(self, world: World, link: Link, sweep_dir: Path) -> None:
        self._world = world
        self._link = link
        self._sweep_dir = sweep_dir
        self._limits = Limits()
        self._room = Room(world.files, str(sweep_dir), self._limits.reserve_bytes)
        self._directories: dict[str, str] = {}
        self._watched: dict[str, Watched] = {}
        self._pushed: Mailbox[Packet] = Mailbox()
        self._waiting_bytes = 0
        self._astray: set[str] = set()
        self.writing = asyncio.Lock()
        """Held while something is written at home."""
        self._heard_at = -HEARD_S
        link.on("grown", self._take)
        link.on("seen", self._take)

    # What runs

    def ordered(self, orders: Iterable[AttemptOrder]) -> None:
        """Note where attempts will run."""
        self.known({order.token: order.directory for order in orders})

    def known(self, directories: Mapping[str, str]) -> None:
        """Note where attempts run, by token."""
        self._directories.update(directories)

    async def note(self, seen: Sequence[Observation]) -> None:
        """Begin to watch what has begun, and leave what is over; a directory that is watched is at home."""
        begun: list[str] = []
        over: list[str] = []
        for observation in seen:
            if observation.state is AttemptState.RUNNING:
                begun += filter(None, [self._directories.get(observation.token)])
            else:
                over += filter(None, [self._directories.pop(observation.token, None)])
        await self.leave(over)
        running = [directory for directory in begun if directory not in over]
        if running:
            await self._watch(running)

    async def _watch(self, directories: Sequence[str]) -> None:
        async with self.writing:
            watched = await self._world.blocking(self._begin, directories)
            room = max(0, MOST_WATCHED - len(self._watched))
            self._watched.update(list(watched.items())[:room])
        await self._tell_watched(self._watched.keys() & set(directories))

    def _begin(self, directories: Sequence[str]) -> dict[str, Watched]:
        files, watched = self._world.files, {}
        for directory in directories:
            home = f"{self._sweep_dir}/{directory}"
            files.make_directories(home)
            logs = {name: _length(files, f"{home}/{name}") for name in GROWING}
            watched[directory] = Watched(home, logs)
        return watched

    async def _tell_watched(self, directories: Iterable[str]) -> None:
        attempts = {directory: self._watched[directory].logs for directory in sorted(directories)}
        if attempts:
            await self._link.tell("watch", {"sweep": self._sweep_dir.name, "attempts": attempts})

    async def leave(self, directories: Iterable[str]) -> None:
        """Watch attempts no more; when this returns nothing more of them is written."""
        left = [directory for directory in directories if self._watched.pop(directory, None)]
        if left:
            await self._link.tell("unwatch", {"attempts": left})
            async with self.writing:
                return

    # What is told

    def _take(self, packet: Packet) -> None:
        """Take in what was pushed, unless more of it waits than a relay pushes."""
        size = len(packet.body) + HEAD_BYTES
        if self._waiting_bytes + size <= MOST_WAITING_BYTES:
            self._waiting_bytes += size
            self._pushed.put(packet)

    async def run(self) -> None:
        """Write what is told until cancelled."""
        while True:
            packets = await self._pushed.take()
            self._waiting_bytes = 0
            async with self.writing:
                await self._world.blocking_to_its_end(self._write, packets)
            again, self._astray = self._astray & self._watched.keys(), set()
            if again:
                await self._tell_watched(again)
            if any(packet.kind == "seen" for packet in packets):
                await self._link.tell("shown")

    def _write(self, packets: Sequence[Packet]) -> None:
        """Write what was told, and when. What cannot be written is left out: it is only for looking."""
        for packet in packets:
            directory = packet.fields.get("directory")
            watched = self._watched.get(directory) if isinstance(directory, str) else None
            if packet.kind == "grown" and watched is not None:
                try:
                    if not self._write_one(watched, packet.fields, packet.body):
                        self._astray.add(str(directory))
                except OSError:
                    continue
        now = self._world.monotonic()
        if now - self._heard_at >= HEARD_S:
            self._heard_at = now
            with contextlib.suppress(OSError):
                note_heard(self._world.files, self._sweep_dir, self._link.source, self._world.now())

    def _write_one(self, watched: Watched, fields: Mapping[str, Any], data: bytes) -> bool:
        """Write a piece; False when there is a gap between what is here and what came."""
        path, offset, size = fields.get("path"), fields.get("offset"), fields.get("size")
        if not isinstance(path, str) or not is_safe(path) or path.partition("/")[0] in OUTSIDE:
            return True
        if path.count("/") >= self._limits.depth:
            return True
        if type(offset) is not int or type(size) is not int or not 0 <= offset <= size:
            return True
        self._room.take(len(data))
        match fields.get("how"):
            case "log" if path in GROWING:
                return self._write_log(watched, path, offset, data)
            case "whole" if "/" not in path and len(data) <= MAX_WHOLE_BYTES and path not in GROWING:
                return self._write_whole(watched, path, data)
            case "part" if offset + len(data) <= size <= MAX_PART_BYTES:
                return self._write_part(watched, path + PARTIAL, offset=offset, size=size, data=data)
        return True

    def _write_log(self, watched: Watched, path: str, offset: int, data: bytes) -> bool:
        if offset == 0:
            if self._world.files.kind(f"{watched.home}/{path}") is Kind.LINK:
                self._world.files.unlink(f"{watched.home}/{path}")
            self._world.files.write_new(f"{watched.home}/{path}", data)
            watched.logs[path] = len(data)
        elif offset == watched.logs[path]:
            self._world.files.append(f"{watched.home}/{path}", data)
            watched.logs[path] += len(data)
        return offset + len(data) <= watched.logs[path]

    def _write_whole(self, watched: Watched, path: str, data: bytes) -> bool:
        if self._is_one_more(watched, path):
            self._world.files.replace(f"{watched.home}/{path}", data)
        return True

    def _write_part(self, watched: Watched, path: str, *, offset: int, size: int, data: bytes) -> bool:
        """Write a block of a snapshot in its place."""
        files = self._world.files
        if not self._is_one_more(watched, path) or not _make_folder(files, watched.home, path):
            return True
        name = f"{watched.home}/{path}"
        fd = files.open_append(name) if files.kind(name) is Kind.FILE else files.create(name)
        try:
            length = files.size(fd)
            files.truncate(fd, max(length, offset))
            files.seek(fd, offset)
            write_all(files, fd, data)
            if length > size:
                files.truncate(fd, size)
        finally:
            files.close(fd)
        return True

    @staticmethod
    def _is_one_more(watched: Watched, path: str) -> bool:
        if len(watched.names) < MAX_PARTS:
            watched.names.add(path)
        return path in watched.names


def _make_folder(files: Files, home: str, path: str) -> bool:
    """Make the folders above a file; False where one of them is anything else."""
    parts = path.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        folder = f"{home}/{'/'.join(parts[:count])}"
        kind = files.kind(folder)
        if kind is None:
            files.make_directory(folder)
        elif kind is not Kind.DIRECTORY:
            return False
    return True


def _length(files: Files, path: str) -> int:
    return files.length(path) if files.kind(path) is Kind.FILE else 0
