"""The live watch in a real terminal, and tasks named by selectors: keys, sizes, signals, odd locales."""

import fcntl
import json
import os
import signal
import struct
import termios
import time
from pathlib import Path

import pytest

from tests.integration.cli_project import Project, Terminal, terminal, until

pytestmark = pytest.mark.integration


@pytest.fixture
def project(tmp_path: Path, hsm_command: Path) -> Project:
    """Return a project with a sweep of four tasks, of which two fail in different ways."""
    found = Project(root=tmp_path, hsm=hsm_command, environment={"XDG_STATE_HOME": str(tmp_path / "state")})
    found.sweep("heat", ["a", "bad", "c", "worse"], extra="sources: [local:2]\n")
    return found


def _resize(screen: Terminal, rows: int, columns: int) -> None:
    """Give the terminal another size, as a window manager does."""
    screen._screen.resize(rows, columns)
    fcntl.ioctl(screen._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    os.kill(screen._pid, signal.SIGWINCH)


def test_tasks_are_named_by_selectors_everywhere(project: Project) -> None:
    """Status, logs, explain, errors and complete understand the same words; a retry takes just those."""
    project.run("sweep", "run", "heat.yaml", "-q", code=1)
    sweep_id = project.tree().name
    listed = project.run("sweep", "status", "--tasks", "failed", "--json").data["task_list"]
    assert [task["task_id"] for task in listed] == ["task_0002", "task_0004"]
    assert "task_0001" in project.run("sweep", "status", "--tasks", "last").out
    logs = project.run("logs", "failed").out
    assert "==> task_0002 (failed) <==\nworking on bad\nValueError: bad [bold]value[/bold]\n" in logs
    assert "working on a" not in logs
    explained = project.run("explain", "2").out
    assert "the program ended with exit code 1" in explained
    assert f"hsm sweep complete {sweep_id} --retry 2" in explained
    assert "\n  stderr  ValueError: bad [bold]value[/bold]\n" in explained
    record = project.run("explain", "failed", "--json").data["tasks"][1]
    assert (record["task_id"], record["attempt_list"][0]["exit"]["code"]) == ("task_0004", 1)
    assert record["events"][-1]["t"] == "attempt_failed"
    assert record["attempt_list"][0]["tail"] == ["ValueError: worse [bold]value[/bold]"]
    groups = project.run("monitor", "errors", "--json").data["groups"]
    assert [(group["failed_tasks"], group["sources"]) for group in groups] == [
        (["task_0002"], {"local": 1}),
        (["task_0004"], {"local": 1}),
    ]
    assert list(groups[0]["hosts"].values()) == [1]
    (project.root / "mended").touch()
    project.run(*groups[1]["retry"].split()[1:], "-q", code=1)
    assert [attempt for task, attempt, _ in project.begun() if task in ("task_0002", "task_0004")] == [
        "1",
        "1",
        "2",
    ]
    assert "did you mean `failed`" in project.run("logs", "faild", code=2).err
    assert (
        "none of 1 failed, was cancelled or is corrupt"
        in project.run("sweep", "complete", "last", "--retry", "1", code=2).err
    )
    recent = project.run("monitor", "recent", "--json").data["sweeps"]
    assert [sweep["sweep_id"] for sweep in recent] == [sweep_id]


def test_recent_finds_sweeps_of_other_projects(project: Project, tmp_path: Path) -> None:
    """What was run elsewhere is shown with its place, and one that is gone is called gone."""
    project.run("sweep", "run", "heat.yaml", "-q", "--max-tasks", "1")
    tree = project.tree()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = Project(root=elsewhere, hsm=project.hsm, environment=project.environment)
    assert tree.name in other.run("monitor", "recent").out
    assert other.run("monitor", "recent", "--here").out == ""
    tree.rename(tmp_path / "moved")
    assert f"{tree.name}  gone" in other.run("monitor", "recent").out


def test_keys_lead_through_the_watch(project: Project) -> None:
    """Open a task, its log, the help; filter; and back; then end the sweep after a question."""
    project.hold.touch()
    running = project.start("sweep", "run", "heat.yaml", "-q")
    until(lambda: len(project.begun()) == 2, "two programs")
    with terminal(project, "monitor", "watch", "last", rows=24, columns=90) as screen:
        screen.until(lambda text: "2 running" in text and "task_0001  running" in text, "the tasks")
        screen.press("\x1b[B\r")
        screen.until(
            lambda text: "the program runs" in text and "out working on bad" in text, "a task's story"
        )
        screen.press("l")
        screen.until(lambda text: "the program runs" not in text, "its log alone")
        screen.press("\x1b")
        screen.until(lambda text: "the program runs" in text, "its story again")
        screen.press("\x1b")
        screen.until(lambda text: "4 tasks by activity" in text, "the overview")
        screen.press("?")
        screen.until(lambda text: "leave; the sweep goes on" in text, "the help")
        screen.press("?/3-4\r")
        screen.until(lambda text: "2 tasks of `3-4`" in text and "task_0001 " not in text, "the filter")
        screen.press("r")
        screen.until(lambda text: "no task has failed in the end" in text, "why not")
        _resize(screen, 15, 40)
        screen.until(
            lambda text: "q leave" in text.splitlines()[-1] and "task_0003" in text, "a small picture"
        )
        screen.press("Cyes\r")
        assert running.end().code == 1
        screen.until(lambda text: "4 cancelled" in text, "the end")
        screen.press("q")
        assert screen.end() == 1
        assert screen.raw.count(b"\x1b[2J") == 1, "the screen is cleared when it is taken, and never again"
        assert screen.raw.endswith(b"\n")


def test_pictures_come_at_most_four_times_a_second(project: Project) -> None:
    """However many keys are pressed, and each key is taken."""
    project.hold.touch()
    running = project.start("sweep", "run", "heat.yaml", "-q")
    until(lambda: len(project.begun()) == 2, "two programs")
    with terminal(project, "monitor", "watch", "last") as screen:
        screen.until(lambda text: "2 running" in text, "the tasks")
        began, before = time.monotonic(), screen.raw.count(b"\x1b[?2026h")
        for _ in range(25):
            screen.press("jk")
            screen._take()
        screen.press("jj")
        screen.until(lambda text: "▸  task_0003" in text, "the third task")
        pictures = screen.raw.count(b"\x1b[?2026h") - before
        assert 1 <= pictures <= (time.monotonic() - began) / 0.25 + 2
        screen.press("q")
        screen.end()
    project.hold.unlink()
    running.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_watch_that_is_ended_gives_the_terminal_back(project: Project, number: signal.Signals) -> None:
    """Cursor, echo, line wrap and the former screen are there again, whatever ended it."""
    project.run("sweep", "run", "heat.yaml", "-q", "--max-tasks", "1")
    with terminal(project, "monitor", "watch", "last") as screen:
        screen.until(lambda text: "q leave" in text, "the keys")
        os.kill(screen._pid, number)
        assert screen.end() == (130 if number is signal.SIGINT else -number)
        for ending in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?7h"):
            assert ending in screen.raw
        flags = termios.tcgetattr(screen._descriptor)[3]
        assert flags & (termios.ECHO | termios.ICANON) == termios.ECHO | termios.ICANON


@pytest.mark.parametrize(
    ("environment", "is_live"),
    [
        ({"NO_COLOR": "1"}, True),
        ({"TERM": "dumb"}, False),
        ({"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, True),
    ],
)
def test_odd_terminals_get_what_they_can_show(
    project: Project, environment: dict[str, str], is_live: bool
) -> None:
    """Without colour no colour is sent, a dumb terminal gets lines, an ASCII one gets ASCII."""
    project.run("sweep", "run", "heat.yaml", "-q", "--max-tasks", "1")
    odd = Project(root=project.root, hsm=project.hsm, environment={**project.environment, **environment})
    with terminal(odd, "monitor", "watch", "last") as screen:
        if is_live:
            screen.until(lambda text: "q leave" in text, "the keys")
            screen.press("q")
        assert screen.end() == 1
        assert "task_0002" in screen.text() or "waiting" in screen.text()
        raw = screen.raw
    if "NO_COLOR" in environment:
        assert b"\x1b[32m" not in raw
    if not is_live:
        assert b"\x1b[" not in raw
    if "LC_ALL" in environment:
        assert raw.isascii()


def test_logs_of_both_streams_are_followed_line_by_line(project: Project) -> None:
    """On a terminal each line tells its stream; the command ends with the task."""
    project.hold.touch()
    running = project.start("sweep", "run", "heat.yaml", "-q")
    until(lambda: len(project.begun()) == 2, "two programs")
    with terminal(project, "logs", "-f", "2") as screen:
        screen.until(lambda text: "out working on bad" in text, "stdout")
        project.hold.unlink()
        screen.until(lambda text: "err ValueError: bad [bold]value[/bold]" in text, "stderr")
        assert screen.end() == 0
    assert running.end().code == 1


def test_a_stream_of_a_finished_sweep_is_two_snapshots(project: Project) -> None:
    """Nothing happens any more: the first line and the last are the same picture."""
    project.run("sweep", "run", "heat.yaml", "-q", code=1)
    answer = project.run("monitor", "watch", "--json", code=1)
    first, last = (json.loads(row) for row in answer.out.splitlines())
    assert first["data"]["counts"] == last["data"]["counts"]
