"""Results of a host on their way home, against tar, rsync and SFTP over the same sshd: ratios within one run.

    python -m benchmarks.ssh_files [--rounds 3] [--large-mb 500] [--only small delay large resume]

An sshd on loopback (the one of `tests/lab`), and for `delay` and `resume` a proxy before it that makes every
byte late, or cuts. HSM's figures are those of a source session that is open, from the call of `fetch` until
every byte is at home and has its digest; the others' are of the whole command, with connecting and without
any check. `tar` is also shown over a connection that is open already (ControlMaster).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random

from hsm.compute.link import Link
from hsm.compute.ssh.collecting import Collecting
from hsm.compute.ssh.reaches import make_reach
from hsm.core.errors import SourceError
from hsm.core.source import CollectionResult, Wanted
from hsm.core.spec import SourceSpec
from hsm.core.world import World
from hsm.wire import manifest
from hsm.wire.files import Files
from tests.lab.sshd import Host, Lab, prepare
from tests.lab.wire import Wire

SWEEP = "bench-1"
FILES, FILE_BYTES = 5000, 2000
SFTP_FILES = 60


class Scene:
    """A host with attempts that ended there, and a home to which they come again and again."""

    def __init__(self, folder: Path) -> None:
        prepare()
        self.folder = folder
        self.lab = Lab(folder / "lab")
        self.host: Host = self.lab.host("alpha")
        os.environ["HSM_SSH_CONFIG"] = str(self.lab.ssh_config)
        self.world = World()
        self._homes = 0

    def attempt(self, name: str, files: dict[str, bytes]) -> Wanted:
        """Let an attempt have ended on the host."""
        directory = f".hsm/work/{name}"
        place = self.host.home / ".hsm" / "sweeps" / SWEEP / directory
        for path, data in files.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(data)
        found = manifest.find(Files(), str(place))
        entries = [entry._asdict() for entry in manifest.build(Files(), str(place), found)]
        report = json.dumps({"artifacts": entries}).encode()
        (place / manifest.REPORT).write_bytes(report)
        return Wanted(ref=name, directory=directory, report=sha256(report).hexdigest(), dest=Path())

    def place(self, wanted: Wanted) -> Path:
        """Return where an attempt is on the host."""
        return self.host.home / ".hsm" / "sweeps" / SWEEP / wanted.directory

    def new_home(self) -> Path:
        """Return a directory at home in which nothing is."""
        self._homes += 1
        home = self.folder / f"home{self._homes}" / SWEEP
        home.mkdir(parents=True)
        return home

    def ssh(self, *options: str) -> list[str]:
        """Return the command of OpenSSH's client."""
        return ["ssh", "-F", str(self.lab.ssh_config), *options]

    async def fetch(
        self, target: str, wanted: Wanted, homes: Sequence[Path], *, cut: bool = False
    ) -> tuple[list[float], list[CollectionResult]]:
        """Bring an attempt to each home over one session, and return how long each took."""
        reach = make_reach(self.world, SourceSpec(kind="ssh", target=target), self.folder)
        times: list[float] = []
        results: list[CollectionResult] = []
        try:
            async with (
                reach.connected() as connection,
                connection.relay() as link,
                asyncio.TaskGroup() as group,
            ):
                running = group.create_task(heard(link))
                for home in homes:
                    one = replace(wanted, dest=home / wanted.directory)
                    began = time.perf_counter()
                    found = await Collecting(self.world, link, home).fetch([one])
                    times.append(time.perf_counter() - began)
                    results.append(found[wanted.ref])
                running.cancel()
        except* SourceError:
            if not cut:
                raise
        assert cut or not any(result.fault for result in results), results
        return times, results

    def end(self) -> None:
        """Take everything down."""
        self.lab.end()
        self.world.close()


async def heard(link: Link) -> None:
    """Listen to a link; that it is lost is told to who fetches, once he has taken in what had come."""
    with contextlib.suppress(SourceError):
        await link.run()


def timed(*argv: str) -> float:
    """Run a command and return how long it took."""
    began = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True)
    return time.perf_counter() - began


def told(what: str, times: Sequence[float], amount: str = "") -> float:
    """Print the median of some times, and return it."""
    median = statistics.median(times)
    spread = f"({min(times):.2f} to {max(times):.2f})" if len(times) > 1 else ""
    print(f"  {what:44} {median:8.2f} s {spread:16} {amount}", flush=True)
    return median


def rate(times: Sequence[float], megabytes: int) -> str:
    """Return how fast a file came."""
    return f"{megabytes / statistics.median(times):.0f} MiB/s"


def noise(seed: int, megabytes: int) -> bytes:
    """Return bytes that nothing can compress."""
    rng = Random(seed)
    return b"".join(rng.randbytes(1 << 20) for _ in range(megabytes))


def tar(scene: Scene, wanted: Wanted, *options: str) -> float:
    """Bring an attempt home by tar piped through ssh."""
    dest = scene.new_home()
    line = " ".join(scene.ssh(*options, "alpha"))
    line += f" 'tar -C {scene.place(wanted)} -cf - .' | tar -C {dest} -xf -"
    return timed("/bin/sh", "-c", line)


