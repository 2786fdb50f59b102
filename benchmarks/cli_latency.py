"""How soon the command answers: `hsm --help`, `hsm sweep status` and the first row of `hsm results`.

    python benchmarks/cli_latency.py [--tasks 100000] [--rounds 7]

Prints medians over a sweep of so many tasks, and beside them what the bare interpreter takes to start.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine_noop import measure


def median_s(argv: list[str], cwd: Path, rounds: int) -> float:
    """Return the median time of a command in seconds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run(argv, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def first_row_s(argv: list[str], cwd: Path, rounds: int, lines: int) -> float:
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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="hsm-bench-"))
    outputs = home / "sweeps" / "outputs"
    outputs.mkdir(parents=True)
    asyncio.run(measure(outputs, arguments.tasks))
    hsm = str(Path(sys.executable).with_name("hsm"))
    for name, argv in {
        "python -c pass": [sys.executable, "-c", "pass"],
        "hsm --help": [hsm, "--help"],
        f"hsm sweep status, {arguments.tasks} tasks": [hsm, "sweep", "status", "last"],
        f"completing a task of {arguments.tasks}": ["env", "_HSM_COMPLETE=bash", hsm, "hsm logs task_1"],
    }.items():
        print(f"{name:40} {median_s(argv, home, arguments.rounds):.3f} s")
    for form, lines in {"csv": 2, "jsonl": 1}.items():  # the head of a CSV is no row
        argv = [hsm, "results", "last", "--format", form]
        found = first_row_s(argv, home, arguments.rounds, lines)
        print(f"{f'hsm results, first row of {form}':40} {found:.3f} s")
    whole = median_s([hsm, "results", "last", "--format", "csv"], home, min(arguments.rounds, 3))
    print(f"{'hsm results, all rows of csv':40} {whole:.3f} s")


if __name__ == "__main__":
    main()
