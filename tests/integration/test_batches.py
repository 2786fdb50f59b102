"""Tasks that share a process: each has its own end, and one that takes the process down is found."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hsm.compute.ssh.source import SSHSource
from hsm.compute.testing.file_agent import FileAgentSource
from hsm.compute.testing.pipe import PipeReach
from hsm.compute.testing.site import MakeSource, Setting, Site
from hsm.core import events as ev
from hsm.core.engine import SweepEngine
from hsm.core.model import Task
from hsm.core.source import ComputeSource
from hsm.core.spec import SourceSpec
from hsm.core.states import AttemptState, Cause, SweepStatus, TaskStatus
from hsm.core.world import World
from tests.integration.cli_project import Project
from tests.integration.disks import small_disk
from tests.integration.laboratory import WORKER, Laboratory, happens, is_alive, new_laboratory, wait_for
from tests.integration.test_faults import fill, is_hindered

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
Make = Callable[..., Awaitable[Laboratory]]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[Laboratory] = []

    async def new(modes: list[str], size: int = 8, **more: float | Path) -> Laboratory:
        made.append(await new_laboratory(tmp_path / "project", modes, size=size, **more))  # type: ignore[arg-type]
        return made[-1]

    yield new
    for laboratory in made:
        laboratory.clean()


def statuses(here: Laboratory) -> list[TaskStatus]:
    return [task.status for task in here.tracker.tasks]


def report(here: Laboratory, task: Task) -> dict[str, object]:
    found: dict[str, object] = json.loads((here.tree.task(task.index) / "provenance.json").read_text())
    return found


async def test_members_of_a_batch_have_ends_of_their_own(make: Make) -> None:
    """One fails, one has a score that cannot be computed, one stops for time: each for itself."""
    here = await make(["quick", "fail", "nan", "quick", "late"], timeout_s=30.0)
    result = await here.complete()
    *tasks, late = result.tracker.tasks
    assert [task.status for task in tasks] == [
        TaskStatus.SEALED,
        TaskStatus.FAILED,
        TaskStatus.SEALED,
        TaskStatus.SEALED,
    ]
    assert (late.status, late.attempts[0].cause) == (TaskStatus.FAILED, Cause.TIME)
    assert len(set(here.pids)) == 1
    assert tasks[1].attempts[0].cause is Cause.APPLICATION
    assert tasks[1].reason == "exit code 1: boom at step #"
    assert tasks[2].metrics is not None
    assert tasks[2].metrics["g"] == 2.5
    assert len({task.attempts[0].batch for task in tasks}) == 1
    assert {task.attempts[0].members for task in tasks} == {5}
    assert report(here, tasks[3])["batch"] == {"id": tasks[3].attempts[0].batch, "members": 5}
    assert (here.tree.task(4) / "stdout.log").read_text() == "one went well\n" * 3
    assert (here.tree.task(4) / "params.yaml").is_file()


async def test_a_worker_stays_for_the_next_batch(make: Make) -> None:
    """More tasks than a batch holds are served by the same process, and it is gone when the sweep is over."""
    here = await make(["quick"] * 5, size=2)
    result = await here.complete()
    assert result.status is SweepStatus.COMPLETE
    assert len(set(here.pids)) == 1
    assert len({task.attempts[0].batch for task in result.tracker.tasks}) == 3
    await happens(lambda: not is_alive(here.pids[0]), "the worker leaves")


@pytest.mark.parametrize("mode", ["suicide", "leave", "garble", "mute"])
async def test_who_takes_the_process_down_is_found_by_splitting(make: Make, mode: str) -> None:
    """The others of its batch are tried again with fewer until it is alone: then the failure is its own."""
    modes = ["quick", "quick", mode, "quick", "quick", "quick", "quick", "quick"]
    here = await make(modes)
    result = await here.complete()
    tasks = list(result.tracker.tasks)
    wrong = tasks.pop(2)
    assert {task.status for task in tasks} == {TaskStatus.SEALED}
    assert wrong.status is TaskStatus.FAILED
    assert wrong.attempts[-1].cause is Cause.APPLICATION
    assert {attempt.cause for attempt in wrong.attempts[:-1]} == {Cause.BATCH}
    assert len(wrong.attempts) <= 4, "8, 4, 2, alone"
    counts = [attempt.members for attempt in wrong.attempts]
    assert all(after <= -(-before // 2) for before, after in itertools.pairwise(counts))
    assert mode != "suicide" or wrong.reason.endswith("about to crash")


async def test_of_two_that_crash_both_are_found(make: Make) -> None:
    """However those that are tried again are put together, each crash ends as the failure of its own task."""
    here = await make(["suicide", "quick", "quick", "quick", "quick", "quick", "quick", "suicide"])
    result = await here.complete()
    assert [task.status for task in result.tracker.tasks] == [
        TaskStatus.FAILED,
        *[TaskStatus.SEALED] * 6,
        TaskStatus.FAILED,
    ]
    assert max(len(task.attempts) for task in result.tracker.tasks) <= 4


async def test_one_that_takes_too_long_is_found_too(make: Make) -> None:
    """A batch has the time of all its members; the one that has no end runs out of its own in the end."""
    here = await make(["quick", "deaf", "quick"], timeout_s=0.4)
    result = await here.complete()
    assert statuses(here) == [TaskStatus.SEALED, TaskStatus.FAILED, TaskStatus.SEALED]
    assert result.tracker.task(2).attempts[-1].cause is Cause.TIME


async def test_one_that_eats_the_memory_of_its_batch_is_found_and_charged(make: Make) -> None:
    """The process is killed; the others are tried again without it, and it alone is over its limit."""
    here = await make(["quick", "hog", "quick", "quick"], size=4, memory_bytes=100 << 20)
    result = await here.complete()
    assert statuses(here) == [TaskStatus.SEALED, TaskStatus.FAILED, TaskStatus.SEALED, TaskStatus.SEALED]
    hog, *others = (result.tracker.task(index) for index in (2, 1, 3, 4))
    *before, last = hog.attempts
    assert {attempt.cause for attempt in before} == {Cause.BATCH}
    assert last.cause is Cause.MEMORY
    assert {attempt.cause for task in others for attempt in task.attempts} <= {None, Cause.BATCH}


async def test_who_comes_last_into_a_process_that_has_grown_is_not_charged_for_it(make: Make) -> None:
    """What earlier batches kept is not the doing of one that is alone: it gets a process of its own start."""
    here = await make(["keep"] * 3, size=1, memory_bytes=100 << 20)
    await here.complete()
    assert set(statuses(here)) == {TaskStatus.SEALED}
    doubtful, alone = here.tracker.task(3).attempts
    assert doubtful.cause is Cause.BATCH
    assert "memory" in doubtful.reason
    assert alone.cause is None
    assert here.pids[0] == here.pids[1] == here.pids[2] != here.pids[3]


async def test_a_full_disk_charges_nobody_of_a_batch(make: Make, tmp_path: Path) -> None:
    """Its process ends for want of room: all that were open are run again, when there is some."""
    with small_disk(tmp_path / "disk", "12m") as disk:
        here = await make(["quick", "gate", "quick"], outputs=disk / "outputs")
        running = asyncio.create_task(here.complete())
        await happens(lambda: here.count(ev.AttemptSealed) >= 1 and len(here.pids) == 2, "one waits")
        log = here.tree.logs / "sources" / "local.log"
        log.write_text("(so that there is room for a few words more)\n")
        filler = fill(disk)
        here.open_gate()
        await happens(lambda: not is_alive(here.pids[0]), "its process ends")
        await happens(lambda: "lacks something" in log.read_text() or is_hindered(here), "somebody noticed")
        filler.unlink()
        result = await running
        assert result.status is SweepStatus.COMPLETE
        assert result.tracker.task(1).attempts[0].state is AttemptState.SEALED
        for index in (2, 3):
            *starved, last = result.tracker.task(index).attempts
            assert starved
            assert {(one.state, one.cause) for one in starved} == {(AttemptState.LOST, None)}
            assert last.members == 2, "nobody is looked for"
        assert here.executed["task_0001"] == 1


@contextmanager
def half_a_batch(here: Laboratory) -> Iterator[int]:
    """Have a manager at a batch of which one has ended and one waits; give the pid of its agent."""
    manager = here.manager()
    try:
        wait_for(lambda: here.count(ev.AttemptSealed) >= 1 and len(here.pids) == 2, "one ended, one waits")
        agent = here.agent_pid()
        assert agent is not None
        yield agent
    finally:
        manager.kill()
        manager.wait()


async def test_a_batch_that_has_to_make_room_goes_again_as_it_was(make: Make) -> None:
    """TERM of the agent: what had ended stays ended, the others are preempted and share a process again."""
    here = await make(["quick", "gate", "quick"])
    with half_a_batch(here) as agent:
        os.kill(agent, signal.SIGTERM)
        wait_for(lambda: len(here.pids) == 3, "it is tried again")
        here.open_gate()
        wait_for(lambda: here.count(ev.SweepSealed) == 1, "the sweep is over")
    assert set(statuses(here)) == {TaskStatus.SEALED}
    assert here.executed == Counter(task_0001=1, task_0002=2, task_0003=1)
    for index in (2, 3):
        preempted, again = here.tracker.task(index).attempts
        assert preempted.cause is Cause.PREEMPTED
        assert again.members == 2


SWEEP = """\
name: shared
program: {command: [python, "{project}/worker.py"], batch: {size: 3}}
sweep: {grid: {mode: [gate, quick], n: [1, 2, 3]}}
sources: ["local:1"]
"""


def test_a_manager_that_is_told_to_stop_lets_a_batch_end_and_takes_back_the_next(
    tmp_path: Path, hsm_command: Path
) -> None:
    """TERM: the agent finishes what is in the process, what waits is not begun, nothing is run twice."""
    (tmp_path / "hsm.yaml").touch()
    (tmp_path / "worker.py").write_text(WORKER)
    (tmp_path / "shared.yaml").write_text(SWEEP)
    project = Project(root=tmp_path, hsm=hsm_command)
    executed = tmp_path / "executed"
    running = project.start("sweep", "run", "shared.yaml")
    wait_for(lambda: executed.exists() and project.status()["counts"]["running"] == 3, "a batch runs")
    os.kill(running.process.pid, signal.SIGTERM)
    answer = running.end()
    assert answer.code == 130
    assert "3 running attempts are finished by the agent" in answer.err
    (tmp_path / "gate").touch()
    wait_for(lambda: len(executed.read_text().splitlines()) == 3, "the whole batch was begun")
    assert project.run("sweep", "complete", "last", "-q").code == 0
    counts = Counter(line.split()[0] for line in executed.read_text().splitlines())
    assert counts == Counter(f"task_000{number}" for number in range(1, 7))


async def test_a_killed_manager_leaves_its_batch_running(make: Make) -> None:
    """Kill -9 of a manager: the next one takes the same process up, and nothing runs twice."""
    here = await make(["quick", "gate", "quick"])
    manager = here.manager()
    wait_for(lambda: here.count(ev.AttemptSealed) >= 1 and len(here.pids) == 2, "one ended, one waits")
    manager.kill()
    manager.wait()
    assert is_alive(here.pids[0])
    here.open_gate()
    result = await here.complete()
    assert result.status is SweepStatus.COMPLETE
    assert set(here.executed.values()) == {1}
    assert len(set(here.pids)) == 1


async def test_a_killed_agent_loses_its_batch_and_its_process(make: Make) -> None:
    """Kill -9 of an agent: its process is ended, what had ended stays ended, the others are tried again."""
    here = await make(["quick", "gate", "quick"])
    with half_a_batch(here) as agent:
        first = here.pids[0]
        os.kill(agent, signal.SIGKILL)
        wait_for(lambda: not is_alive(first), "the process of its batch is ended")
        here.open_gate()
        wait_for(lambda: here.count(ev.SweepSealed) == 1, "the sweep is over")
    assert set(statuses(here)) == {TaskStatus.SEALED}
    assert here.executed == Counter(task_0001=1, task_0002=2, task_0003=1)
    states = [[attempt.state for attempt in task.attempts] for task in here.tracker.tasks]
    lost = [AttemptState.LOST, AttemptState.SEALED]
    assert states == [[AttemptState.SEALED], lost, lost]


async def test_a_member_that_is_cancelled_ends_alone(make: Make) -> None:
    """It is asked to end by a line; the others of its batch go on in the same process."""
    here = await make(["quick", "listen", "gate", "quick"])
    here.open_gate()
    manager = here.manager()
    try:
        wait_for(lambda: len(here.pids) == 2, "it listens")
        await cancel(here, 2)
        wait_for(lambda: here.count(ev.SweepSealed) == 1, "the sweep is over")
    finally:
        manager.kill()
        manager.wait()
    assert statuses(here) == [TaskStatus.SEALED, TaskStatus.CANCELLED, TaskStatus.SEALED, TaskStatus.SEALED]
    assert len(set(here.pids)) == 1


async def test_one_that_does_not_hear_its_cancel_costs_the_others_nothing(make: Make) -> None:
    """After its grace the process is killed, and the others are begun anew without being charged."""
    here = await make(["quick", "deaf", "quick"])
    manager = here.manager()
    try:
        wait_for(lambda: len(here.pids) == 2 and here.count(ev.AttemptStarted) >= 2, "it runs")
        await cancel(here, 2)
        wait_for(lambda: here.count(ev.SweepSealed) == 1, "the sweep is over")
    finally:
        manager.kill()
        manager.wait()
    assert statuses(here) == [TaskStatus.SEALED, TaskStatus.CANCELLED, TaskStatus.SEALED]
    killed, again = here.tracker.task(3).attempts
    assert (killed.state, killed.cause) == (AttemptState.LOST, None)
    assert again.state is AttemptState.SEALED


def on_pipes(world: World, project: Path, slots: int) -> ComputeSource:
    spec = SourceSpec(kind="ssh", target="pipe", slots=slots)
    return SSHSource(world, spec, PipeReach(world, spec.name, project / "host"))


def on_files(world: World, project: Path, slots: int) -> ComputeSource:
    return FileAgentSource(world, slots=slots)


@pytest.mark.parametrize("make_source", [on_files, on_pipes], ids=["files", "pipes"])
async def test_the_example_runs_wherever_an_agent_does(tmp_path: Path, make_source: MakeSource) -> None:
    """`sweeps/pi.py` serves two batches on files alone and on a host: results come home one by one."""
    site = Site(World(), tmp_path, make_source, Setting(slots=1), lambda: None)
    command = [sys.executable, str(ROOT / "sweeps" / "pi.py")]
    try:
        await site.open()
        orders = [site.order(command, params={"samples": n}, batch="ab"[n > 1]) for n in (0, 1, 500, 500)]
        await site.session.submit(orders)
        assert [seen.cause for seen in await site.ended(orders)] == [Cause.APPLICATION, None, None, None]
        last = await site.fetched(orders[3])
        assert 2.5 < json.loads((last / "metrics.json").read_text())["pi"] < 3.8
        assert (last / "stderr.log").read_text() == ""
        assert "at least 1" in (await site.fetched(orders[0]) / "stderr.log").read_text()
        await site.finish()
    finally:
        await site.close()


def test_the_page_shows_the_example() -> None:
    """`docs/how-to/batches.md` has the very text of the program that the tests run."""
    page = (ROOT / "docs" / "how-to" / "batches.md").read_text(encoding="utf-8")
    assert f"```python\n{(ROOT / 'sweeps' / 'pi.py').read_text(encoding='utf-8')}```" in page


async def cancel(here: Laboratory, task: int) -> None:
    world = World()
    engine = SweepEngine(world)
    await engine.cancel_sweep(here.job(world), [task])
    engine.close()
