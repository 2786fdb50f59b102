"""The in-memory source under the real engine and collector: what it may and may not claim."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm.compute.testing import Act, MemoryMachine, MemorySource
from hsm.core.collector import Ended, judge
from hsm.core.engine import SweepEngine
from hsm.core.errors import SourceError
from hsm.core.events import AttemptFailed, AttemptSealed
from hsm.core.model import Attempt, Task
from hsm.core.source import (
    AttemptOrder,
    CollectionResult,
    Observation,
    SourceSession,
    SweepContext,
    Wanted,
)
from hsm.core.spec import Resources
from hsm.core.states import Cause, SweepStatus
from hsm.core.world import World
from hsm.wire.files import Files
from tests.unit.core import worlds


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


def context(tmp_path: Path, epoch: int = 1) -> SweepContext:
    return SweepContext(
        sweep_id="s",
        sweep_dir=tmp_path,
        project=tmp_path,
        epoch=epoch,
        resources=Resources(),
        variables={},
        grace_s=1.0,
        program={},
    )


def order(number: int = 1) -> AttemptOrder:
    return AttemptOrder(
        task=number,
        attempt=1,
        token=f"{number:032x}",
        directory=f"work{number}",
        argv=("true",),
        params_json='{"k": 1}',
        seed=0,
        config_hash="c" * 64,
        task_key="k" * 64,
    )


async def fetched(session: SourceSession, machine: MemoryMachine, dest: Path) -> CollectionResult:
    """Bring the first attempt home."""
    report = machine.log[-1].manifest
    wanted = Wanted(ref=order().token, directory=order().directory, report=report, dest=dest)
    return (await session.fetch([wanted]))[wanted.ref]


def verdict(directory: Path, seen: Observation) -> AttemptSealed | AttemptFailed:
    """Let the collector judge what was seen."""
    attempt = Attempt(
        number=1,
        token=seen.token,
        source="memory",
        exit=seen.exit,
        manifest=seen.manifest,
        cause=seen.cause,
        reason=seen.reason,
    )
    task = Task(index=1, config_hash="c" * 64, task_key="k", params_json="{}", attempts=(attempt,))
    return judge(Files(), Ended(task, attempt, directory), 0.0)


async def test_an_attempt_without_files_is_sealed_as_such(world: World, tmp_path: Path) -> None:
    """Nothing is written, nothing is claimed: no files, no bytes, no metrics."""
    machine = MemoryMachine(world)
    async with MemorySource(machine).session(context(tmp_path)) as session:
        await session.submit([order()])
        brought = await fetched(session, machine, tmp_path / "work1")
    sealed = verdict(tmp_path / "work1", machine.log[-1])
    assert isinstance(sealed, AttemptSealed)
    assert (sealed.files, sealed.bytes, sealed.metrics, brought.files) == (0, 0, None, 0)
    assert list(tmp_path.iterdir()) == []


async def test_an_attempt_without_files_can_fail(world: World, tmp_path: Path) -> None:
    """That there are no files to check does not make a success of a failure."""
    machine = MemoryMachine(world, behave=lambda _: Act(code=3))
    machine.submit([order()])
    failed = verdict(tmp_path, machine.log[-1])
    assert isinstance(failed, AttemptFailed)
    assert (failed.cause, failed.reason) == (Cause.APPLICATION, "exit code 3")


async def test_files_come_home_and_are_verified(world: World, tmp_path: Path) -> None:
    """With files, fetch writes them and a report that says that the attempt was pretended."""
    files = {"metrics.json": b'{"score": 1.5}', "results/deep/x.bin": bytes(1000)}
    machine = MemoryMachine(world, behave=lambda _: Act(files=files), files=True)
    home = tmp_path / "work1"
    async with MemorySource(machine).session(context(tmp_path)) as session:
        await session.submit([order()])
        brought = await fetched(session, machine, home)
        assert await fetched(session, machine, home) == brought
    assert (brought.files, brought.bytes) == (2, 1014)
    sealed = verdict(home, machine.log[-1])
    assert isinstance(sealed, AttemptSealed)
    assert (sealed.files, sealed.bytes, sealed.metrics) == (2, 1014, {"score": 1.5})
    assert json.loads((home / "provenance.json").read_bytes())["pretended"] is True
    (home / "results" / "deep" / "x.bin").write_bytes(bytes(999))
    damaged = verdict(home, machine.log[-1])
    assert isinstance(damaged, AttemptFailed)
    assert damaged.cause is Cause.TRANSFER


async def test_a_superseded_manager_is_shut_out(world: World, tmp_path: Path) -> None:
    """Once a newer manager has come, an older one can hand nothing over and end nothing."""
    source = MemorySource(MemoryMachine(world))
    async with source.session(context(tmp_path, 1)) as old, source.session(context(tmp_path, 2)) as new:
        with pytest.raises(SourceError, match="superseded"):
            await old.submit([order()])
        with pytest.raises(SourceError, match="superseded"):
            await old.cancel([order().token])
        await new.submit([order()])
        assert await old.find([order().token])
    with pytest.raises(SourceError, match="superseded"):
        async with source.session(context(tmp_path, 1)):
            pass


@pytest.mark.parametrize("files", [False, True])
async def test_the_engine_runs_a_sweep_on_it(tmp_path: Path, files: bool) -> None:
    """A whole sweep is sealed, with the failures that were pretended, whether files are kept or not."""
    world = World()
    machine = MemoryMachine(
        world,
        slots=8,
        behave=lambda order: Act(code=int(order.task == 7), files={"a": b"1"}),
        files=files,
    )
    engine = SweepEngine(world)
    job = worlds.job_for(worlds.new_tree(tmp_path), worlds.numbered(60), MemorySource(machine))
    result = await engine.run_sweep(job)
    engine.close()
    assert (result.status, result.tracker.finished) == (SweepStatus.FAILED, 60)
    assert [task.index for task in result.tracker.tasks if task.reason] == [7]
    assert len(machine.log) == 60
    reports = list(result.tree.tasks.glob("*/provenance.json"))
    assert len(reports) == (60 if files else 0)
