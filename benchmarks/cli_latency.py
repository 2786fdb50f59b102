"""How soon commands answer on a sweep of 50,000 tasks: figures of `docs/explanation/performance.md`.

    python benchmarks/cli_latency.py [--tasks 50000] [--rounds 5] [--no-files] [--home DIR]

The sweep is run first, on an in-memory source: a tenth of the tasks fail, in forty ways; all leave logs and
most of them two metrics (with --no-files: neither). Printed are medians of the rounds, beside their goals.
Then a watch stands on a terminal beside an engine that goes on at a given pace, and its share of a core is
measured. The exit code is 1 when a goal was missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pty
import resource
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random

import psutil
from engine_noop import CONFIG, Counting

from hsm.compute.testing import MemoryMachine, MemorySource
from hsm.compute.testing.memory import Act
from hsm.core.engine import SweepEngine
from hsm.core.job import Origin, SweepJob, Wishes
from hsm.core.source import AttemptOrder, ComputeSource
from hsm.core.spec import GridSpec, ProgramSpec, SweepSpec
from hsm.core.tree import SweepTree
from hsm.core.world import World

HSM = str(Path(sys.executable).with_name("hsm"))
HEAVY = ("jax", "h5py", "hydra", "asyncssh", "numpy")
SPEC = SweepSpec(name="noop", program=ProgramSpec(command=("true",)), grid=GridSpec(axes=()))
LEFT = 5000
"""So many tasks are left for the engine that a watch stands beside."""
WATCHED_S = 20.0
PACE_HZ = (0.0, 10.0)
"""A watch is measured beside engines that end so many tasks a second."""
KINDS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What was measured, and what it may be."""

    name: str
    measured: float
    goal: float | None = None
    unit: str = "s"
    cpu_s: float | None = None

    @property
    def is_missed(self) -> bool:
        """Whether it is more than it may be."""
        return self.goal is not None and self.measured >= self.goal

    @property
    def row(self) -> str:
        """The figure as a line of a table."""
        goal = "" if self.goal is None else f"  goal {self.goal:g} {self.unit}"
        cpu = f" ({self.cpu_s:.3f} s of a core)" if self.cpu_s is not None else ""
        missed = "  MISSED" if self.is_missed else ""
        return f"{self.name:52} {self.measured:8.3f} {self.unit}{cpu}{goal}{missed}"


def act_of(order: AttemptOrder) -> Act:
    """Return what a task does: nine in ten leave two metrics, the others one of forty errors."""
    rng = Random(order.task)
    if rng.random() < 0.1:
        kind = rng.choice(KINDS)
        words = f"Traceback (most recent call last):\nValueError: {kind} is {rng.random()}\n"
        return Act(code=1, reason="exit code 1", files={"stderr.log": words.encode()})
    metrics = {"score": rng.random(), "cells": rng.randrange(1000)}
    return Act(files={"metrics.json": json.dumps(metrics).encode(), "stdout.log": b"done\n"})


@dataclass(frozen=True, slots=True)
class Fixture:
    """A project with one sweep; all but the last `left` tasks are final."""

    home: Path
    tasks: int
    files: bool

    @property
    def outputs(self) -> Path:
        """Where the sweep is."""
        return self.home / "sweeps" / "outputs"

    def job(self, sources: Sequence[ComputeSource], max_tasks: int | None = None) -> SweepJob:
        """Return the sweep as an engine takes it."""
        (root,) = self.outputs.iterdir()
        wishes = Wishes(max_tasks=max_tasks)
        return SweepJob(
            tree=SweepTree(root),
            spec=SPEC,
            hunter=Counting(self.tasks),
            sources=sources,
            project=self.home,
            wishes=wishes,
        )

    async def run(self, left: int) -> None:
        """Run all tasks but the last ones."""
        self.outputs.mkdir(parents=True)
        (self.home / "hsm.yaml").touch()
        world = World()
        engine = SweepEngine(world)
        await engine.create_sweep(self.outputs, SPEC, Origin(project=self.home, frozen_config=CONFIG))
        source = MemorySource(MemoryMachine(world, slots=256, behave=act_of, files=self.files))
        await engine.run_sweep(self.job([source], self.tasks - left))
        engine.close()


