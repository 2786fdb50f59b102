"""The sweep's bundle on its way to a host: the host says what it lacks, and only that travels.

A host that has the bundle already answers one call, and nothing is sent.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from hsm.compute.agent.apart import WAITING
from hsm.compute.link import CallRefused, Link
from hsm.core.bundle import Bundle, named
from hsm.core.errors import SourceError, SourceFull
from hsm.core.limits import DISK_FULL
from hsm.core.source import SweepContext
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire.bundle import BadListing
from hsm.wire.link import DONE

PACKET_BYTES = 1 << 20
PACKET_OBJECTS = 500
WINDOW = 8
"""So many packets of objects may wait for their answer at a time."""

ROUNDS = 6
"""The listing, the files; and again what somebody removed meanwhile."""

CALL_S = 300.0
MAX_PATH_LENGTH = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """A bundle that is on a host. `path` is what `{project}` means there; the counts tell what travelled."""

    path: str
    digest: str
    report: Mapping[str, Any]
    objects: int
    bytes: int


async def bundle_of(world: World, source: str, context: SweepContext) -> Bundle:
    """Return the bundle of a sweep, and keep a copy of its files at home where they are few.

    Raises:
        SourceError: it is not known, or it is none that can be sent.
    """
    tree = SweepTree(context.sweep_dir)
    try:
        bundle = await world.blocking(Bundle.of_sweep, world.files, tree, context.project)
    except BadListing as error:
        raise SourceError(source, str(error)) from error
    if bundle is None:
        hint = "start a new sweep, or go on where the files of the project are"
        raise SourceError(source, "it was not noted what the project was when the sweep began", hint=hint)
    if bundle.outside:
        pattern = f"`program: {{files: [-{named(bundle.outside[:1])}]}}`"
        hint = f"take them out: {pattern}, or put in their place what they lead to"
        raise SourceError(source, f"links lead out of the project: {named(bundle.outside)}", hint=hint)
    try:
        await world.blocking(bundle.keep, world.files)
    except OSError as error:
        reason = f"the copy of the project cannot be kept: {error.strerror}"
        raise SourceError(source, reason, hint=f"look at the disk of {tree.root}", transient=True) from error
    return bundle


async def ship(world: World, link: Link, bundle: Bundle, *, source: str, sweep_id: str) -> Shipped:
    """Make sure that a host has a bundle, whole, and return where; the link's `run` goes on elsewhere.

    Raises:
        SourceError: it cannot be sent (not transient: the project has changed), or not be stored.
    """
    shipping = _Shipping(world, link, bundle, source)
    for _ in range(ROUNDS):
        path, lacking = await shipping.assembled(sweep_id)
        if path is not None:
            return Shipped(
                path=path,
                digest=bundle.digest,
                report=bundle.report,
                objects=shipping.objects,
                bytes=shipping.bytes,
            )
        await shipping.send(lacking)
    raise SourceError(source, "its host does not keep the project's files that it is sent", transient=True)


class _Shipping:
    """One bundle on its way to one host."""

    def __init__(self, world: World, link: Link, bundle: Bundle, source: str) -> None:
        self._world = world
        self._link = link
        self._bundle = bundle
        self._source = source
        self._sizes = {sha: item.size for sha, item in bundle.files.items()}
        self._sizes[bundle.digest] = len(bundle.listing)
        self._window = asyncio.Semaphore(WINDOW)
        self.objects = 0
        self.bytes = 0

    async def assembled(self, sweep_id: str) -> tuple[str | None, list[str]]:
        """Ask for the bundle; return where it is, or else what is lacking there."""
        fields = {"digest": self._bundle.digest, "sweep": sweep_id}
        lacking: dict[str, None] = {}
        path: Any = None
        async with answering(self._source, CALL_S), self._link.stream("assemble", fields) as answers:
            async for packet in answers:
                if packet.kind == DONE:
                    path = packet.fields.get("path")
                    break
                if packet.kind == WAITING:
                    continue
                named = packet.fields.get("objects")
                if not isinstance(named, list) or not self._sizes.keys() >= set(map(str, named)):
                    raise SourceError(self._source, "its host asks for files that are not of the project")
                lacking.update(dict.fromkeys(map(str, named)))
        if path is not None:
            return self._checked(path), []
        if not lacking:
            raise SourceError(self._source, "its host has no bundle, and lacks nothing for it")
        return None, list(lacking)

    def _checked(self, path: object) -> str:
        """Return a path that the host said, if it can stand in a command."""
        is_path = isinstance(path, str) and path.startswith("/") and len(path) <= MAX_PATH_LENGTH
        if not isinstance(path, str) or not is_path or not path.isprintable():
            raise SourceError(self._source, f"its host has the bundle at no place: {path!a:.100}")
        return path

    async def send(self, lacking: Sequence[str]) -> None:
        """Send objects, several packets at a time."""
        try:
            async with asyncio.TaskGroup() as group:
                for wanted in self._groups(lacking):
                    contents = await self._contents(wanted, lacking)
                    for fields, body in packets(contents):
                        await self._window.acquire()
                        group.create_task(self._send(fields, body))
                    self.objects += len(wanted)
        except* SourceError as errors:
            raise _first(errors) from None

    def _groups(self, lacking: Sequence[str]) -> Iterator[list[str]]:
        """Yield objects that are read, and sent, together."""
        group: list[str] = []
        size = 0
        for sha256 in lacking:
            if group and (size + self._sizes[sha256] > PACKET_BYTES or len(group) >= PACKET_OBJECTS):
                yield group
                group, size = [], 0
            group.append(sha256)
            size += self._sizes[sha256]
        if group:
            yield group

    async def _contents(self, wanted: Sequence[str], lacking: Sequence[str]) -> dict[str, bytes]:
        files, bundle = self._world.files, self._bundle
        found = await self._world.blocking(bundle.contents, files, wanted)
        contents = {sha: content for sha, content in found.items() if content is not None}
        if len(contents) == len(wanted):
            return contents
        raise self._changed(await self._world.blocking(bundle.missing, files, lacking))

    def _changed(self, gone: Sequence[str]) -> SourceError:
        """Return the error that the sweep's own files cannot be had any more."""
        places, commit = self._bundle.places, self._bundle.report.get("commit")
        paths = sorted(path for sha in gone for path in places.get(sha, ()))
        is_clean = commit and not self._bundle.report.get("dirty")
        back = f"check out {str(commit)[:12]}" if is_clean else "restore them"
        return SourceError(
            self._source,
            f"the project has changed since the sweep began, and its host lacks what was in {named(paths)}",
            hint=f"{back} and go on, or start a new sweep with the project as it is",
        )

    async def _send(self, fields: Mapping[str, Any], body: bytes) -> None:
        try:
            async with answering(self._source, CALL_S):
                await self._link.call("objects", fields, body)
            self.bytes += len(body)
        finally:
            self._window.release()


