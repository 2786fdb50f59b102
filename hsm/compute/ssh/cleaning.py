"""Asking a host to remove what HSM made there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hsm.compute.agent.apart import WAITING
from hsm.compute.link import Link
from hsm.compute.ssh.bundles import answering
from hsm.core.errors import SourceError
from hsm.core.source import CleaningWish, Remnant
from hsm.wire.link import DONE

MAX_REMNANTS = 100_000
CLEAN_S = 600.0
OVER_S = 120.0


async def clean(link: Link, source: str, wish: CleaningWish) -> list[Remnant]:
    """Remove what a wish names, and return what went and what stayed.

    Raises:
        SourceError: the directory is not HSM's, or an agent runs.
    """
    fields = {
        "sweep": wish.sweep,
        "all": wish.is_all,
        "force": wish.is_forced,
        "dry_run": wish.is_dry,
    }
    return await _asked(link, source, "clean", fields, CLEAN_S)


async def clean_after(
    link: Link, source: str, sweep_id: str, *, keeps_checkpoints: bool = False
) -> list[Remnant]:
    """Remove what a source of a sweep left on its host, once all of it is home.

    What an agent still uses stays, and is told; so do checkpoints that are to be kept.

    Raises:
        SourceError: it cannot be done.
    """
    fields = {"sweep": sweep_id, "source": source, "keep_checkpoints": keeps_checkpoints}
    return await _asked(link, source, "over", fields, OVER_S)


async def _asked(
    link: Link, source: str, kind: str, fields: Mapping[str, Any], limit_s: float
) -> list[Remnant]:
    found: list[Remnant] = []
    async with answering(source, limit_s), link.stream(kind, fields) as answers:
        async for packet in answers:
            if packet.kind == DONE:
                break
            if packet.kind == WAITING:
                continue
            found.append(_remnant(source, packet.fields))
            if len(found) > MAX_REMNANTS:
                raise SourceError(source, "its host tells of too many things that it removed")
    return found


def _remnant(source: str, fields: Mapping[str, Any]) -> Remnant:
    path, files, size = fields.get("path"), fields.get("files"), fields.get("bytes")
    if not isinstance(path, str) or type(files) is not int or type(size) is not int:
        raise SourceError(source, "its host tells of something removed that has no name or size")
    reason = fields.get("reason", "")
    return Remnant(path=path[:1000], files=files, bytes=size, kept_because=str(reason)[:200])
