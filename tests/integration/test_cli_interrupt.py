"""Leaving a sweep, gently or not, and coming back: what runs goes on, and nothing is run twice."""

import asyncio
import os
from pathlib import Path

import pytest

from hsm.compute.registry import build_source
from hsm.config import find_project, load_sweep
from hsm.core.engine import SweepEngine
from hsm.core.job import Origin, SweepJob
from hsm.core.states import SweepStatus
from hsm.core.world import World
from hsm.hunt.registry import build_hunter
from tests.integration.cli_project import Project, Running, until

pytestmark = pytest.mark.integration


@pytest.fixture
def project(tmp_path: Path, hsm_command: Path) -> Project:
    """Return a project with a sweep of six tasks that do not end while `hold` is there."""
    found = Project(root=tmp_path, hsm=hsm_command)
    found.sweep("heat", ["a", "b", "c", "d", "e", "f"])
    found.hold.touch()
    return found


def _running(project: Project, count: int = 2) -> Running:
    """Start the sweep on two slots and wait until so many programs run, and the ledger knows it."""
    running = project.start("sweep", "run", "heat.yaml", "--source", "local:2")
    until(lambda: len(project.begun()) == count, f"{count} programs")
    until(lambda: project.status()["counts"]["running"] == count, "the ledger knows them")
    return running


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


def test_the_first_ctrl_c_leaves_and_what_runs_is_finished_and_adopted(project: Project) -> None:
    """It says at once what happens and which commands go on; nothing is started, stopped or run again."""
    running = _running(project)
    running.interrupt()
    answer = running.end()
    sweep_id = project.tree().name
    assert answer.code == 130
    assert answer.out == f"{sweep_id}\n"
    assert "stopping: no new attempts; 2 running attempts are finished by the agent" in answer.err
    assert f"hsm sweep complete {sweep_id}" in answer.err
    assert f"hsm sweep cancel {sweep_id}" in answer.err
    before = project.begun()
    assert len(before) == 2
    assert all(_is_alive(pid) for _, _, pid in before)
    project.hold.unlink()
    done = project.run("sweep", "complete", "last", "--json").data
    assert done["counts"]["sealed"] == 6
    assert project.begun()[:2] == before
    assert sorted(task for task, _, _ in project.begun()) == [f"task_000{n}" for n in range(1, 7)]


def test_the_second_ctrl_c_leaves_at_once(project: Project) -> None:
    """Two signals are enough to be gone with exit code 130, and the sweep can be completed."""
    running = _running(project)
    running.interrupt()
    until(lambda: "stopping" in running.said() or running.process.poll() is not None, "the first answer")
    if running.process.poll() is None:
        running.interrupt()
    assert running.end().code == 130
    project.hold.unlink()
    assert project.run("sweep", "complete", "last", "--json").data["counts"]["sealed"] == 6
    assert len(project.begun()) == 6


def test_after_kill_9_complete_adopts_what_runs(project: Project) -> None:
    """The plan says adopt; attempts keep number and pid, and no program is started a second time."""
    running = _running(project)
    before = project.begun()
    running.kill()
    status = project.run("sweep", "status")
    assert "not finished" in status.out
    assert f"no engine drives it; go on: hsm sweep complete {project.tree().name}" in status.out
    plan = project.run("sweep", "complete", "last", "--dry-run", "--json").data
    assert plan["tasks"]["adopt"] >= 2
    assert plan["sources_needed"] == ["local"]
    completing = project.start("sweep", "complete", "last", "--json")
    until(lambda: project.status()["engine"] is not None, "an engine again")
    assert project.begun() == before
    project.hold.unlink()
    answer = completing.end()
    assert answer.code == 0
    assert answer.data["counts"]["sealed"] == 6
    begun = project.begun()
    assert begun[:2] == before
    assert sorted((task, attempt) for task, attempt, _ in begun) == [
        (f"task_000{n}", "1") for n in range(1, 7)
    ]


def test_a_second_engine_is_refused_with_host_and_pid(project: Project) -> None:
    """Exit code 3 and who drives the sweep; the first engine is not disturbed."""
    running = _running(project)
    answer = project.run("sweep", "complete", "last", "--json", code=3)
    assert answer.data["code"] == "ledger.engine_running"
    assert f"on host {os.uname().nodename}, pid {running.process.pid}" in answer.data["message"]
    assert "hsm monitor watch" in answer.data["hint"]
    assert project.run("sweep", "rebuild", "last", code=3).err.startswith("error: an engine on host")
    project.hold.unlink()
    assert running.end().code == 0


