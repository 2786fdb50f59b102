"""Whole hunts through the command line: rules, stops and a kill in the middle."""

import json
from pathlib import Path

import pytest

from tests.integration.cli_project import Project, until

pytestmark = pytest.mark.integration

PROGRAM = """
import json, os, sys, time
from pathlib import Path

project = Path(os.environ["HSM_PROJECT"])
with (project / "begun.txt").open("a") as file:
    file.write(f"{os.environ['HSM_TASK_ID']} {os.environ['HSM_ATTEMPT']} {os.getpid()}\\n")
held = os.environ["HSM_TASK_ID"] >= "task_0008"
deadline = time.monotonic() + 30
while held and (project / "hold").exists() and time.monotonic() < deadline:
    time.sleep(0.02)
b, c = map(float, sys.argv[1:])
if b < 0.3:
    sys.exit(1)
Path("metrics.json").write_text(json.dumps({"f": None if c > 1.8 else (b - 1) ** 2 + c**2, "g": c}))
"""
FILE = """
name: hunt
program: {command: [python, "{project}/work.py", "{b}", "{c}"]}
hunt:
  hunter: cmaes
  generations: 40
  population: 6
  space: {b: {low: 0, high: 3}, c: {low: -2, high: 2}}
  objective: {metric: f, direction: minimize}
  forbid: ["b > 2 and c < 0"]
  stop: {tasks: 20}
max_failure_rate: 1.0
"""


def _project(root: Path, hsm: Path, text: str = FILE) -> Project:
    root.mkdir()
    (root / "work.py").write_text(PROGRAM)
    (root / "hunt.yaml").write_text(text)
    return Project(root=root, hsm=hsm)


def _plans(project: Project) -> dict[str, list[dict[str, object]]]:
    """Return the plans of the only sweep by their names, which are hashes of all that they hold."""
    plans = sorted((project.tree() / ".hsm" / "plan").glob("*.jsonl"))
    return {path.name: [json.loads(line) for line in path.read_text().splitlines()] for path in plans}


def _end(project: Project) -> str:
    lines = (project.tree() / "logs" / "sweep.log").read_text().splitlines()
    (line,) = [line for line in lines if "no further generation" in line]
    return line.partition("no further generation ")[2]


def test_a_killed_hunt_goes_on_as_it_would_have(tmp_path: Path, hsm_command: Path) -> None:
    """The plans of a hunt that was killed and completed are those of one that ran through, byte for byte."""
    whole = _project(tmp_path / "whole", hsm_command)
    whole.run("sweep", "run", "hunt.yaml", "--source", "local:2", code=None)
    killed = _project(tmp_path / "killed", hsm_command)
    killed.hold.touch()
    running = killed.start("sweep", "run", "hunt.yaml", "--source", "local:2")
    until(lambda: any(task >= "task_0008" for task, _, _ in killed.begun()), "the second generation")
    running.kill()
    killed.hold.unlink()
    killed.run("sweep", "complete", "last", "--source", "local:2", code=None)
    assert _plans(killed) == _plans(whole)
    tasks = [task for plan in _plans(whole).values() for task in plan]
    assert len(tasks) == 20
    assert {task["label"] for task in tasks} == {"explore", "exploit"}
    assert _end(killed) == _end(whole) == "(the budget of 20 tasks is spent)"


def test_a_hunt_of_two_objectives_ends_when_its_front_stands_still(tmp_path: Path, hsm_command: Path) -> None:
    """It is ranked by both metrics, and the reason of its end is in the log and in the ledger."""
    text = FILE.replace("{metric: f, direction: minimize}", "[{metric: f, direction: minimize}, {metric: g}]")
    text = text.replace("cmaes", "evolution").replace("{tasks: 20}", "{target: {f: 2, g: 0.2}}")
    project = _project(tmp_path / "two", hsm_command, text)
    project.run("sweep", "run", "hunt.yaml", "--source", "local:2", code=None)
    assert _end(project).startswith("(the target is reached: f = ")


def test_a_space_that_is_wholly_forbidden_is_told_before_anything_runs(
    tmp_path: Path, hsm_command: Path
) -> None:
    """`hsm config validate` says that nothing can be proposed, and which rule forbids it."""
    project = _project(
        tmp_path / "none",
        hsm_command,
        FILE.replace("b > 2 and c < 0", "b >= 0 or c < 0").replace("cmaes", "random"),
    )
    answer = project.run("config", "validate", "hunt.yaml", code=2)
    assert "nothing can be proposed" in answer.err
    assert "b >= 0 or c < 0" in answer.err
