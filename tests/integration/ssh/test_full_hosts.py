"""Hosts whose disk is full: told at home with room and remedy, charged to no task, and over by itself."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.disks import small_disk
from tests.integration.ssh.sweeping import LIMIT_S, Make, Sweeping
from tests.lab.sshd import Host

pytestmark = pytest.mark.integration


@pytest.fixture
def disk(ssh_host: Host) -> Iterator[Path]:
    """All that HSM has on the host lies on a disk of 24 MB."""
    with small_disk(ssh_host.home / ".hsm", "24m") as mounted:
        yield mounted


def fill(disk: Path) -> Path:
    """Leave no byte of room on a disk; return the file that takes it up."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            while shutil.disk_usage(disk).free >= size and file.write(bytes(size)) == size:
                pass
    return filler


def said(sweep: Sweeping, *words: str) -> str:
    """Return what a command tells of the sweep."""
    done = subprocess.run(
        [str(sweep.hsm), *words], cwd=sweep.project, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def hindrances(sweep: Sweeping) -> list[str]:
    """Return what the host lacked, in order."""
    return [event["reason"] for event in sweep.events("source_hindered")]


def test_a_disk_that_is_full_on_the_host_is_told_at_home(sweeping: Make, disk: Path, ssh_host: Host) -> None:
    """Which host and directory, how much room, what to do; what failed for it is charged to no task."""
    sweep = sweeping(4)
    manager = sweep.held(2, "ssh:alpha:2")
    filler = fill(disk)
    sweep.proceed()
    sweep.noted("source_hindered")
    sweep.noted("attempt_lost")
    assert str(ssh_host.home) in hindrances(sweep)[0]
    assert "No space left on device" in hindrances(sweep)[0]
    assert "(0.0 MB free)" in hindrances(sweep)[0]
    (source,) = sweep.status()["sources"]
    assert source["lacks"]
    assert "hsm source clean ssh:alpha" in source["hint"]
    words = said(sweep, "sweep", "status", "last")
    assert "waits" in words
    assert "begins nothing for now: No space left on device" in words
    assert "free some space there" in words
    waiting = said(sweep, "explain", "3")
    assert "begins nothing for now" in waiting
    assert "free some space there" in waiting
    assert manager.poll() is None
    filler.unlink()
    talk = sweep.finished(manager)
    assert "source ssh:alpha begins nothing for now: No space left on device" in talk
    assert "free some space there" in talk
    assert "it lacks nothing any more" in talk
    assert hindrances(sweep)[-1] == ""
    for event in sweep.events("attempt_lost"):
        assert (event.get("cause"), event.get("charged")) == ("node", False)
        assert event["reason"].startswith(f"on a full disk ({disk}/sweeps/")
        assert "): exit code" in event["reason"]
    assert not sweep.events("attempt_failed")
    sweep.check(again=len(sweep.events("attempt_lost")))


def test_a_host_whose_disk_is_full_from_the_start_is_opened_once_there_is_room(
    sweeping: Make, disk: Path
) -> None:
    """It was reached, and is not called unreachable; what can be done elsewhere is."""
    filler = fill(disk)
    sweep = sweeping(6)
    manager = sweep.held(1, "local:1", "ssh:alpha:2")
    sweep.noted("source_failed")
    failed = sweep.events("source_failed")[0]
    assert failed["lacks"]
    assert failed["paused"]
    assert "No space left on device" in failed["reason"]
    assert "free some space there" in failed["hint"]
    assert "unreachable" not in said(sweep, "sweep", "status", "last")
    filler.unlink()
    sweep.noted("source_opened", 2)
    sweep.running(3)
    sweep.proceed()
    sweep.finished(manager)
    sweep.check()


def test_a_program_that_fills_the_disk_by_itself_is_charged_and_makes_room_for_others(
    sweeping: Make, disk: Path
) -> None:
    """Else it would be tried for ever; its results go, what it printed comes home, and the next task runs."""
    sweep = sweeping(2, "retry: {node: 1}\n")
    (sweep.project / "work.py").write_text(GREEDY)
    manager = sweep.start("run", "s.yaml", "--source", "ssh:alpha:1")
    talk, _ = manager.communicate(timeout=LIMIT_S)
    assert manager.returncode == 1, talk
    failures = sweep.events("attempt_failed")
    assert [(event["task"], event["cause"]) for event in failures] == [(1, "node"), (1, "node")]
    for event in failures:
        assert event["reason"].startswith("on a full disk (")
        assert "): exit code" in event["reason"]
        assert "its results were removed" in event["reason"]
    assert [event["task"] for event in sweep.events("attempt_sealed")] == [2]
    assert (sweep.tree.tasks / "task_0001" / "stdout.log").read_text() == "working\n"
    assert "" in hindrances(sweep), "it went on in between"


GREEDY = """
import os
from pathlib import Path

print("working", flush=True)
greedy = os.environ["HSM_TASK_ID"] == "task_0001"
Path("results/data").write_bytes(bytes(40_000_000 if greedy else 1000))
"""
