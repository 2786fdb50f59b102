"""Artifacts are durable before the event that makes them a result: order of calls, and a disk that fails."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from hsm.compute.testing.memory import Act, MemoryMachine
from hsm.core import events as ev
from hsm.core.errors import LedgerError
from hsm.core.states import SweepStatus
from hsm.core.world import World
from hsm.wire import manifest, names
from tests.unit.core.test_engine import Lab, drive, lab
from tests.unit.core.worlds import Process, numbered
from tests.unit.wire.faulty import FaultyFiles


class Noting(FaultyFiles):
    """Notes what becomes durable when: the file system as a whole, and the verdicts in the ledger."""

    def __init__(self, sweep: str) -> None:
        super().__init__()
        self.sweep = sweep
        self.notes: list[str] = []
        self.fails = False

    def write(self, fd: int, data: bytes) -> int:
        judged = re.findall(rb'"t":"attempt_(?:sealed|failed)","task":(\d+)', data)
        if judged:
            writable = sum(self._writable(names.task_id(int(task))) for task in judged)
            self.notes.append(f"verdict with {writable} writable")
        return super().write(fd, data)

    def sync_filesystem(self, path: str) -> None:
        if path.startswith(self.sweep):
            if self.fails:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            self.notes.append("synced")
        super().sync_filesystem(path)

    def _writable(self, task_id: str) -> int:
        """Count the files of a task's attempts that anybody may still write."""
        found = [path for path in Path(self.sweep).glob(f"work/{task_id}.*/**/*") if path.is_file()]
        assert found
        return sum(bool(path.stat().st_mode & 0o222) for path in found)


def noting(tmp_path: Path, *, code: int) -> tuple[Lab, Process, Noting]:
    here = lab(tmp_path)
    act = Act(code=code, files={"results/x": b"1", "stderr.log": b"words"})
    machine = MemoryMachine(World(), slots=2, files=True, behave=lambda _: act)
    process, files = Process(), Noting(str(here.tree.hsm))
    process.files = files
    return Lab(here.tree, machine, here.executed), process, files


@pytest.mark.parametrize("code", [0, 1], ids=["results", "evidence of failures"])
async def test_artifacts_are_durable_and_protected_before_their_verdict_is_written(
    tmp_path: Path, code: int
) -> None:
    """Of results and of failures alike: a verdict never goes into the ledger but right behind a sync."""
    here, process, files = noting(tmp_path, code=code)
    await drive(here.job(numbered(6)), process)
    assert len(here.kinds(ev.AttemptSealed)) == (6 if code == 0 else 0)
    assert len(here.kinds(ev.AttemptFailed)) == (0 if code == 0 else 6)
    verdicts = [at for at, note in enumerate(files.notes) if note != "synced"]
    assert {files.notes[at] for at in verdicts} == {"verdict with 0 writable"}
    assert {files.notes[at - 1] for at in verdicts} == {"synced"}


async def test_what_could_not_be_made_durable_is_no_result(tmp_path: Path) -> None:
    """The disk fails under the artifacts: no verdict is written, and a later engine gives it."""
    here, process, files = noting(tmp_path, code=0)
    files.fails = True
    with pytest.raises(LedgerError):
        await drive(here.job(numbered(2)), process)
    assert not files.notes
    assert not here.kinds(ev.AttemptSealed)
    process.die()
    result = await drive(here.job(numbered(2)))
    assert result.status is SweepStatus.COMPLETE
    assert (here.tree.task(1) / manifest.REPORT).exists()
