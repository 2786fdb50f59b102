"""What analyses cost a hunt: sweeps/ncgl_hunt.yaml, made small, with all shipped analyses and without.

    python benchmarks/analyses.py [--generations 2] [--population 6] [--turns 2] [--apart]

All are made by one process for each result (`physics-all`), or `--apart`, by one each. Both hunts run on
`local:2` at 128 x 128, in turns; the time is that of the whole command, analyses, seal and report included.
Beside the ratio: CPU and wall seconds per artifact of each analysis, as its agent measured them.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hsm.config import load_frozen
from hsm.core.states import TaskStatus
from hsm.core.tree import Sweeps
from hsm.results.analysed import analysed
from hsm.wire.files import Files

HUNT = Path(__file__).resolve().parents[1] / "sweeps" / "ncgl_hunt.yaml"
ANALYSES = ("quantules", "homology", "vortex-tracks", "fingerprint", "legacy-bssn")
GOAL = 1.5


def run(project: Path, words: list[str]) -> float:
    """Run a hunt and return how long the command took, s."""
    began = time.perf_counter()
    hsm = str(Path(sys.executable).with_name("hsm"))
    command = [hsm, "sweep", "run", str(HUNT), "-s", "local:2", "--new", "-q"]
    subprocess.run([*command, *words], cwd=project, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def per_artifact(project: Path) -> None:
    """Print what each analysis of the last hunt cost for one artifact."""
    tree = Sweeps(project / "sweeps" / "outputs", Files()).all()[-1]
    print(f"{'analysis':15} {'artifacts':>9} {'CPU s':>8} {'wall s':>8}   (medians per artifact)")
    for one in analysed(Files(), tree, load_frozen(tree.config), whole=True):
        tasks = one.tracker.tasks if one.tracker else ()
        exits = [
            t.attempt.exit for t in tasks if t.status is TaskStatus.SEALED and t.attempt and t.attempt.exit
        ]
        cpu = statistics.median(end.cpu_user_s + end.cpu_system_s for end in exits)
        wall = statistics.median(end.wall_s for end in exits)
        print(f"{one.name:15} {len(exits):9} {cpu:8.2f} {wall:8.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=2)
    parser.add_argument("--population", type=int, default=6)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--apart", action="store_true")
    wanted = parser.parse_args()
    size = [f"hunt.generations={wanted.generations}", f"hunt.population={wanted.population}"]
    names = ANALYSES if wanted.apart else ("physics-all",)
    added = [f"+analyses={{{', '.join(f'{name}: {{}}' for name in names)}}}"]
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "hsm.yaml").touch()
        run(project, ["hunt.generations=1", "hunt.population=2"])  # fills caches
        plain, full = [], []
        for _ in range(wanted.turns):
            plain.append(run(project, size))
            full.append(run(project, [*size, *added]))
        per_artifact(project)
    ratio = statistics.median(full) / statistics.median(plain)
    print("without", [round(each, 1) for each in plain], "with", [round(each, 1) for each in full], "s")
    print(f"with all analyses {ratio:.2f} times as long as without (goal: at most {GOAL})")


if __name__ == "__main__":
    main()