@asynccontextmanager
async def answering(source: str, limit_s: float) -> AsyncIterator[None]:
    """Limit the time of a call, and tell what a refusal means.

    Raises:
        SourceError: the host did not answer in time, or has no room.
    """
    try:
        async with asyncio.timeout(limit_s):
            yield
    except TimeoutError as error:
        raise SourceError(source, f"its host did not answer in {limit_s:g} s", transient=True) from error
    except CallRefused as refused:
        if refused.errno not in DISK_FULL:
            raise
        hint = f"free some space there; `hsm source clean {source}` removes what no sweep uses"
        raise SourceFull(source, refused.reason, hint=hint) from refused


def packets(contents: Mapping[str, bytes]) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield packets of objects: several small ones in one, a large one in several."""
    parts: list[tuple[str, int, int, int]] = []
    data: list[bytes] = []
    for sha256, content in contents.items():
        for start in range(0, max(1, len(content)), PACKET_BYTES):
            piece = content[start : start + PACKET_BYTES]
            if sum(map(len, data)) + len(piece) > PACKET_BYTES:
                yield _packed(parts, data)
                parts, data = [], []
            parts.append((sha256, start, len(piece), len(content)))
            data.append(piece)
    if parts:
        yield _packed(parts, data)


def _packed(
    parts: Sequence[tuple[str, int, int, int]], data: Sequence[bytes]
) -> tuple[dict[str, Any], bytes]:
    plain = b"".join(data)
    deflated = zlib.compress(plain, 1)
    is_smaller = len(deflated) < len(plain)
    fields = {"parts": [list(part) for part in parts], "deflated": is_smaller}
    return fields, deflated if is_smaller else plain


def _first(errors: BaseExceptionGroup[SourceError]) -> SourceError:
    for error in errors.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    raise AssertionError("a group has an error")
