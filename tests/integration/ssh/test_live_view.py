"""What is shown at home of programs that run on a host: how late it is, over real sshd."""

import json
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.integration.ssh.sweeping import LIMIT_S, Make, Sweeping
from tests.lab.processes import until
from tests.lab.sshd import Host

pytestmark = pytest.mark.integration

GOAL_S = 2.0
STEPS = 8


class Heard:
    """The lines of a command as they come, each with the time at which it did."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.lines: list[tuple[float, str]] = []
        self._process = process
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append((time.time(), line))


@contextmanager
def command(sweep: Sweeping, *words: str) -> Iterator[Heard]:
    """Have a command of `hsm` run, and hear it."""
    with subprocess.Popen(
        [str(sweep.hsm), *words],
        cwd=sweep.project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield Heard(process)
        finally:
            process.terminate()


def test_what_a_program_on_a_host_shows_is_seen_at_home_within_two_seconds(
    sweeping: Make, ssh_host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    """A printed line by `hsm logs -f`, a number in metrics.json of the task, an end by the monitor."""
    sweep = sweeping(1)
    (sweep.project / "work.py").write_text(TALKATIVE)
    sweep.hold()
    manager = sweep.start("run", "s.yaml", "--source", "ssh:alpha:1")
    sweep.noted("engine_started")
    with command(sweep, "monitor", "watch", "last", "--json") as watched:
        until(lambda: len(watched.lines) > 0, "the monitor", LIMIT_S)
        sweep.noted("attempt_started")
        with command(sweep, "logs", "1", "-f") as followed:
            until(lambda: len(followed.lines) > 0, "the first line", LIMIT_S)
            sweep.proceed()
            metrics = numbers(sweep)
            sweep.finished(manager)
            until(lambda: len(followed.lines) > STEPS, "all lines", LIMIT_S)
        until(lambda: any(ends(watched)), "the end by the monitor", LIMIT_S)
    late = {
        "a line": [at - float(line.split()[-1]) for at, line in followed.lines if "step " in line],
        "a number": [seen_at - at for at, seen_at in metrics.items()],
        "an end": [at - ended for at, ended in ends(watched)],
    }
    told = "; ".join(
        f"{what} {statistics.median(times):.2f} s ({len(times)}, at most {max(times):.2f})"
        for what, times in late.items()
    )
    with capsys.disabled():
        print(f"\nshown at home after (median): {told}")
    assert len(late["a line"]) == STEPS
    assert len(late["a number"]) >= STEPS // 2
    for what, times in late.items():
        assert statistics.median(times) <= GOAL_S, f"{what}: {times}"


def numbers(sweep: Sweeping) -> dict[float, float]:
    """Look at the task's metrics until the last, and return when each was written and when it was seen."""
    path = sweep.tree.tasks / "task_0001" / "metrics.json"
    seen: dict[float, float] = {}

    def is_last() -> bool:
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError):
            return False
        seen.setdefault(found["at"], time.time())
        return bool(found["step"] == STEPS - 1)

    until(is_last, "the last number", LIMIT_S)
    return seen


def ends(watched: Heard) -> Iterator[tuple[float, float]]:
    """Yield when an end was shown by the monitor, and when it was."""
    for at, line in watched.lines:
        data: dict[str, Any] = json.loads(line)["data"]
        if data.get("t") == "attempt_exited":
            yield at, data["at"]


TALKATIVE = f"""
import json, os, sys, time
from pathlib import Path

folder = Path(sys.argv[1])
with (folder / "begun").open("a") as file:
    file.write(f"{{os.environ['HSM_TASK_ID']}} {{os.getpid()}} x\\n")
print("working", flush=True)
while (folder / "hold").exists():
    time.sleep(0.05)
for step in range({STEPS}):
    print("step", time.time(), flush=True)
    Path("metrics.part").write_text(json.dumps({{"step": step, "at": time.time()}}))
    Path("metrics.part").rename("metrics.json")
    time.sleep(0.7)
Path("results/data").write_bytes(os.environ["HSM_TASK_ID"].encode() * 1000)
"""
