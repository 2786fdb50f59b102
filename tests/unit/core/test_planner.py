"""When the hunter is asked, and what becomes of its answer when the sweep has been ended meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsm.core import events as ev
from hsm.core.homing import Homing
from hsm.core.inputs import CancelAsked, Planned
from hsm.core.model import Proposal
from hsm.core.plan import Plan, load_plan, write_plan
from hsm.core.planner import Planner
from hsm.core.projection import Projector
from hsm.core.reactions import Reactions
from hsm.core.resolver import Resolver
from hsm.core.spec import FloatRange, GridSpec, HuntSpec, Objective, ProgramSpec, SweepSpec
from hsm.core.states import Cause
from hsm.core.summary import tracker_of
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.core.turn import Turn
from hsm.core.world import World
from hsm.wire.files import Files
from tests.unit.core.worlds import tenure_of, writer

HUNT = HuntSpec(
    hunter="random",
    space={"k": FloatRange(low=0, high=1)},
    objective=Objective(metric="f"),
    generations=9,
    population=1,
)
SPEC = SweepSpec(name="s", program=ProgramSpec(command=("true",)), hunt=HUNT)


class Never:
    """A hunter that is not asked in these tests."""

    def ask(self, history: object, rng: object) -> list[Proposal]:
        raise AssertionError


@pytest.fixture
def tree(tmp_path: Path) -> SweepTree:
    tree = SweepTree(tmp_path / "s-20260101-000000-aaaa")
    tree.plans.mkdir(parents=True)
    return tree


def plan(tree: SweepTree, generation: int) -> Plan:
    name, _ = write_plan(World().files, tree.plans, [Proposal(params={"k": generation})], "p")
    return load_plan(Files(), tree.plans, name, generation=generation)


def generation(tracker: SweepTracker, tree: SweepTree, number: int) -> None:
    name = plan(tree, number).name
    tracker.fold(ev.GenerationPlanned(generation=number, plan=name, first=number, count=1, at=1.0))
    tracker.fold(ev.AttemptIntended(task=number, attempt=1, token=str(number) * 32, source="local", at=1.0))


def fail(tracker: SweepTracker, task: int) -> None:
    tracker.fold(ev.AttemptRejected(task=task, attempt=1, cause=Cause.APPLICATION, reason="no", at=2.0))


def test_a_hunt_goes_on_only_when_nothing_is_open(tree: SweepTree) -> None:
    """A task of an early generation that was reopened must be over before the hunter is asked again."""
    tracker = tracker_of(Files(), tree, SPEC)
    for number in (1, 2):
        generation(tracker, tree, number)
        fail(tracker, number)
    reopened = Planner(World(), tree, Never(), writer(tree), SPEC)
    tracker.fold(ev.TasksReopened(tasks=(1,), at=3.0))
    reopened.ask_if_due(tracker)
    assert not reopened.is_asking
    tracker.fold(ev.AttemptIntended(task=1, attempt=2, token="9" * 32, source="local", at=3.0))
    tracker.fold(ev.AttemptRejected(task=1, attempt=2, cause=Cause.APPLICATION, reason="no", at=4.0))
    reopened.ask_if_due(tracker)
    assert reopened.is_asking


@pytest.mark.parametrize("spec", [SPEC, SweepSpec(name="s", program=SPEC.program, grid=GridSpec(axes=()))])
def test_a_generation_that_comes_after_a_cancel_is_not_taken(tree: SweepTree, spec: SweepSpec) -> None:
    """The user was told that everything ends, so nothing may begin that was only being thought of."""
    tracker, world = tracker_of(Files(), tree, spec), World()
    planner = Planner(world, tree, Never(), writer(tree), spec)
    homing = Homing(world, Projector(world.files, tree), {}, tenure_of(world, tree), lambda _: None)
    reactions = Reactions(world, {}, planner, homing, Resolver(world, {}))
    turn = Turn(tracker)
    planner.is_asking = True
    reactions.react(CancelAsked([]), turn)
    reactions.react(Planned(1, plan(tree, 1)), turn)
    assert [type(event) for event in turn.events] == [ev.CancelRequested]
    assert tracker.is_over
    assert not planner.is_asking
