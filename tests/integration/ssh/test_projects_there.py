"""The user's code and environment on real hosts, by the command line: pinned, shipped once, cleaned up."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli_project import Project, until
from tests.lab.sshd import Host, Lab

pytestmark = pytest.mark.integration

BARE = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}

PROGRAM = """
import json, os, sys, time
from pathlib import Path
sys.path.insert(0, os.environ["HSM_PROJECT"])
from lib.model import VERSION
Path("metrics.json").write_text(json.dumps({"version": VERSION, "k": int(sys.argv[1])}))
Path("results/where.json").write_text(json.dumps({
    "project": os.environ["HSM_PROJECT"], "python": sys.executable, "set": os.environ.get("FROM_SETUP"),
    "program": __file__}))
while Path(os.environ.get("HOLD", "/nowhere")).exists():
    time.sleep(0.05)
"""


def git(where: Path, *arguments: str) -> None:
    options = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *options, *arguments], cwd=where, check=True, capture_output=True, env=BARE)


@pytest.fixture
def project(tmp_path: Path, hsm_command: Path, ssh_lab: Lab) -> Project:
    """A repository whose program says from where and by what it runs."""
    root = tmp_path / "project"
    (root / "lib").mkdir(parents=True)
    (root / "run.py").write_text(PROGRAM)
    (root / "lib" / "model.py").write_text("VERSION = 1\n")
    (root / "env.sh").write_text("echo setting up; export FROM_SETUP='it was'\n")
    sweep = 'name: there\nprogram: {command: [python, "{project}/run.py", "{k}"]}\n'
    sweep += "sweep: {grid: {k: [1, 2, 3, 4]}}\n"
    (root / "there.yaml").write_text(sweep)
    (root / ".gitignore").write_text("sweeps/\nuntracked.py\nsaid-*\n")
    (root / "untracked.py").write_text("raise SystemExit('not of the project')\n")
    git(root, "init")
    git(root, "add", ".")
    git(root, "commit", "-m", "x")
    return Project(root=root, hsm=hsm_command)


def reports(tree: Path) -> dict[str, Any]:
    return {
        path.parent.name: json.loads(path.read_text())
        for path in sorted(tree.glob("tasks/*/provenance.json"))
    }


def run(project: Project, *more: str) -> tuple[Path, str]:
    answer = project.run("sweep", "run", "there.yaml", "--source", "ssh:alpha:2", "--json", *more)
    return Path(answer.data["path"]), answer.err


def root_of(host: Host) -> Path:
    return host.home / ".hsm"


def test_the_code_of_a_sweep_is_pinned_named_and_left_for_the_next(project: Project, ssh_host: Host) -> None:
    """Every attempt starts from the bundle that its report names; of the sweep nothing stays on the host."""
    tree, said = run(project)
    bundle = json.loads((tree / ".hsm" / "bundle.json").read_text())
    for name, report in reports(tree).items():
        where = json.loads((tree / "tasks" / name / "results" / "where.json").read_text())
        code = report["code"]
        place = root_of(ssh_host) / "bundles" / code["bundle"]
        assert where["project"] == str(place)
        assert where["program"] == f"{place}/run.py"
        assert code["interpreter"]["path"] == report["command"][0]
        assert re.fullmatch(r"3\.\d+\.\d+", code["interpreter"]["version"])
        assert (code["dirty"], code["files"]) == (False, 5)
        assert code == {**bundle["program"], "interpreter": code["interpreter"]}
        assert {path.name for path in place.iterdir()} == {
            ".gitignore",
            "env.sh",
            "lib",
            "run.py",
            "there.yaml",
        }
    assert list((root_of(ssh_host) / "sweeps").iterdir()) == [], said + (tree / "logs/engine.log").read_text()
    before = {path: path.stat().st_ino for path in (root_of(ssh_host) / "objects").rglob("*")}
    run(project, "--new")
    assert {path: path.stat().st_ino for path in (root_of(ssh_host) / "objects").rglob("*")} == before


def test_a_sweep_goes_on_with_the_code_that_it_began_with(project: Project, ssh_host: Host) -> None:
    """Though the project has changed since, on this host and on one that has nothing yet."""
    tree, _ = run(project, "--max-tasks", "2", "--json")
    (project.root / "lib" / "model.py").write_text("VERSION = 2\n")
    (project.root / "env.sh").unlink()
    answer = project.run("sweep", "complete", "last", "--source", "ssh:alpha", "--max-tasks", "3")
    assert "the program has changed since the sweep began (env.sh, lib/model.py)" in answer.err
    assert [r["code"]["dirty"] for r in reports(tree).values()] == [False] * 3
    versions = [json.loads(path.read_text())["version"] for path in sorted(tree.glob("tasks/*/metrics.json"))]
    assert versions == [1, 1, 1]


def test_checkpoints_stay_until_the_sweep_is_over(project: Project, ssh_host: Host) -> None:
    """What was run in part, or failed, may go on from them; when all has succeeded they go too."""
    (project.root / "run.py").write_text(
        "import os, sys\nfrom pathlib import Path\n"
        "place = Path(os.environ['HSM_CHECKPOINT']); place.mkdir(parents=True, exist_ok=True)\n"
        "known = (place / 'state').exists(); (place / 'state').touch()\n"
        "sys.exit(0 if known or sys.argv[1] == '1' else 1)\n"
    )
    project.run("sweep", "run", "there.yaml", "--source", "ssh:alpha:2", "--max-tasks", "1")
    checkpoints = ".hsm/checkpoints/*/state"
    (sweep,) = (root_of(ssh_host) / "sweeps").iterdir()
    assert len(list(sweep.glob(checkpoints))) == 1
    project.run("sweep", "complete", "last", code=1)
    assert len(list(sweep.glob(checkpoints))) == 4
    project.run("sweep", "complete", "last", "--retry-failed")
    assert list((root_of(ssh_host) / "sweeps").iterdir()) == []


def test_another_host_gets_the_code_that_the_sweep_began_with(
    project: Project, ssh_lab: Lab, ssh_host: Host
) -> None:
    """From the copy in the sweep's tree."""
    tree, _ = run(project, "--max-tasks", "1")
    beta = ssh_lab.host("beta")
    (project.root / "lib" / "model.py").write_text("VERSION = 2\n")
    project.run("sweep", "complete", "last", "--source", "ssh:beta:2")
    versions = [json.loads(path.read_text())["version"] for path in sorted(tree.glob("tasks/*/metrics.json"))]
    assert versions == [1, 1, 1, 1]
    assert len({report["code"]["bundle"] for report in reports(tree).values()}) == 1
    assert len(list((root_of(beta) / "bundles").glob("*.json"))) == 1


