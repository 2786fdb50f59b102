"""1,000 programs run on this machine when their manager is killed: how long until the next one has them all?

    python benchmarks/adoption.py [--tasks 1000] [--sleep 90]

Each program says that it begins and sleeps. When all have begun, the manager gets `kill -9`, however little
of that it has recorded; `hsm sweep complete` is started at once and the clock with it. It stops when the
ledger shows the new engine, its source open, and every program known to run. Then the sweep is let come to
its end: every task must be sealed, and every program must have begun once. Beside it: how long the bare start
of so many sleeping processes takes here.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

POLL_S = 0.02
LIMIT_S = 300.0
SWEEP = """\
name: adoption
program: {{command: [sh, -c, 'echo $HSM_TASK_ID >> "$HSM_PROJECT/begun"; exec sleep {sleep_s}']}}
sweep: {{grid: {{k: {values}}}}}
sources: [local:{count}]
"""
STARTED = re.compile(rb'"t":"attempt_started","task":(\d+)')
SEALED = re.compile(rb'"t":"attempt_sealed","task":(\d+)')


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {LIMIT_S:g} s in vain for: {what}")
        time.sleep(POLL_S)


class Sweep:
    """One sweep in a folder of its own, seen from outside: by its ledger's bytes and its programs' words."""

    def __init__(self, folder: Path, count: int, sleep_s: int) -> None:
        self.folder = folder
        self.count = count
        text = SWEEP.format(values=list(range(count)), count=count, sleep_s=sleep_s)
        (folder / "adoption.yaml").write_text(text)
        (folder / "hsm.yaml").touch()

    def command(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command of HSM's."""
        hsm = Path(sys.executable).with_name("hsm")
        return subprocess.Popen([str(hsm), "sweep", *words, "-q"], cwd=self.folder, stdout=subprocess.DEVNULL)

    def begun(self) -> Counter[str]:
        """Return how often each program began."""
        path = self.folder / "begun"
        return Counter(path.read_text().split()) if path.exists() else Counter()

    def segments(self) -> list[bytes]:
        """Return the ledger, one segment for each engine."""
        return [path.read_bytes() for path in sorted(self.folder.glob("sweeps/outputs/*/.hsm/ledger/*.hsl"))]

    def known(self, pattern: re.Pattern[bytes]) -> set[bytes]:
        """Return the tasks of which the ledger says so."""
        return {task for segment in self.segments() for task in pattern.findall(segment)}

    def is_adopted(self) -> bool:
        """Tell whether a second engine has its source open and every program is known to run."""
        segments = self.segments()
        opened = len(segments) > 1 and b'"t":"source_opened"' in segments[-1]
        return opened and len(self.known(STARTED)) == self.count


def bare_start_s(count: int) -> float:
    """Return how long it takes to start so many sleeping processes and nothing else."""
    began = time.perf_counter()
    sleeping = [subprocess.Popen(["sleep", "300"], start_new_session=True) for _ in range(count)]
    took = time.perf_counter() - began
    for process in sleeping:
        process.kill()
        process.wait()
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--sleep", type=int, default=90)
    arguments = parser.parse_args()
    count = arguments.tasks
    print(f"{bare_start_s(count):6.2f} s  to start {count} sleeping processes and nothing else")
    with tempfile.TemporaryDirectory(prefix="hsm-adoption-") as folder:
        sweep = Sweep(Path(folder), count, arguments.sleep)
        began = time.perf_counter()
        manager = sweep.command("run", "adoption.yaml")
        until(lambda: len(sweep.begun()) == count, "the programs")
        print(f"{time.perf_counter() - began:6.2f} s  from `hsm sweep run` until {count} programs run")
        os.kill(manager.pid, signal.SIGKILL)
        manager.wait()
        known = len(sweep.known(STARTED))
        began = time.perf_counter()
        manager = sweep.command("complete", "last")
        until(sweep.is_adopted, "the adoption")
        took = time.perf_counter() - began
        ended = len(sweep.known(SEALED))
        print(f"{took:6.2f} s  from `hsm sweep complete` until all are adopted ({known} were on record)")
        code = manager.wait()
        begun, sealed = sweep.begun(), len(sweep.known(SEALED))
    again = sum(times - 1 for times in begun.values())
    print(f"{count} programs: {ended} had ended by then, {again} were run again, {sealed} are sealed")
    if code or again or ended or len(begun) != count or sealed != count:
        raise SystemExit("that is not what is promised")


if __name__ == "__main__":
    main()
