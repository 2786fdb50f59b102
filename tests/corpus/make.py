"""Write the corpus of this version: `python -m tests.corpus.make`. It is made once a release, and kept.

Each directory below `tests/corpus/<version>/` is the `.hsm` of a sweep; `golden.json` says what comes of it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from hsm._version import __version__
from hsm.core import events as ev
from hsm.core import ledger
from hsm.core.archive import archive_before
from hsm.core.model import Exit, Proposal
from hsm.core.plan import write_plan
from hsm.core.salvage import salvage
from hsm.core.segments import segments
from hsm.core.snapshots import freeze, keep
from hsm.core.spec import SweepSpec
from hsm.core.states import Cause, SweepStatus
from hsm.core.storage import create_tree
from hsm.core.tree import SweepTree
from hsm.wire import frames
from hsm.wire.files import Files
from tests.corpus.reading import GRID, HUNT, PLACE, read, spec_of
from tests.unit.core.stories import Story
from tests.unit.core.worlds import SWEEP_ID, Process, open_ledger

FILES = Files()
Events = Sequence[ev.Event]


async def _commit(tree: SweepTree, spec: SweepSpec, groups: Sequence[Events]) -> None:
    """Be an engine that commits these groups and is killed."""
    world = Process()
    tracker, book = open_ledger(world, tree, spec)
    for group in groups:
        for event in group:
            tracker.fold(event)
        await book.commit(group)
    book.close()
    world.close()
    world.die()


def write(tree: SweepTree, spec: SweepSpec, *engines: Sequence[Events]) -> None:
    for groups in engines:
        asyncio.run(_commit(tree, spec, groups))


def begun(epoch: int) -> ev.EngineStarted:
    return ev.EngineStarted(epoch=epoch, host="h", pid=1, version=__version__, at=1.0)


def stopped(epoch: int, status: SweepStatus) -> ev.EngineStopped:
    return ev.EngineStopped(epoch=epoch, status=status, at=9.0)


def planned(tree: SweepTree, params: Sequence[int]) -> ev.GenerationPlanned:
    proposals = [Proposal(params={"k": k}) for k in params]
    name, count = write_plan(FILES, tree.plans, proposals, "program")
    return ev.GenerationPlanned(generation=1, plan=name, first=1, count=count, at=2.0)


def attempt(task: int, number: int, end: type | None) -> list[ev.Event]:
    """Return the events of an attempt that is sealed, fails, is lost, or still runs."""
    at = 3.0 + task
    who: dict[str, Any] = {"task": task, "attempt": number}
    token = f"{task:016x}{number:016x}"
    told: list[ev.Event] = [
        ev.AttemptIntended(**who, token=token, source="local", at=at),
        ev.AttemptStarted(**who, at=at + 0.1),
    ]
    if end is ev.AttemptLost:
        return [*told, ev.AttemptLost(**who, cause=Cause.LOST, reason="it vanished", at=at + 0.3)]
    if end is None:
        return told
    cause = None if end is ev.AttemptSealed else Cause.APPLICATION
    told.append(
        ev.AttemptExited(
            **who,
            exit=Exit(code=0 if cause is None else 1, wall_s=0.25, max_rss_bytes=9_000_000),
            manifest="ab" * 32,
            cause=cause,
            started_at=at + 0.1,
            at=at + 0.3,
        )
    )
    if cause is None:
        return [*told, ev.AttemptSealed(**who, metrics={"f": task / 8}, files=2, bytes=70, at=at + 0.5)]
    failed = ev.AttemptFailed(**who, cause=cause, reason="exit code 1", signature="Error: #", at=at + 0.5)
    return [*told, failed]


def clean_grid(tree: SweepTree) -> None:
    """Six tasks, all sealed, and an engine that let go."""
    runs = [attempt(task, 1, ev.AttemptSealed) for task in range(1, 7)]
    end: Events = [ev.HuntEnded(generation=1, at=8.0), stopped(1, SweepStatus.COMPLETE)]
    write(tree, GRID, [[begun(1), planned(tree, range(6))], *runs, end])


def mid_hunt(tree: SweepTree) -> None:
    """Several engines, generations and kinds of ends, killed in the middle."""
    events = Story(Random(17), tree, HUNT).tell(140)
    cut = len(events) // 2
    groups = [events[at : at + 3] for at in range(0, len(events), 3)]
    write(tree, HUNT, groups[: cut // 3], groups[cut // 3 :])


def cancelled_retried_reused(tree: SweepTree) -> None:
    """One of each: retried after a loss, failed and reopened, cancelled while it ran, the work of another."""
    reused = ev.TaskReused(task=5, of=1)
    first: list[Events] = [
        [begun(1), planned(tree, [1, 2, 3, 4, 1]), reused],
        attempt(1, 1, ev.AttemptLost),
        attempt(1, 2, ev.AttemptSealed),
        attempt(2, 1, ev.AttemptFailed),
        attempt(3, 1, None),
        [ev.CancelRequested(tasks=(3,), at=7.0), ev.AttemptCancelled(task=3, attempt=1, at=7.5)],
        [stopped(1, SweepStatus.PARTIAL)],
    ]
    second: list[Events] = [
        [begun(2), ev.TasksReopened(tasks=(2,), at=10.0)],
        attempt(2, 2, ev.AttemptSealed),
        [ev.CancelRequested(at=11.0), stopped(2, SweepStatus.CANCELLED)],
    ]
    write(tree, GRID, first, second)


def torn_tail(tree: SweepTree) -> None:
    """A writer died in the middle of a group."""
    clean_grid(tree)
    path = segments(FILES, tree)[-1]
    path.write_bytes(path.read_bytes()[:-70])


def zombie_tail(tree: SweepTree) -> None:
    """A superseded engine went on writing where its successor had cut."""
    clean_grid(tree)
    path = segments(FILES, tree)[0]
    write(tree, GRID, [[begun(2), stopped(2, SweepStatus.COMPLETE)]])
    group, _, _ = frames.encode_group(99, frames.GENESIS, [b'{"t":"cancel_requested","at":9.0}'])
    path.write_bytes(path.read_bytes() + group)


def corrupt_middle(tree: SweepTree) -> None:
    """A bit flipped in a record that was acknowledged."""
    clean_grid(tree)
    path = segments(FILES, tree)[0]
    data = bytearray(path.read_bytes())
    data[data.index(b'"attempt_sealed","task":3')] ^= 1
    path.write_bytes(data)


def salvaged(tree: SweepTree) -> None:
    """What could be read of a damaged ledger became a new one; another engine went on."""
    corrupt_middle(tree)
    salvage(Process(), tree, GRID)
    write(tree, GRID, [[begun(3)], [stopped(3, SweepStatus.PARTIAL)]])


def snapshot_and_archive(tree: SweepTree) -> None:
    """Two snapshots, and the segments before the older one packed away."""
    asyncio.run(_grown(tree))


async def _grown(tree: SweepTree) -> None:
    events = Story(Random(23), tree, HUNT).tell(200)
    world = Process()
    tracker, book = open_ledger(world, tree, HUNT)
    marks = []
    for count, event in enumerate(events, 1):
        tracker.fold(event)
        await book.commit([event])
        if count in (len(events) // 2, len(events) * 3 // 4):
            marks.append(book.mark)
            name = keep(FILES, tree, freeze(tracker, book.mark))
            taken = ev.SnapshotTaken(snapshot=name, seq=book.mark.position.seq, at=5.0)
            tracker.fold(taken)
            await book.commit([taken])
    archive_before(FILES, tree, marks[0])
    book.close()
    world.close()
    world.die()


SWEEPS: Sequence[Callable[[SweepTree], None]] = (
    clean_grid,
    mid_hunt,
    cancelled_retried_reused,
    torn_tail,
    zombie_tail,
    corrupt_middle,
    salvaged,
    snapshot_and_archive,
)


def main() -> None:
    """Write the corpus anew."""
    ledger.SEGMENT_BYTES = 4000
    target = PLACE / __version__
    shutil.rmtree(target, ignore_errors=True)
    golden = {}
    for make in SWEEPS:
        with tempfile.TemporaryDirectory() as folder:
            tree = SweepTree(Path(folder) / SWEEP_ID)
            create_tree(FILES, tree)
            make(tree)
            golden[make.__name__] = read(tree, spec_of(make.__name__))
            shutil.copytree(tree.hsm, target / make.__name__)
    text = json.dumps(golden, indent=2, sort_keys=True)
    (target / "golden.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