def test_cancel_asks_the_running_engine(project: Project) -> None:
    """Single tasks and then all of them end; the run tells it with exit code 1."""
    running = _running(project)
    project.run("sweep", "cancel", "last", "5", "task_0006")
    assert project.run("sweep", "cancel", "last", "--json").data["tasks"] == 4
    answer = running.end()
    assert answer.code == 1
    assert "6 cancelled" in answer.err
    assert project.status()["status"] == "cancelled"
    until(lambda: not any(_is_alive(pid) for _, _, pid in project.begun()), "the programs are gone")


def test_cancel_without_an_engine_ends_what_the_agent_runs(project: Project) -> None:
    """After a kill -9 the whole sweep can be cancelled, and no program is left."""
    _running(project).kill()
    project.run("sweep", "cancel", "last")
    assert project.status()["status"] == "cancelled"
    assert not any(_is_alive(pid) for _, _, pid in project.begun())
    assert "nothing is left to end" in project.run("sweep", "cancel", "last").err
    project.hold.unlink()
    assert project.run("sweep", "complete", "last", "--retry-failed", "--json").data["counts"]["sealed"] == 6


def test_many_tasks_are_not_cancelled_without_a_yes(project: Project) -> None:
    """Without a terminal nobody can be asked, so the flag is named and nothing happens."""
    project.sweep("many", [f"v{n}" for n in range(12)])
    project.hold.unlink()
    project.run("sweep", "run", "many.yaml", "-s", "local:1", "--max-tasks", "1")
    answer = project.run("sweep", "cancel", "last", code=2)
    assert "this would end 11 tasks of" in answer.err
    assert "hint: add `--yes`" in answer.err
    assert project.status()["status"] == "partial"
    project.run("sweep", "cancel", "last", "--yes")
    assert project.status()["counts"]["cancelled"] == 11


def test_ctrl_c_before_anything_runs_is_heard_too(project: Project) -> None:
    """A signal while the sweep is still being opened is not forgotten; no program is started."""
    running = project.start("sweep", "run", "heat.yaml", "--source", "local:2")
    until(lambda: "sweep  " in running.said(), "the sweep is made")
    running.interrupt()
    answer = running.end()
    assert answer.code == 130
    project.hold.unlink()
    assert project.run("sweep", "complete", "last", "--json").data["counts"]["sealed"] == 6
    assert len(project.begun()) == 6


def test_an_engine_that_is_asked_to_leave_before_it_begins_begins_nothing(project: Project) -> None:
    """The wish is kept until the loop runs: the sweep stays partial and no program starts."""
    world, place = World(), find_project(project.root)
    spec = load_sweep(project.root / "heat.yaml", project=place, sources=["local:2"])
    sources = [build_source(world, spec.sources[0], project.root, spec.resources)]

    async def leave() -> SweepStatus:
        engine = SweepEngine(world)
        tree = await engine.create_sweep(
            place.outputs, spec, Origin(project=project.root, frozen_config="name: heat")
        )
        engine.detach()
        job = SweepJob(tree=tree, spec=spec, hunter=build_hunter(spec), sources=sources, project=project.root)
        return (await engine.run_sweep(job)).status

    assert asyncio.run(leave()) is SweepStatus.PARTIAL
    world.close()
    assert project.begun() == []


def test_what_was_handed_over_and_has_not_begun_is_taken_back(project: Project) -> None:
    """Attempts that wait at the agent are recalled on Ctrl-C and run later, each exactly once."""
    project.sweep("many", [f"v{n}" for n in range(60)])
    project.hold.unlink()
    running = project.start("sweep", "run", "many.yaml", "--source", "local:2")
    until(lambda: len(project.begun()) >= 12, "a pace")
    project.hold.touch()
    until(lambda: project.status()["sources"][0]["queued"] >= 2, "attempts that wait at the agent")
    running.interrupt()
    assert running.end().code == 130
    plan = project.run("sweep", "complete", "last", "--dry-run", "--json").data["tasks"]
    assert plan["adopt"] <= 2
    assert plan["run"] >= 2
    project.hold.unlink()
    assert project.run("sweep", "complete", "last", "--json").data["counts"]["sealed"] == 60
    assert len({task for task, _, _ in project.begun()}) == len(project.begun()) == 60
