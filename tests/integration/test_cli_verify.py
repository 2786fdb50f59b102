"""Results at rest: what `hsm sweep verify` finds, says and records, and how results are mended."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.integration.cli_project import Project, until

pytestmark = pytest.mark.integration


@pytest.fixture
def project(tmp_path: Path, hsm_command: Path) -> Project:
    """Return a project with a finished sweep of five tasks, the last of which failed."""
    found = Project(root=tmp_path, hsm=hsm_command)
    found.sweep("heat", ["a", "bb", "ccc", "dddd", "bad"], extra="sources: [local:2]\n")
    found.run("sweep", "run", "heat.yaml", "-q", code=1)
    return found


def test_results_are_read_only_and_the_user_can_still_remove_them(project: Project) -> None:
    """Files that a manifest lists, of results and of failures; not the manager's status, no directory."""
    for task in ("task_0001", "task_0005"):
        directory = project.tree() / "tasks" / task
        writable = {
            path.name for path in directory.iterdir() if path.is_file() and path.stat().st_mode & 0o222
        }
        assert writable == {"status.yaml"}
        assert (directory / "results").stat().st_mode & 0o200
    shutil.rmtree(project.tree() / "tasks" / "task_0001")


def test_damage_is_found_recorded_shown_and_mended(project: Project) -> None:
    """A flipped byte, a cut, a loss, a link: told by file, exit code 1; a copy or a new run makes it good."""
    tasks = project.tree() / "tasks"
    assert project.run("sweep", "verify").out.startswith("sound: 5 of 5 sealed attempts read, ")
    shutil.copytree(tasks, project.root / "copy")
    (tasks / "task_0001" / "metrics.json").chmod(0o644)
    (tasks / "task_0001" / "metrics.json").write_text('{"score": 9}')
    os.truncate(tasks / "task_0002" / "stdout.log", 4)
    (tasks / "task_0003" / "params.yaml").unlink()
    (tasks / "task_0004" / "stderr.log").unlink()
    (tasks / "task_0004" / "stderr.log").symlink_to("/dev/null")
    (tasks / "task_0004" / "results" / "mine.txt").write_text("a note")
    found = project.run("sweep", "verify", "--json", code=1)
    assert found.kind == "sweep.verification"
    assert found.data["damaged"] == ["task_0001", "task_0002", "task_0003", "task_0004"]
    assert {(item["task_id"], item["kind"], item["path"]) for item in found.data["findings"]} == {
        ("task_0001", "damaged", "metrics.json"),
        ("task_0002", "damaged", "stdout.log"),
        ("task_0003", "missing", "params.yaml"),
        ("task_0004", "damaged", "stderr.log"),
        ("task_0004", "extra", "results/mine.txt"),
    }
    status = project.run("sweep", "status")
    assert "4 corrupt at rest" in status.out
    assert "--retry corrupt" in status.out
    assert project.run("sweep", "status", "--json").data["verified"]["damaged"] == 4
    assert "metrics.json: its content has changed" in project.run("explain", "1").out
    project.run("report")
    assert "4 corrupt at rest" in (project.tree() / "reports" / "completion_report.html").read_text()
    rows = project.run("results", "--format", "json").data["rows"]
    assert [row["meta.status"] for row in rows] == ["corrupt"] * 4 + ["failed"]
    assert (tasks / "task_0001" / "metrics.json").read_text() == '{"score": 9}', "nothing is deleted"

    shutil.rmtree(tasks / "task_0001")
    shutil.copytree(project.root / "copy" / "task_0001", tasks / "task_0001")
    project.run("sweep", "verify", code=1)
    assert "1 sealed" in project.run("sweep", "status").out
    plan = project.run("sweep", "complete", "last", "--retry", "corrupt", "--dry-run", "--json").data
    assert plan["tasks"]["rerun"] == 3
    project.run("sweep", "complete", "last", "--retry", "corrupt", "-q", code=1)
    begun = (project.root / "begun.txt").read_text().split("\n")
    assert sorted(line.split()[0] for line in begun[5:] if line) == ["task_0002", "task_0003", "task_0004"]
    assert project.run("sweep", "verify").out.startswith("sound: 5 of 5 ")
    assert "4 sealed" in project.run("sweep", "status").out


