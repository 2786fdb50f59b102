"""5,000 tasks of /bin/true on 2 slots, durable, against tools that keep less: ratios within one run.

    python benchmarks/local_throughput.py [--tasks 5000] [--rounds 3]

Each round times `xargs -n1 -P2`, GNU parallel with a job log and results (where it is installed) and
`hsm sweep run`, one after another, the whole command each. Beside it: what the parts of a task cost on this
machine at this moment, and the processor time of manager and agent per task. HSM's byte code is on disk, as
an installed package's is: a first small run writes it, whatever PYTHONDONTWRITEBYTECODE says.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SLOTS = 2
WARM_UP_TASKS = 10
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
SWEEP = """\
name: throughput
program: {{command: [/bin/true]}}
sweep: {{grid: {{k: [{values}]}}}}
"""


def timed(argv: list[str], cwd: Path, stdin: bytes = b"") -> float:
    """Run a command to its end and return how long it took, in seconds."""
    began = time.perf_counter()
    subprocess.run(
        argv,
        cwd=cwd,
        input=stdin,
        env=ENVIRONMENT,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


def xargs(folder: Path, tasks: int) -> float:
    """Time xargs, which records nothing."""
    numbers = "\n".join(map(str, range(tasks))).encode()
    return timed(["xargs", "-n1", f"-P{SLOTS}", "/bin/true"], folder, numbers)


def gnu_parallel(folder: Path, tasks: int) -> float:
    """Time GNU parallel with a job log and a directory of results per task."""
    numbers = "\n".join(map(str, range(tasks))).encode()
    home = Path(tempfile.mkdtemp(dir=folder))
    log, results = home / "log", home / "results"
    return timed(
        ["parallel", f"-j{SLOTS}", "--joblog", str(log), "--results", str(results), "/bin/true"],
        home,
        numbers,
    )


def hsm(folder: Path, tasks: int) -> float:
    """Time the whole command, from start-up to the report."""
    home = Path(tempfile.mkdtemp(dir=folder))
    (home / "true.yaml").write_text(SWEEP.format(values=", ".join(map(str, range(tasks)))))
    command = [str(Path(sys.executable).with_name("hsm")), "sweep", "run", "true.yaml"]
    return timed([*command, "--source", f"local:{SLOTS}", "-q"], home)


def per_call_us(function: Callable[[int], object], count: int = 500) -> float:
    """Return the mean cost of a call in microseconds."""
    began = time.perf_counter()
    for index in range(count):
        function(index)
    return (time.perf_counter() - began) / count * 1e6


def parts(folder: Path) -> dict[str, float]:
    """Return what the parts of a task cost one process here and now, in microseconds."""
    home = Path(tempfile.mkdtemp(dir=folder))
    log = os.open(home / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def spawn(_: int) -> None:
        subprocess.Popen(["/bin/true"], start_new_session=True, close_fds=False).wait()

    def five_files(index: int) -> None:
        task = home / str(index)
        task.mkdir()
        for name in "abcde":
            (task / name).write_bytes(b"x" * 200)

    def durable(_: int) -> None:
        os.write(log, b"x" * 300)
        os.fdatasync(log)

    costs = {
        "spawn and wait": per_call_us(spawn),
        "directory with five files": per_call_us(five_files),
        "append 300 B": per_call_us(lambda _: os.write(log, b"x" * 300)),
        "append and fdatasync": per_call_us(durable, 100),
        "rename of a directory": per_call_us(lambda i: (home / str(i)).rename(home / f"r{i}")),
    }
    os.close(log)
    return costs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hsm-bench-"))
    rivals: dict[str, Callable[[Path, int], float]] = {"xargs": xargs}
    if shutil.which("parallel"):
        rivals["GNU parallel"] = gnu_parallel
    rivals["hsm"] = hsm
    hsm(folder, WARM_UP_TASKS)
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(arguments.rounds):
        for name, run in rivals.items():
            seconds[name].append(run(folder, arguments.tasks))
    rates = {name: arguments.tasks / statistics.median(times) for name, times in seconds.items()}
    for name, rate in rates.items():
        ratios = [rival / own for rival, own in zip(seconds[name], seconds["hsm"], strict=True)]
        print(f"{name:14} {rate:7.0f} tasks/s   hsm reaches {statistics.median(ratios):.2f} of it")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"processor time of all of them, per task and round: {per_task_ms(used, arguments):.2f} ms")
    for name, cost in parts(folder).items():
        print(f"  {name:28} {cost:8.0f} us")


def per_task_ms(used: resource.struct_rusage, arguments: argparse.Namespace) -> float:
    """Return processor milliseconds per task and round."""
    executed: int = arguments.tasks * arguments.rounds
    return (used.ru_utime + used.ru_stime) / executed * 1e3


if __name__ == "__main__":
    main()
