"""Zombies: what engines that had been superseded wrote behind the place where their segment counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hsm.core.segments import header_of, live_segments
from hsm.core.tree import SweepTree
from hsm.wire.files import Files
from hsm.wire.log import LogReader, Position


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
    for name in list(paths):
        header = header_of(files, tree.ledger / name)
        prev = header["prev"] if header else {"segment": ""}
        if prev["segment"] in paths:
            tail = _tail(files, paths[prev["segment"]], prev)
            if tail is not None:
                yield tail


def _tail(files: Files, path: str, prev: dict[str, object]) -> ZombieTail | None:
    """Return the whole groups behind a place; a torn end that a dead writer left is none."""
    name, offset, seq = str(prev["segment"]), int(str(prev["length"])), int(str(prev["seq"]))
    reader = LogReader(files, path, Position(offset, seq, bytes.fromhex(str(prev["chain"]))))
    intents = [record for record in reader.records() if record.get("t") == "attempt_intended"]
    length = reader.position.offset - offset
    tokens = tuple(str(intent["token"]) for intent in intents)
    return ZombieTail(segment=name, offset=offset, bytes=length, tokens=tokens) if length else None


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
