"""The ledger's segments as files: their names, their headers, and which of them count.

A header says which place of which segment its own goes on from (`prev`). One that goes on from nothing
begins the ledger; of several, the newest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hsm._version import __version__
from hsm.core.errors import LedgerCorrupt
from hsm.core.tree import SweepTree
from hsm.wire import frames
from hsm.wire.files import Files
from hsm.wire.log import Position, Record, decode_record

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the ledger: a segment, and a position in it between two groups."""

    segment: str = ""
    position: Position = Position()


def segments(files: Files, tree: SweepTree) -> list[Path]:
    """Return the ledger's segments in order."""
    return [Path(path) for path in files.matching(str(tree.ledger), ".hsl")]


def live_segments(files: Files, tree: SweepTree) -> list[Path]:
    """Return the segments from the newest one on that begins the ledger.

    Raises:
        LedgerCorrupt: a header is damaged.
    """
    every = segments(files, tree)
    for number in range(len(every) - 1, 0, -1):
        header = header_of(files, every[number])
        if header is not None and not header["prev"]["segment"]:
            return every[number:]
    return every


def header_of(files: Files, path: Path) -> Record | None:
    """Return the header of a segment, None where none has been written.

    Raises:
        LedgerCorrupt: it is damaged, and something stands behind it.
    """
    data = files.read(str(path), 0, 1 << 16)
    payload = frames.first_payload(data)
    header: Record = {} if payload is None else decode_record(payload)
    if header.get("t") == "header":
        return header
    if frames.holds_commit(data):
        raise LedgerCorrupt(
            f"{path}: damaged at byte 0: it does not begin with a header",
            hint="nothing has been changed; restore a copy, or see `hsm ledger verify ID`",
        )
    return None


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
