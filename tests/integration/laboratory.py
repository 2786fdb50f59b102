"""Sweeps of real programs on this machine, run by managers that can be killed. As a script: the manager.

python laboratory.py SWEEP ACTION COUNT
ACTION: run on · die at the COUNT-th event of a kind (`event:KIND`) or file call (`call:write`)
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from hsm.compute.local import LocalSource
from hsm.compute.testing.file_agent import home_of, newest_agent
from hsm.core import events as ev
from hsm.core.engine import SweepEngine, SweepResult
from hsm.core.job import Origin, SweepJob, Wishes
from hsm.core.ledger_reader import LedgerReader
from hsm.core.model import History, Proposal
from hsm.core.spec import BatchSpec, ProgramSpec, Resources, SourceSpec, SweepSpec
from hsm.core.summary import replay
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire.files import Files

LIMIT_S = 40.0
PROGRAM = r"""
echo "$HSM_TASK_ID $HSM_ATTEMPT $$" >> "$HSM_PROJECT/executed"
case "$1" in
quick) ;;
gate) while [ ! -e "$HSM_PROJECT/gate" ]; do sleep 0.02; done; echo done > results/out.txt ;;
fail) echo "boom at step 17" >&2; exit 1 ;;
deaf) trap '' TERM; while :; do sleep 0.05; done ;;
loud) head -c 30000000 /dev/zero; echo "last words" ;;
daemon)
    setsid sh -c 'echo $$ > "$HSM_PROJECT/daemon"; while :; do sleep 0.05; done' &
    while [ ! -s "$HSM_PROJECT/daemon" ]; do sleep 0.02; done ;;
nan) echo '{"f": NaN, "g": 2.5}' > metrics.json ;;
half) printf '\211HDF\r\n\032\n\000\000\000\000\000\010\010\000' > results/field.h5 ;;
removes) rm -rf "$PWD" ;;
suicide) kill -SEGV $$ ;;
pipe) mkfifo metrics.json ;;
odd) printf '{"\\ud800": NaN, "f": 1}' > metrics.json ;;
esac
"""


WORKER = r"""
import json, os, signal, sys, time
from pathlib import Path

project = Path(os.environ["HSM_PROJECT"])
kept = []

