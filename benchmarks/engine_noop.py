"""100,000 tasks that do nothing through engine, ledger and an in-memory source: what HSM itself costs.

    python benchmarks/engine_noop.py [--tasks 100000]

Prints tasks/s from the first intent to the last seal, the growth of resident memory per task, and how fast
the last tenth went against the first. The ledger is real: every group is written and fdatasynced.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psutil

from hsm.compute.testing import MemoryMachine, MemorySource
from hsm.compute.testing.memory import Act, succeed
from hsm.core.engine import SweepEngine
from hsm.core.events import AttemptIntended, AttemptSealed, Event
from hsm.core.job import Origin, SweepJob
from hsm.core.model import History, Proposal
from hsm.core.source import AttemptOrder
from hsm.core.spec import GridSpec, ProgramSpec, SweepSpec
from hsm.core.tracker import SweepTracker
from hsm.core.world import World

SLOTS = 256
CONFIG = "name: noop\nprogram: {command: ['true']}\nsweep: {grid: {index: [0]}}\n"


class Counting:
    """A hunter that proposes `count` tasks at once."""

    def __init__(self, count: int) -> None:
        self._count = count

    def ask(self, history: History, rng: Random) -> Iterator[Proposal]:
        """Yield the one generation."""
        if history.generation == 1:
            for index in range(self._count):
                yield Proposal(params={"index": index, "k": index * 0.5})


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit that sealed tasks: when it was durable, and how many were sealed up to then."""

    at_s: float
    sealed: int


class Stopwatch:
    """Notes when tasks are sealed and how much memory the process has."""

    def __init__(self, world: World) -> None:
        self.commits: list[Commit] = []
        self.memory: list[int] = []
        self.began = 0.0
        self._world = world
        self._process = psutil.Process()

    @property
    def sealed(self) -> int:
        """How many tasks have been sealed."""
        return self.commits[-1].sealed if self.commits else 0

    @property
    def span_s(self) -> float:
        """The time from the first intent to the last seal."""
        return self.commits[-1].at_s - self.began

    def rate_hz(self, begin: float, end: float) -> float:
        """Return the seals per second between two shares of all tasks, 0 to 1.

        A commit seals many tasks at once, so it is measured from commit to commit: from the last that
        lies before `begin` to the first that reaches `end`.
        """
        stops = [Commit(self.began, 0), *self.commits]
        first = max((stop for stop in stops if stop.sealed <= begin * self.sealed), key=lambda s: s.sealed)
        last = min((stop for stop in stops if stop.sealed >= end * self.sealed), key=lambda s: s.sealed)
        return (last.sealed - first.sealed) / (last.at_s - first.at_s)

    def listen(self, events: Sequence[Event], tracker: SweepTracker) -> None:
        """Take note of one commit."""
        now = self._world.monotonic()
        if any(isinstance(event, AttemptIntended) for event in events) and not self.commits:
            self.began = self.began or now
        count = sum(isinstance(event, AttemptSealed) for event in events)
        if count:
            self.commits.append(Commit(now, self.sealed + count))
            self.memory.append(self._process.memory_info().rss)


async def measure(
    outputs: Path, count: int, behave: Callable[[AttemptOrder], Act] = succeed
) -> tuple[Stopwatch, float]:
    """Run the sweep and return what was noted, and how long the whole run took."""
    world = World()
    watch = Stopwatch(world)
    engine = SweepEngine(world, listen=watch.listen)
    spec = SweepSpec(name="noop", program=ProgramSpec(command=("true",)), grid=GridSpec(axes=()))
    origin = Origin(project=outputs, frozen_config=CONFIG)
    before = psutil.Process().memory_info().rss
    watch.memory.append(before)
    began = world.monotonic()
    tree = await engine.create_sweep(outputs, spec, origin)
    source = MemorySource(MemoryMachine(world, slots=SLOTS, behave=behave))
    job = SweepJob(tree=tree, spec=spec, hunter=Counting(count), sources=[source], project=outputs)
    result = await engine.run_sweep(job)
    assert result.tracker.finished == count
    engine.close()
    return watch, world.monotonic() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--outputs", type=Path, default=None)
    arguments = parser.parse_args()
    outputs = arguments.outputs or Path(tempfile.mkdtemp(prefix="hsm-bench-"))
    watch, whole_s = asyncio.run(measure(outputs, arguments.tasks))
    growth_bytes = watch.memory[-1] - watch.memory[0]
    print(f"tasks                    {watch.sealed}")
    print(f"tasks/s, first to last   {watch.sealed / watch.span_s:.0f}")
    print(f"tasks/s, whole run       {watch.sealed / whole_s:.0f}")
    print(f"RSS growth per task      {growth_bytes / watch.sealed / 1000:.2f} kB")
    print(f"last tenth / first tenth {watch.rate_hz(0.9, 1.0) / watch.rate_hz(0.0, 0.1):.2f}")


if __name__ == "__main__":
    main()
