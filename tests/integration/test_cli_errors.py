"""What bad input and bad surroundings get: one clear message, the right exit code, nothing half made."""

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.cli_project import Project, terminal

pytestmark = pytest.mark.integration


@pytest.fixture
def project(tmp_path: Path, hsm_command: Path) -> Project:
    """Return a project with a small sweep."""
    found = Project(root=tmp_path, hsm=hsm_command)
    found.sweep("heat", ["a", "b"], extra="sources: [local:1]\n")
    return found


BROKEN = """name: Heat!
program: {command: [python, "{project}/work.py", "{q}"]}
swep: {grid: {k: [1, 2]}}
sweep: {grid: {k: [1]}}
timeout: soon
sources: [lokal]
"""


def test_every_problem_of_a_file_is_told_at_once(project: Project) -> None:
    """Each with file and line, each with what was expected, and exit code 2; run says the same."""
    (project.root / "broken.yaml").write_text(BROKEN)
    validated = project.run("config", "validate", "broken.yaml", "--json", code=2)
    problems = validated.data["problems"]
    assert validated.data["code"] == "config.invalid"
    assert len(problems) >= 5
    assert all(re.match(r"broken\.yaml:\d+:\d+$", problem["where"]) for problem in problems)
    assert any("did you mean `sweep`" in problem["hint"] for problem in problems)
    run = project.run("sweep", "run", "broken.yaml", code=2)
    assert run.err.startswith(f"error: {len(problems)} problems in the configuration\n")
    assert run.err == validated.err
    assert not (project.root / "sweeps").exists()


def test_a_valid_file_says_how_many_tasks(project: Project) -> None:
    """`config validate` takes overrides, and `config show` prints a file that is valid again."""
    assert project.run("config", "validate", "heat.yaml").out == "✓ heat.yaml: 2 tasks\n"
    assert project.run("config", "validate", "heat.yaml", "sweep.seeds=3", "--json").data["tasks"] == 6
    shown = project.run("config", "show", "heat.yaml").out
    (project.root / "again.yaml").write_text(shown)
    assert project.run("config", "show", "again.yaml").out == shown


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["sweep", "run", "nowhere.yaml"], 2, "no such file"),
        (["sweep", "run", "heat.yaml", "--max-tasks", "0"], 2, "--max-tasks"),
        (["sweep", "run", "heat.yaml", "--source", "lokal"], 2, "lokal"),
        (["sweep", "run", "heat.yaml", "sweep.grid.q=1,2"], 2, "sweep.grid.q"),
        (["sweep", "status", "nothing"], 2, "there is no sweep"),
        (["source", "check", "nowhere"], 2, "nowhere"),
        (["nonsense"], 2, "no such command"),
        (["sweep", "run"], 2, "missing argument"),
        (["sweep", "run", "heat.yaml", "--outputs", "/proc/nothing"], 3, "/proc/nothing"),
    ],
)
def test_bad_input_is_one_error_with_its_exit_code(
    project: Project, arguments: list[str], code: int, said: str
) -> None:
    """error: ... in words, no traceback, and nothing on stdout."""
    answer = project.run(*arguments, code=code)
    assert answer.err.splitlines()[-1 if code == 3 else 0]
    assert said.lower() in answer.err.lower()
    assert any(row.startswith("error: ") for row in answer.err.splitlines())
    assert "Traceback" not in answer.err
    assert answer.out == ""


def test_sources_are_listed_and_checked(project: Project) -> None:
    """What hsm.yaml sets up is listed beside this machine; a check passes here."""
    (project.root / "hsm.yaml").write_text("sources: {local: {slots: 3}}\n")
    assert project.run("source", "list", "--json").data["sources"] == [
        {"name": "local", "kind": "local", "slots": 3, "checked": None}
    ]
    assert "hsm.yaml" in project.run("source", "list").out
    report = project.run("source", "check", "local", "--json").data
    assert report["source"] == "local"
    assert {check["health"] for check in report["checks"]} <= {"pass", "warn"}


def test_colour_needs_a_terminal_or_force(project: Project) -> None:
    """Piped output has no escape codes unless asked for; NO_COLOR wins."""
    project.run("sweep", "run", "heat.yaml", "-q")
    assert "\x1b" not in project.run("sweep", "status").out
    assert "\x1b[32m" in project.run("sweep", "status", FORCE_COLOR="1").out
    assert "\x1b" not in project.run("sweep", "status", FORCE_COLOR="1", NO_COLOR="1").out


def test_no_color_holds_in_a_live_screen(project: Project) -> None:
    """The picture is drawn, but in one colour."""
    quiet = Project(root=project.root, hsm=project.hsm, environment={"NO_COLOR": "1"})
    with terminal(quiet, "sweep", "run", "heat.yaml") as screen:
        assert screen.end() == 0
        assert re.search(rb"\x1b\[(?:\d+;)*3[0-7]m", screen.raw) is None


