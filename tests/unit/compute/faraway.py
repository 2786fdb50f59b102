"""A host that is a folder, with a real relay in a thread, and attempts that ended there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

from hsm.compute.agent.relay import Relay, Service
from hsm.compute.agent.sending import Sending
from hsm.compute.link import Link, Reader
from hsm.compute.ssh.collecting import Collecting
from hsm.core.source import CollectionResult, Wanted
from hsm.core.world import World
from hsm.wire import manifest
from hsm.wire.files import Files

WORD = "w" * 16
LIMIT_S = 20.0


class Cut:
    """A reader that ends after so many bytes, as when the line is cut."""

    def __init__(self, reader: Reader, limit: int | None = None, flip_at: int | None = None) -> None:
        self.passed = 0
        self._reader = reader
        self._limit = limit
        self._flip_at = flip_at

    async def read(self, n: int) -> bytes:
        """Return what comes, up to the cut, one byte of it damaged."""
        left = n if self._limit is None else min(n, self._limit - self.passed)
        data = await self._reader.read(left) if left else b""
        start, self.passed = self.passed, self.passed + len(data)
        if self._flip_at is not None and start <= self._flip_at < self.passed:
            spot = self._flip_at - start
            data = data[:spot] + bytes([data[spot] ^ 1]) + data[spot + 1 :]
        return data


class Line:
    """Counts what comes over a link."""

    def __init__(self) -> None:
        self._reader: Cut | None = None

    def __call__(self, reader: Reader) -> Reader:
        self._reader = Cut(reader)
        return self._reader

    @property
    def passed(self) -> int:
        """So many bytes came."""
        return self._reader.passed if self._reader else 0


@asynccontextmanager
async def relayed(
    services: Sequence[Service], around: Callable[[Reader], Reader] = lambda reader: reader
) -> AsyncIterator[Link]:
    """Yield a link to a relay that runs in a thread, what it says read through `around`."""
    near, far = socket.socketpair()
    relay = Relay(far.fileno(), far.fileno(), services)

    def run() -> None:
        try:
            relay.run(WORD)
        finally:
            far.close()  # as when the process ends

    thread = threading.Thread(target=run)
    thread.start()
    reader, writer = await asyncio.open_connection(sock=near)
    link = Link("far", around(reader), writer)
    try:
        await link.greet(WORD)
        running = asyncio.create_task(link.run())
        try:
            yield link
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    finally:
        link.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        await asyncio.to_thread(thread.join, LIMIT_S)


class Faraway:
    """One sweep, at home and on a host."""

    def __init__(self, root: Path) -> None:
        self.world = World()
        self.home = root / "home" / "demo-1"
        self.root = root / "host"
        self.host = self.root / "sweeps" / "demo-1"
        self.home.mkdir(parents=True)
        self.host.mkdir(parents=True)

    def attempt(self, files: Mapping[str, bytes], number: int = 1, **report: object) -> Wanted:
        """Let an attempt have ended on the host, and return what is to be fetched of it."""
        directory = f".hsm/work/task_{number:04}.1-abcd"
        for path, data in files.items():
            target = self.host / directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        (self.host / directory).mkdir(parents=True, exist_ok=True)
        return self.reported(directory, **report)

    def reported(self, directory: str, **report: object) -> Wanted:
        """Write the report on what is in an attempt's directory; the fields of it may be others."""
        place = str(self.host / directory)
        files = Files()
        entries = manifest.build(files, place, manifest.find(files, place))
        said = {"artifacts": [entry._asdict() for entry in entries], **report}
        return self.said(directory, json.dumps(said).encode())

    def said(self, directory: str, report: bytes) -> Wanted:
        """Write a report word by word."""
        (self.host / directory / manifest.REPORT).write_bytes(report)
        return Wanted(
            ref=directory,
            directory=directory,
            report=sha256(report).hexdigest(),
            dest=self.home / directory,
        )

    @asynccontextmanager
    async def link(self, around: Callable[[Reader], Reader] = lambda reader: reader) -> AsyncIterator[Link]:
        """Yield a link to a relay that sends."""
        async with relayed([Sending(Files(), str(self.root))], around) as link:
            yield link

    async def fetch(
        self,
        *wanted: Wanted,
        around: Callable[[Reader], Reader] = lambda reader: reader,
        limit_s: float = LIMIT_S,
    ) -> list[CollectionResult]:
        """Bring attempts home over a link of their own."""
        async with asyncio.timeout(limit_s), self.link(around) as link:
            results = await Collecting(self.world, link, self.home).fetch(wanted)
        return [results[one.ref] for one in wanted]

    def fault(self, wanted: Wanted) -> manifest.Mismatch | None:
        """Return what is wrong with what is at home."""
        found = manifest.verify(Files(), str(wanted.dest), wanted.report or "")
        return found if isinstance(found, manifest.Mismatch) else None

    def names(self, wanted: Wanted) -> set[str]:
        """Return the files of an attempt that are at home."""
        found = (path for path in wanted.dest.rglob("*") if not path.is_dir())
        return {path.relative_to(wanted.dest).as_posix() for path in found}
