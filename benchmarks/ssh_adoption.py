"""200 programs run on a host when their manager is killed: how long until the next one has them all?

    python benchmarks/ssh_adoption.py [--tasks 200] [--sleep 60]

As benchmarks/adoption.py, but that the programs run behind real sshd: when the records of the host's agent
and the ledger at home both say of all of them that they run, the manager gets `kill -9`, `hsm sweep complete`
is started at once and the clock with it. It stops when the ledger shows the new engine and its source open,
which is when what runs there has been heard. Then the sweep is let come to its end: every task
must be sealed, and every program must have begun once.
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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the lab belongs to the tests

from adoption import SEALED, STARTED, Sweep, until

from tests.lab.sshd import Lab, prepare

LIMIT_S = 10.0
STARTED_THERE = re.compile(rb'"t":"started","token":"([^"]+)"')
SWEEP = """\
name: adoption
program: {{command: [sh, -c, 'echo $HSM_TASK_ID >> {folder}/begun; exec sleep {sleep_s}']}}
sweep: {{grid: {{k: {values}}}}}
sources: ['ssh:near:{count}']
"""


class SweepThere(Sweep):
    """The same sweep on a host. Its programs write into the same folder: it is this machine."""

    def __init__(self, folder: Path, lab: Lab, count: int, sleep_s: int) -> None:
        super().__init__(folder, count, sleep_s)
        self._there = lab.hosts[0].home / ".hsm"
        self._environment = {**os.environ, "HSM_SSH_CONFIG": str(lab.ssh_config)}
        text = SWEEP.format(values=list(range(count)), count=count, sleep_s=sleep_s, folder=folder)
        (folder / "adoption.yaml").write_text(text)

    def started_there(self) -> set[bytes]:
        """Return the attempts of which the host's agent has recorded that they began."""
        logs = self._there.glob("sweeps/*/**/records/*.log")
        return {token for log in logs for token in STARTED_THERE.findall(log.read_bytes())}

    def is_on_record(self) -> bool:
        """Tell whether every program runs, and both ends know."""
        both = (len(self.known(STARTED)), len(self.started_there()))
        return len(self.begun()) == self.count and both == (self.count, self.count)

    def command(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command of HSM's."""
        hsm = Path(sys.executable).with_name("hsm")
        return subprocess.Popen(
            [str(hsm), "sweep", *words, "-q"],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--sleep", type=int, default=60)
    arguments = parser.parse_args()
    prepare()
    with tempfile.TemporaryDirectory(prefix="hsm-adoption-") as name:
        lab = Lab(Path(name) / "lab")
        lab.host("near")
        (Path(name) / "project").mkdir()
        try:
            took, begun, ended, sealed = measured(
                SweepThere(Path(name) / "project", lab, arguments.tasks, arguments.sleep)
            )
        finally:
            lab.end()
    again = sum(times - 1 for times in begun.values())
    print(f"{took:6.2f} s  from `hsm sweep complete` until all are adopted (needed: {LIMIT_S:g})")
    print(
        f"{arguments.tasks} programs: {ended} had ended by then, {again} were run again, {sealed} are sealed"
    )
    if again or ended or not len(begun) == sealed == arguments.tasks or took > LIMIT_S:
        raise SystemExit("that is not what is promised")


def measured(sweep: SweepThere) -> tuple[float, Counter[str], int, int]:
    """Return how long adopting took, how often each program began, how many had ended and are sealed."""
    manager = sweep.command("run", "adoption.yaml")
    until(sweep.is_on_record, "the records of all programs")
    os.kill(manager.pid, signal.SIGKILL)
    manager.wait()
    here, there, count = len(sweep.known(STARTED)), len(sweep.started_there()), sweep.count
    print(f"when the manager was killed {here} of {count} were known at home to run, {there} at the host")
    began = time.perf_counter()
    manager = sweep.command("complete", "last")
    until(sweep.is_adopted, "the adoption")
    took = time.perf_counter() - began
    ended = len(sweep.known(SEALED))
    if manager.wait():
        raise SystemExit("the sweep could not be completed")
    return took, sweep.begun(), ended, len(sweep.known(SEALED))


if __name__ == "__main__":
    main()
