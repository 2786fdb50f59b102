"""The contract of compute sources over the in-memory fake."""

from pathlib import Path

from hsm.compute.testing.contract import SourceContract, not_shown
from hsm.compute.testing.memory import MemoryMachine, MemorySource
from hsm.compute.testing.plays import imitate
from hsm.compute.testing.site import Site
from hsm.core.source import ComputeSource
from hsm.core.world import World


class TestMemorySource(SourceContract):
    """One machine for each case; it outlives the managers."""

    abilities = MemorySource.abilities
    machine: MemoryMachine | None = None

    def make_source(self, world: World, project: Path, slots: int) -> ComputeSource:
        self.machine = self.machine or MemoryMachine(world, slots=slots, behave=imitate)
        return MemorySource(self.machine)

    def kill_agent(self, site: Site) -> None:
        assert self.machine is not None
        self.machine.lose_agent()

    def proceed(self) -> None:
        assert self.machine is not None
        self.machine.proceed()
