"""The nemesis: carries out the faults of a scenario, at their times, on whoever is there to suffer them."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING

from hsm.core.job import Wishes
from hsm.sim.contents import Hazards
from hsm.sim.line_faults import LineFaults
from hsm.sim.process import SimProcess
from hsm.sim.scenario import Fault, FaultKind

if TYPE_CHECKING:
    from hsm.sim.stage import Stage

FRAGILE = ("write", "fsync", "rename")
"""Acts at which a kill or a stop does most harm, so they are chosen more often than by their number."""

LONGEST_BLIND_S = 20.0
"""Less than the time after which an attempt that listings lack may be given up."""

LONGEST_HANG_S = 40.0
"""A sync that hangs is not woken by the healing."""

SYNCS = frozenset({"fsync", "fsync_directory", "syncfs"})
MANAGER, AGENT = "manager", "agent"


class DiskFaults(Hazards):
    """What is wrong with the disks just now. Counts what fired."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.sync_errors = 0
        self.short_writes = 0
        self.hang_s = 0.0
        self.slow_s = 0.0
        self.stop_s = 0.0
        self.stop_kind = ""
        self.to_stop: SimProcess | None = None

    def heal(self) -> None:
        """Let nothing be wrong any more."""
        self.sync_errors, self.short_writes = 0, 0
        self.hang_s, self.slow_s, self.stop_s = 0.0, 0.0, 0.0

    def before(self, process: SimProcess, kind: str, path: str) -> None:
        if self.stop_s and process is self.to_stop and self.stop_kind in ("", kind):
            seconds, self.stop_s = self.stop_s, 0.0
            self._stage.trace.count(FaultKind.STOP_IN_ACT, f"{kind} {seconds:.3f}")
            self._stage.loop.stop_inside(process, seconds)
        if kind not in SYNCS:
            return
        if self.hang_s:
            seconds, self.hang_s = self.hang_s, 0.0
            self._stage.trace.count(FaultKind.SYNC_HANG, f"{path} {seconds:.3f}")
            self._stage.loop.block(process, seconds)
        elif self.slow_s:
            self._stage.trace.count(FaultKind.SLOW_DISK, path)
            self._stage.loop.block(process, self.slow_s)
        if self.sync_errors:
            self.sync_errors -= 1
            self._stage.trace.count(FaultKind.SYNC_ERROR, path)
            self._stage.truth.records_failed |= "/records/" in path
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    def allowed(self, process: SimProcess, size: int) -> int:
        if not self.short_writes or size < 2:
            return size
        self.short_writes -= 1
        self._stage.trace.count(FaultKind.SHORT_WRITE, size)
        return size // 2