def test_a_dumb_terminal_gets_plain_lines(project: Project) -> None:
    """TERM=dumb means no redrawing and no escape codes at all."""
    dumb = Project(root=project.root, hsm=project.hsm, environment={"TERM": "dumb"})
    with terminal(dumb, "sweep", "run", "heat.yaml") as screen:
        assert screen.end() == 0
        assert b"\x1b" not in screen.raw
        assert b"task_0002 sealed" in screen.raw


def test_a_locale_without_unicode_still_reads(project: Project) -> None:
    """The signs become ASCII and nothing crashes."""
    answer = project.run("sweep", "run", "heat.yaml", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert "+ 2 sealed" in answer.err
    assert project.run("sweep", "status", PYTHONIOENCODING="ascii", PYTHONUTF8="0").out.isascii()


def test_a_reader_that_leaves_is_no_error(project: Project) -> None:
    """`hsm config show FILE | true` says nothing."""
    project.sweep("wide", [f"v{n}" for n in range(20_000)])
    command = f"'{project.hsm}' config show wide.yaml | true"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=project.root,
        capture_output=True,
        check=False,
        timeout=40,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_run_that_nobody_listens_to_goes_on(project: Project) -> None:
    """A closed stderr costs the talk, not the sweep."""
    command = f"'{project.hsm}' sweep run heat.yaml 2>&1 >/dev/null | true"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=project.root, check=False, timeout=40
    )
    assert done.returncode == 0
    assert project.status()["status"] == "complete"


@pytest.fixture
def bound(project: Project) -> Project:
    """Return the project for a user whom permissions bind: the superuser gives that power up."""
    if os.geteuid() != 0:
        return project
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("NO setpriv: permissions do not bind the superuser")
    powers = "-dac_override,-dac_read_search"
    return replace(project, prefix=(setpriv, "--bounding-set", powers, "--inh-caps", powers))


def test_a_directory_that_may_not_be_written_is_told(bound: Project) -> None:
    """Exit code 3, the path, and what can be done; no traceback."""
    (bound.root / "sweeps").mkdir(mode=0o555)
    answer = bound.run("sweep", "run", "heat.yaml", code=3)
    assert "another output directory" in answer.err


def test_files_that_may_not_be_read_are_told(bound: Project) -> None:
    """A sweep file, a ledger and a whole sweep; what can be read is shown all the same."""
    bound.run("sweep", "run", "heat.yaml", "-q")
    tree = bound.tree()
    (bound.root / "heat.yaml").chmod(0)
    refused = bound.run("sweep", "run", "heat.yaml", code=2)
    assert "heat.yaml: cannot be read: Permission denied" in refused.err
    assert "out.csv: " in bound.run("results", "-o", "sweeps/outputs/nowhere/out.csv", code=3).err
    ledger = tree / ".hsm" / "ledger"
    ledger.chmod(0)
    answer = bound.run("sweep", "list")
    assert f"{tree.name}  not readable" in answer.out
    assert f"{ledger}: Permission denied" in answer.out
    assert "who may" in bound.run("sweep", "status", code=3).err
    assert bound.run("monitor", "recent", "--json").data["sweeps"][0]["status"] == "not readable"
    ledger.chmod(0o755)
    tree.chmod(0)
    assert f"may not read them: {tree.name}" in bound.run("sweep", "list").err
    assert f"may not read {tree}" in bound.run("monitor", "watch", "heat", code=2).err
    tree.chmod(0o755)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_no_defect(project: Project, closed: str) -> None:
    """As under some daemons: what would be said there is dropped, and goes into no other file."""
    command = f"'{project.hsm}' sweep run heat.yaml {closed} && '{project.hsm}' sweep status {closed}"
    done = subprocess.run(["bash", "-c", command], cwd=project.root, check=False, timeout=40)
    assert done.returncode == 0
    assert project.run("ledger", "verify").code == 0


@pytest.mark.parametrize("words", ["monitor errors --json", "results", "sweep list", "config schema"])
def test_a_stdout_that_is_full_is_one_error(project: Project, words: str) -> None:
    """Named, with exit code 3 and no traceback."""
    project.run("sweep", "run", "heat.yaml", "-q")
    command = f"'{project.hsm}' {words} >/dev/full"
    done = subprocess.run(
        ["bash", "-c", command], cwd=project.root, capture_output=True, text=True, check=False, timeout=40
    )
    assert (done.returncode, done.stderr.splitlines()[-3:]) == (
        3,
        ["error: stdout: No space left on device", "", "hint: free space there"],
    )
