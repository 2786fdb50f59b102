"""Looking at sweeps: status, list, watch, errors, logs, report, rebuild."""

import json
import shutil
from pathlib import Path

import pytest

from tests.integration.cli_project import Project, terminal, until

pytestmark = pytest.mark.integration

HUNT = """name: hunt
program: {command: [python, "{project}/work.py", "{k}"]}
hunt:
  {hunter: random, generations: 2, population: 3, space: {k: {choices: [a, bb, ccc, dddd, eeeee, ffffff]}},
   objective: {metric: score, direction: maximize}}
sources: [local:2]
"""


@pytest.fixture
def project(tmp_path: Path, hsm_command: Path) -> Project:
    """Return a project with a sweep of which one task fails."""
    found = Project(root=tmp_path, hsm=hsm_command)
    found.sweep("heat", ["a", "bad", "c"], extra="sources: [local:2]\n")
    return found


def test_everything_can_be_looked_at_afterwards(project: Project) -> None:
    """Status, tasks, list, recent, errors, one look of the monitor, logs, report, rebuild."""
    sweep_id = project.run("sweep", "run", "heat.yaml", "-q", code=1).out.strip()
    status = project.run("sweep", "status").out
    assert f"{sweep_id}  finished, with failures" in status
    assert "2 sealed  ✗ 1 failed" in status
    tasks = project.run("sweep", "status", "last", "--tasks").out
    assert "task_0002  failed" in tasks
    assert "score = 1  k = a" in tasks
    record = project.run("sweep", "status", "-t", "--json").data["task_list"][1]
    assert (record["task_id"], record["status"], record["params"]) == ("task_0002", "failed", {"k": "bad"})
    assert sweep_id in project.run("sweep", "list").out
    assert project.run("sweep", "list", "--json").data["sweeps"][0]["finished"] == 3
    assert "3/3  100 %" in project.run("monitor", "recent").out
    assert "1 failed" in project.run("monitor", "watch", "--once").out
    assert project.run("monitor", "watch", "--once", "--json").kind == "monitor.progress"
    errors = project.run("monitor", "errors")
    assert "stderr ValueError: bad [bold]value[/bold]" in errors.out
    assert f"hsm sweep complete {sweep_id} --retry-failed" in errors.err
    assert project.run("monitor", "errors", "--json").data["groups"][0]["tail"][-1].startswith("ValueError")
    assert project.run("logs", "3").out == "working on c\n"
    assert project.run("logs", "task_0002", "--stderr").out == "ValueError: bad [bold]value[/bold]\n"
    report = project.root / project.run("report").out.strip()
    assert report.is_file()


def test_rebuild_writes_what_was_deleted(project: Project) -> None:
    """Every readable file follows from the ledger; a second rebuild changes nothing."""
    project.run("sweep", "run", "heat.yaml", "-q", code=1)
    tree = project.tree()
    names = ["task_mapping.yaml", "tasks/task_0001/status.yaml", "logs/errors/error_patterns.yaml"]
    before = {name: (tree / name).read_bytes() for name in names}
    for name in names:
        (tree / name).unlink()
    (tree / ".hsm" / "summary.json").write_text("{}")
    project.run("sweep", "rebuild", "last")
    assert {name: (tree / name).read_bytes() for name in names} == before
    assert (tree / "reports" / "completion_report.html").is_file()


def test_a_damaged_sweep_hides_no_other(project: Project) -> None:
    """The list shows it as damaged, with the reason, and all others as they are."""
    project.run("sweep", "run", "heat.yaml", "-q", code=1)
    good = project.tree()
    bad = good.parent / "heat-20200101-000000-aaaa"
    shutil.copytree(good, bad, symlinks=True)
    (bad / "sweep_config.yaml").write_text("name: [")
    listed = project.run("sweep", "list").out
    assert f"{bad.name}  damaged" in listed
    assert f"{good.name}  finished" in listed
    assert project.run("sweep", "status", bad.name, code=2).err.startswith("error: ")
    assert good.name in project.run("monitor", "recent").out


def test_a_watch_without_a_terminal_writes_lines_and_ends_with_the_sweep(project: Project) -> None:
    """It follows the ledger of another process to the end, and its exit code tells the outcome."""
    project.hold.touch()
    running = project.start("sweep", "run", "heat.yaml", "-q")
    until(lambda: len(project.begun()) == 2, "two programs")
    watching = project.start("monitor", "watch", "last")
    streaming = project.start("monitor", "watch", "last", "--json")
    following = project.start("logs", "1", "-f")
    until(lambda: "working on a" in following.out.read_text(), "the first line of the log")
    until(lambda: "2 running" in watching.out.read_text(), "the first look")
    until(lambda: streaming.out.read_text().endswith("\n"), "the first object")
    project.hold.unlink()
    assert running.end().code == 1
    answer = watching.end()
    assert answer.code == 1
    assert "task_0003 sealed" in answer.out
    assert "finished, with failures" in answer.out
    assert "\x1b" not in answer.out
    objects = [json.loads(row) for row in streaming.end().out.splitlines()]
    assert (objects[0]["kind"], objects[-1]["kind"]) == ("monitor.progress", "monitor.progress")
    assert {item["kind"] for item in objects[1:-1]} == {"monitor.event"}
    assert "attempt_failed" in {item["data"]["t"] for item in objects[1:-1]}
    assert objects[-1]["data"]["status"] == "failed"
    assert following.end().out == "working on a\n"