class Nemesis:
    """Does one fault after another."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._acts: Mapping[FaultKind, Callable[[Random], bool]] = {
            FaultKind.KILL_MANAGER: self._kill_manager,
            FaultKind.KILL_MANAGER_ACT: lambda rng: self._kill_in_act(MANAGER, rng),
            FaultKind.KILL_AGENT: self._kill_agent,
            FaultKind.KILL_AGENT_ACT: lambda rng: self._kill_in_act(AGENT, rng),
            FaultKind.KILL_TASK: self._kill_task,
            FaultKind.REBOOT: self._reboot,
            FaultKind.POWER_CUT: self._power_cut,
            FaultKind.DISK_FULL: self._fill_disk,
            FaultKind.SHORT_WRITE: self._shorten,
            FaultKind.SYNC_ERROR: self._fail_sync,
            FaultKind.SYNC_HANG: self._hang_sync,
            FaultKind.SLOW_DISK: self._slow_down,
            FaultKind.STOP_MANAGER: self._stop_manager,
            FaultKind.STOP_IN_ACT: self._stop_in_act,
            FaultKind.SECOND_ENGINE: self._second_engine,
            FaultKind.TAKEOVER: self._take_over,
            FaultKind.CLOCK_JUMP: self._jump_clock,
            FaultKind.CANCEL_TASKS: self._cancel_tasks,
            FaultKind.CANCEL_ALL: self._cancel_all,
            FaultKind.DETACH: self._detach,
            FaultKind.REUSE_PID: self._reuse_pid,
            FaultKind.LOST_REPLY: self._lose_reply,
            FaultKind.LOST_REQUEST: self._lose_request,
            FaultKind.OUTAGE: self._silence,
            FaultKind.BLIND: self._blind,
            FaultKind.FORGET: self._forget,
            **LineFaults(stage).acts,
        }

    async def work(self, faults: tuple[Fault, ...]) -> None:
        """Carry out the faults, each at its time; one that has nobody to suffer it is left out."""
        for fault in faults:
            await asyncio.sleep(max(0.0, fault.at - self._stage.loop.time()))
            if not self._acts[fault.kind](Random(fault.salt)):
                self._stage.trace.count("nobody to suffer", fault.kind)

    def _count(self, kind: FaultKind, detail: object = "") -> bool:
        self._stage.trace.count(kind, detail)
        return True

    # Processes

    def _manager(self) -> SimProcess | None:
        return self._stage.living(MANAGER)

    def _kill_manager(self, rng: Random) -> bool:
        manager = self._manager()
        if manager is None:
            return False
        self._stage.kill(manager)
        return self._count(FaultKind.KILL_MANAGER)

    def _kill_in_act(self, name: str, rng: Random) -> bool:
        process = self._stage.living(name)
        if process is None:
            return False
        process.kill_kind = rng.choice(("", "", *FRAGILE))
        process.kill_in = rng.randint(1, 12 if process.kill_kind else 60)  # counted when it fires
        return True

    def _kill_agent(self, rng: Random) -> bool:
        agent = self._stage.living(AGENT)
        if agent is None:
            return False
        self._stage.kill(agent)
        return self._count(FaultKind.KILL_AGENT)

    def _kill_task(self, rng: Random) -> bool:
        machine, remote = self._stage.home, self._stage.remote
        if remote is not None and rng.random() < 0.5:
            machine = remote.machine
        programs = [program for program in machine.programs() if program.is_of_a_sweep]
        if not programs:
            return False
        machine.end(rng.choice(programs), 9)
        return self._count(FaultKind.KILL_TASK)

    def _reboot(self, rng: Random) -> bool:
        self._stage.home.reboot()
        return self._count(FaultKind.REBOOT)

    def _power_cut(self, rng: Random) -> bool:
        self._stage.cut_power(rng)
        return self._count(FaultKind.POWER_CUT)

    def _stop_manager(self, rng: Random) -> bool:
        manager = self._manager()
        if manager is None or manager.stopped:
            return False
        manager.stopped = True
        self._stage.loop.call_later(rng.uniform(0.5, 20.0), self._stage.resume, manager)
        return self._count(FaultKind.STOP_MANAGER)

    def _stop_in_act(self, rng: Random) -> bool:
        manager = self._manager()
        if manager is None or manager.stopped:
            return False
        faults = self._stage.disk_faults
        faults.to_stop, faults.stop_kind = manager, rng.choice(("", *FRAGILE))
        faults.stop_s = rng.uniform(0.5, 20.0)  # counted when it fires
        return True

    def _reuse_pid(self, rng: Random) -> bool:
        """Kill an agent and one of its programs, or a manager; a foreign process gets its number."""
        machine, manager = self._stage.home, self._manager()
        programs = [program for program in machine.programs() if program.is_of_a_sweep]
        if manager is not None and machine.owns(manager) and rng.random() < 0.4:
            self._stage.kill(manager)
            machine.add_program("foreign", pid=manager.pid)
        elif programs:
            victim = rng.choice(programs)
            if victim.parent is not None and victim.parent.alive:
                self._stage.kill(victim.parent)  # a zombie would keep the number
            machine.end(victim, 9)
            machine.add_program("foreign", pid=victim.pid)
        else:
            return False
        return self._count(FaultKind.REUSE_PID)

    # Disks

    def _fill_disk(self, rng: Random) -> bool:
        disk = self._stage.shared
        disk.room = rng.choice((0, rng.randint(0, 600), rng.randint(0, 20_000)))
        self._stage.loop.call_later(rng.uniform(0.2, 8.0), self._stage.make_room)
        return self._count(FaultKind.DISK_FULL, disk.room)

    def _shorten(self, rng: Random) -> bool:
        self._stage.disk_faults.short_writes += rng.randint(1, 3)
        return True

    def _fail_sync(self, rng: Random) -> bool:
        self._stage.disk_faults.sync_errors += 1
        return True

    def _hang_sync(self, rng: Random) -> bool:
        self._stage.disk_faults.hang_s = rng.uniform(0.5, LONGEST_HANG_S)
        return True

    def _slow_down(self, rng: Random) -> bool:
        faults = self._stage.disk_faults
        faults.slow_s = rng.uniform(0.005, 0.2)

        def recover() -> None:
            faults.slow_s = 0.0

        self._stage.loop.call_later(rng.uniform(0.5, 5.0), recover)
        return True

    # The batch system

    def _lose_reply(self, rng: Random) -> bool:
        cluster = self._stage.cluster
        if cluster is None:
            return False
        cluster.lost_replies += 1  # counted when it fires
        return True

    def _lose_request(self, rng: Random) -> bool:
        cluster = self._stage.cluster
        if cluster is None:
            return False
        cluster.lost_requests += 1  # counted when it fires
        return True

    def _silence(self, rng: Random) -> bool:
        cluster = self._stage.cluster
        if cluster is None:
            return False
        cluster.silent_until = cluster.now + rng.uniform(0.5, 15.0)
        return self._count(FaultKind.OUTAGE)

    def _blind(self, rng: Random) -> bool:
        cluster = self._stage.cluster
        if cluster is None:
            return False
        cluster.blind_until = cluster.now + rng.uniform(0.5, LONGEST_BLIND_S)
        return self._count(FaultKind.BLIND)

    def _forget(self, rng: Random) -> bool:
        cluster = self._stage.cluster
        if cluster is None:
            return False
        cluster.to_forget += 1  # counted when it fires
        return True

    # People and clocks

    def _second_engine(self, rng: Random) -> bool:
        if self._manager() is None:
            return False
        self._stage.start_engine(rng.choice((self._stage.home, self._stage.away)))
        return self._count(FaultKind.SECOND_ENGINE)

    def _take_over(self, rng: Random) -> bool:
        """Take the sweep over from the other machine, while its engine runs or stands still."""
        stage, manager = self._stage, self._manager()
        if manager is None:
            return False
        machine = stage.away if stage.home.owns(manager) else stage.home
        way = rng.choice((self._stop_manager, self._stop_in_act, lambda _rng: False))
        way(rng)
        wishes = Wishes(takeover=True)
        stage.loop.call_later(rng.uniform(0.0, 0.6), lambda: stage.start_engine(machine, wishes))
        return self._count(FaultKind.TAKEOVER)

    def _jump_clock(self, rng: Random) -> bool:
        machine = rng.choice((self._stage.home, self._stage.away))
        machine.wall_offset_s += rng.choice((-7200.0, 7200.0, -315_360_000.0, 315_360_000.0, 0.7))
        return self._count(FaultKind.CLOCK_JUMP)

    def _cancel_tasks(self, rng: Random) -> bool:
        if self._manager() is None:
            return False
        tasks = sorted(
            rng.sample(range(1, self._stage.scenario.tasks + 1), k=min(3, self._stage.scenario.tasks))
        )
        self._stage.ask_to_cancel(tasks)
        return self._count(FaultKind.CANCEL_TASKS, tasks)

    def _cancel_all(self, rng: Random) -> bool:
        if self._manager() is None:
            return False
        self._stage.ask_to_cancel([])
        return self._count(FaultKind.CANCEL_ALL)

    def _detach(self, rng: Random) -> bool:
        return self._stage.detach() and self._count(FaultKind.DETACH)
