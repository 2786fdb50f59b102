"""A million tasks and four million events in `.hsm`, without task directories: time, memory and bytes.

    python benchmarks/million_tasks.py [--tasks 1000000]

The plan, the ledger, the tracker, snapshots and archive are those of the engine; only sources and programs
are left out. Every group of 500 tasks is written and fdatasynced. Each way to start is a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from hsm.core import events as ev
from hsm.core.epochs import HELD
from hsm.core.inputs import Input, SnapshotWritten
from hsm.core.keeper import Keeper
from hsm.core.ledger import Ledger
from hsm.core.ledger_reader import LedgerReader
from hsm.core.model import Exit, Proposal
from hsm.core.plan import load_plan, write_plan
from hsm.core.spec import GridSpec, ProgramSpec, SweepSpec
from hsm.core.states import SweepStatus
from hsm.core.storage import create_tree
from hsm.core.summary import glance, replay, tracker_of
from hsm.core.tree import SweepTree
from hsm.core.world import World

GROUP_TASKS = 500
SPEC = SweepSpec(name="million", program=ProgramSpec(command=("true",)), grid=GridSpec(axes=()))
WAYS = {"start": replay, "look": glance}


def proposals(count: int) -> Iterator[Proposal]:
    """Yield the tasks of the sweep."""
    for index in range(count):
        yield Proposal(params={"index": index, "k": index * 0.5}, seed=0)


def happenings(index: int, at: float) -> list[ev.Event]:
    """Return what happens to one task."""
    digest = sha256(str(index).encode()).hexdigest()
    ended = Exit(code=0, wall_s=0.0123, cpu_user_s=0.004, cpu_system_s=0.002, max_rss_bytes=9_000_000 + index)
    return [
        ev.AttemptIntended(task=index, attempt=1, token=digest[:32], source="local", at=at),
        ev.AttemptStarted(task=index, attempt=1, at=at + 0.01),
        ev.AttemptExited(
            task=index, attempt=1, exit=ended, manifest=digest[::-1], started_at=at + 0.01, at=at + 0.02
        ),
        ev.AttemptSealed(task=index, attempt=1, metrics={"f": index / 7}, files=3, bytes=700, at=at + 0.03),
    ]


def peak_bytes() -> int:
    """Return the most memory that this process ever had (getrusage would count that of its parent)."""
    (line,) = [
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    ]
    return int(line.split()[1]) * 1024


async def nothing_to_place() -> bool:
    """Tell that everything is in its place, for there are no task directories."""
    return True


class Run:
    """The engine's part of a sweep, without sources."""

    def __init__(self, world: World, tree: SweepTree, count: int) -> None:
        self._world = world
        self._tree = tree
        self._count = count
        self._inputs: list[Input] = []
        self._tracker = tracker_of(world.files, tree, SPEC)
        reader = LedgerReader(world.files, tree)
        self._ledger = Ledger.open(world, tree, reader, socket="", released=0)
        self._keeper = Keeper(world, tree, self._inputs.append, nothing_to_place)

    async def go(self) -> tuple[float, float]:
        """Plan and record everything; return how long each took."""
        world, tree = self._world, self._tree
        began = world.monotonic()
        name, count = write_plan(world.files, tree.plans, proposals(self._count), "p" * 64)
        self._tracker.preload(load_plan(world.files, tree.plans, name, generation=1))
        started = ev.EngineStarted(epoch=1, host="here", pid=1, version="0", at=0.0)
        planned = ev.GenerationPlanned(generation=1, plan=name, first=1, count=count, at=0.0)
        await self._commit([started, planned])
        planned_s = world.monotonic() - began
        keeping = asyncio.create_task(self._keeper.work())
        for first in range(1, count + 1, GROUP_TASKS):
            group = range(first, min(first + GROUP_TASKS, count + 1))
            await self._commit([event for index in group for event in happenings(index, 1.8e9 + index)])
        await self._commit(
            [
                ev.HuntEnded(generation=1, at=2e9),
                ev.EngineStopped(epoch=1, status=SweepStatus.COMPLETE, at=2e9),
            ]
        )
        recorded_s = world.monotonic() - began - planned_s
        await self._keeper.close(self._tracker, self._ledger.mark)
        keeping.cancel()
        self._ledger.close()
        return planned_s, recorded_s

    async def _commit(self, events: list[ev.Event]) -> None:
        for item in self._inputs:
            assert isinstance(item, SnapshotWritten)
            events.append(ev.SnapshotTaken(snapshot=item.name, seq=item.seq, at=1.0))
        self._inputs.clear()
        for event in events:
            self._tracker.fold(event)
        await self._ledger.commit(events)
        self._keeper.note(events, self._tracker, self._ledger.mark)
        await asyncio.sleep(0)


def begin(way: str, tree: SweepTree) -> None:
    """Take the sweep up in one way, in this process, and print what it took."""
    world = World()
    began = world.monotonic()
    if way == "replay":
        tracker, reader = tracker_of(world.files, tree, SPEC), LedgerReader(world.files, tree)
        for event in reader.events():
            tracker.fold(event)
    else:
        tracker, reader = WAYS[way](world.files, tree, SPEC)
    took_s = world.monotonic() - began
    found = {"tasks": len(tracker.tasks), "finished": tracker.finished, "seq": reader.mark.position.seq}
    print(json.dumps({"s": took_s, "cpu_s": time.process_time(), "bytes": peak_bytes(), **found}))


def size_of(path: Path) -> int:
    """Return the bytes of all files below a path."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--outputs", type=Path, default=None)
    parser.add_argument("--begin", nargs=2, metavar=("WAY", "TREE"))
    arguments = parser.parse_args()
    if arguments.begin:
        begin(arguments.begin[0], SweepTree(Path(arguments.begin[1])))
        return
    outputs = arguments.outputs or Path(tempfile.mkdtemp(prefix="hsm-bench-"))
    world, tree = World(), SweepTree(outputs / "million-20260101-000000-aaaa")
    create_tree(world.files, tree)
    planned_s, recorded_s = asyncio.run(Run(world, tree, arguments.tasks).go())
    world.close()
    HELD.clear()
    print(f"tasks                          {arguments.tasks}")
    print(f"planned in                     {planned_s:.1f} s")
    print(f"events recorded                {4 * arguments.tasks / recorded_s:.0f}/s (4 a task)")
    print(f"memory while recording, peak   {peak_bytes() / 1e6:.0f} MB")
    for way in ("start", "look", "replay"):
        command = [sys.executable, __file__, "--begin", way, str(tree.root)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        assert found["finished"] == arguments.tasks
        took = f"{found['s']:6.1f} s ({found['cpu_s']:.1f} s of processor time)"
        print(f"{way:<8} {took}, memory at most {found['bytes'] / 1e6:.0f} MB")
    for name in ("plan", "ledger", "archive", "snap"):
        print(f".hsm/{name:<8} {size_of(tree.hsm / name) / 1e6:8.0f} MB")
    print(f".hsm, all     {size_of(tree.hsm) / 1e6:8.0f} MB")
    if arguments.outputs is None:
        shutil.rmtree(outputs)


if __name__ == "__main__":
    main()
