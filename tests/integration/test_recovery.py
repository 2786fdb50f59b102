"""Managers and agents are killed for real; what ran goes on, what ended is kept, nothing runs twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hsm.compute import deaths
from hsm.core import events as ev
from hsm.core.errors import EngineRunning, SourceError
from hsm.core.machine import charged
from hsm.core.states import AttemptState, Cause, SweepStatus, TaskStatus
from hsm.wire.names import task_id
from tests.integration.laboratory import Laboratory, happens, is_alive, new_laboratory, wait_for

pytestmark = pytest.mark.integration

MODES = ["quick", "quick", "gate", "gate", "quick", "quick"]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Laboratory]:
    laboratory = await new_laboratory(tmp_path / "project", list(MODES))
    yield laboratory
    laboratory.clean()


def once(here: Laboratory) -> Counter[str]:
    return Counter(task_id(index) for index in range(1, len(here.modes) + 1))


def check_whole(here: Laboratory) -> None:
    """Check that the sweep is complete, every task ran once, and the tree holds every result."""
    assert here.tracker.status(driven=False) is SweepStatus.COMPLETE
    assert here.executed == once(here)
    for index, mode in enumerate(here.modes, 1):
        directory = here.tree.task(index)
        assert (directory / "provenance.json").is_file()
        assert (directory / "status.yaml").is_file()
        assert mode != "gate" or (directory / "results" / "out.txt").read_text() == "done\n"
    assert list(here.tree.work.iterdir()) == []


async def test_what_runs_outlives_its_manager_and_is_adopted(here: Laboratory) -> None:
    """Kill -9 while two attempts run: they go on, the next manager takes them up, all is executed once."""
    manager = here.manager()
    wait_for(lambda: here.count(ev.AttemptStarted) >= 2 and here.count(ev.AttemptSealed) >= 2, "two gates")
    wait_for(lambda: len(here.tracker.live()) >= 2, "two run")
    running = [pid for pid in here.pids if is_alive(pid)]
    assert len(running) == 2
    with pytest.raises(EngineRunning, match=f"pid {manager.pid}, drives"):
        await here.complete()
    manager.kill()
    manager.wait()
    acknowledged = here.events
    here.open_gate()
    assert (await here.complete()).status is SweepStatus.COMPLETE
    check_whole(here)
    assert here.events[: len(acknowledged)] == acknowledged
    assert all(len(task.attempts) == 1 for task in here.tracker.tasks if task.index in (3, 4))


async def test_what_ended_while_nobody_looked_is_collected(here: Laboratory) -> None:
    """The agent finishes without a manager; the next one only reads."""
    manager = here.manager()
    wait_for(lambda: here.count(ev.AttemptStarted) >= 2, "two gates run")
    wait_for(lambda: len([pid for pid in here.pids if is_alive(pid)]) == 2, "two processes")
    manager.kill()
    manager.wait()
    here.open_gate()
    wait_for(lambda: not any(map(is_alive, here.pids)), "they end")
    assert (await here.complete()).status is SweepStatus.COMPLETE
    check_whole(here)


PLACES = [
    ("event:sweep_created", 1),
    ("event:generation_planned", 1),
    ("event:attempt_intended", 1),
    ("event:attempt_exited", 3),
    ("event:attempt_exited", 1),
    ("event:attempt_sealed", 3),
    ("event:hunt_ended", 1),
    ("event:engine_stopped", 1),
    ("call:create", 2),
    ("call:write", 1),
    ("call:write", 4),
    ("call:datasync", 3),
    ("call:replace", 2),
    ("call:torn", 5),
    ("call:torn", 8),
]


@pytest.mark.parametrize(("place", "count"), PLACES, ids=[f"{place}-{count}" for place, count in PLACES])
async def test_a_manager_may_be_killed_anywhere(here: Laboratory, place: str, count: int) -> None:
    """After an event became durable, before a write or sync took effect, half way through a write."""
    here.modes = ["quick"] * 4
    manager = here.manager(place, count)
    assert manager.wait(40) == -signal.SIGKILL, "the manager never came to this place"
    acknowledged = here.events
    assert (await here.complete()).status is SweepStatus.COMPLETE
    check_whole(here)
    assert here.events[: len(acknowledged)] == acknowledged


async def test_managers_killed_one_after_another_get_there_in_the_end(here: Laboratory) -> None:
    """Each dies a little later than the one before; together they finish, and nothing ran twice."""
    here.modes = ["quick"] * 12
    for count in range(2, 14, 3):
        here.manager("call:datasync", count).wait(40)
    assert (await here.complete()).status is SweepStatus.COMPLETE
    check_whole(here)


async def test_what_a_dead_agent_left_running_is_killed_and_tried_again(here: Laboratory) -> None:
    """Kill -9 of the agent: its attempts are lost, their processes ended, the tasks get another attempt."""
    here.modes = ["gate", "gate", "quick"]
    manager = here.manager()
    wait_for(lambda: len(here.pids) == 2, "both gates run")
    agent = here.agent_pid()
    assert agent is not None
    first = here.pids
    os.kill(agent, signal.SIGKILL)
    wait_for(lambda: here.count(ev.AttemptLost) == 2, "both are lost")
    assert not any(map(is_alive, first))
    here.open_gate()
    assert manager.wait(40) == 0
    tracker = here.tracker
    assert tracker.status(driven=False) is SweepStatus.COMPLETE
    for task in tracker.tasks[:2]:
        assert [attempt.state for attempt in task.attempts] == [AttemptState.LOST, AttemptState.SEALED]
        assert task.attempts[0].cause is Cause.LOST
    assert here.executed == Counter({"task_0001": 2, "task_0002": 2, "task_0003": 1})
    assert len(list(here.tree.attempts.iterdir())) == 2, "what was lost is kept aside"


async def test_a_source_whose_agents_die_at_once_is_given_up_and_its_tasks_are_not_charged(
    here: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clear error after a few; the first death is charged as any, and when it is mended all is run."""
    monkeypatch.setattr(deaths, "FIRST_PAUSE_S", 0.01)
    here.modes = ["gate", "gate", "quick"]
    running, killed = asyncio.create_task(here.complete()), list[int]()
    while not running.done():
        agent = here.agent_pid()
        is_new = agent is not None and agent not in killed
        if agent is not None and is_new and here.count(ev.AttemptStarted) == 2 * len(killed) + 2:
            killed.append(agent)
            os.kill(agent, signal.SIGKILL)
        await asyncio.sleep(0.01)
    with pytest.raises(SourceError, match="die as soon as they are there, 5 of them one after the other"):
        await running
    assert len(killed) == deaths.MANY
    for task in here.tracker.tasks[:2]:
        assert task.status is TaskStatus.RUNNING, "it is left as it is"
        assert len(task.attempts) == deaths.MANY
        assert charged(task, Cause.LOST) == 1
    here.open_gate()
    assert (await here.complete()).status is SweepStatus.COMPLETE


async def test_a_cancelled_sweep_leaves_no_process(here: Laboratory) -> None:
    """Cancelled without an engine, after a kill: what still ran is ended, observed, and nothing begins."""
    from hsm.core.engine import SweepEngine
    from hsm.core.world import World

    here.modes = ["gate"] * 6
    manager = here.manager()
    wait_for(lambda: len(here.pids) == 2, "two run")
    manager.kill()
    manager.wait()
    world = World()
    engine = SweepEngine(world)
    await engine.cancel_sweep(here.job(world))
    engine.close()
    assert here.tracker.status(driven=False) is SweepStatus.CANCELLED
    assert {task.status for task in here.tracker.tasks} == {TaskStatus.CANCELLED}
    await happens(lambda: not any(map(is_alive, here.pids)), "they are gone")
    assert len(here.pids) == 2
