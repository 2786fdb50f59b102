"""The ledger's commits beside a bare loop of write and fdatasync on the same disk in the same run.

    python benchmarks/ledger.py [--commits 3000]

Rounds of both alternate, because disks have moods; ratios are those of the medians. Bytes a commit are alike.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from hsm.core import events as ev
from hsm.core.ledger import Ledger
from hsm.core.ledger_reader import LedgerReader
from hsm.core.storage import create_tree
from hsm.core.tree import SweepTree
from hsm.core.world import World

ROUNDS = 10
GROUP = 1000
GROUPS = 20
COMMIT_BYTES = 240


def event(number: int) -> ev.AttemptIntended:
    """Return the event that is committed most often."""
    return ev.AttemptIntended(task=number, attempt=1, token=f"{number:032x}", source="local", at=1.8e9)


def bare(path: Path, count: int) -> list[float]:
    """Write and sync a file so often, and return how long each time took, in s."""
    took, data = [], b"x" * COMMIT_BYTES
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(count):
        began = time.perf_counter()
        os.write(fd, data)
        os.fdatasync(fd)
        took.append(time.perf_counter() - began)
    os.close(fd)
    return took


async def single(ledger: Ledger, count: int) -> list[float]:
    """Commit single events, and return how long each took, in s."""
    took = []
    for number in range(1, count + 1):
        began = time.perf_counter()
        await ledger.commit([event(number)])
        took.append(time.perf_counter() - began)
    return took


async def grouped(ledger: Ledger) -> float:
    """Commit groups of events, and return events a second."""
    events = [event(number) for number in range(1, GROUP + 1)]
    began = time.perf_counter()
    for _ in range(GROUPS):
        await ledger.commit(events)
    return GROUP * GROUPS / (time.perf_counter() - began)


def p99(took: Sequence[float]) -> float:
    """Return the 99th percentile, in ms."""
    return statistics.quantiles(took, n=100)[98] * 1000


async def measure(outputs: Path, commits: int) -> None:
    """Run all rounds and print."""
    world, tree = World(), SweepTree(outputs / "ledger-20260101-000000-aaaa")
    create_tree(world.files, tree)
    reader = LedgerReader(world.files, tree)
    ledger = Ledger.open(world, tree, reader, socket="", released=0)
    ours: list[float] = []
    theirs: list[float] = []
    rates = []
    for _ in range(ROUNDS):
        theirs += bare(outputs / "bare", commits // ROUNDS)
        ours += await single(ledger, commits // ROUNDS)
        rates.append(await grouped(ledger))
    ledger.close()
    world.close()
    hsm, disk = (1 / statistics.median(took) for took in (ours, theirs))
    print(f"bare write + fdatasync      {disk:8.0f}/s, p99 {p99(theirs):.2f} ms")
    print(f"single durable commits      {hsm:8.0f}/s, p99 {p99(ours):.2f} ms")
    print(f"share of the bare loop      {hsm / disk:8.2f}")
    print(f"events in groups of {GROUP:,}   {statistics.median(rates):8.0f}/s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=3000)
    parser.add_argument("--outputs", type=Path, default=None)
    arguments = parser.parse_args()
    outputs = arguments.outputs or Path(tempfile.mkdtemp(prefix="hsm-bench-"))
    asyncio.run(measure(outputs, arguments.commits))
    if arguments.outputs is None:
        shutil.rmtree(outputs)


if __name__ == "__main__":
    main()
