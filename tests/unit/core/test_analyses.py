"""What an analysis is made of: its sweep, the hunter that follows results, and where its output is found."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from hsm.core import events as ev
from hsm.core.analyses import OF, Follower, fitting, inner_trees, link, spec_of
from hsm.core.command import CommandTemplate
from hsm.core.inputs import Input, Planned
from hsm.core.mailbox import Mailbox
from hsm.core.model import Attempt, History, Proposal, Task
from hsm.core.plan import load_plan, write_plan
from hsm.core.planner import Planner
from hsm.core.spec import AnalysisSpec, ProgramSpec
from hsm.core.states import AttemptState, TaskStatus
from hsm.core.summary import tracker_of
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire import manifest
from hsm.wire.files import Files
from tests.unit.core.resting import leave
from tests.unit.core.worlds import made_plan, writer

LOOK = AnalysisSpec(
    name="look",
    program=ProgramSpec(command=("look", "{artifact}", "{{x}}{task_id}", "{result}")),
    artifact="results/*.h5",
)
FILES = Files()


@pytest.fixture
def tree(tmp_path: Path) -> SweepTree:
    tree = SweepTree(tmp_path / "s-20260101-000000-aaaa")
    tree.tasks.mkdir(parents=True)
    return tree


def result(tree: SweepTree, index: int, number: int = 1, name: str = "results/a.h5") -> Task:
    """Return a sealed task whose files are in their place."""
    digest = leave(tree.task(index), **{name: b"field"})
    earlier = Attempt(number=1, token="a" * 32, source="local", state=AttemptState.FAILED)
    sealed = Attempt(
        number=number, token="b" * 32, source="local", state=AttemptState.SEALED, manifest=digest
    )
    return Task(
        index=index,
        config_hash="c",
        task_key="k",
        params_json="{}",
        status=TaskStatus.SEALED,
        attempts=(sealed,) if number == 1 else (earlier, sealed),
    )


def asked(follower: Follower) -> list[Proposal]:
    """Return what is proposed next."""

    async def ask() -> list[Proposal]:
        await follower.due()
        return list(follower.ask(History(generation=1), Random(0)))

    return asyncio.run(ask())


def planned(params: dict[str, object]) -> Task:
    return Task(index=1, config_hash="", task_key="", params_json=json.dumps(params))


def inner_tracker(tree: SweepTree) -> tuple[SweepTree, SweepTracker]:
    inner = tree.analysis("look")
    inner.plans.mkdir(parents=True)
    return inner, tracker_of(FILES, inner, spec_of(LOOK))


def generation(inner: SweepTree, tracker: SweepTracker, number: int) -> None:
    name, _ = write_plan(FILES, inner.plans, [Proposal(params={"task": f"task_{number:04d}"})], "p")
    tracker.preload(load_plan(FILES, inner.plans, name, generation=number))
    tracker.fold(ev.GenerationPlanned(generation=number, plan=name, first=number, count=1, at=1.0))


def test_a_command_finds_artifact_result_and_task_of_the_sweep_it_looks_at() -> None:
    """Doubled braces stay braces; the place of the sweep is filled in when it is run, not frozen."""
    template = CommandTemplate(spec_of(LOOK).program, Path("/project"), {OF: "/sweeps/{s}"})
    task = planned({"task": "task_0003", "attempt": 1, "artifact": "results/a b.h5"})
    place = "/sweeps/{s}/tasks/task_0003"
    assert template.argv(task) == ("look", f"{place}/results/a b.h5", "{x}task_0003", place)


def test_the_first_file_by_name_is_meant() -> None:
    """A star stands for any letters; what fits nothing has no artifact."""
    assert fitting(["results/b.h5", "results/a/a.h5", "a.h5"], LOOK) == "results/a/a.h5"
    assert fitting(["results/a.txt", "stdout.log"], LOOK) is None


def test_a_result_is_proposed_once_and_another_attempt_is_another_result(tree: SweepTree) -> None:
    """What has been planned before is not proposed, nor what was offered twice; a new result is."""
    follower = Follower(World(), tree, LOOK)
    follower.know([planned({"task": "task_0001", "attempt": 1})])
    first, second = result(tree, 1), result(tree, 2)
    again = result(tree, 3, number=2)
    follower.know([planned({"task": "task_0003", "attempt": 1})])
    follower.offer([first, second, second, again])
    names = [(one.params["task"], one.params["attempt"]) for one in asked(follower)]
    assert names == [("task_0002", 1), ("task_0003", 2)]
    follower.offer([second, again])
    follower.close()
    assert asked(follower) == []


def test_only_whole_sealed_results_with_a_fitting_file_are_proposed(tree: SweepTree) -> None:
    """Open tasks, results without files, and damaged ones wait for nobody; those are told by others."""
    follower = Follower(World(), tree, LOOK)
    damaged = result(tree, 1)
    (tree.task(1) / manifest.REPORT).write_text("{}")
    other = result(tree, 2, name="results/a.txt")
    waiting = planned({})
    none = Task(
        index=3,
        config_hash="",
        task_key="",
        params_json="{}",
        status=TaskStatus.SEALED,
        attempts=(
            Attempt(
                number=1,
                token="d" * 32,
                source="memory",
                state=AttemptState.SEALED,
                manifest=manifest.NO_FILES,
            ),
        ),
    )
    follower.offer([damaged, other, waiting, none])
    follower.close()
    assert asked(follower) == []


def test_a_pattern_that_fits_no_result_is_told_with_what_there_is(tree: SweepTree) -> None:
    """Nothing to do because nothing fits is no silence; one that fits is enough for there to be no word."""
    follower = Follower(World(), tree, LOOK)
    assert follower.why_nothing == "there is no result with files"
    follower.offer([result(tree, 1, name="results/a.txt")])
    follower.close()
    assert asked(follower) == []
    assert (
        follower.why_nothing
        == f"no result has a file like {LOOK.artifact}; one has params.yaml, results/a.txt, stdout.log"
    )
    another = Follower(World(), tree, LOOK)
    another.offer([result(tree, 2, name="results/b.txt"), result(tree, 3)])
    another.close()
    assert len(asked(another)) == 1
    assert not another.why_nothing


def test_nothing_is_asked_before_there_is_something(tree: SweepTree) -> None:
    """The planner waits for what is due, asks then, and says so when nothing more will be."""

    class Asked:
        def ask(self, history: History, rng: Random) -> list[Proposal]:
            order.append("asked")
            return []

    order: list[str] = []
    inner, tracker = inner_tracker(tree)

    async def play() -> list[Input]:
        world, gate, posted = World(), asyncio.Event(), Mailbox[Input]()

        async def due() -> None:
            await gate.wait()
            order.append("due")

        planner = Planner(world, inner, Asked(), writer(inner), spec_of(LOOK), due=due)
        planner.ask_if_due(tracker)
        async with asyncio.TaskGroup() as group:
            working = group.create_task(planner.work(posted.put))
            gate.set()
            answers = await posted.take()
            working.cancel()
        world.close()
        return answers

    assert asyncio.run(play()) == [Planned(1)]
    assert order == ["due", "asked"]


def test_a_recorded_end_holds_for_its_engine_only(tree: SweepTree) -> None:
    """More may come when another engine asks; of any other sweep the end is the last word."""
    inner, tracker = inner_tracker(tree)
    generation(inner, tracker, 1)
    tracker.fold(ev.HuntEnded(generation=2, at=1.0))
    ended = [tracker.hunt_ended]
    tracker.fold(ev.EngineStarted(epoch=2, host="h", pid=1, version="0", at=2.0))
    assert [*ended, tracker.hunt_ended] == [True, False]
    generation(inner, tracker, 2)
    assert len(tracker.tasks) == 2


def test_the_link_leads_from_the_result_to_what_was_made_of_it(tree: SweepTree) -> None:
    """It is relative, made again without harm, and no part of the result: nothing extra is found there."""
    inner, _ = inner_tracker(tree)
    task = result(tree, 1)
    assert task.attempt is not None
    params = {"task": "task_0001", "attempt": 1, "manifest": task.attempt.manifest}
    inner.task(1).mkdir(parents=True)
    (inner.task(1) / "metrics.json").write_text("{}")
    for _ in range(2):
        link(FILES, tree, inner, [planned(params)])
    place = tree.task(1) / "analyses" / "look"
    assert (place / "metrics.json").read_text() == "{}"
    assert not place.readlink().is_absolute()
    listed = manifest.read(FILES, str(tree.task(1)), task.attempt.manifest or "")
    assert isinstance(listed, manifest.Listed)
    assert manifest.extras(FILES, str(tree.task(1)), listed) == []
    (tree.task(1) / "analyses" / "other").symlink_to("/etc")
    assert manifest.extras(FILES, str(tree.task(1)), listed) == ["analyses/other"]


def test_what_was_made_of_an_older_result_is_not_linked_to_the_new_one(tree: SweepTree) -> None:
    """The manifest says which result was analysed."""
    inner, _ = inner_tracker(tree)
    result(tree, 1)
    inner.task(1).mkdir(parents=True)
    link(FILES, tree, inner, [planned({"task": "task_0001", "attempt": 1, "manifest": "0" * 64})])
    assert not (tree.task(1) / "analyses").exists()


def test_a_half_made_analysis_is_none(tree: SweepTree) -> None:
    """Only what has its frozen configuration has begun; a tree knows whose results it analyses."""
    (tree.analyses / ".part").mkdir(parents=True)
    (tree.analyses / "empty").mkdir()
    inner = tree.analysis("look")
    inner.root.mkdir()
    inner.config.write_text("name: look\n")
    assert inner_trees(FILES, tree) == [inner]
    assert inner.analysed == tree
    assert tree.analysed is None


def test_a_cancel_of_an_analysis_holds_for_the_engine_that_heard_it(tree: SweepTree) -> None:
    """The next engine asks for what came since; of any other sweep a cancel lasts."""
    _, tracker = inner_tracker(tree)
    start = ev.EngineStarted(epoch=1, host="h", pid=1, version="0", at=1.0)
    for found, lasts in (
        (tracker, False),
        (SweepTracker(replace(tracker.spec, follows=False), lambda _: made_plan(0)), True),
    ):
        found.fold(start)
        found.fold(ev.CancelRequested(tasks=(), at=2.0))
        assert found.cancelled
        found.fold(replace(start, epoch=2))
        assert found.cancelled is lasts
