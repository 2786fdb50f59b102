"""`hsm sweep run`, end to end: what it makes, what it says, what it returns."""

import shutil
from pathlib import Path

import pytest

from tests.integration.cli_project import Project

pytestmark = pytest.mark.integration


@pytest.fixture
def project(tmp_path: Path, hsm_command: Path) -> Project:
    """Return an empty project."""
    return Project(root=tmp_path, hsm=hsm_command)


def test_a_sweep_runs_and_its_id_is_all_that_stdout_gets(project: Project) -> None:
    """The id is data; progress, counts, paths are talk; the tree and the report are there."""
    project.sweep("heat", ["a", "b", "c"])
    answer = project.run("sweep", "run", "heat.yaml", "--source", "local:2")
    tree = project.tree()
    assert answer.out == f"{tree.name}\n"
    assert "complete  3 of 3 tasks final" in answer.err
    assert "task_0003 sealed" in answer.err
    assert str((tree / "reports" / "completion_report.html").relative_to(project.root)) in answer.err
    assert "<!doctype html>" in (tree / "reports" / "completion_report.html").read_text()
    assert "\x1b" not in answer.err


def test_json_ends_with_one_object_that_tells_everything(project: Project) -> None:
    """Id, path, status, counts and reports are in the result; a failed task makes the exit code 1."""
    project.sweep("heat", ["a", "bad", "c"])
    answer = project.run("sweep", "run", "heat.yaml", "-s", "local:2", "--json", code=1)
    tree = project.tree()
    assert answer.kind == "sweep.result"
    assert answer.out.count("\n") == 1
    assert answer.data["sweep_id"] == tree.name
    assert answer.data["path"] == str(tree)
    assert answer.data["status"] == "failed"
    assert (answer.data["counts"]["sealed"], answer.data["counts"]["failed"]) == (2, 1)
    assert Path(answer.data["reports"]["completion"]).is_file()
    assert answer.data["failures"][0]["tasks"] == ["task_0002"]


def test_failures_are_grouped_with_a_hint_and_the_command_that_retries(project: Project) -> None:
    """Like failures are one line; `complete --retry-failed` then makes them good."""
    project.sweep("heat", ["a", "bad", "worse"])
    answer = project.run("sweep", "run", "heat.yaml", "-s", "local:2", code=1)
    assert "1 × application  exit code 1: ValueError: bad [bold]value[/bold]" in answer.err
    assert "`hsm logs task_0002 --stderr`" in answer.err
    assert f"hsm sweep complete {project.tree().name} --retry-failed" in answer.err
    (project.root / "mended").touch()
    again = project.run("sweep", "complete", "last", "--retry-failed", "--json")
    assert "rerun     2 tasks" in again.err
    assert again.data["counts"]["sealed"] == 3
    assert "application" in again.err
    assert "hint:" not in again.err
    assert [(task, attempt) for task, attempt, _ in project.begun()][3:] in (
        [("task_0002", "2"), ("task_0003", "2")],
        [("task_0003", "2"), ("task_0002", "2")],
    )


def test_quiet_says_the_id_alone(project: Project) -> None:
    """`-q` leaves stderr empty when all is well."""
    project.sweep("heat", ["a"])
    answer = project.run("sweep", "run", "heat.yaml", "-s", "local:1", "-q")
    assert (answer.out, answer.err) == (f"{project.tree().name}\n", "")


def test_a_dry_run_prints_the_very_commands_and_makes_nothing(project: Project) -> None:
    """What is printed can be typed; values that a shell would read are quoted; no directory appears."""
    project.sweep("heat", ["a", "b c", "$(d)"])
    answer = project.run("sweep", "run", "heat.yaml", "--dry-run")
    lines = answer.out.splitlines()
    assert len(lines) == 3
    assert all(str(project.root / "work.py") in row for row in lines)
    assert [row.rpartition("work.py ")[2] for row in lines] == ["a", "'b c'", "'$(d)'"]
    assert "output would go to sweeps/outputs/heat-" in answer.err
    assert not (project.root / "sweeps").exists()
    assert project.begun() == []


def test_a_dry_run_of_many_says_how_many_more(project: Project) -> None:
    """Only the first commands are printed."""
    project.sweep("heat", [f"v{n}" for n in range(50)])
    answer = project.run("sweep", "run", "heat.yaml", "-n")
    assert len(answer.out.splitlines()) == 20
    assert "and 30 more" in answer.err
    assert project.run("sweep", "run", "heat.yaml", "-n", "--json").data["tasks"] == 50


