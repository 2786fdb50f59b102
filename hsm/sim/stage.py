"""The stage: machines, disks, engines and agents of one simulation, and the people who start them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from hsm.compute.local import LocalSource
from hsm.compute.ssh.source import SSHSource
from hsm.core.engine import SweepEngine, SweepResult
from hsm.core.errors import HsmError
from hsm.core.events import EngineStopped
from hsm.core.job import Origin, SweepJob, Wishes
from hsm.core.source import ComputeSource
from hsm.core.spec import SourceSpec
from hsm.core.states import SweepStatus
from hsm.core.tree import SweepTree
from hsm.sim.agents import SimAgent
from hsm.sim.batch import BatchSource
from hsm.sim.cluster import Cluster
from hsm.sim.disk import Disk
from hsm.sim.files import SimFiles
from hsm.sim.inode import Inode
from hsm.sim.loop import SimLoop
from hsm.sim.machine import EPOCH_S, Machine
from hsm.sim.nemesis import AGENT, MANAGER, DiskFaults
from hsm.sim.process import SimProcess
from hsm.sim.remote import Remote, SimReach
from hsm.sim.scenario import Scenario
from hsm.sim.trace import Trace
from hsm.sim.truth import Truth
from hsm.sim.witness import Witness
from hsm.sim.world import SimWorld

OUTPUTS = Path("/shared/outputs")
PROJECT = Path("/shared/project")
OVER = frozenset({SweepStatus.COMPLETE, SweepStatus.FAILED, SweepStatus.CANCELLED, SweepStatus.STOPPED})


@dataclass(slots=True)
class Run:
    """One engine's run: how it ended, unless it was killed. `over` is set when its process is gone."""

    process: SimProcess
    machine: Machine
    engine: SweepEngine
    over: asyncio.Future[None]
    process_files: SimFiles
    result: SweepResult | None = None
    error: BaseException | None = None
    takes_over: bool = False
    epoch: int = 0

    @property
    def is_sweep_over(self) -> bool:
        """Whether there is nothing left to do."""
        return self.result is not None and self.result.status in OVER


