"""How soon the command answers: `hsm --help`, and what looks at a sweep of 100,000 tasks, a tenth failed.

    python benchmarks/cli_latency.py [--tasks 100000] [--rounds 7]

Prints medians, and beside them what the bare interpreter takes to start; at the end, what a watch on a
terminal costs while it stands there.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pty
import select
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from engine_noop import measure

from hsm.compute.testing.memory import Act, succeed
from hsm.core.source import AttemptOrder


def median_s(argv: list[str], cwd: Path, rounds: int) -> float:
    """Return the median time of a command in seconds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run(argv, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="hsm-bench-"))
    outputs = home / "sweeps" / "outputs"
    outputs.mkdir(parents=True)
    asyncio.run(measure(outputs, arguments.tasks, every_tenth_fails))
    hsm = str(Path(sys.executable).with_name("hsm"))
    for name, argv in {
        "python -c pass": [sys.executable, "-c", "pass"],
        "hsm --help": [hsm, "--help"],
        f"hsm sweep status, {arguments.tasks} tasks": [hsm, "sweep", "status", "last"],
        "hsm monitor watch --once": [hsm, "monitor", "watch", "last", "--once"],
        "hsm monitor errors": [hsm, "monitor", "errors", "last"],
        "hsm explain 20": [hsm, "explain", "20"],
    }.items():
        print(f"{name:40} {median_s(argv, home, arguments.rounds):.3f} s")
    painted_s, share = watching([hsm, "monitor", "watch", "last"], home)
    print(f"{'hsm monitor watch, first picture':40} {painted_s:.3f} s, then {share:.1%} of a core")


def every_tenth_fails(order: AttemptOrder) -> Act:
    """Let every tenth task fail, for one of three reasons."""
    if order.task % 10:
        return succeed(order)
    return Act(code=1, reason=f"the {('first', 'second', 'third')[order.task % 3]} reason")


def watching(argv: list[str], cwd: Path, span_s: float = 10.0) -> tuple[float, float]:
    """Return how soon a watch on a terminal paints, in s, and its share of a core from then on."""
    began = time.perf_counter()
    pid, descriptor = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execv(argv[0], argv)
    seen = b""
    while b"leave" not in seen:
        seen += os.read(descriptor, 65536)
    painted_s = time.perf_counter() - began
    process = psutil.Process(pid)
    before, until = sum(process.cpu_times()[:2]), time.perf_counter() + span_s
    while (left := until - time.perf_counter()) > 0:
        if select.select([descriptor], [], [], left)[0]:
            os.read(descriptor, 65536)
    share = (sum(process.cpu_times()[:2]) - before) / span_s
    os.write(descriptor, b"q")
    os.close(descriptor)
    os.waitpid(pid, 0)
    return painted_s, share


if __name__ == "__main__":
    main()