def timed(name: str, argv: Sequence[str], cwd: Path, rounds: int, goal: float | None = None) -> Figure:
    """Return how long a command takes, and the least that it took of a core: less blurred by other work."""
    walls, cpus = [], []
    for _ in range(rounds):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(argv, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        walls.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return Figure(name=name, measured=statistics.median(walls), goal=goal, cpu_s=min(cpus))


def first_row_s(argv: Sequence[str], cwd: Path, rounds: int, lines: int) -> float:
    """Return the median time until a command has written so many lines, in seconds; then it is left."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        with subprocess.Popen(argv, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            for _ in range(lines):
                assert process.stdout.readline()
            times.append(time.perf_counter() - began)
            process.stdout.close()
    return statistics.median(times)


@dataclass(frozen=True, slots=True)
class Watched:
    """What a watch cost: the time to its first picture, and its share of a core from then on, in per cent."""

    painted_s: float
    share: float


def watched(cwd: Path) -> Watched:
    """Watch the sweep on a terminal for a while."""
    began = time.perf_counter()
    pid, descriptor = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execv(HSM, [HSM, "monitor", "watch", "last"])
    seen = b""
    while b"leave" not in seen:
        try:
            seen += os.read(descriptor, 65536)
        except OSError as error:
            raise RuntimeError(f"the watch ended: {seen.decode(errors='replace')[-2000:]}") from error
    painted_s = time.perf_counter() - began
    process = psutil.Process(pid)
    _drain(descriptor, 3.0)  # the first seconds read what is there
    before = sum(process.cpu_times()[:2])
    _drain(descriptor, WATCHED_S)
    share = 100 * (sum(process.cpu_times()[:2]) - before) / WATCHED_S
    os.write(descriptor, b"q")
    os.close(descriptor)
    os.waitpid(pid, 0)
    return Watched(painted_s, share)


def _drain(descriptor: int, span_s: float) -> None:
    until = time.perf_counter() + span_s
    while (left := until - time.perf_counter()) > 0:
        if select.select([descriptor], [], [], left)[0]:
            os.read(descriptor, 65536)


async def beside_an_engine(fixture: Fixture, pace_hz: float) -> Watched:
    """Watch the sweep while an engine goes on with it, at this pace."""
    world = World()
    numbers, allowed = count(), 0.0

    def holding(_: AttemptOrder) -> Act:
        number = next(numbers)
        return Act(holds=lambda: allowed <= number)

    machine = MemoryMachine(world, slots=16, behave=holding)
    engine = SweepEngine(world)
    driving = asyncio.create_task(engine.complete_sweep(fixture.job([MemorySource(machine)])))
    watching = asyncio.create_task(asyncio.to_thread(watched, fixture.home))
    while not watching.done():
        await asyncio.sleep(0.1)
        allowed += pace_hz * 0.1
        machine.proceed()
    engine.detach()
    await driving
    engine.close()
    return await watching


def imported(words: Sequence[str]) -> list[str]:
    """Return those of the heavy libraries that a command imports."""
    code = (
        "import sys; from hsm.cli.main import main; main(sys.argv[1:]); "
        "found = {name.partition('.')[0] for name in sys.modules}; "
        f"print(*sorted(found & set({HEAVY!r})), file=sys.stderr)"
    )
    argv = [sys.executable, "-c", code, *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stderr.split()


def figures(fixture: Fixture, rounds: int) -> Iterator[Figure]:
    """Measure everything, one after another."""
    home = fixture.home
    yield timed("python -c pass", [sys.executable, "-c", "pass"], home, rounds)
    completing = ["env", "_HSM_COMPLETE=bash", HSM]
    asked = ["--where", "score > 0.5", "--sort", "-score", "--limit", "10"]
    for name, argv, goal in (
        ("hsm --help", [HSM, "--help"], 0.25),
        ("hsm sweep status", [HSM, "sweep", "status"], 1.0),
        ("hsm monitor watch --once", [HSM, "monitor", "watch", "--once"], 1.5),
        ("hsm monitor errors", [HSM, "monitor", "errors"], 2.0),
        ("hsm explain 20", [HSM, "explain", "20"], 2.0),
        ("hsm explain failed (20 of them)", [HSM, "explain", "failed"], None),
        ("hsm logs failed", [HSM, "logs", "failed"], None),
        ("completing a task", [*completing, "hsm logs task_1"], 0.15),
        ("completing a sweep", [*completing, "hsm sweep status no"], 0.15),
        ("hsm results, ten best of a condition", [HSM, "results", *asked], None),
        ("hsm results --format csv, all rows", [HSM, "results", "--format", "csv"], None),
    ):
        yield timed(name, argv, home, rounds if goal else 1, goal)
    for form, lines in {"table": 2, "csv": 2, "jsonl": 1}.items():  # the head of a table is no row
        argv = [HSM, "results", "--format", form]
        yield Figure(
            name=f"hsm results --format {form}, first row",
            measured=first_row_s(argv, home, rounds, lines),
            goal=0.5,
        )
    heavy = imported(["--help"])
    yield Figure(name=f"heavy modules that --help imports {heavy}", measured=len(heavy), goal=1, unit="")
    for pace_hz in PACE_HZ:
        found = asyncio.run(beside_an_engine(fixture, pace_hz))
        name = f"hsm monitor watch, {pace_hz:g} tasks/s"
        yield Figure(name=f"{name}: first picture", measured=found.painted_s, goal=1.5)
        yield Figure(name=f"{name}: share of a core", measured=found.share, goal=5.0, unit="%")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-files", action="store_true", help="Neither logs nor metrics: quick.")
    parser.add_argument("--home", type=Path, help="The sweep is kept, or found, here.")
    arguments = parser.parse_args()
    home = arguments.home or Path(tempfile.mkdtemp(prefix="hsm-bench-"))
    fixture = Fixture(home, arguments.tasks, files=not arguments.no_files)
    os.environ["HOME"] = str(home)  # nobody's settings, nobody's other sweeps
    if not fixture.outputs.exists():
        asyncio.run(fixture.run(left=min(LEFT, arguments.tasks // 10)))
    found = []
    for figure in figures(fixture, arguments.rounds):
        print(figure.row, flush=True)
        found.append(figure)
    return int(any(figure.is_missed for figure in found))


if __name__ == "__main__":
    sys.exit(main())
