"""Runs that are stopped and killed, as real processes, end bit for bit as runs that are left alone."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import jsonschema
import numpy as np
import pytest

from hsm.physics.interruption import MARGIN_S
from hsm.physics.provenance import schema
from tests.integration.cli_project import Project

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[3]
LIMIT_S = 120.0
POLL_S = 0.01
FILES = ("metrics.json", *(f"results/{name}" for name in ("rho_history.h5", "density.png", "phase.png")))
CASES = {
    "1-D, ETDAB4, double": "dim=1 N=256 L=128 T=2000 save_every=10 integrator=etdab4 dtype=f64",
    "2-D, flat": "N=64 L=32 T=2000 save_every=40 source_kind=sites source_s0=0.2 eta=0.3",
    "2-D, curved, extrapolated": "N=64 L=32 T=240 save_every=2 kappa=0.1 init_kind=vortex_lattice",
    "3-D, curved, by stage, double": (
        "dim=3 N=24 L=12 T=36 save_every=1 kappa=0.1 metric=stage dtype=f64 init_amp=0.5 init_k0=0.5"
    ),
}
# What a user's reader does: another process, HDF5's locks as they are by default or asked for.
READ = """
import h5py, sys
with h5py.File(sys.argv[1], "r", swmr=True) as file:
    count = len(file["t"])
    print(count, *(file["rho"][number].tobytes().hex()[:64] for number in range(count)))
"""


@dataclass(kw_only=True)
class Attempt:
    """A running program in a folder of its own."""

    folder: Path
    process: subprocess.Popen[str]

    def wait_for(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + LIMIT_S
        while not condition():
            assert self.process.poll() is None, "the run ended before it could be interrupted"
            assert time.monotonic() < end, "waited in vain"
            time.sleep(POLL_S)

    def frames(self) -> int:
        part = self.folder / "results" / "rho_history.h5.part"
        try:
            with h5py.File(part, "r", swmr=True) as file:
                return len(file["t"])
        except OSError:  # not there yet, or closing
            return 0

    def end(self, number: int | None = None) -> tuple[int, str, str]:
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, out, err

    def told(self) -> dict[str, object]:
        content: dict[str, object] = json.loads((self.folder / "provenance.json").read_text())
        return content


@dataclass(kw_only=True)
class Task:
    """The attempts of one task: a folder for each, one checkpoint for all."""

    root: Path
    arguments: list[str]
    cache: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    count: int = 0

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint"

    @property
    def state(self) -> Path:
        return self.checkpoint / "state"

    def start(self, **more: str) -> Attempt:
        self.count += 1
        folder = self.root / f"attempt-{self.count}"
        folder.mkdir(parents=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HSM_")}
        told = {
            "HSM_CHECKPOINT": str(self.checkpoint),
            "HSM_CONFIG_HASH": "c0ffee",
            "HSM_TASK_ID": "task_0001",
            "HSM_ATTEMPT": str(self.count),
            "HSM_JAX_CACHE": str(self.cache),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "hsm.physics", *self.arguments],
            cwd=folder,
            env={**kept, "PYTHONPATH": str(ROOT), **told, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return Attempt(folder=folder, process=process)

    def version(self) -> int:
        """Return what changes whenever a checkpoint is written."""
        return self.state.stat().st_mtime_ns if self.state.exists() else 0


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def task(tmp_path: Path, cache: Path) -> Callable[[str, str], Task]:
    return lambda name, case: Task(root=tmp_path / name, arguments=CASES[case].split(), cache=cache)


def assert_same(one: Path, other: Path) -> None:
    for name in FILES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize("case", CASES)
def test_a_run_stopped_and_killed_again_and_again_ends_as_if_left_alone(
    task: Callable[[str, str], Task], case: str
) -> None:
    """SIGTERM, a deadline, kill -9 three times between and in checkpoints; then every byte is the same."""
    alone = task("alone", case).start()
    assert alone.end()[0] == 0

    one = task("one", case)
    attempt = one.start()
    attempt.wait_for(lambda: attempt.frames() >= 3)
    attempt.process.send_signal(signal.SIGSTOP)  # or a slow reader would find that it has ended
    read = subprocess.run(
        [sys.executable, "-c", READ, str(attempt.folder / "results" / "rho_history.h5.part")],
        env={**os.environ, "HDF5_USE_FILE_LOCKING": "TRUE"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.split()
    attempt.process.send_signal(signal.SIGCONT)
    assert attempt.end(signal.SIGTERM)[0] == 128 + signal.SIGTERM
    assert attempt.told()["status"] == "cancelled"

    attempt = one.start(HSM_DEADLINE=str(time.time() + MARGIN_S + 0.2))
    code, out, _ = attempt.end()
    assert (code, attempt.told()["validation_status"]) == (124, "INCOMPLETE")
    assert "going on from the checkpoint at t = " in out

    for _ in range(3):
        attempt, before = one.start(HSM_CHECKPOINT_EVERY_S="0"), one.version()
        seen = {before}

        def saved_twice(seen: set[int] = seen) -> bool:
            seen.add(one.version())
            return len(seen) > 2

        attempt.wait_for(saved_twice)
        assert attempt.end(signal.SIGKILL)[0] == -signal.SIGKILL

    attempt = one.start()
    code, out, err = attempt.end()
    assert (code, err) == (0, "")
    jsonschema.Draft202012Validator(schema()).validate(attempt.told())
    resumed = attempt.told()["resumed"]
    assert isinstance(resumed, dict)
    assert (resumed["attempts"], resumed["same_processor"]) == (5, True)
    assert_same(alone.folder, attempt.folder)
    assert not one.checkpoint.exists()
    with h5py.File(attempt.folder / "results" / "rho_history.h5") as file:
        count = int(read[0])
        assert count >= 3
        assert read[1:] == [file["rho"][number].tobytes().hex()[:64] for number in range(count)]
        assert np.all(np.isfinite(file["rho"][:]))
        assert ("omega_final" in file) == ("curved" in case)
        assert np.all(np.isnan(file["series/h_norm"][:])) != ("curved" in case)


@pytest.mark.parametrize("damage", ["a byte of the state", "source"])
def test_a_checkpoint_that_is_damaged_or_foreign_is_refused_with_a_word(
    task: Callable[[str, str], Task], damage: str
) -> None:
    """The run begins anew, says why, and ends as one that never had a checkpoint."""
    one = task("one", "2-D, flat")
    first = one.start()
    first.wait_for(lambda: first.frames() >= 3)
    assert first.end(signal.SIGTERM)[0] == 128 + signal.SIGTERM
    if damage == "source":
        word = "another run: the source of hsm.physics is"
        name = b'"the source of hsm.physics": "'
        _resign(one.state, lambda body: body.replace(name, name + b"0"))
    else:
        content = bytearray(one.state.read_bytes())
        content[len(content) // 2] ^= 1
        one.state.write_bytes(bytes(content))
        word = "is damaged: its SHA-256"
    again = one.start()
    code, out, err = again.end()
    assert code == 0
    assert word in err
    assert "the run begins anew" in err
    assert "going on" not in out
    told = again.told()
    assert told["resumed"] is None
    assert word in str(told["checkpoint_refused"])
    clean = task("clean", "2-D, flat").start()
    assert clean.end()[0] == 0
    assert_same(again.folder, clean.folder)


def _resign(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change what a checkpoint says, and make it whole again."""
    name, _, body = path.read_bytes().split(b"\n", 2)
    changed = change(body)
    assert changed != body
    path.write_bytes(b"\n".join([name, hashlib.sha256(changed).hexdigest().encode(), changed]))