def test_a_large_project_that_changed_is_refused_elsewhere(
    project: Project, ssh_lab: Lab, ssh_host: Host
) -> None:
    """By the names of the files, and with the commit to go back to; nothing runs from anything else."""
    (project.root / "data.bin").write_bytes(os.urandom(1 << 20) * 33)
    git(project.root, "add", ".")
    git(project.root, "commit", "-m", "large")
    tree, _ = run(project, "--max-tasks", "1")
    beta = ssh_lab.host("beta")
    (project.root / "lib" / "model.py").write_text("VERSION = 2\n")
    answer = project.run("sweep", "complete", "last", "--source", "ssh:beta:2", code=3)
    assert "its host lacks what was in lib/model.py" in answer.err
    assert "check out" in answer.err
    assert len(reports(tree)) == 1
    assert list((root_of(beta) / "bundles").glob("*")) == []
    git(project.root, "checkout", ".")
    project.run("sweep", "complete", "last", "--source", "ssh:beta:2")
    assert len(reports(tree)) == 4


def test_what_is_no_part_of_the_bundle_is_said(project: Project, ssh_host: Host) -> None:
    """A file over the limit; a link that leads out is an error before anything is sent."""
    with (project.root / "huge.bin").open("wb") as file:
        file.truncate((64 << 20) + 1)
    git(project.root, "add", "huge.bin")
    tree, said = run(project, "--max-tasks", "1")
    assert "no part of the pinned program: huge.bin: larger than 64 MiB" in said
    assert reports(tree)["task_0001"]["code"]["left_out"] == ["huge.bin: larger than 64 MiB"]
    (project.root / "data").symlink_to("/usr/share")
    git(project.root, "add", "data")
    answer = project.run("sweep", "run", "there.yaml", "--source", "ssh:alpha:2", "--new", code=3)
    assert "links lead out of the project: data" in answer.err
    assert "program: {files: [-data]}" in answer.err
    text = (project.root / "there.yaml").read_text()
    (project.root / "there.yaml").write_text(
        text.replace("program: {", "program: {files: [-data, -huge.bin], ")
    )
    _, said = run(project, "--max-tasks", "1", "--new")
    assert "no part of" not in said