def run(member, mode):
    directory = Path(member["directory"])
    if mode == "gate":
        while not (project / "gate").exists():
            time.sleep(0.02)
        (directory / "results" / "out.txt").write_text("done\n")
    elif mode == "fail":
        (directory / "stderr.log").write_text("boom at step 17\n")
        return 1
    elif mode == "nan":
        (directory / "metrics.json").write_text('{"f": NaN, "g": 2.5}')
    elif mode == "suicide":
        print("about to crash", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    elif mode == "leave":
        sys.exit(0)
    elif mode == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(0.05)
    elif mode == "garble":
        os.write(int(os.environ["HSM_BATCH_FD"]), b"what?\n")
        time.sleep(60)
    elif mode == "mute":
        os.close(int(os.environ["HSM_BATCH_FD"]))
        time.sleep(60)
    elif mode == "late":
        return 124
    elif mode == "hog":
        kept.append(bytes(b"x") * (200 << 20))
        time.sleep(60)
    elif mode == "keep":
        kept.append(bytes(b"x") * (40 << 20))
        if len(kept) == 3:
            time.sleep(60)
    elif mode == "listen":
        assert json.loads(sys.stdin.readline()) == {"cancel": [member["token"]]}
        return 1
    print("one went well", flush=True)
    return 0

with open(int(os.environ["HSM_BATCH_FD"]), "w") as ends:
    for line in iter(sys.stdin.readline, ""):
        for member in json.loads(line).get("members", ()):
            with (project / "executed").open("a") as log:
                task, attempt = (member["variables"][name] for name in ("HSM_TASK_ID", "HSM_ATTEMPT"))
                log.write(f"{task} {attempt} {os.getpid()}\n")
            code = run(member, member["params"]["mode"])
            print(json.dumps({"token": member["token"], "exit": code}), file=ends, flush=True)
"""


class ModeHunter:
    """One task for each mode of the program."""

    def __init__(self, modes: Sequence[str]) -> None:
        self.modes = modes

    def ask(self, history: History, rng: Random) -> Iterable[Proposal]:
        if history.generation > 1:
            return []
        return [Proposal(params={"mode": mode, "n": number}) for number, mode in enumerate(self.modes, 1)]


@dataclass
class Laboratory:
    """One project with one sweep of the program above."""

    project: Path
    tree: SweepTree
    modes: list[str]
    timeout_s: float | None = None
    size: int = 0
    memory_bytes: int | None = None
    heard: list[ev.Event] = field(default_factory=list)

    @property
    def spec(self) -> SweepSpec:
        return spec_of(self.timeout_s, self.size, self.memory_bytes)

    @property
    def executed(self) -> Counter[str]:
        """How often each task was executed, by the programs' own account."""
        path = self.project / "executed"
        return (
            Counter(line.split()[0] for line in path.read_text().splitlines()) if path.exists() else Counter()
        )

    @property
    def pids(self) -> list[int]:
        """The processes of all executions."""
        path = self.project / "executed"
        return [int(line.split()[2]) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def events(self) -> list[ev.Event]:
        return list(LedgerReader(Files(), self.tree).events())

    @property
    def tracker(self) -> SweepTracker:
        return replay(Files(), self.tree, self.spec)[0]

    def count(self, cls: type) -> int:
        return sum(isinstance(event, cls) for event in self.events)

    def open_gate(self) -> None:
        (self.project / "gate").touch()

    def job(self, world: World, wishes: Wishes | None = None) -> SweepJob:
        return SweepJob(
            tree=self.tree,
            spec=self.spec,
            hunter=ModeHunter(self.modes),
            sources=[LocalSource(world, SourceSpec(kind="local", slots=1 if self.size else 2), self.project)],
            project=self.project,
            wishes=wishes or Wishes(),
        )

    async def complete(self, wishes: Wishes | None = None) -> SweepResult:
        """Go on with the sweep in this process."""
        world = World()
        engine = SweepEngine(world, listen=lambda events, _: self.heard.extend(events))
        try:
            async with asyncio.timeout(LIMIT_S):
                return await engine.complete_sweep(self.job(world, wishes))
        finally:
            engine.close()

    def manager(self, action: str = "go", count: int = 0) -> subprocess.Popen[bytes]:
        """Start a manager as a process of its own."""
        (self.project / "modes.json").write_text(
            json.dumps([self.modes, self.timeout_s, self.size, self.memory_bytes])
        )
        argv = [sys.executable, __file__, str(self.tree.root), str(self.project), action, str(count)]
        root = str(Path(__file__).resolve().parents[2])
        with (self.project / "manager.log").open("ab") as log:
            return subprocess.Popen(argv, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": root})

    def agent_pid(self) -> int | None:
        agent = newest_agent(World(), home_of(self.tree.root, "local"))
        return agent.pid if agent else None

    def clean(self) -> None:
        """End whatever a failed test may have left."""
        self.open_gate()
        agent = self.agent_pid()
        for pid in [*([agent] if agent else []), *self.pids]:
            if is_ours(pid, self.project):
                os.kill(pid, signal.SIGKILL)


def is_ours(pid: int, project: Path) -> bool:
    """Tell whether a process works in this laboratory."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return os.fsencode(project) in words


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return False
    return state != "Z"


def spec_of(timeout_s: float | None, size: int = 0, memory_bytes: int | None = None) -> SweepSpec:
    single = ProgramSpec(command=("/bin/sh", "{project}/program.sh", "{mode}"))
    shared = ProgramSpec(command=(sys.executable, "{project}/worker.py"), batch=BatchSpec(size=max(1, size)))
    return SweepSpec(
        name="lab",
        program=shared if size else single,
        timeout_s=timeout_s,
        resources=Resources(memory_bytes=memory_bytes),
        grace_s=0.2,
        max_failure_rate=1.0,
        config_digest="c" * 64,
    )


async def new_laboratory(
    project: Path,
    modes: list[str],
    *,
    outputs: Path | None = None,
    timeout_s: float | None = None,
    size: int = 0,
    memory_bytes: int | None = None,
) -> Laboratory:
    """Make a project with a sweep; with a `size` its tasks share processes, in one slot."""
    project.mkdir(exist_ok=True)
    (project / "program.sh").write_text(PROGRAM)
    (project / "worker.py").write_text(WORKER)
    engine = SweepEngine(World())
    tree = await engine.create_sweep(
        outputs or project / "outputs",
        spec_of(timeout_s, size, memory_bytes),
        Origin(project=project, frozen_config="name: lab\n"),
    )
    engine.close()
    return Laboratory(project, tree, modes, timeout_s, size, memory_bytes)


def wait_for(condition: Callable[[], object], what: str = "", limit_s: float = LIMIT_S) -> None:
    """Look at the world until a condition holds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"it never happened: {what}"
        time.sleep(0.01)


async def happens(condition: Callable[[], object], what: str = "", limit_s: float = LIMIT_S) -> None:
    """Look at the world until a condition holds, and let this process go on meanwhile."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"it never happened: {what}"
        await asyncio.sleep(0.01)


class Bomb:
    """Kills its own process at the n-th thing of a kind."""

    def __init__(self, what: str, count: int) -> None:
        self.what = what
        self.left = count

    def tick(self, what: str) -> None:
        if what == self.what:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class BombedFiles(Files):
    """Real files; each call that changes something is a place to die, before it takes effect."""

    def __init__(self, bomb: Bomb) -> None:
        self.bomb = bomb

    def create(self, path: str) -> int:
        self.bomb.tick("call:create")
        return super().create(path)

    def write(self, fd: int, data: bytes) -> int:
        self.bomb.tick("call:write")
        if self.bomb.what == "call:torn" and self.bomb.left == 1:
            super().write(fd, data[: len(data) // 2])
        self.bomb.tick("call:torn")
        return super().write(fd, data)

    def datasync(self, fd: int) -> None:
        self.bomb.tick("call:datasync")
        super().datasync(fd)

    def replace(self, path: str, data: bytes, *, durable: bool = False) -> None:
        self.bomb.tick("call:replace")
        super().replace(path, data, durable=durable)


async def manage(root: Path, project: Path, action: str, count: int) -> None:
    bomb = Bomb(action, count)
    world = World()
    world.files = BombedFiles(bomb)

    def listen(events: Sequence[ev.Event], tracker: SweepTracker) -> None:
        for event in events:
            bomb.tick(f"event:{event.kind}")

    here = Laboratory(project, SweepTree(root), *json.loads((project / "modes.json").read_text()))
    engine = SweepEngine(world, listen=listen)
    try:
        await engine.complete_sweep(here.job(world))
    finally:
        engine.close()


if __name__ == "__main__":
    asyncio.run(manage(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
