"""Zombies: what engines that had been superseded wrote behind the place where their segment counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hsm.core.segments import header_of, live_segments
from hsm.core.tree import SweepTree
from hsm.wire.files import Files
from hsm.wire.log import LogReader, Position, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class ZombieTail:
    """The bytes behind byte `offset` of a segment, and the tokens of the attempts that are intended there."""

    segment: str
    offset: int
    bytes: int
    tokens: tuple[str, ...]


def zombie_tails(files: Files, tree: SweepTree) -> Iterator[ZombieTail]:
    """Yield what stands behind the end of each segment that another one goes on from.

    Raises:
        LedgerCorrupt: a header is damaged.
    """
    paths = {path.name: str(path) for path in live_segments(files, tree)}
    for name, path in paths.items():
        header = header_of(files, tree.ledger / name)
        prev: Record = header["prev"] if header else {"segment": ""}
        if prev["segment"] in paths and _epoch_of(prev["segment"]) != _epoch_of(name):
            place = Position(prev["length"], prev["seq"], bytes.fromhex(prev["chain"]))
            again = _said_again(files, path, place)
            tail = _tail(files, paths[prev["segment"]], place, again)
            if tail is not None:
                yield tail


def _epoch_of(segment: str) -> str:
    return segment.partition("-")[0]


def _said_again(files: Files, path: str, place: Position) -> list[Record]:
    """Return what stands beside the header of a segment: the group of its predecessor that was in doubt."""
    first = next(LogReader(files, path, place._replace(offset=0)).groups(), [])
    return first[1:]


def _tail(files: Files, path: str, place: Position, again: list[Record]) -> ZombieTail | None:
    """Return the whole groups behind a place; neither a torn end nor what was said again is any."""
    reader = LogReader(files, path, place)
    records = list(reader.records())
    records = records[len(again) :] if again and records[: len(again)] == again else records
    if not records:
        return None
    return ZombieTail(
        segment=Path(path).name,
        offset=place.offset,
        bytes=reader.position.offset - place.offset,
        tokens=tuple(str(record["token"]) for record in records if record.get("t") == "attempt_intended"),
    )


def keep(files: Files, tree: SweepTree, tail: ZombieTail) -> bool:
    """Copy a tail to `.hsm/torn`; False when that has been done before."""
    torn = f"{tree.hsm}/torn"
    path = f"{torn}/{tail.segment}.{tail.offset}.zombie"
    if files.exists(path) and files.length(path) >= tail.bytes:
        return False
    files.make_directories(torn)
    content = files.read(str(tree.ledger / tail.segment), tail.offset, tail.bytes)
    files.replace(path, content, durable=True)
    return True
