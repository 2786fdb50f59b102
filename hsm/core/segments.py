"""The ledger's segments as files: their names, their headers, and which of them count.

A header says which place of which segment its own goes on from (`prev`); what lies between the two does not
count. One that goes on from nothing begins the ledger; of several, the newest. Old ones lie packed in the
archive (`hsm.core.archive`), and are read there like all others.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hsm._version import __version__
from hsm.core.errors import LedgerCorrupt
from hsm.core.tree import SweepTree
from hsm.wire import frames
from hsm.wire.files import Files
from hsm.wire.log import Position, Record, decode_record

FORMAT = 1
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the ledger: a segment, and a position in it between two groups."""

    segment: str = ""
    position: Position = Position()


PACKED = ".gz"
"""What the name of an archived segment ends with."""


class Unpacked(Files):
    """An archived segment, read as if it lay there as it was. What is damaged ends where it can be read."""

    def __init__(self, files: Files, path: Path) -> None:
        self._data = unpack(files.read(str(path), 0))

    def read(self, path: str, offset: int, limit: int = -1) -> bytes:
        """Return the bytes from `offset` on, at most `limit`."""
        return self._data[offset:] if limit < 0 else self._data[offset : offset + limit]

    def length(self, path: str) -> int:
        """Return its length in bytes."""
        return len(self._data)


def unpack(data: bytes) -> bytes:
    """Return what gzip packed, as far as it can be read."""
    gunzip, parts = zlib.decompressobj(wbits=31), list[bytes]()
    for start in range(0, len(data), BLOCK_BYTES):
        try:
            parts.append(gunzip.decompress(data[start : start + BLOCK_BYTES]))
        except zlib.error:
            break
    return b"".join(parts)


def opened(files: Files, path: Path) -> Files:
    """Return what reads a segment, wherever it lies."""
    return Unpacked(files, path) if path.suffix == PACKED else files


def name_of(path: Path) -> str:
    """Return the name of a segment, wherever it lies."""
    return path.name.removesuffix(PACKED)


def segments(files: Files, tree: SweepTree) -> list[Path]:
    """Return the ledger's segments in order, archived ones too."""
    found = _located(files, tree)
    return [Path(found[name]) for name in sorted(found)]


def _located(files: Files, tree: SweepTree) -> dict[str, str]:
    """Return where each segment lies, by its name; plain strings, for there may be very many."""
    archived = files.matching(str(tree.archive), f".hsl{PACKED}")
    found = {os.path.basename(path).removesuffix(PACKED): path for path in archived}
    return found | {os.path.basename(path): path for path in files.matching(str(tree.ledger), ".hsl")}


def newest_name(files: Files, tree: SweepTree) -> str:
    """Return the name of the last segment, empty without any."""
    lasts = [
        *files.matching(str(tree.ledger), ".hsl")[-1:],
        *files.matching(str(tree.archive), ".hsl.gz")[-1:],
    ]
    return max((os.path.basename(path).removesuffix(PACKED) for path in lasts), default="")


Headers = dict[str, Record]
"""Headers by the names of their segments: one that is whole never changes."""


def live_segments(files: Files, tree: SweepTree, known: Headers | None = None) -> list[Path]:
    """Return the segments that count, in order: each goes on from the one before it.

    One that a later one skips holds nothing that counts: its engine was superseded, or recorded nothing. The
    first goes on from nothing, or from what was pruned.

    Raises:
        LedgerCorrupt: a header is damaged.
    """
    headers: Headers = {} if known is None else known
    found = _located(files, tree)
    live: list[str] = []
    prev: str | None = None
    for name in sorted(found, reverse=True):
        if prev is not None and name > prev:
            continue
        header = headers.get(name) or header_of(files, Path(found[name]))
        if header is not None:
            headers[name] = header
            live.append(found[name])
            prev = header["prev"]["segment"]
    return [_path(path) for path in reversed(live)]


