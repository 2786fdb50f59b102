"""A project on its way to a host behind a real sshd: the first time, again with nothing new, with one change.

    python benchmarks/ssh_bundles.py [--files 5000] [--rounds 5] [--delay 0.1]

Connecting, logging in, starting the relay and ending it are in every figure called whole. Beside each stands
the whole command of `rsync -a` over the same sshd, which compares times and sizes only and leaves a directory
that may be written to; the first time also tar through ssh. The first time is written into fresh directories,
and nothing is removed before the end. Then the same over a line whose round trip takes `--delay` seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))  # the lab belongs to the tests

from hsm.compute.ssh.bundles import Shipped, ship
from hsm.compute.ssh.reaches import make_reach
from hsm.core.bundle import Bundle, write_listing
from hsm.core.program import pin
from hsm.core.spec import ProgramSpec, SourceSpec
from hsm.core.tree import SweepTree
from hsm.core.world import World
from tests.lab.sshd import Lab, prepare
from tests.lab.wire import Wire

NEEDED_S = 0.5
FIRST_ROUNDS = 3
WORDS = [f"{word}{number}" for word in ("field", "mass", "step", "norm") for number in range(200)]


@dataclass(frozen=True)
class Timed:
    """One way there: all of it, and the part of it for which the connection was open."""

    whole_s: float
    open_s: float
    shipped: Shipped


class Scene:
    """A project at home, and a host that is near, and far by another name."""

    def __init__(self, folder: Path, files: int) -> None:
        prepare()
        self.folder = folder
        self.lab = Lab(folder / "lab")
        self.host = self.lab.host("near")
        self.wire = Wire(self.host.port, self.host.setup.address)
        self.lab.name("far", self.host, self.wire.port)
        os.environ["HSM_SSH_CONFIG"] = str(self.lab.ssh_config)
        self.world = World()
        self.project = folder / "project"
        rng = Random(1)
        for number in range(files):
            path = self.project / f"part{number % 50}" / f"{number}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(" ".join(rng.choices(WORDS, k=8)) for _ in range(rng.randint(2, 80))))
        self._sweeps = self._asides = 0

    def bundle(self) -> Bundle:
        """Begin a sweep of the project as it is."""
        self._sweeps += 1
        tree = SweepTree(self.folder / "outputs" / f"bench-{self._sweeps}")
        tree.hsm.mkdir(parents=True)
        spec = ProgramSpec(command=("true",), files=("**/*.py",))
        write_listing(self.world.files, tree, pin(self.world, spec, self.project))
        found = Bundle.of_sweep(self.world.files, tree, self.project)
        if found is None:
            raise SystemExit("there is no bundle")
        return found

    async def ship(self, name: str) -> Timed:
        """Send the project to a host, from before the connection until after it."""
        bundle = self.bundle()
        reach = make_reach(self.world, SourceSpec(kind="ssh", target=name), Path("/"))
        began = time.perf_counter()
        async with reach.connected() as connection, connection.relay() as link, asyncio.TaskGroup() as group:
            listening = group.create_task(link.run())
            open_at = time.perf_counter()
            shipped = await ship(self.world, link, bundle, source=reach.name, sweep_id=bundle.tree.sweep_id)
            open_s = time.perf_counter() - open_at
            listening.cancel()
        return Timed(time.perf_counter() - began, open_s, shipped)

    def rsync_s(self, name: str) -> float:
        """Return how long rsync takes for the same."""
        config = f"ssh -F {self.lab.ssh_config}"
        began = time.perf_counter()
        words = ["rsync", "-a", "-e", config, f"{self.project}/", f"{name}:{self.host.home}/rsynced/"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    def tar_s(self, name: str) -> float:
        """Return how long tar through ssh takes for the same, made durable as HSM's copy is."""
        ssh = f"ssh -F {self.lab.ssh_config} {name}"
        there = "mkdir -p tarred && tar -C tarred -xf - && sync -f tarred"
        began = time.perf_counter()
        line = f"tar -C {self.project} -cf - . | {ssh} 'cd {self.host.home} && {there}'"
        subprocess.run(["/bin/sh", "-c", line], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    def change(self) -> None:
        """Change one file."""
        path = self.project / "part0" / "0.py"
        path.write_text(f"{path.read_text()}\n# {time.perf_counter()}")

    def forget(self) -> None:
        """Let the host have nothing where it looks. It is put aside: a removal slows what is written next."""
        self._asides += 1
        aside = self.host.home / f"aside{self._asides}"
        aside.mkdir()
        for name in ("rsynced", "tarred", ".hsm/objects", ".hsm/bundles", ".hsm/sweeps"):
            if (self.host.home / name).exists():
                (self.host.home / name).rename(aside / Path(name).name)
        os.sync()

    def end(self) -> None:
        """Let go of everything."""
        self.world.close()
        self.wire.end()
        self.lab.end()


def told(what: str, times: list[Timed], rsync_s: list[float]) -> float:
    """Print a line and return the median of the whole."""
    whole = statistics.median(timed.whole_s for timed in times)
    opened = statistics.median(timed.open_s for timed in times)
    beside = f"{statistics.median(rsync_s):7.3f} s" if rsync_s else "         -"
    last = times[-1].shipped
    print(
        f"{what:34} {whole:7.3f} s {opened:7.3f} s {beside}  {last.objects:6} objects, {last.bytes:9,} bytes"
    )
    return whole


def measure(scene: Scene, name: str, rounds: int, *, has_rsync: bool) -> float:
    """Measure on one line; return the median of a sync with nothing new."""
    asyncio.run(
        scene.ship(name)
    )  # the agent's program stays: it is shipped once per version, not per project
    first, beside, piped = [], [], []
    for _ in range(FIRST_ROUNDS):
        scene.forget()
        first.append(asyncio.run(scene.ship(name)))
        scene.forget()
        beside += [scene.rsync_s(name)] if has_rsync else []
        scene.forget()
        piped.append(scene.tar_s(name))
    told(f"{name}: first time", first, beside)
    print(f"{name}: tar through ssh, synced {statistics.median(piped):17.3f} s")
    again, beside = [], []
    for _ in range(rounds):
        again.append(asyncio.run(scene.ship(name)))
        beside += [scene.rsync_s(name)] if has_rsync else []
    figure = told(f"{name}: nothing new", again, beside)
    changed, beside = [], []
    for _ in range(rounds):
        scene.change()
        changed.append(asyncio.run(scene.ship(name)))
        beside += [scene.rsync_s(name)] if has_rsync else []
    told(f"{name}: one file changed", changed, beside)
    return figure


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--delay", type=float, default=0.1)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hsm-bundles-"))
    scene = Scene(folder, arguments.files)
    try:
        size = sum(path.stat().st_size for path in scene.project.rglob("*.py"))
        print(f"{arguments.files} files, {size / 1e6:.1f} MB; medians of {arguments.rounds}")
        print(f"{'':34} {'whole':>9} {'open':>9} {'rsync':>9}")
        has_rsync = shutil.which("rsync") is not None
        figure = measure(scene, "near", arguments.rounds, has_rsync=has_rsync)
        scene.wire.set_delay(arguments.delay)
        measure(scene, "far", arguments.rounds, has_rsync=has_rsync)
    finally:
        scene.end()
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=False)
        shutil.rmtree(folder, ignore_errors=True)
    if figure > NEEDED_S:
        raise SystemExit(f"a sync with nothing new takes {figure:.3f} s, not under {NEEDED_S} s")


if __name__ == "__main__":
    main()