class Stage:
    """Everything that is there."""

    def __init__(self, scenario: Scenario, trace: Trace) -> None:
        self.scenario = scenario
        self.trace = trace
        self.spec = scenario.spec()
        self.rng = Random(f"stage {scenario.seed}")
        self.loop = SimLoop(
            Random(f"loop {scenario.seed}"), order=scenario.order, trace=trace, latency_s=scenario.latency_s
        )
        self.truth = Truth()
        self.shared = Disk(trace)
        self.disk_faults = DiskFaults(self)
        self.home = self._machine("home")
        self.away = self._machine("away")
        self.node = self._machine("node")
        self.machines = {machine.name: machine for machine in (self.home, self.away, self.node)}
        self.cluster = Cluster(self.node, scenario.behave, scenario.slots) if scenario.batch else None
        self.remote = self._make_remote() if scenario.remote else None
        self.loop.network.machine_of = self._name_of_machine
        self.observer = self.home.files_of(SimProcess(name="observer", pid=1, start="0"))
        self.witness = Witness(self)
        self.truth.on_began = self.witness.spawned
        self.tree = SweepTree(OUTPUTS / "none")
        self.runs: list[Run] = []
        self.asking: list[asyncio.Future[None]] = []  # who asked from another terminal, until they have left
        self.agents: list[SimAgent] = []
        self.graveyard: list[SimProcess] = []
        self._prepare()

    def _machine(self, name: str) -> Machine:
        disks = {"/shared": self.shared, "/": Disk(self.trace)}
        rng = Random(f"machine {name} {self.scenario.seed}")
        return Machine(name, self.loop, disks, rng=rng, truth=self.truth, hazards=self.disk_faults)

    def _make_remote(self) -> Remote:
        skew_s = self.rng.choice((0.0, 300.0, -300.0))
        rng = Random(f"machine host {self.scenario.seed}")
        disks = {"/": Disk(self.trace, EPOCH_S + skew_s)}
        machine = Machine("host", self.loop, disks, rng=rng, truth=self.truth, hazards=self.disk_faults)
        machine.wall_offset_s = skew_s
        self.machines[machine.name] = machine
        rng = Random(f"line {self.scenario.seed}")
        return Remote(machine, rng, self.start_agent, self._crashed)

    def _crashed(self, error: BaseException) -> None:
        self.witness.agent_crashed(error)

    def _name_of_machine(self, process: SimProcess | None) -> str:
        return next((machine.name for machine in self.machines.values() if machine.owns(process)), "")

    def _prepare(self) -> None:
        for path in (str(OUTPUTS), str(PROJECT)):
            self.observer.make_directories(path)
        self.shared.sync_all()

    # Engines

    def world_of(self, machine: Machine, process: SimProcess) -> SimWorld:
        """Return the world of one process."""

        def start(sweep: str, home: str) -> int:
            return self.start_agent(machine, sweep, home)

        rng = Random(f"world {self.scenario.seed} {len(self.graveyard)}")
        return SimWorld(self.machines, machine, process, rng=rng, start_agent=start)

    def start_agent(self, machine: Machine, sweep: str, home: str) -> int:
        """Start an agent on a machine, and return its pid."""
        agent = SimAgent(machine, sweep, home, self.scenario.behave, self.witness.agent_crashed)
        self.agents.append(agent)
        self.graveyard.append(agent.process)
        agent.boot()
        return agent.process.pid

    async def create(self) -> None:
        """Create the sweep, before anything goes wrong."""
        process = self.home.add_process("creator")
        world = self.world_of(self.home, process)
        origin = Origin(project=PROJECT, frozen_config="name: sim\n")
        self.tree = await SweepEngine(world).create_sweep(OUTPUTS, self.spec, origin)
        self.home.kill(process)

    def job(self, world: SimWorld, wishes: Wishes | None = None) -> SweepJob:
        """Return what an engine is given, everything made anew."""
        slots = self.scenario.slots
        specs = [SourceSpec(kind="local", slots=slots)]
        if self.scenario.is_shared:
            specs.append(SourceSpec(kind="local", target="away", slots=slots))
        sources: list[ComputeSource] = [LocalSource(world, spec, PROJECT) for spec in specs]
        if self.cluster is not None:
            rng = Random(f"batch {self.scenario.seed} {len(self.runs)}")
            sources.append(BatchSource(self.cluster, world.files, rng, self.trace))
        if self.remote is not None:
            spec = SourceSpec(kind="ssh", target="host", slots=slots)
            sources.append(SSHSource(world, spec, SimReach(world, world.process, spec.name, self.remote)))
        return SweepJob(
            tree=self.tree,
            spec=self.spec,
            hunter=self.scenario.make_hunter(),
            sources=tuple(sources),
            project=PROJECT,
            wishes=wishes or Wishes(),
        )

    def start_engine(self, machine: Machine, wishes: Wishes | None = None) -> Run:
        """Start an engine in a process of its own."""
        process = machine.add_process(MANAGER)
        self.graveyard.append(process)
        world = self.world_of(machine, process)
        engine = SweepEngine(world, listen=self.witness.listener(process))
        files = world.files
        assert isinstance(files, SimFiles)  # noqa: S101 - for the type checker
        takes_over = wishes is not None and wishes.takeover
        run = Run(process, machine, engine, self.loop.create_future(), files, takes_over=takes_over)
        process.ends.append(lambda: self._ended(run))
        self.runs.append(run)
        run_task = self.loop.spawn(process, self._drive(run, self.job(world, wishes)))
        run_task.add_done_callback(lambda _: None)
        return run

    async def _drive(self, run: Run, job: SweepJob) -> None:
        try:
            run.result = await run.engine.complete_sweep(job)
        except HsmError as error:
            run.error = error
        except Exception as error:  # noqa: BLE001 - a defect: the witness says so
            run.error = error
            run.process.check()  # what the coroutines of a dead process still raise says nothing
            self.witness.defect(error)
        self.trace.note("engine ended", f"{run.process.pid} {run.result and run.result.status} {run.error}")
        if run.result is not None:
            self.witness.engine_left(run)
        self.kill(run.process)

    def _ended(self, run: Run) -> None:
        _settle(run.over)
        if run.result is None and run.error is None:
            self.witness.engine_killed()

    def thrown_out(self, winner: SimProcess, epoch: int) -> float | None:
        """Return how old the heartbeat is of a living engine that lost its sweep to one that did not ask.

        None when there is no such engine.
        """
        run = next(run for run in self.runs if run.process is winner)
        others = [other for other in self.runs if other.process.alive and other is not run]
        last = max((other.epoch for other in others if other.epoch < epoch), default=0)
        # Between them there may be one that was heard, or that asked, could open no source, and said nothing.
        asked = run.takes_over or (
            last < epoch - 1
            and any(one.epoch > last or (one.takes_over and not one.epoch) for one in self.runs)
        )
        beat = self.shared.node(f"{self.tree.epochs}/{last:06d}.beat")
        run.epoch = epoch
        if asked or not last or not isinstance(beat, Inode):
            return None
        facts = self.witness.facts()
        if facts and any(isinstance(event, EngineStopped) and event.epoch == last for event in facts.events):
            return None  # it had let go, and was only not gone yet
        return self.loop.time() - beat.modified_ns / 1e9

    def living(self, name: str) -> SimProcess | None:
        """Return the newest manager or agent that lives."""
        candidates = [run.process for run in self.runs] if name == MANAGER else []
        if name == AGENT:
            candidates = [agent.process for agent in self.agents]
        return next((process for process in reversed(candidates) if process.alive), None)

    def kill(self, process: SimProcess) -> None:
        """Kill a manager or an agent."""
        machine = next(machine for machine in self.machines.values() if machine.owns(process))
        machine.kill(process)

    def resume(self, process: SimProcess) -> None:
        """Let a process that was stopped go on."""
        if process.alive and process.stopped:
            self.loop.resume(process)

    def detach(self) -> bool:
        """Have the user leave."""
        for run in reversed(self.runs):
            if run.process.alive and not run.process.stopped:
                self.loop.call_in(run.process, 0.0, run.engine.detach)
                return True
        return False

    def ask_to_cancel(self, tasks: Sequence[int]) -> None:
        """Have a user cancel tasks from another terminal; what is answered is noted."""
        process = self.home.add_process("cli")
        self.graveyard.append(process)
        world = self.world_of(self.home, process)
        answered: asyncio.Future[None] = self.loop.create_future()
        self.asking.append(answered)
        process.ends.append(lambda: _settle(answered))
        asking = self.loop.spawn(process, self._cancel(world, tasks))
        asking.add_done_callback(lambda _: self.home.kill(process))

    async def _cancel(self, world: SimWorld, tasks: Sequence[int]) -> None:
        engine = SweepEngine(world)
        known = [task for task in tasks if task <= self.witness.known_tasks]  # others are ignored
        if tasks and not known:
            return
        try:
            await engine.cancel_sweep(self.job(world), tasks)
        except HsmError:
            return  # not acknowledged: it may have happened or not
        self.witness.cancelled(known)

    # Disks

    def make_room(self) -> None:
        """Free some space."""
        self.shared.room = None

    def cut_power(self, rng: Random) -> None:
        """Cut the power of everything on this side of the line at once, and see what the disk kept."""
        for machine in (self.home, self.away, self.node):
            machine.reboot()
            self.truth.cuts[machine.name] = self.loop.time()
        said = self.shared.cut_power(rng)
        if self.cluster is not None:
            self.cluster.node_failed()
        self.trace.note("power cut", said)
        self.witness.look_at_disk()

    def heal(self) -> None:
        """Let nothing be wrong any more; what was stopped goes on."""
        self.disk_faults.heal()
        if self.cluster is not None:
            self.cluster.heal()
        if self.remote is not None:
            self.remote.line.heal()
        self.make_room()
        for process in self.graveyard:
            process.kill_in = None
            self.resume(process)

    def bury(self) -> None:
        """Let go of everything."""
        for process in self.graveyard:
            process.die()
            process.bury()


def _settle(future: asyncio.Future[None]) -> None:
    """Say that something has come to its end, once."""
    if not future.done():
        future.set_result(None)
