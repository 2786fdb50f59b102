"""Full and read-only disks, and programs that do everything wrong: a clear word each, the rest goes on."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO

import pytest
import yaml

from hsm.core import events as ev
from hsm.core.engine import SweepEngine
from hsm.core.errors import LedgerError, LedgerFull, SourceError
from hsm.core.job import Origin
from hsm.core.states import AttemptState, Cause, SweepStatus, TaskStatus
from hsm.core.world import World
from tests.integration.laboratory import Laboratory, happens, is_alive, new_laboratory, spec_of

pytestmark = pytest.mark.integration


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    mount = tmp_path / "disk"
    mount.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(mount)]
    if os.geteuid() != 0 or subprocess.run(argv, capture_output=True, check=False).returncode != 0:
        pytest.skip("NO MOUNT: a small disk can only be mounted by root")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def _fits(file: IO[bytes], data: bytes) -> bool:
    try:
        file.write(data)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


def fill(disk: Path, *, leave: int = 0) -> Path:
    """Fill a disk up to its last bytes."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (65536, 4096, 512, 64, 8, 1):
            while _fits(file, bytes(size)):
                pass
    if leave:
        os.truncate(filler, filler.stat().st_size - leave)
    return filler


def remount(disk: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(disk)], check=True)


MODES = [
    "quick",
    "fail",
    "deaf",
    "loud",
    "daemon",
    "nan",
    "half",
    "removes",
    "suicide",
    "pipe",
    "odd",
    "quick",
]