_path = lru_cache(maxsize=4096)(Path)


def find_segment(files: Files, tree: SweepTree, name: str) -> Path:
    """Return where a segment lies, in the ledger where it lies nowhere."""
    path, archived = tree.ledger / name, tree.archive / f"{name}{PACKED}"
    return archived if not files.is_file(str(path)) and files.is_file(str(archived)) else path


def is_on_ledger(files: Files, tree: SweepTree, mark: Mark) -> bool:
    """Tell whether a mark stands between two groups that count.

    Raises:
        LedgerCorrupt: a header is damaged.
    """
    live = live_segments(files, tree)
    at = next((number for number, path in enumerate(live) if name_of(path) == mark.segment), None)
    if at is None:
        return False
    following = header_of(files, live[at + 1]) if live[at + 1 :] else None
    if following is not None and following["prev"]["length"] < mark.position.offset:
        return False  # a superseded engine had gone on
    source, offset = opened(files, live[at]), mark.position.offset
    start = max(0, offset - MAX_COMMIT_BYTES)
    before = source.read(str(live[at]), start, offset - start)
    return frames.ends_with_commit(before, mark.position.seq, mark.position.chain)


MAX_COMMIT_BYTES = 256


def header_of(files: Files, path: Path) -> Record | None:
    """Return the header of a segment, None where its first group is not whole: it holds nothing.

    Raises:
        LedgerCorrupt: it is damaged, and something stands behind it.
    """
    return _beginning(files, path)[0]


def first_group(files: Files, path: Path) -> list[bytes]:
    """Return the records of a segment's first group, none where it is not whole.

    They are its header, and those that it says again of the segment before.

    Raises:
        LedgerCorrupt: it is damaged, and something stands behind it.
    """
    return _beginning(files, path)[1]


def _beginning(files: Files, path: Path) -> tuple[Record | None, list[bytes]]:
    """Return the header and the records of the first group, none where that is not whole."""
    data = files.read(str(path), 0, 1 << 16)
    data = unpack(data) if path.suffix == PACKED else data
    payload = frames.first_payload(data)
    header: Record = {} if payload is None else decode_record(payload)
    seq = frames.first_seq(data)  # also of a header that is spoilt behind it
    if header.get("t") == "header":
        seq, chain = header["prev"]["seq"], bytes.fromhex(header["prev"]["chain"])
        payloads = frames.first_group(data, seq, chain)
        if not payloads and len(data) >= 1 << 16:
            data = opened(files, path).read(str(path), 0)
            payloads = frames.first_group(data, seq, chain)
        if payloads:
            return header, payloads
    if frames.holds_commit(data) and not frames.is_torn(opened(files, path).read(str(path), 0), 0, seq):
        raise LedgerCorrupt(
            f"{path}: damaged at byte 0: it does not begin with a header",
            hint="nothing has been changed; restore a copy, or see `hsm ledger verify ID`",
        )
    return None, []


def holds_findings(files: Files, path: Path) -> bool:
    """Tell whether a segment is of a verification: what it found stands right behind the header."""
    return b'{"t":"artifacts_' in opened(files, path).read(str(path), 0, 1 << 12)


def segment_path(tree: SweepTree, epoch: int, number: int) -> Path:
    """Return where a segment is."""
    return tree.ledger / f"{epoch:06d}-{number:04d}.hsl"


def new_header(tree: SweepTree, epoch: int, number: int, mark: Mark) -> Record:
    """Return the first record of a segment that goes on at `mark`; at no mark, it begins the ledger."""
    offset, seq, chain = mark.position
    return {
        "t": "header",
        "format": FORMAT,
        "min_reader": FORMAT,
        "writer": f"hsm {__version__}",
        "sweep_id": tree.sweep_id,
        "epoch": epoch,
        "number": number,
        "prev": {"segment": mark.segment, "length": offset, "seq": seq, "chain": chain.hex()},
    }
