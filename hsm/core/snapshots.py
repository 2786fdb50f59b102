"""Snapshots: the state of a tracker at a stamped place of the ledger, so that only what came since is folded.

    .hsm/summary.json                 the newest one, for looking: written often, not synced
    .hsm/snap/<seq>-<chain>.json      those that a sweep is taken up again from: synced and read back
    .hsm/snap/rows/<hash>             the rows of 4,096 final tasks, named after their bytes

A snapshot names its rows, and rows that have not changed are the file that is already there: it costs what
has changed since the last. It follows from ledger and plans: one that is missing, damaged, of another ledger
or of a format that cannot be understood costs time only.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from hsm.core import events as ev
from hsm.core.errors import LedgerError
from hsm.core.model import Task
from hsm.core.packed import FIELDS, pack, repack, unpack
from hsm.core.plan import load_plan
from hsm.core.segments import Mark
from hsm.core.states import TaskStatus
from hsm.core.table import Chunk, Row, TaskTable
from hsm.core.tallies import Best, FailureGroup, Generation, SourceState
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.wire.files import Files
from hsm.wire.log import Position, Record

VERSION = 4
_SCALARS = (
    "hunt_ended",
    "ended_because",
    "stopped",
    "cancelled",
    "epoch",
    "first_at",
    "last_at",
    "retries",
    "hindrance",
    "diverged",
)
_EVENTS = ("created", "engine", "last", "sealed", "verified")
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_SEAL = b',"sha256":"'
_SEAL_BYTES = len(_SEAL) + 64 + len(b'"}')


class SnapshotInvalid(Exception):
    """A snapshot that cannot be used, and why. The ledger holds all that it would have said."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """A tracker at one moment; tasks are immutable, so naming them is enough."""

    content: Mapping[str, Any]
    chunks: Sequence[Chunk]
    open: Sequence[Task]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Head:
    """What a snapshot says, without its rows."""

    content: Mapping[str, Any]
    mark: Mark

    @property
    def chunks(self) -> Sequence[str]:
        """The names of its rows."""
        return self.content["chunks"]  # type: ignore[no-any-return]


def freeze(tracker: SweepTracker, mark: Mark) -> Frozen:
    """Take what a snapshot needs, quickly; `save` and `keep` may then write it in another thread."""
    content = {
        **{name: getattr(tracker, name) for name in _SCALARS},
        "generations": [_copied(generation) for generation in tracker.generations],
        "sources": {name: _copied(source) for name, source in tracker.sources.items()},
        "failures": [_copied(group) for group in tracker.failures.values()],
        "counts": dict(tracker.counts),
        "outcomes": dict(tracker.outcomes),
        "cursors": dict(tracker.cursors),
        "improvements": [_copied(best) for best in tracker.improvements],
        "endings": list(tracker.endings),
        "snapshots": list(tracker.snapshots),
        "strays": tracker.strays(),
        "projected": True,
        **{name: _record_of(getattr(tracker, name)) for name in _EVENTS},
    }
    return Frozen(content, tracker.tasks.chunks(), tracker.tasks.open_tasks(), mark)


def _copied(tally: Generation | SourceState | FailureGroup | Best) -> dict[str, Any]:
    """Return what a tally says now, as a mapping."""
    said = {name: getattr(tally, name) for name in tally.__slots__}
    return {name: list(value) if type(value) is list else value for name, value in said.items()}


def _record_of(event: ev.Event | None) -> Record | None:
    return None if event is None else ev.to_record(event)


def snapshot_name(mark: Mark) -> str:
    """Return the name of the durable snapshot at a mark."""
    return f"{mark.position.seq:012d}-{mark.position.chain.hex()[:16]}.json"


def save(files: Files, tree: SweepTree, frozen: Frozen) -> None:
    """Write the summary: for looking, and not synced.

    Raises:
        OSError: it cannot be written; the one before is in its place.
    """
    text = _text(files, tree, frozen)
    files.replace(str(tree.summary), text)
    clean(files, tree)


def keep(files: Files, tree: SweepTree, frozen: Frozen) -> str:
    """Write a durable snapshot, read it back, and return its name.

    What had been ordered in `tasks/` by then has been written, so that the next engine need not look at it.

    Raises:
        OSError, SnapshotInvalid: it cannot be written, or does not read as it was written.
    """
    text, path = _text(files, tree, frozen), str(tree.snapshots / snapshot_name(frozen.mark))
    part = f"{path}.part"
    files.write_new(part, text)
    files.sync_filesystem(str(tree.snapshots))
    files.sync_directory(str(tree.snapshots / "rows"))
    try:
        check_rows(files, tree, read_head(files, part))
    except SnapshotInvalid:
        files.remove(part)
        raise
    files.rename(part, path)
    files.sync_directory(str(tree.snapshots))
    return path.rpartition("/")[2]


def _text(files: Files, tree: SweepTree, frozen: Frozen) -> bytes:
    """Write the rows that are not there yet, and return the text of the head."""
    rows = tree.snapshots / "rows"
    files.make_directories(str(rows))
    for chunk in frozen.chunks:
        if not chunk.name or not files.is_file(str(rows / chunk.name)):
            data = zlib.compress(b"\n".join(row or b"" for row in chunk.rows), 1)
            chunk.name = sha256(data).hexdigest()
            files.replace(str(rows / chunk.name), data)
    offset, seq, chain = frozen.mark.position
    content = {
        "version": VERSION,
        "stamp": {"segment": frozen.mark.segment, "offset": offset, "seq": seq, "chain": chain.hex()},
        "fields": FIELDS,
        **frozen.content,
        "chunks": [chunk.name for chunk in frozen.chunks],
        "open": [[task.index, pack(task).decode("ascii")] for task in frozen.open],
    }
    text = _encode(content).encode()
    return _sealed(text)


def _sealed(text: bytes) -> bytes:
    """Return the text of an object with one more field, the hash of all others."""
    return text[:-1] + _SEAL + sha256(text).hexdigest().encode() + b'"}'


def read_head(files: Files, path: str) -> Head:
    """Return a snapshot's head.

    Raises:
        SnapshotInvalid: it is missing, damaged or cannot be understood.
    """
    return _head(path, files.read(path, 0))


def _head(path: str, data: bytes) -> Head:
    text = data[:-_SEAL_BYTES] + b"}"
    if data != _sealed(text):
        raise SnapshotInvalid(f"{path}: damaged")
    content = json.loads(text)
    if content.get("version") != VERSION:
        raise SnapshotInvalid(f"{path}: of version {content.get('version')}; this HSM reads {VERSION}")
    stamp = content["stamp"]
    position = Position(stamp["offset"], stamp["seq"], bytes.fromhex(stamp["chain"]))
    return Head(content, Mark(stamp["segment"], position))


@lru_cache(maxsize=16)
def _chunks_named(path: str, data: bytes) -> Sequence[str]:
    """Return the rows that a snapshot names; the durable ones are looked at again after every summary."""
    return _head(path, data).chunks


def kept(files: Files, tree: SweepTree) -> list[str]:
    """Return the paths of the durable snapshots, the newest first."""
    return files.matching(str(tree.snapshots), ".json")[::-1]


def clean(files: Files, tree: SweepTree) -> None:
    """Remove rows that no snapshot names, and what a writer that died has left."""
    rows = str(tree.snapshots / "rows")
    named: set[str] = set()
    for path in [str(tree.summary), *kept(files, tree)]:
        try:
            named.update(_chunks_named(path, files.read(path, 0)))
        except SnapshotInvalid:
            continue
    for name in files.list(rows):
        if name not in named:
            files.remove(f"{rows}/{name}")


def drop_old(files: Files, tree: SweepTree, names: Sequence[str]) -> None:
    """Remove durable snapshots older than those of these names."""
    for path in kept(files, tree):
        if names and Path(path).name < min(names):
            files.remove(path)


def _rows_text(files: Files, tree: SweepTree, name: str) -> bytes:
    data = files.read(str(tree.snapshots / "rows" / name), 0)
    if sha256(data).hexdigest() != name:
        raise SnapshotInvalid(f"{tree.snapshots / 'rows' / name}: missing or damaged")
    return zlib.decompress(data)


def check_rows(files: Files, tree: SweepTree, head: Head) -> None:
    """Read every byte of a snapshot's rows.

    Raises:
        SnapshotInvalid: some are missing or damaged.
    """
    for name in head.chunks:
        _rows_text(files, tree, name)


def restore(files: Files, tree: SweepTree, tracker: SweepTracker, head: Head) -> None:
    """Put an empty tracker where the snapshot was taken.

    Raises:
        SnapshotInvalid: something that it names is missing or damaged.
    """
    try:
        table = _table(files, tree, head)
        _restore(tracker, head.content)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, LedgerError) as error:
        raise SnapshotInvalid(f"the snapshot at {head.mark.position.seq}: {error}") from error
    tracker.adopt(table, head.content.get("strays", ()))


def _table(files: Files, tree: SweepTree, head: Head) -> TaskTable:
    table, content = TaskTable(), head.content
    for record in content["generations"]:
        plan = load_plan(files, tree.plans, record["plan"], generation=record["number"])
        table.add(plan, generation=record["number"])
    rows: list[list[Row]] = [
        [row or None for row in _rows_text(files, tree, name).split(b"\n")] for name in head.chunks
    ]
    is_current = _as_lists(content["fields"]) == _as_lists(FIELDS)
    if not is_current:
        flat = enumerate((row for chunk in rows for row in chunk), 1)
        rows = [[row and repack(row, content["fields"], table.planned(index)) for index, row in flat]]
    tasks = []
    for index, text in content["open"]:
        planned, row = table.planned(index), text.encode("ascii")
        tasks.append(unpack(row if is_current else repack(row, content["fields"], planned), planned))
    is_projected = is_current and content.get("projected", False)
    table.restore(rows, head.chunks if is_projected else (), tasks)
    return table


def _as_lists(written: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {name: list(names) for name, names in written.items()}


def _restore(tracker: SweepTracker, content: Mapping[str, Any]) -> None:
    for name in _SCALARS:
        setattr(tracker, name, content[name])
    tracker.generations = [Generation(**record) for record in content["generations"]]
    tracker.sources = {name: SourceState(**record) for name, record in content["sources"].items()}
    for record in content["failures"]:
        group = FailureGroup(**record)
        tracker.failures[group.cause, group.signature] = group
    tracker.cursors = dict(content["cursors"])
    tracker.improvements = [Best(**record) for record in content["improvements"]]
    tracker.endings.extend(content["endings"])
    tracker.snapshots = list(content["snapshots"])
    for name in ("counts", "outcomes"):
        getattr(tracker, name).update({TaskStatus(word): count for word, count in content[name].items()})
    for name in _EVENTS:
        record = content[name]
        setattr(tracker, name, record and ev.from_record(record))