@pytest.fixture(scope="module")
def bad_programs(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """A sweep of programs that do everything wrong, run to its end."""
    project = tmp_path_factory.mktemp("bad") / "project"
    here = asyncio.run(new_laboratory(project, list(MODES), timeout_s=4.0))
    try:
        result = asyncio.run(here.complete())
        assert result.status is SweepStatus.FAILED
        assert result.tracker.open == 0
    finally:
        here.clean()
    return here


@pytest.mark.parametrize(
    ("mode", "status", "cause", "words"),
    [
        ("quick", TaskStatus.SEALED, None, ""),
        ("fail", TaskStatus.FAILED, Cause.APPLICATION, "exit code 1: boom at step #"),
        ("deaf", TaskStatus.FAILED, Cause.TIME, "over its time limit of 4 s"),
        ("loud", TaskStatus.SEALED, None, ""),
        ("daemon", TaskStatus.SEALED, None, ""),
        ("nan", TaskStatus.SEALED, None, "metric f is nan, recorded as null"),
        ("half", TaskStatus.FAILED, Cause.APPLICATION, "results/field.h5: it ends within its superblock"),
        ("removes", TaskStatus.FAILED, Cause.APPLICATION, "the program removed its own directory"),
        ("suicide", TaskStatus.FAILED, Cause.APPLICATION, "SIGSEGV"),
        ("pipe", TaskStatus.SEALED, None, "metrics.json"),
        ("odd", TaskStatus.SEALED, None, "cannot be printed"),
    ],
)
def test_a_bad_program_gets_its_status_cause_and_reason(
    bad_programs: Laboratory, mode: str, status: TaskStatus, cause: Cause | None, words: str
) -> None:
    """In the ledger, and in the status file beside what it left."""
    index = MODES.index(mode) + 1
    task = bad_programs.tracker.task(index)
    attempt = task.attempt
    assert attempt is not None
    assert (task.status, attempt.cause) == (status, cause)
    assert words in task.reason
    shown = yaml.safe_load((bad_programs.tree.task(index) / "status.yaml").read_text())
    assert (shown["status"], shown.get("cause")) == (str(status), cause and str(cause))


def test_nothing_of_bad_programs_stays_or_is_lost(bad_programs: Laboratory) -> None:
    """No process is left, output is whole, numbers are as they were, each ran once."""
    assert not any(map(is_alive, bad_programs.pids))
    assert not is_alive(int((bad_programs.project / "daemon").read_text()))
    loud = bad_programs.tree.task(MODES.index("loud") + 1) / "stdout.log"
    assert loud.stat().st_size == 30_000_000 + len("last words\n")
    assert bad_programs.tracker.task(MODES.index("nan") + 1).metrics == {"f": None, "g": 2.5}
    assert set(bad_programs.executed.values()) == {1}
    assert len(bad_programs.executed) == len(MODES)
    assert bad_programs.tracker.task(len(MODES)).status is TaskStatus.SEALED, "the sweep went on to its end"


@pytest.fixture
async def here(tmp_path: Path, disk: Path) -> AsyncIterator[Laboratory]:
    laboratory = await new_laboratory(tmp_path / "project", ["quick"] * 8, outputs=disk / "outputs")
    yield laboratory
    laboratory.clean()


async def test_a_read_only_disk_is_refused_with_the_way_out(here: Laboratory, disk: Path) -> None:
    """Neither a new sweep nor going on; looking is still possible, and later nothing is lost."""
    remount(disk, "ro")
    try:
        with pytest.raises(LedgerError, match="Read-only file system") as refused:
            await here.complete()
        assert "choose another output directory" in refused.value.hint
        engine = SweepEngine(World())
        with pytest.raises(LedgerError, match="Read-only file system"):
            await engine.create_sweep(
                disk / "more", spec_of(None), Origin(project=here.project, frozen_config="")
            )
        engine.close()
        assert here.events == []
    finally:
        remount(disk, "rw")
    assert (await here.complete()).status is SweepStatus.COMPLETE
    assert set(here.executed.values()) == {1}


@pytest.mark.parametrize("leave", [0, 4096, 3 * 4096, 8 * 4096, 20 * 4096])
async def test_a_disk_that_is_full_from_the_start_is_one_clear_word(
    here: Laboratory, disk: Path, leave: int
) -> None:
    """However little fits: one error that names the place, or the engine says so and waits; all runs once."""
    here.modes = ["quick"] * 60
    filler = fill(disk, leave=leave)
    running = asyncio.create_task(here.complete())
    await happens(lambda: running.done() or is_hindered(here), "somebody noticed")
    acknowledged = here.events
    filler.unlink()
    (error,) = await asyncio.gather(running, return_exceptions=True)
    if isinstance(error, LedgerFull):
        assert "No space left on device" in error.message
        assert str(disk) in error.message
    if isinstance(error, BaseException):  # it began nothing, or the first who met the full disk was the agent
        assert isinstance(error, (LedgerFull, SourceError))
        assert "free" in error.hint
    result = await here.complete()
    assert result.status is SweepStatus.COMPLETE
    assert here.events[: len(acknowledged)] == acknowledged
    assert len(here.executed) == 60
    assert set(here.executed.values()) == {1}


def is_hindered(here: Laboratory) -> bool:
    """Tell whether the engine has said that it cannot record."""
    return any(isinstance(event, ev.RecordingHindered) for event in here.heard)


async def test_a_disk_that_fills_while_attempts_run_loses_nothing(here: Laboratory, disk: Path) -> None:
    """Records and results wait for space; when there is some, the same engine ends with every result."""
    here.modes = ["quick", "quick", "gate", "gate", "quick", "quick"]
    running = asyncio.create_task(here.complete())
    await happens(lambda: here.count(ev.AttemptSealed) >= 2 and len(here.pids) >= 4, "two gates run")
    await happens(lambda: here.count(ev.AttemptStarted) >= 2, "it is known")
    acknowledged = here.events
    log = here.tree.logs / "sources" / "local.log"
    log.write_text("(so that there is room for a few words more)\n")
    filler = fill(disk)
    here.open_gate()
    agent_waits = lambda: log.exists() and "lacks something" in log.read_text()  # noqa: E731
    await happens(lambda: is_hindered(here) or agent_waits(), "somebody noticed")
    filler.unlink()
    result = await running
    assert result.tracker.open == 0
    assert here.events[: len(acknowledged)] == acknowledged
    for task in here.tracker.tasks:
        gated = here.modes[task.index - 1] == "gate"  # the program itself may have found no room
        assert task.status is TaskStatus.SEALED
        *starved, _ = task.attempts  # it is run again, and charged to nobody
        assert not starved or (gated and all(one.state is AttemptState.LOST for one in starved))
        assert (here.tree.task(task.index) / "provenance.json").is_file()
