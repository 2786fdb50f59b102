"""Manager and agent, each killed at every act on the disk: nothing acknowledged is lost, nothing runs twice.

Here about twenty of the points of each; `make night` takes them all.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli_project import Answer, Project

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TASKS = 6
SLOTS = 2
POINTS = 21
SIDES = ("before", "within", "after")
SWEEP = """\
name: points
program:
  command: [sh, -c, 'echo $HSM_TASK_ID >> "$HSM_PROJECT/ran"; echo "out of {k}"; echo {k} > results/k']
sweep: {grid: {k: [1, 2, 3, 4, 5, 6]}}
"""
IS_NIGHT = os.environ.get("HSM_NIGHT") == "1"
LAST_SHARE = 0.9
"""How many acts a run has differs a little; nearer to the end a process may be done before it is killed."""


def project_in(folder: Path, hsm: Path, who: str, at: int, side: str) -> Project:
    """Return a project in which that process is killed at that act."""
    folder.mkdir()
    (folder / "hsm.yaml").touch()
    (folder / "points.yaml").write_text(SWEEP)
    environment = {
        "PYTHONPATH": str(Path(__file__).parent / "kill_points"),
        "KILL_WHO": who,
        "KILL_AT": str(at),
        "KILL_SIDE": side,
        "KILL_MARK": str(folder / "killed"),
    }
    return Project(root=folder, hsm=hsm, environment=environment)


def run(project: Project) -> Answer:
    """Run the sweep, whatever becomes of it."""
    return project.run("sweep", "run", "points.yaml", "--source", f"local:{SLOTS}", "-q", code=None)


def records(project: Project) -> list[Mapping[str, Any]]:
    """Return what the ledger holds, in whatever segments; nothing when the sweep was never made."""
    answer = project.run("ledger", "export", "last", code=None)
    found = [json.loads(line) for line in answer.out.splitlines()] if answer.code == 0 else []
    return [record for record in found if record["t"] != "header"]


def finish(project: Project) -> None:
    """Go on as a user would: complete the sweep, or begin again when it had not come to be."""
    answer = project.run("sweep", "complete", "last", "-q", code=None)
    if answer.code != 0:
        assert answer.code in (2, 3), answer.err
        assert "Traceback" not in answer.err
        assert not (project.root / "ran").exists(), "what has run can be completed"
        assert run(project).code == 0


def check(project: Project, acknowledged: list[Mapping[str, Any]]) -> Counter[str]:
    """Check that everything is there, once, and return how often each task was run."""
    assert project.status()["counts"]["sealed"] == TASKS
    assert records(project)[: len(acknowledged)] == acknowledged
    verdict = project.run("ledger", "verify", "--json").data
    assert verdict["is_sound"], verdict["faults"]
    trees = [tree for tree in (project.root / "sweeps" / "outputs").iterdir() if (tree / "tasks").is_dir()]
    tree = max(trees, key=lambda path: path.name)
    for number in range(1, TASKS + 1):
        task = tree / "tasks" / f"task_{number:04d}"
        assert 'status: "sealed"' in (task / "status.yaml").read_text()
        assert (task / "stdout.log").read_text() == f"out of {number}\n"
        assert (task / "results" / "k").read_text() == f"{number}\n"
        assert json.loads((task / "provenance.json").read_text())["exit"]["code"] == 0
    assert not list((tree / ".hsm" / "work").iterdir())
    return Counter((project.root / "ran").read_text().split())


@pytest.fixture(scope="module")
def acts(tmp_path_factory: pytest.TempPathFactory, hsm_command: Path) -> Mapping[str, int]:
    """Return how many acts each of them has when nobody kills it."""
    counts = {}
    for who in ("manager", "agent"):
        project = project_in(tmp_path_factory.mktemp("acts") / who, hsm_command, who, 0, "before")
        assert run(project).code == 0
        counts[who] = int((project.root / "killed.acts").read_text())
    return counts


def points(who: str, acts: Mapping[str, int], number: int) -> list[tuple[int, str]]:
    """Return the points of one test: a single one of a spread, by night its share of all of them."""
    last = int(acts[who] * LAST_SHARE)
    if IS_NIGHT:
        return [(at, side) for at in range(1 + number, last + 1, POINTS) for side in SIDES]
    return [(1 + number * (last - 1) // (POINTS - 1), SIDES[number % 3])]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(POINTS))
def test_a_manager_killed_at_any_act_costs_nothing(
    tmp_path: Path, hsm_command: Path, acts: Mapping[str, int], number: int
) -> None:
    """Whatever it was doing: `complete` ends the sweep, every record stays, every task was run once."""
    for at, side in points("manager", acts, number):
        project = project_in(tmp_path / f"{at}-{side}", hsm_command, "manager", at, side)
        assert run(project).code == -9, f"act {at} {side}"
        acknowledged = records(project)
        finish(project)
        ran = check(project, acknowledged)
        assert set(ran.values()) == {1}, f"act {at} {side}: {ran}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(POINTS))
def test_an_agent_killed_at_any_act_costs_what_it_ran(
    tmp_path: Path, hsm_command: Path, acts: Mapping[str, int], number: int
) -> None:
    """The manager starts another. Only what it ran, or had seen end and not recorded yet, is run again.

    Of either there is one for each slot at most, and nothing is ever counted twice.
    """
    for at, side in points("agent", acts, number):
        project = project_in(tmp_path / f"{at}-{side}", hsm_command, "agent", at, side)
        answer = run(project)
        assert (project.root / "killed").exists(), f"act {at} {side}"
        if answer.code != 0:
            assert answer.code == 3, answer.err
            finish(project)
        ran = check(project, [])
        assert set(ran) == {f"task_{index:04d}" for index in range(1, TASKS + 1)}
        assert ran.total() <= TASKS + 2 * SLOTS, f"act {at} {side}: {ran}"


def test_results_that_a_dead_engine_did_not_place_are_placed(tmp_path: Path, hsm_command: Path) -> None:
    """All tasks are sealed, so nothing is left to run; `complete` still brings the tree to that."""
    project = project_in(tmp_path / "dead", hsm_command, "nobody", 0, "before")
    assert run(project).code == 0
    (tree,) = (project.root / "sweeps" / "outputs").iterdir()
    (segment,) = (tree / ".hsm" / "ledger").iterdir()
    data = segment.read_bytes()
    segment.write_bytes(data[: data.rindex(b"L1 ", 0, data.index(b"engine_stopped"))])
    place = tree / "tasks" / "task_0003"
    token = json.loads((place / "provenance.json").read_text())["token"]
    (place / "status.yaml").unlink()
    place.rename(tree / ".hsm" / "work" / f"task_0003.1-{token[:8]}")
    (tree / "tasks" / "task_0005" / "status.yaml").unlink()
    project.run("sweep", "complete", "last", "-q")
    assert set(check(project, []).values()) == {1}