def test_a_watch_of_a_dead_engine_ends_and_says_how_to_go_on(project: Project) -> None:
    """Nothing will ever happen by itself, so the watch gives up and names the command."""
    project.hold.touch()
    running = project.start("sweep", "run", "heat.yaml")
    until(lambda: len(project.begun()) == 2, "two programs")
    running.kill()
    answer = project.run("monitor", "watch", "last", code=1)
    assert f"no engine drives it; go on: hsm sweep complete {project.tree().name}" in answer.out
    project.hold.unlink()
    project.run("sweep", "complete", "last", "-q", code=1)


def test_a_task_that_has_not_begun_has_no_log_yet(project: Project) -> None:
    """The error says so, and a task that there is not is named with those that there are."""
    project.run("sweep", "run", "heat.yaml", "-q", "--max-tasks", "1")
    assert "task_0003 has not begun yet" in project.run("logs", "3", code=2).err
    assert "it has task_0001 to task_0003" in project.run("logs", "9", code=2).err
    assert "name it as task_0003, or as 3" in project.run("logs", "nine", code=2).err


def test_a_live_run_draws_in_place_and_leaves_the_terminal_clean(project: Project) -> None:
    """While it runs there are bar, lane and best; afterwards only the last words, and the cursor is back."""
    (project.root / "hunt.yaml").write_text(HUNT)
    project.hold.touch()
    with terminal(project, "sweep", "run", "hunt.yaml") as screen:
        text = screen.until(lambda text: "2 running" in text and "2 slots" in text, "the lane")
        assert "generation 1 of 2" in text
        project.hold.unlink()
        assert screen.end() == 0
        assert "score = 6" in screen.text()
        assert "complete  6 of 6 tasks final" in screen.text()
        assert "2 slots" not in screen.text()
        assert screen.raw.rindex(b"\x1b[?25h") > screen.raw.rindex(b"\x1b[?25l")


def test_ctrl_c_in_a_terminal_is_answered_at_once(project: Project) -> None:
    """The key itself interrupts, the picture goes away, the commands stay."""
    project.hold.touch()
    with terminal(project, "sweep", "run", "heat.yaml") as screen:
        screen.until(lambda text: "2 running" in text, "two tasks that run")
        screen.press("\x03")
        assert screen.end() == 130
        assert "stopping: no new attempts; 2 running attempts are finished by the agent" in screen.text()
        assert "Ctrl-C again leaves at once" in screen.text()
        assert screen.raw.rindex(b"\x1b[?25h") > screen.raw.rindex(b"\x1b[?25l")
    project.hold.unlink()
    project.run("sweep", "complete", "last", "-q", code=1)


def test_a_lost_terminal_detaches(project: Project) -> None:
    """When the connection breaks, the engine lets go in good order and what runs goes on."""
    project.hold.touch()
    with terminal(project, "sweep", "run", "heat.yaml") as screen:
        screen.until(lambda text: "2 running" in text, "two tasks that run")
        assert screen.hang_up() != 0
    assert "engine of epoch 1 stopped: partial" in (project.tree() / "logs" / "engine.log").read_text()
    before = project.begun()
    project.hold.unlink()
    project.run("sweep", "complete", "last", "-q", code=1)
    assert project.begun()[:2] == before
    assert len(project.begun()) == 3


def test_ctrl_c_leaves_a_live_watch(project: Project) -> None:
    """The watch is over with exit code 130; what it watched is not."""
    project.hold.touch()
    running = project.start("sweep", "run", "heat.yaml", "-q")
    until(lambda: len(project.begun()) == 2, "two programs")
    with terminal(project, "monitor", "watch", "last") as screen:
        screen.until(lambda text: "2 running" in text, "two tasks that run")
        screen.press("\x03")
        assert screen.end() == 130
        assert b"\x1b[?1049l" in screen.raw
    assert running.process.poll() is None
    project.hold.unlink()
    assert running.end().code == 1


def test_a_live_watch_is_left_with_q(project: Project) -> None:
    """The whole screen is given back, the last picture stays, and the sweep goes on."""
    project.hold.touch()
    running = project.start("sweep", "run", "heat.yaml", "-q")
    until(lambda: len(project.begun()) == 2, "two programs")
    with terminal(project, "monitor", "watch", "last", rows=12, columns=60) as screen:
        screen.until(lambda text: "2 running" in text, "two tasks that run")
        screen.until(lambda text: "q leave" in text, "the keys")
        screen.press("q")
        assert screen.end() == 0
        assert b"\x1b[?1049l" in screen.raw
    assert running.process.poll() is None
    project.hold.unlink()
    assert running.end().code == 1
