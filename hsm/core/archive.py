"""The archive: segments that no start of the engine needs any more, packed, and kept for looking back.

    .hsm/archive/<segment>.gz    what `zcat` shows is the segment, byte for byte
    .hsm/archive/PRUNED          where the ledger that is left begins, once somebody has pruned it

A segment is unlinked only when its packed copy is durable and has been read back; one that is there twice is
read where it was. Nothing is ever deleted here but by `prune`, which somebody has to ask for.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

from hsm.core.errors import LedgerPruned, SweepError
from hsm.core.segments import (
    PACKED,
    Mark,
    header_of,
    is_on_ledger,
    live_segments,
    name_of,
    unpack,
)
from hsm.core.snapshots import Head, SnapshotInvalid, check_rows, kept, read_head
from hsm.core.tree import SweepTree
from hsm.wire.files import Files

PRUNED = "PRUNED"


def archive_before(files: Files, tree: SweepTree, mark: Mark) -> list[Path]:
    """Move every segment that lies wholly before a mark to the archive, and return where they are now.

    Raises:
        OSError: the archive cannot be written; every segment is where it was or in the archive.
    """
    moved = []
    for path in live_segments(files, tree):
        if path.suffix == PACKED or name_of(path) >= mark.segment:
            continue
        files.make_directories(str(tree.archive))
        moved.append(_pack(files, path, tree.archive / f"{path.name}{PACKED}"))
    if moved:
        files.sync_directory(str(tree.ledger))
    return moved


def _pack(files: Files, path: Path, target: Path) -> Path:
    data = files.contents(str(path))
    part = f"{target}.part"
    files.write_new(part, gzip.compress(data, 1, mtime=0))
    files.sync_file(part)
    if unpack(files.contents(part)) != data:
        raise OSError(5, "it does not read as it was written", part)
    files.rename(part, str(target))
    files.sync_directory(str(target.parent))
    files.unlink(str(path))
    return target


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """What can be pruned: archived segments before a snapshot. `seq` is the first record that stays."""

    segments: tuple[Path, ...]
    bytes: int
    seq: int
    snapshot: str


def plan_prune(files: Files, tree: SweepTree) -> Prune:
    """Return what a prune would delete: all that is archived, which the two newest snapshots do without.

    Raises:
        SweepError: nothing can be pruned, and why.
    """
    archived = tuple(path for path in live_segments(files, tree) if path.suffix == PACKED)
    if not archived:
        raise SweepError(
            "nothing is archived yet", hint="segments are archived by themselves, when a sweep has grown"
        )
    head = _soundest(files, tree, archived[-1])
    following = [path for path in live_segments(files, tree) if path.suffix != PACKED]
    header = header_of(files, following[0]) if following else None
    if header is None:
        raise SweepError(f"{tree.ledger}: no segment follows those that are archived")
    size = sum(files.length(str(path)) for path in archived)
    name = Path(head).name
    return Prune(segments=archived, bytes=size, seq=header["prev"]["seq"], snapshot=name)


def _soundest(files: Files, tree: SweepTree, last: Path) -> str:
    """Return the newest snapshot that does without all segments up to `last`, after reading all of it."""
    for path in kept(files, tree):
        try:
            head: Head = read_head(files, path)
            check_rows(files, tree, head)
        except SnapshotInvalid:
            continue
        if head.mark.segment > name_of(last) and is_on_ledger(files, tree, head.mark):
            return path
    raise SweepError(
        "no snapshot is sound that does without the archive; nothing has been deleted",
        hint="`hsm ledger verify ID` tells what is wrong",
    )


def prune(files: Files, tree: SweepTree, found: Prune) -> None:
    """Delete what `plan_prune` found. Durable before the first segment goes: where the ledger begins now.

    Raises:
        OSError: it cannot be done; asking again goes on where this ended.
    """
    content = {"seq": found.seq, "snapshot": found.snapshot}
    files.replace(str(tree.archive / PRUNED), json.dumps(content).encode() + b"\n", durable=True)
    for path in found.segments:
        files.unlink(str(path))
    files.sync_directory(str(tree.archive))


def pruned_before(files: Files, tree: SweepTree) -> int:
    """Return the first record that a prune has left, 0 where nothing was pruned."""
    data = files.read(str(tree.archive / PRUNED), 0)
    try:
        return int(json.loads(data)["seq"]) if data else 0
    except (ValueError, KeyError, TypeError):
        return 0


def check_unpruned(files: Files, tree: SweepTree) -> None:
    """Refuse to look back over what has been pruned.

    Raises:
        LedgerPruned: the beginning of the ledger is gone.
    """
    seq = pruned_before(files, tree)
    if seq:
        raise LedgerPruned(
            f"{tree.ledger}: what happened before record {seq} was pruned",
            hint="the state of every task is still there: `hsm sweep status ID`, `hsm results ID`",
        )