def test_count_only_prints_a_number(project: Project) -> None:
    """Exclusions are counted; nothing is made."""
    project.sweep("heat", ["a", "b", "c"])
    text = (project.root / "heat.yaml").read_text().replace("}}\nmax", "}, exclude: [{k: b}]}\nmax")
    (project.root / "heat.yaml").write_text(text)
    assert project.run("sweep", "run", "heat.yaml", "--count-only").out == "2\n"
    assert project.run("sweep", "run", "heat.yaml", "--count-only", "--json").data["tasks"] == 2
    assert not (project.root / "sweeps").exists()


def test_max_tasks_runs_the_first_and_complete_runs_the_rest(project: Project) -> None:
    """A canary is fine by itself (exit 0), and nothing of it is run again."""
    project.sweep("heat", ["a", "b", "c", "d"])
    first = project.run("sweep", "run", "heat.yaml", "-s", "local:2", "--max-tasks", "2", "--json")
    assert (first.data["status"], first.data["counts"]["sealed"]) == ("partial", 2)
    plan = project.run("sweep", "complete", "last", "--dry-run", "--json").data
    assert (plan["tasks"]["keep"], plan["tasks"]["run"]) == (2, 2)
    assert project.run("sweep", "complete", "last", "--json").data["counts"]["sealed"] == 4
    assert sorted(task for task, _, _ in project.begun()) == [f"task_000{n}" for n in range(1, 5)]


def test_an_unfinished_twin_is_pointed_out(project: Project) -> None:
    """A second run of the same configuration names the first one and how to go on with it."""
    project.sweep("heat", ["a", "b"])
    project.run("sweep", "run", "heat.yaml", "-s", "local:1", "--max-tasks", "1")
    first = project.tree().name
    answer = project.run("sweep", "run", "heat.yaml", "-s", "local:1")
    assert f"warning: an unfinished sweep has the same configuration: {first}" in answer.err
    assert f"hsm sweep complete {first}" in answer.err
    assert "unfinished" not in project.run("sweep", "run", "heat.yaml", "-s", "local:1", "--new").err


def test_an_estimate_says_how_it_is_known(project: Project) -> None:
    """At first the time limit bounds it, then the pace of the sweep before."""
    project.sweep("heat", ["a", "b", "c"], extra="timeout: 1m\n")
    first = project.run("sweep", "run", "heat.yaml", "-s", "local:1").err
    assert "at most 3 min for 3 tasks on 1 slot, by the time limit" in first
    second = project.run("sweep", "run", "heat.yaml", "-s", "local:1").err
    assert "for 3 tasks on 1 slot, by the pace of heat-" in second


def test_outputs_can_be_elsewhere_and_the_hints_know_it(project: Project) -> None:
    """`--outputs` is where the sweep goes, where it is looked for, and part of the commands named."""
    project.sweep("heat", ["a", "bad"])
    answer = project.run("sweep", "run", "heat.yaml", "-s", "local:1", "--outputs", "else where", code=1)
    sweep_id = answer.out.strip()
    assert (project.root / "else where" / sweep_id / "task_mapping.yaml").is_file()
    assert f"--retry-failed --outputs '{project.root}/else where'" in answer.err
    assert project.run("sweep", "status", "--outputs", "else where", "--json").data["sweep_id"] == sweep_id
    assert project.run("sweep", "status", f"else where/{sweep_id}", "--json").data["sweep_id"] == sweep_id


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        ("{project}/wokr.py", "wokr.py is not in the project", "did you mean work.py?"),
        ("work.py", "each task's own directory", 'write "{project}/work.py"'),
    ],
)
def test_a_missing_program_makes_no_sweep(project: Project, change: str, message: str, hint: str) -> None:
    """One clear error with the fix, exit code 2, and no directory."""
    project.sweep("heat", ["a"])
    text = (project.root / "heat.yaml").read_text().replace("{project}/work.py", change)
    (project.root / "heat.yaml").write_text(text)
    answer = project.run("sweep", "run", "heat.yaml", "-s", "local:1", code=2)
    assert message in answer.err
    assert hint in answer.err
    assert not (project.root / "sweeps").exists()


def test_a_sweep_without_a_source_is_not_guessed(project: Project) -> None:
    """Where to run is the user's word; the error says which words there are."""
    project.sweep("heat", ["a"])
    answer = project.run("sweep", "run", "heat.yaml", code=2)
    assert "no compute source is named" in answer.err
    assert "--source local" in answer.err


def test_a_report_that_cannot_be_written_costs_the_report_alone(project: Project) -> None:
    """The result stands, and a warning names the command that tries again."""
    project.sweep("heat", ["a"])
    project.run("sweep", "run", "heat.yaml", "-s", "local:1")
    reports = project.tree() / "reports"
    shutil.rmtree(reports)
    reports.write_text("in the way")
    answer = project.run("sweep", "complete", "last", "--json")
    assert answer.data["reports"]["completion"] is None
    assert "warning: the report could not be written" in answer.err
    assert f"hsm report {project.tree().name}" in answer.err
