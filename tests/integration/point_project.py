"""A small hunt in a project of its own, whose manager or agent ends at a chosen act on the disk."""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.cli_project import Answer, Project

TASKS = 6
SLOTS = 2
SIDES = ("before", "within", "after")
IS_NIGHT = os.environ.get("HSM_NIGHT") == "1"
BYTES = 200_000

# Three generations, so that what follows depends on what was told. Every program says that it ran.
SWEEP = f"""\
name: points
program:
  command:
    - sh
    - -c
    - >-
      echo $HSM_TASK_ID >> "$HSM_PROJECT/ran"; echo "out of {{k}}";
      yes {{k}} | head -c {BYTES} > results/bytes;
      echo '{{{{"score": {{k}}}}}}' > metrics.json
hunt:
  hunter: evolution
  generations: 3
  population: 2
  seed: 5
  space: {{k: {{low: 0, high: 9}}}}
  objective: {{metric: score}}
sources: [local:{SLOTS}]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """Who ends, at which of its acts, on which side; further numbers are of the processes that come after."""

    who: str
    at: Sequence[int]
    side: str

    def __str__(self) -> str:
        return f"{self.who} {self.side} {'+'.join(map(str, self.at))}"

    def environment(self, mark: Path, under: str, cut: Path | None = None) -> dict[str, str]:
        """Return what makes processes die."""
        found = {
            "PYTHONPATH": str(Path(__file__).parent / "kill_points"),
            "KILL_WHO": self.who,
            "KILL_AT": ",".join(map(str, self.at)),
            "KILL_SIDE": self.side,
            "KILL_MARK": str(mark),
            "KILL_UNDER": under,
        }
        return found if cut is None else {**found, "KILL_CUT": str(cut)}


def write_project(folder: Path) -> None:
    """Write the sweep into a new project."""
    folder.mkdir(parents=True)
    (folder / "hsm.yaml").touch()
    (folder / "points.yaml").write_text(SWEEP)


def deaths(mark: Path) -> int:
    """Return how many have died so far."""
    return len([path for path in mark.parent.glob(f"{mark.name}.*") if path.suffix[1:].isdigit()])


def begin(project: Project) -> Answer:
    """Run the sweep, whatever becomes of it."""
    return project.run("sweep", "run", "points.yaml", "-q", code=None)


def records(project: Project) -> list[Mapping[str, Any]]:
    """Return what the ledger holds, in whatever segments; nothing when the sweep was never made."""
    answer = project.run("ledger", "export", "last", code=None, KILL_WHO="nobody")
    assert answer.code in (0, 2), answer.err
    found = [json.loads(line) for line in answer.out.splitlines()] if answer.code == 0 else []
    return [record for record in found if record["t"] != "header"]


def tree_of(project: Project) -> Path | None:
    """Return the newest sweep that came to be."""
    outputs = project.root / "sweeps" / "outputs"
    trees = [tree for tree in outputs.iterdir() if (tree / "tasks").is_dir()] if outputs.exists() else []
    return max(trees, key=lambda tree: tree.stat().st_mtime_ns, default=None)  # names tie within a second


def finish(project: Project) -> None:
    """Go on as a user would: complete the sweep, or begin again when it had not come to be."""
    answer = project.run("sweep", "complete", "last", "-q", code=None, KILL_WHO="nobody")
    if answer.code != 0:
        assert answer.code in (2, 3), answer.err
        assert "Traceback" not in answer.err
        assert not (project.root / "ran").exists(), f"what has run can be completed: {answer.err}"
        again = project.run("sweep", "run", "points.yaml", "-q", code=None, KILL_WHO="nobody")
        assert again.code == 0, again.err


def ran(project: Project) -> Counter[str]:
    """Return how often each task was run, by the programs' own account."""
    try:
        return Counter((project.root / "ran").read_text().split())
    except FileNotFoundError:
        return Counter()


def check_results(
    project: Project, expected: Mapping[str, bytes], known: Sequence[Mapping[str, Any]]
) -> None:
    """Check every result byte by byte, and that the ledger holds what it held, and seals each task once."""
    held = records(project)
    assert held[: len(known)] == list(known)
    sealed = Counter(record["task"] for record in held if record["t"] == "attempt_sealed")
    assert sealed == Counter(range(1, TASKS + 1)), "each task is sealed once"
    tree = tree_of(project)
    assert tree is not None
    for task, output in expected.items():
        place = tree / "tasks" / task
        status = (place / "status.yaml").read_text()
        assert 'status: "sealed"' in status, repr(status)
        assert (place / "stdout.log").read_bytes() == output
        check_bytes(place)
    voided = {(record["task"], record["attempt"]) for record in held if record["t"] == "attempt_voided"}
    for path in (tree / ".hsm" / "work").iterdir():  # of what never counted, until the next engine begins
        found = re.fullmatch(r"task_(\d+)\.(\d+)-\w+", path.name)
        assert found is not None
        assert (int(found[1]), int(found[2])) in voided, path.name


def check_bytes(place: Path) -> None:
    """Check that an attempt's files are what its provenance report says, and what the program wrote."""
    report = json.loads((place / "provenance.json").read_bytes())
    assert report["exit"]["code"] == 0
    for item in report["artifacts"]:
        data = (place / item["path"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (item["size"], item["sha256"]), item["path"]
    line = (place / "stdout.log").read_bytes().removeprefix(b"out of ")
    assert (place / "results" / "bytes").read_bytes() == (line * (BYTES // len(line) + 1))[:BYTES]


@dataclass(frozen=True, slots=True, kw_only=True)
class Undisturbed:
    """What a run does in which nobody dies: the acts of manager and agent, and each task's output."""

    acts: Mapping[str, Sequence[str]]
    outputs: Mapping[str, bytes]


def undisturbed(folder: Path, hsm: Path) -> Undisturbed:
    """Run the hunt once for each role and note its acts."""
    acts, outputs = {}, {}
    for who in ("manager", "agent"):
        root = folder / who
        write_project(root)
        quiet = Death(who=who, at=(0,), side="before").environment(root / "dead", "/sweeps/outputs")
        project = Project(root=root, hsm=hsm, environment=quiet)
        answer = begin(project)
        assert answer.code == 0, answer.err
        acts[who] = (root / "dead.acts").read_text().splitlines()
        tree = tree_of(project)
        assert tree is not None
        outputs = {path.name: (path / "stdout.log").read_bytes() for path in (tree / "tasks").iterdir()}
    return Undisturbed(acts=acts, outputs=outputs)