def test_an_environment_is_made_on_the_host(project: Project, ssh_host: Host) -> None:
    """A set-up script of the bundle after a noisy profile; its log and itself stand in the sweep's tree."""
    (ssh_host.home / ".bash_profile").write_text("echo 'Welcome!'; echo '{\"python\": \"/evil\"}'\n")
    (project.root / "hsm.yaml").write_text("sources: {'ssh:alpha': {setup: env.sh, slots: 2}}\n")
    tree, _ = run(project, "--max-tasks", "1")
    where = json.loads((tree / "tasks" / "task_0001" / "results" / "where.json").read_text())
    assert where["set"] == "it was"
    scripts = tree / "scripts" / "setup_scripts"
    assert (scripts / "ssh:alpha.log").read_text() == "setting up\n"
    assert (scripts / "ssh:alpha.setup.sh").read_text() == (project.root / "env.sh").read_text()
    assert "env.sh" in (scripts / "ssh:alpha.sh").read_text()


def test_clean_removes_what_is_ours_and_waits_for_who_runs(
    project: Project, ssh_host: Host, tmp_path: Path
) -> None:
    """Nothing while attempts run, unless by force; then all of it, and nothing else."""
    hold = tmp_path / "hold"
    hold.touch()
    (project.root / "hsm.yaml").write_text(
        f"sources: {{'ssh:alpha': {{slots: 2, variables: {{HOLD: {hold}}}}}}}\n"
    )
    running = project.start("sweep", "run", "there.yaml", "--source", "ssh:alpha:2")
    sweeps = root_of(ssh_host) / "sweeps"
    until(lambda: len(list(sweeps.glob("*/.hsm/work/*/results/where.json"))) == 2, "two tasks that run")
    running.kill()
    (treasure := ssh_host.home / "thesis.tex").write_text("mine")
    told = project.run("source", "clean", "ssh:alpha", "--json").data["remnants"]
    assert [one["kept_because"] for one in told] == ["an agent runs"]
    refused = project.run("source", "clean", "ssh:alpha", "--all", code=2)
    assert "not home yet from ssh:alpha" in refused.err
    before = set(root_of(ssh_host).rglob("*"))
    dry = project.run("source", "clean", "ssh:alpha", "--all", "--force", "--dry-run")
    assert "sweeps/there-" in dry.out
    assert set(root_of(ssh_host).rglob("*")) == before
    project.run("source", "clean", "ssh:alpha", "--all", "--force")
    assert not root_of(ssh_host).exists()
    assert treasure.read_text() == "mine"
    until(lambda: not _tasks_of(tmp_path), "the end of the tasks")


def _tasks_of(tmp_path: Path) -> list[str]:
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(b"run.py" in word and bytes(tmp_path) in word for word in words):
            found.append(place.parent.name)
    return found
