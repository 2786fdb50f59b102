"""Sweeps on hosts of the lab, driven by `hsm` as a user drives it."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hsm.core.tree import SweepTree
from hsm.wire.frames import recover
from tests.integration.tally import FAULTS
from tests.lab.processes import until
from tests.lab.sshd import Host
from tests.lab.wire import Wire

LIMIT_S = 90.0
PROGRAM = """
import json, os, sys, time
from pathlib import Path

folder = Path(sys.argv[1])
with (folder / "begun").open("a") as file:
    file.write(f"{os.environ['HSM_TASK_ID']} {os.getpid()} {os.environ['HSM_PROJECT']}\\n")
print("working", flush=True)
deadline = time.monotonic() + 60
while (folder / "hold").exists() and time.monotonic() < deadline:
    time.sleep(0.05)
Path("results/data").write_bytes(os.environ["HSM_TASK_ID"].encode() * 1000)
Path("metrics.json").write_text(json.dumps({"score": 1}))
"""


class Sweeping:
    """A project whose programs wait while the file `hold` is there, and one sweep of it.

    `extra` is more of its file; a task has the value `k`, of which `bulk` characters are no more than bulk.
    """

    def __init__(self, folder: Path, hsm: Path, tasks: int, extra: str = "", bulk: int = 0) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.project.mkdir()
        self.hsm = hsm
        self._tasks = tasks
        self._managers: list[subprocess.Popen[str]] = []
        (self.project / "hsm.yaml").touch()
        (self.project / "work.py").write_text(PROGRAM)
        (self.project / "s.yaml").write_text(
            f'name: s\nprogram: {{command: ["{sys.executable}", "{{project}}/work.py", "{folder}"]}}\n'
            f"sweep: {{grid: {{k: {[f'{k}{chr(120) * bulk}' for k in range(tasks)]}}}}}\n"
            f"max_failure_rate: 1.0\n{extra}"
        )

    def hold(self) -> None:
        """Let programs wait."""
        (self.folder / "hold").touch()

    def proceed(self) -> None:
        """Let programs go on."""
        (self.folder / "hold").unlink(missing_ok=True)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command of `hsm sweep`."""
        manager = subprocess.Popen(
            [str(self.hsm), "sweep", *words],
            cwd=self.project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._managers.append(manager)
        return manager

    def held(self, count: int, *sources: str) -> subprocess.Popen[str]:
        """Start the sweep on sources, and wait until so many of its programs run; they wait, too."""
        self.hold()
        manager = self.start("run", "s.yaml", *(word for name in sources for word in ("--source", name)))
        self.running(count)
        self.noted("attempt_started", count)
        return manager

    def completed(self, *words: str) -> str:
        """Let programs go on, complete the sweep, and return what that said."""
        self.proceed()
        return self.finished(self.start("complete", "last", *words))

    def end(self) -> None:
        """Let programs go on, and end the managers that are left."""
        self.proceed()
        for manager in self._managers:
            if manager.poll() is None:
                self.kill(manager)
            elif manager.stdout is not None:
                manager.stdout.close()

    def finished(self, manager: "subprocess.Popen[str]") -> str:
        """Wait for a command's end, which must be a good one, and return what it said."""
        said, _ = manager.communicate(timeout=LIMIT_S)
        assert manager.returncode == 0, said
        return said

    def kill(self, manager: "subprocess.Popen[str]") -> None:
        """Kill a manager so that it can say and do nothing more."""
        os.kill(manager.pid, signal.SIGKILL)
        manager.communicate()

    def begun(self) -> Counter[str]:
        """Return how often each task's program began."""
        return Counter(line.split()[0] for line in self._lines())

    def pids(self) -> list[int]:
        """Return the processes of the programs, in the order in which they began."""
        return [int(line.split()[1]) for line in self._lines()]

    def places(self) -> Counter[str]:
        """Return how many programs began from which project directory."""
        return Counter(line.split()[2] for line in self._lines())

    def _lines(self) -> list[str]:
        path = self.folder / "begun"
        return path.read_text().splitlines() if path.exists() else []

    def running(self, count: int) -> None:
        """Wait until so many programs have begun, counting every time."""
        until(lambda: len(self._lines()) >= count, f"{count} programs", LIMIT_S)

    @property
    def tree(self) -> SweepTree:
        """The sweep."""
        (path,) = (self.project / "sweeps/outputs").glob("s-*")
        return SweepTree(path)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a kind, over all engines."""
        paths = (self.project / "sweeps/outputs").glob("s-*/.hsm/ledger/*.hsl")
        logs = [path.read_bytes() for path in sorted(paths)]
        payloads = [payload for log in logs for group in recover(log) for payload in group.payloads]
        found = [json.loads(payload) for payload in dict.fromkeys(payloads)]  # a successor may repeat some
        return [record for record in found if record["t"] == kind]

    def noted(self, kind: str, count: int = 1) -> None:
        """Wait until the ledger has so many events of a kind."""
        until(lambda: len(self.events(kind)) >= count, f"{count} {kind}", LIMIT_S)

    def status(self) -> dict[str, Any]:
        """Return what `hsm sweep status` tells."""
        done = subprocess.run(
            [str(self.hsm), "sweep", "status", "last", "--json"],
            cwd=self.project,
            capture_output=True,
            text=True,
            check=True,
        )
        data: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["data"]
        return data

    def twice(self) -> int:
        """Return how many tasks ran twice, which only those did that were given up."""
        found = {task for task, count in self.begun().items() if count == 2}
        assert found <= {f"task_{event['task']:04d}" for event in self.events("attempt_abandoned")}
        return len(found)

    def check(self, *, again: int = 0) -> None:
        """Make sure that every task has one result, whole, and that no more programs ran again than said."""
        runs = sorted(self.begun().values())
        assert len(runs) == self._tasks
        assert sum(runs) == self._tasks + again, f"runs of each task: {runs}"
        FAULTS["tasks on hosts whose end was checked"] += self._tasks
        sealed = [event["task"] for event in self.events("attempt_sealed")]
        assert sorted(sealed) == list(range(1, self._tasks + 1)), "one result for each task"
        for index in range(1, self._tasks + 1):
            name = f"task_{index:04d}"
            data = (self.tree.tasks / name / "results" / "data").read_bytes()
            assert data == name.encode() * 1000
        done = subprocess.run(
            [str(self.hsm), "sweep", "verify", "last"],
            cwd=self.project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


Make = Callable[..., Sweeping]
Between = Callable[[Host], Wire]


def agents(host: Host) -> list[int]:
    """Return the agents that run on a host."""
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in host.running()}
    return [pid for pid, words in commands.items() if b"--ready" in words]
