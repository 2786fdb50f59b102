"""Simulated processes that serve batches: members hold what single attempts hold, and planted bugs show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from random import Random

import pytest

from hsm.sim.contents import Hazards
from hsm.sim.disk import Disk
from hsm.sim.host import SimHost
from hsm.sim.loop import Order, SimLoop
from hsm.sim.machine import Machine
from hsm.sim.mutants import mutated, scenario_for
from hsm.sim.process import SimProcess
from hsm.sim.program import GIVEN, Behaviour
from hsm.sim.scenario import Fault, FaultKind, draw
from hsm.sim.simulation import simulate
from hsm.sim.trace import Trace
from hsm.sim.truth import Truth

TASKS = 6
PLACE = "/shared/attempt"
KINDS = (
    FaultKind.KILL_TASK,
    FaultKind.KILL_AGENT,
    FaultKind.REUSE_PID,
    FaultKind.CANCEL_TASKS,
    FaultKind.POWER_CUT,
    FaultKind.DISK_FULL,
)


class World:
    """A machine, an agent's view of it, and a process of batches that it has started."""

    def __init__(self) -> None:
        trace = Trace(hashes=False, keep=False)
        self.loop = SimLoop(Random(1), order=Order.FIFO, trace=trace, latency_s=0.001)
        disks = {"/shared": Disk(trace), "/": Disk(trace)}
        self.truth = Truth()
        self.machine = Machine("home", self.loop, disks, rng=Random(1), truth=self.truth, hazards=Hazards())
        self.agent = self.machine.add_process("agent")
        self.files = self.machine.files_of(SimProcess(name="observer", pid=1, start="0"))
        self.files.make_directories(f"{PLACE}/results")
        self.host = SimHost(self.machine, self.agent, lambda *_: Behaviour(duration_s=10.0), lambda: None)
        self.spoken = self.host.spawn_spoken(["program"], PLACE, {b"HSM_TOKEN": b"shared-1"})

    def give(self, *tokens: str) -> None:
        """Give it a batch, piece by piece as its pipe has room."""
        members = [
            {
                "token": token,
                "directory": PLACE,
                "variables": {
                    "HSM_TASK_ID": f"task_{number:06d}",
                    "HSM_ATTEMPT": "1",
                    "HSM_CONFIG_HASH": token * 64,
                },
            }
            for number, token in enumerate(tokens, 1)
        ]
        left = json.dumps({"batch": "b", "members": members}).encode() + b"\n"
        while left:
            left = left[self.host.say(self.spoken.orders, left) :]
            self.live(0.5)

    def live(self, seconds: float) -> None:
        """Let time pass."""
        over: asyncio.Future[None] = self.loop.create_future()
        self.loop.call_later(seconds, over.set_result, None)
        self.loop.run_until_complete(over)

    def statuses(self) -> dict[str, int | None]:
        """Return how each attempt has ended in the world."""
        return {token: runs[-1].status for token, runs in self.truth.executions.items()}


@pytest.fixture
def world() -> Iterator[World]:
    """Make one, and let go of it."""
    world = World()
    yield world
    world.loop.close()


def test_members_end_one_by_one_and_their_process_stays(world: World) -> None:
    """Every member is told of and has ended in the world with what was told; the process waits for more."""
    world.give("a", "b", "c")
    world.live(40.0)
    heard = world.host.hear(world.spoken.reports) or b""
    assert {json.loads(line)["token"] for line in heard.splitlines()} == {"a", "b", "c"}
    assert world.statuses() == {"a": 0, "b": 0, "c": 0}
    assert world.machine.find(world.spoken.pid) is not None


def test_the_end_of_a_process_is_that_of_all_that_it_has_open(world: World) -> None:
    """A kill ends every member that has not told of its end, and the agent sees the end of the pipe."""
    world.give("a", "b")
    world.host.signal_session(world.spoken.pid, 9)
    world.live(0.1)
    assert world.statuses() == {"a": 9, "b": 9}
    assert world.host.hear(world.spoken.reports) is None


def test_a_process_leaves_when_its_agent_is_gone(world: World) -> None:
    """The death of an agent is the end of what its processes read: they end once nothing is left to do."""
    world.machine.kill(world.agent)
    world.live(1.0)
    assert world.machine.find(world.spoken.pid) is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_alone_breaks_nothing_of_members(kind: FaultKind) -> None:
    """A small sweep whose tasks share processes survives it, twice."""
    faults = tuple(Fault(0.15 * number, kind, number) for number in range(1, 3))
    outcome = simulate(draw(2, tasks=TASKS, only=(kind,), sharing=3).with_faults(faults))
    assert not outcome.violations
    assert outcome.counts[GIVEN] >= TASKS


def test_the_same_seed_of_batches_runs_the_same_way() -> None:
    """Pipes and members draw nothing but what the seed decides."""
    scenario = draw(3, tasks=TASKS, only=(FaultKind.KILL_TASK,), sharing=3)
    digests = {simulate(scenario, hashes=True).digest for _ in range(2)}
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("name", "invariant"),
    [
        ("dead process = all its members done", "I4"),
        ("leave processes of batches to themselves", "I7"),
        ("try a batch again as it was", "I8"),
    ],
)
def test_a_bug_of_batches_is_found(name: str, invariant: str) -> None:
    """Planted, it breaks the invariant that is there for it."""
    with mutated(name):
        outcomes = (simulate(scenario_for(name, seed)) for seed in range(20))
        assert any(text.startswith(invariant) for outcome in outcomes for text in outcome.violations)