def small(scene: Scene, rounds: int) -> None:
    """5,000 files of 2 kB on loopback."""
    rng = Random(1)
    wanted = scene.attempt("small", {f"results/{n:05}": rng.randbytes(FILE_BYTES) for n in range(FILES)})
    master = scene.folder / "master"
    subprocess.run([*scene.ssh("-M", "-N", "-f", "-o", f"ControlPath={master}", "alpha")], check=True)
    homes = [scene.new_home() for _ in range(rounds)]
    ours: list[float] = []
    piped: list[float] = []
    shared: list[float] = []
    for home in homes:
        piped.append(tar(scene, wanted))
        ours += asyncio.run(scene.fetch("alpha", wanted, [home]))[0]
        shared.append(tar(scene, wanted, "-o", f"ControlPath={master}"))
    subprocess.run(
        [*scene.ssh("-O", "exit", "-o", f"ControlPath={master}", "alpha")], check=True, capture_output=True
    )
    print(f"{FILES} files of {FILE_BYTES} bytes, loopback")
    first = told("tar | ssh", piped)
    told("tar | ssh, connection open", shared)
    mine = told("hsm, every byte checked", ours)
    print(f"  -> {first / mine:.2f} of tar's speed (goal 1)")
    again, _ = asyncio.run(scene.fetch("alpha", wanted, [homes[-1]]))
    told("hsm again, nothing new (goal 0.5)", again)


def delay(scene: Scene, round_trip_s: float = 0.1) -> None:
    """The same with 100 ms round trip, against SFTP file by file."""
    wire = Wire(scene.host.port)
    wire.set_delay(round_trip_s)
    scene.lab.name("slow", scene.host, wire.port)
    wanted = scene.attempt("small", {})
    ours, _ = asyncio.run(scene.fetch("slow", wanted, [scene.new_home()]))
    batch, dest = scene.folder / "batch", scene.new_home()
    names = sorted(path.name for path in (scene.place(wanted) / "results").iterdir())[:SFTP_FILES]
    batch.write_text("".join(f"get {scene.place(wanted)}/results/{name} {dest}/{name}\n" for name in names))
    sftp = ["sftp", "-F", str(scene.lab.ssh_config), "-b", str(batch), "slow"]
    batch_s = timed(*sftp)
    batch.write_text("pwd\n")
    per_file = (batch_s - timed(*sftp)) / len(names)
    wire.end()
    print(f"{FILES} files of {FILE_BYTES} bytes, {round_trip_s * 1000:.0f} ms round trip")
    told(f"sftp file by file ({per_file:.3f} s a file, of {len(names)})", [per_file * FILES])
    mine = told("hsm, every byte checked", ours)
    print(f"  -> {per_file * FILES / mine:.0f} times as fast (goal 20)")


def large(scene: Scene, rounds: int, megabytes: int) -> None:
    """One large file on loopback, against rsync."""
    wanted = scene.attempt("large", {"results/large.bin": noise(2, megabytes)})
    shell = " ".join(scene.ssh())
    quick = f"{shell} -c aes128-gcm@openssh.com"
    ours: list[float] = []
    plain: list[float] = []
    same: list[float] = []
    for _ in range(rounds):
        for times, ssh in ((plain, shell), (same, quick)):
            dest = scene.new_home()
            times.append(timed("rsync", "-a", "-e", ssh, f"alpha:{scene.place(wanted)}/", f"{dest}/"))
            shutil.rmtree(dest)
        home = scene.new_home()
        ours += asyncio.run(scene.fetch("alpha", wanted, [home]))[0]
        shutil.rmtree(home)
    print(f"one file of {megabytes} MiB, loopback")
    first = told("rsync", plain, rate(plain, megabytes))
    second = told("rsync, aes128-gcm", same, rate(same, megabytes))
    mine = told("hsm, every byte checked", ours, rate(ours, megabytes))
    print(f"  -> {first / mine:.2f} of rsync's speed (goal 0.8), {second / mine:.2f} of it with aes128-gcm")


def resume(scene: Scene, megabytes: int) -> None:
    """A transfer that is cut at 80 %, and goes on."""
    wanted = scene.attempt("cut", {"results/large.bin": noise(3, megabytes)})
    wire, home, size = Wire(scene.host.port), scene.new_home(), megabytes << 20
    scene.lab.name("cut", scene.host, wire.port)
    wire.to_client.reset_at = int(size * 0.8)
    asyncio.run(scene.fetch("cut", wanted, [home], cut=True))
    before = wire.to_client.passed
    times, results = asyncio.run(scene.fetch("cut", wanted, [home]))
    again = wire.to_client.passed - before
    wire.end()
    print(f"one file of {megabytes} MiB, cut at 80 %")
    told("hsm goes on", times, f"{again / size:.1%} of it sent (goal: less than 25 %)")
    assert results[0].fault is None


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large-mb", type=int, default=500)
    parser.add_argument("--only", nargs="*", default=["small", "delay", "large", "resume"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder))
        try:
            if "small" in arguments.only or "delay" in arguments.only:
                small(scene, arguments.rounds)
            if "delay" in arguments.only:
                delay(scene)
            if "large" in arguments.only:
                large(scene, arguments.rounds, arguments.large_mb)
            if "resume" in arguments.only:
                resume(scene, arguments.large_mb)
        finally:
            scene.end()


if __name__ == "__main__":
    main()