SWEEP = """
name: {name}
program: {{command: [python, -m, hsm.physics]}}
parameters: {{N: 64, L: 32, T: {T}, save_every: 100}}
sweep: {{grid: {{c: [-1.0, 0.5]}}}}
sources: [local:2]
{extra}
"""


def test_a_sweep_whose_tasks_need_several_attempts_has_the_results_of_one_without_a_limit(
    tmp_path: Path, hsm_command: Path, cache: Path
) -> None:
    """`timeout` and `retry: {time: N}`: attempts end with 124, the next go on, and nothing differs.

    The limit is half of what a run takes here, so that it is the same test on every machine.
    """
    project = Project(root=tmp_path, hsm=hsm_command, environment={"HSM_JAX_CACHE": str(cache)})
    found = {}
    extra = ""
    for name in ("whole", "pieces"):
        (tmp_path / f"{name}.yaml").write_text(SWEEP.format(name=name, T=20_000, extra=extra))
        running = project.start("sweep", "run", f"{name}.yaml", "--json")
        assert running.process.wait(timeout=250) == 0, running.err.read_text()
        found[name] = next((tmp_path / "sweeps" / "outputs").glob(f"{name}-*"))
        reports = found[name].glob("tasks/*/provenance.json")
        took_s = min(json.loads(report.read_text())["usage"]["wall_s"] for report in reports)
        extra = f"timeout: {took_s / 2:.1f}s\nretry: {{time: 30}}"
    for number in (1, 2):
        whole, pieces = (found[name] / "tasks" / f"task_{number:04d}" for name in ("whole", "pieces"))
        assert_same(whole, pieces)
        report = json.loads((pieces / "provenance.json").read_text())
        assert report["attempt"] > 1
        assert report["program"]["resumed"]["attempts"] == report["attempt"] - 1
        assert report["program"]["status"] == "ok"
        told = (pieces / "stdout.log").read_text()
        assert "going on from the checkpoint at t = " in told
        earlier = (found["pieces"] / ".hsm" / "attempts").glob(f"task_{number:04d}.*/stdout.log")
        told += "".join(path.read_text() for path in earlier)  # the last one may be too short for a rate
        assert re.search(r"t = [\d.]+ of 20000  \d+ %  [\d.e+]+ steps/s  .+ left", told)
    assert not list((found["pieces"] / ".hsm" / "checkpoints").iterdir())
