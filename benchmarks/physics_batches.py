"""What batches of physics save: whole sweeps on two slots, from the first intent to the last seal.

    python benchmarks/physics_batches.py [--tasks 16] [--turns 3]

Everything is included that a task costs: the start of a process, compilation (the cache on disk is warm),
500 steps, metrics, pictures, HDF5, the record and the seal. Times are taken from the ledgers; each is the
median of the turns.

cold        one process for each task
batch       two batches, each in a process that has to be started
warm        the second generation of a hunt in batches: the processes are there
warm single the second generation in one warm process, one task at a time, with both processors
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from hsm.core import events as ev
from hsm.core.ledger_reader import LedgerReader
from hsm.core.tree import SweepTree
from hsm.wire.files import Files

HSM = Path(sys.executable).with_name("hsm")
STEPS = 500
LIMIT_S = 600


def sweep_file(
    name: str, points: int, tasks: int, *, size: int = 0, generations: int = 1, cpus: int = 1
) -> str:
    """Return a sweep of so many tasks a generation, that differ in b and c."""
    batch = {"batch": {"size": size, "by": ["N", "dtype", "T"]}} if size else {}
    return json.dumps(
        {
            "name": name,
            "program": {"command": ["python", "-m", "hsm.physics"], **batch},
            "parameters": {
                "N": points,
                "L": points / 2,
                "h": 0.05,
                "T": 0.05 * STEPS,
                "save_every": 5,
                "dtype": "f32",
            },
            "hunt": {
                "hunter": "random",
                "generations": generations,
                "population": tasks,
                "seed": 1,
                "space": {"b": {"low": 0.0, "high": 2.0}, "c": {"low": -1.0, "high": 0.0}},
                "objective": {"metric": "defect_density"},
            },
            "resources": {"cpus": cpus},
        }
    )


def seconds(project: Path, text: str, slots: int) -> float:
    """Run a sweep, and return how long its last generation took."""
    (project / "sweep.yaml").write_text(text)
    command = [str(HSM), "sweep", "run", "sweep.yaml", "--source", f"local:{slots}", "--new"]
    environ = {**os.environ, "HSM_JAX_CACHE": str(project / "cache")}
    done = subprocess.run(
        command, cwd=project, env=environ, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    latest = max((project / "sweeps" / "outputs").iterdir(), key=lambda path: path.stat().st_ctime)
    tree = SweepTree(latest)
    events = list(LedgerReader(Files(), tree).events())
    first = max(event.first for event in events if isinstance(event, ev.GenerationPlanned))
    begun = [event.at for event in events if isinstance(event, ev.AttemptIntended) and event.task >= first]
    sealed = [event.at for event in events if isinstance(event, ev.AttemptSealed)]
    return max(sealed) - min(begun)


def main() -> None:
    """Run everything in turns and print the ratios."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tasks", type=int, default=16)
    arguments.add_argument("--turns", type=int, default=3)
    arguments.add_argument("which", nargs="*", default=["64", "128"])
    chosen = arguments.parse_args()
    count = chosen.tasks
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "hsm.yaml").touch()
        small = {
            "cold": (sweep_file("cold", 64, count), 2),
            "batch": (sweep_file("batch", 64, count, size=count), 2),
            "warm": (sweep_file("warm", 64, count, size=count, generations=2), 2),
        }
        large = {
            "warm single": (sweep_file("single", 128, count, size=1, generations=2, cpus=2), 1),
            "warm": (sweep_file("warm", 128, count, size=count, generations=2), 2),
        }
        if "64" in chosen.which:
            report(project, "64x64", small, chosen.turns, [("batch", "cold", 6.0), ("warm", "cold", 12.0)])
        if "128" in chosen.which:
            report(project, "128x128", large, chosen.turns, [("warm", "warm single", 1.6)])


def report(
    project: Path,
    title: str,
    sweeps: dict[str, tuple[str, int]],
    turns: int,
    goals: list[tuple[str, str, float]],
) -> None:
    """Run each sweep in turns, after one that fills the cache, and print times and ratios."""
    for text, slots in sweeps.values():
        seconds(project, text, slots)
    taken: dict[str, list[float]] = {name: [] for name in sweeps}
    for _ in range(turns):
        for name, (text, slots) in sweeps.items():
            taken[name].append(seconds(project, text, slots))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    for name, median in medians.items():
        each = ", ".join(f"{time:.2f}" for time in taken[name])
        print(f"{title} {name}: {median:.2f} s ({each})", flush=True)
    for name, other, goal in goals:
        ratio = medians[other] / medians[name]
        print(f"{title} {name}: {ratio:.1f}x faster than {other} (goal {goal}x)", flush=True)


if __name__ == "__main__":
    main()
