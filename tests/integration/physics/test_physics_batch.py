"""Batches of the physics program: runs in one warm process that are what they are in one of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
COMMON = ["N=16", "save_every=1"]
RUNS: Mapping[str, Mapping[str, object]] = {
    "usual": {"T": 2, "L": 8, "b": 0.5},
    "short": {"T": 1, "L": 8, "c": 0.5},
    "dead": {"T": 1, "L": 8, "mu": 0.0, "init_amp": 1e-5},
    "wrong": {"T": 2, "L": 8, "kapa": 1},
    "other": {"T": 2, "L": 8, "b": 1.5, "seed": 3},
}
"""One has fewer steps, one dies out and has no score, one has parameters that are none."""


def member(folder: Path, name: str, params: Mapping[str, object], **more: str) -> dict[str, Any]:
    directory = folder / name
    (directory / "results").mkdir(parents=True)
    (directory / "params.yaml").write_text(json.dumps(params))
    variables = {"HSM_PARAMS": f"{directory}/params.yaml", "HSM_RESULTS": f"{directory}/results", **more}
    return {"token": name, "directory": str(directory), "params": params, "variables": variables}


@dataclass
class Warm:
    """A process that serves batches, and what it tells."""

    process: subprocess.Popen[str]
    ends: IO[str]

    def say(self, order: Mapping[str, object]) -> None:
        assert self.process.stdin is not None
        print(json.dumps(order), file=self.process.stdin, flush=True)

    def serve(self, members: list[dict[str, Any]]) -> dict[str, int]:
        self.say({"batch": "b", "members": members})
        told = [json.loads(self.ends.readline()) for _ in members]
        return {end["token"]: end["exit"] for end in told}


@contextmanager
def warm(folder: Path) -> Iterator[Warm]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HSM_")}
    reading, writing = os.pipe()
    environ = {**kept, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache"), "HSM_CPUS": "1"}
    environ["HSM_BATCH_FD"] = str(writing)
    command = [sys.executable, "-m", "hsm.physics", *COMMON]
    with (
        subprocess.Popen(
            command, cwd=folder, env=environ, stdin=subprocess.PIPE, pass_fds=[writing], text=True
        ) as process,
        os.fdopen(reading) as ends,
    ):
        os.close(writing)
        yield Warm(process, ends)
        process.kill()


def alone(folder: Path, member: Mapping[str, Any]) -> None:
    """Do the same run in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HSM_")}
    environ = {**kept, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache"), "HSM_CPUS": "1"}
    command = [sys.executable, "-m", "hsm.physics", *COMMON]
    subprocess.run(
        command, cwd=member["directory"], env={**environ, **member["variables"]}, check=True, timeout=100
    )


def fields(directory: Path) -> dict[str, Any]:
    """Return every number of a history, and what a run says of itself."""
    with h5py.File(directory / "results" / "rho_history.h5") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        return {name: np.asarray(file[name]).tobytes() for name in names} | {"status": file.attrs["status"]}


def test_a_batch_equals_single_runs(tmp_path: Path) -> None:
    """Bit for bit, in either order; one that ends early, a dead one and a wrong one stop no other."""
    with warm(tmp_path) as served:
        ends = served.serve([member(tmp_path, name, params) for name, params in RUNS.items()])
        assert ends == {"usual": 0, "short": 0, "dead": 0, "wrong": 2, "other": 0}
        again = [member(tmp_path / "again", name, RUNS[name]) for name in ("other", "usual")]
        assert set(served.serve(again).values()) == {0}, "warm"
        assert served.process.stdin is not None
        served.process.stdin.close()
        assert served.process.wait(20) == 0
    for name in ("usual", "other"):
        single = member(tmp_path / "single", name, RUNS[name])
        alone(tmp_path, single)
        expected = fields(Path(single["directory"]))
        assert fields(tmp_path / name) == expected
        assert fields(tmp_path / "again" / name) == expected
        metrics = (tmp_path / name / "metrics.json").read_bytes()
        assert metrics == (Path(single["directory"]) / "metrics.json").read_bytes()
    assert fields(tmp_path / "dead")["status"] == "dead"
    assert "did you mean kappa" in (tmp_path / "wrong" / "stderr.log").read_text()
    assert (tmp_path / "usual" / "stdout.log").read_text().endswith("ok\n")
    timing = json.loads((tmp_path / "again" / "usual" / "provenance.json").read_text())["timing"]
    assert timing["compilation_cache_hit"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="NO /proc: memory is not told here")
def test_the_memory_of_a_batch_does_not_grow_with_its_runs(tmp_path: Path) -> None:
    """That of the process and of its largest run, however many there are: here a run has 1.6 MB of frames."""
    params = {"T": 2, "L": 28, "N": 64, "save_every": 0.02, "h": 0.02}

    def resident_mb(served: Warm) -> float:
        said = Path(f"/proc/{served.process.pid}/status").read_text()
        return float(said.partition("VmRSS:")[2].split()[0]) / 1024

    with warm(tmp_path) as served:
        served.serve([member(tmp_path, f"first-{at}", {**params, "seed": at}) for at in range(4)])
        begun = resident_mb(served)
        served.serve([member(tmp_path, f"then-{at}", {**params, "seed": at}) for at in range(12)])
        assert resident_mb(served) - begun < 8, "twelve runs more, which would be 20 MB if frames stayed"


def test_a_cancelled_run_ends_and_the_next_goes_on(tmp_path: Path) -> None:
    """One that is cancelled while it runs closes its files; one that waits does not begin."""
    endless, waits = (
        member(tmp_path, "endless", {"T": 100_000, "L": 8}),
        member(tmp_path, "waits", {"T": 2, "L": 8}),
    )
    last = member(tmp_path, "last", {"T": 2, "L": 8})
    with warm(tmp_path) as served:
        served.say({"cancel": ["waits"]})
        served.say({"batch": "b", "members": [endless, waits, last]})
        begun, until = tmp_path / "endless" / "results" / "rho_history.h5.part", time.monotonic() + 60
        while not begun.exists():
            assert time.monotonic() < until, "it never began"
            time.sleep(0.01)
        served.say({"cancel": ["endless"]})
        ends = {end["token"]: end["exit"] for end in (json.loads(served.ends.readline()) for _ in range(3))}
    assert ends == {"endless": 143, "waits": 143, "last": 0}
    assert not (tmp_path / "waits" / "metrics.json").exists()
    assert fields(tmp_path / "endless")["status"] == "cancelled"