def test_a_part_or_a_share_is_read(project: Project) -> None:
    """A nightly job reads one of several parts; the words are checked, and exclude each other."""
    read = [project.run("sweep", "verify", "--part", f"{n}/2", "--json").data["read"] for n in (1, 2)]
    assert read == [3, 2]
    assert project.run("sweep", "verify", "--sample", "40%", "--json").data["read"] == 2
    for wrong in (
        ("--part", "3/2"),
        ("--part", "x"),
        ("--sample", "0%"),
        ("--sample", "5"),
        ("--all", "--head"),
    ):
        assert project.run("sweep", "verify", *wrong, code=2).err


def test_the_seal_is_checked_and_its_head_can_be_published(project: Project) -> None:
    """Tampering with report, ledger's seal or SEAL.json is found; a missing seal is written anew."""
    head = project.run("sweep", "verify", "--head").out
    said = json.loads((project.tree() / "SEAL.json").read_text())
    assert head.startswith(f"hsm-seal-v1 {said['sweep_id']} results=4 root={said['root']} seq=")
    report = project.tree() / "tasks" / "task_0001" / "provenance.json"
    text = report.read_text()
    report.chmod(0o644)
    report.write_text(text.replace('"seed": 0', '"seed": 1'))
    found = project.run("sweep", "verify", "--json", code=1).data["findings"]
    assert [(item["path"], item["kind"]) for item in found] == [("provenance.json", "damaged")]
    report.write_text(text)
    project.run("sweep", "verify")
    assert project.run("sweep", "verify", "--head").out == head, "what is found later does not move the head"
    (project.tree() / "SEAL.json").write_text(json.dumps({**said, "results": 5}))
    assert "SEAL.json: results is 5" in project.run("sweep", "verify", code=1).out
    assert project.run("sweep", "verify", "--head", code=1).out == ""
    (project.tree() / "SEAL.json").unlink()
    assert "SEAL.json is missing" in project.run("sweep", "verify", code=1).out
    project.run("sweep", "rebuild", "last")
    assert json.loads((project.tree() / "SEAL.json").read_text())["root"] == said["root"]
    project.run("sweep", "verify")


def test_a_sweep_that_runs_is_verified_meanwhile(project: Project) -> None:
    """Its engine goes on undisturbed; what is found is told, and the ledger is left to the engine."""
    project.hold.touch()
    project.sweep("cold", list("abcdef"), extra="sources: [local:2]\n")
    running = project.start("sweep", "run", "cold.yaml", "-q")
    until(lambda: len(project.begun()) >= 7, "the first two of its tasks")
    assert "none yet" in project.run("sweep", "verify", "last").out
    for _ in range(3):
        project.run("sweep", "verify", "last")
    project.hold.unlink()
    assert running.end().code == 0
    assert project.run("sweep", "verify", "last").out.startswith("sound: 6 of 6 ")
    assert project.run("ledger", "verify", "last", "--json").data["is_sound"] is True


def test_what_cannot_be_recorded_is_told_all_the_same(project: Project) -> None:
    """On a medium that is read-only, or while an engine is at the sweep."""
    (project.tree() / "tasks" / "task_0001" / "params.yaml").unlink()
    epochs = project.tree() / ".hsm" / "epochs"
    (claim,) = epochs.glob("*.claim")
    other = json.loads(claim.read_text())
    other["epoch"], other["who"]["host"] = 2, "elsewhere"
    (epochs / "000002.claim").write_text(json.dumps(other))
    answer = project.run("sweep", "verify", code=1)
    assert "task_0001" in answer.out
    assert "the ledger does not say so" in answer.err
    assert "elsewhere" in answer.err
