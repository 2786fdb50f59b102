"""Worlds, sweeps and jobs for tests of the engine."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from hsm.core.epochs import Claim, Tenure, last_claim
from hsm.core.job import SweepJob, Wishes
from hsm.core.ledger import Ledger
from hsm.core.model import History, Hunter, Proposal
from hsm.core.plan import Plan, write_plan
from hsm.core.planner import WritePlan
from hsm.core.source import ComputeSource
from hsm.core.spec import HuntSpec, Objective, ProgramSpec, SweepSpec
from hsm.core.storage import create_tree
from hsm.core.summary import replay
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.core.world import Identity, World
from tests.unit.wire.faulty import FaultyFiles

SWEEP_ID = "demo-20260101-000000-abcd"


class Process(World):
    """One process of one host as the ledger sees it: it can die without ending the test."""

    dead: ClassVar[set[tuple[str, int]]] = set()
    _pids = itertools.count(1000)

    def __init__(self, host: str = "here") -> None:
        super().__init__()
        self.files = FaultyFiles()
        self._who = Identity(host=host, boot="boot", pid=next(self._pids), start="1")

    @property
    def faults(self) -> FaultyFiles:
        """The same files, by the type that can fail."""
        assert isinstance(self.files, FaultyFiles)
        return self.files

    def identity(self) -> Identity:
        return self._who

    def is_alive(self, who: Identity) -> bool | None:
        if who.host != self._who.host:
            return None
        return (who.host, who.pid) not in self.dead

    def die(self) -> None:
        """Behave towards others as a process that was killed."""
        self.dead.add((self._who.host, self._who.pid))


class ListedHunter:
    """Proposes what it was given, generation by generation, and notes what it was asked."""

    def __init__(self, *generations: Sequence[dict[str, Any]]) -> None:
        self.generations = generations
        self.asked: list[History] = []

    def ask(self, history: History, rng: Random) -> Iterable[Proposal]:
        self.asked.append(history)
        if history.generation > len(self.generations):
            return []
        return [Proposal(params=params) for params in self.generations[history.generation - 1]]


def numbered(count: int) -> ListedHunter:
    """Return a hunter of one generation, `{"k": 1}` to `{"k": count}`."""
    return ListedHunter([{"k": number} for number in range(1, count + 1)])


def made_plan(count: int) -> Plan:
    """Return a plan that lies nowhere, of `count` tasks without parameters."""
    line = '{"config_hash":"c","task_key":"k%d","seed":0,"label":"","params":{}}\n'
    return Plan("p", "".join(line % number for number in range(1, count + 1)).encode())


def sweep_spec(**more: Any) -> SweepSpec:
    more = {"program": ProgramSpec(command=("run", "{k}")), "config_digest": "c" * 64, **more}
    return SweepSpec(name="demo", **more)


def hunt_spec(generations: int = 3, **more: Any) -> SweepSpec:
    hunt = HuntSpec(
        hunter="listed", space={}, objective=Objective(metric="f"), generations=generations, population=4
    )
    return sweep_spec(hunt=hunt, **more)


def new_tree(root: Path) -> SweepTree:
    tree = SweepTree(root / "outputs" / SWEEP_ID)
    create_tree(FaultyFiles(), tree)
    return tree


def open_ledger(
    world: World, tree: SweepTree, spec: SweepSpec | None = None, *, takeover: bool = False
) -> tuple[SweepTracker, Ledger]:
    """Take a sweep over as the engine does."""
    tracker, reader = replay(world.files, tree, spec or sweep_spec())
    claim = last_claim(world.files, tree)
    dead = claim.epoch if claim and takeover else 0
    ledger = Ledger.open(world, tree, reader, socket="", released=tracker.released, dead=dead)
    return tracker, ledger


def tenure_of(world: World, tree: SweepTree) -> Tenure:
    """Return the tenure of an epoch that nobody else is after."""
    return Tenure(world, tree, Claim(epoch=1, who=world.identity(), socket="", token=world.token()))


def job_for(
    tree: SweepTree, hunter: Hunter, *sources: ComputeSource, spec: SweepSpec | None = None, **wishes: Any
) -> SweepJob:
    return SweepJob(
        tree=tree,
        spec=spec or sweep_spec(),
        hunter=hunter,
        sources=sources,
        project=tree.root.parent,
        wishes=Wishes(**wishes),
    )


def writer(tree: SweepTree) -> WritePlan:
    """Return what writes the plans of a tree in a test of the planner."""
    return partial(write_plan, World().files, tree.plans, program_digest="p")
