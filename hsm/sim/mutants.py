"""Planted bugs: each takes the place of a real function while a simulation runs, and must be found.

A harness that finds nothing may be blind. Each bug here is one that somebody could write, put in by name at
the seam; `hsm.sim.gate` counts the seeds until the invariant that guards against it breaks. Production code
knows nothing of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hsm.sim import wrongs
from hsm.sim.scenario import FaultKind as F
from hsm.sim.scenario import Scenario, draw
from hsm.sim.wrongs import Make


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One planted bug: what it replaces, which invariants must break, and the faults that bring it out."""

    patches: Mapping[str, Make]
    caught_by: tuple[str, ...]
    faults: tuple[F, ...] = ()
    hunter: str = ""
    tasks: int | None = None
    sharing: int = 0


_SYNC = "hsm.wire.log:LogWriter.sync"
_LEDGER = "hsm.core.ledger:Ledger"
_TAKE = "hsm.core.turn:Turn.take"
_MISSED = "hsm.core.reactions:Reactions._missed"

MUTANTS: Mapping[str, Mutant] = {
    "skip directory fsync": Mutant(
        patches={"hsm.sim.files:SimFiles.sync_directory": wrongs.always(None)},
        caught_by=("I3", "I13"),
        faults=(F.POWER_CUT,),
    ),
    "ack before fdatasync": Mutant(
        patches={_SYNC: wrongs.always(None)}, caught_by=("I3", "I13"), faults=(F.POWER_CUT,)
    ),
    "append to the old epoch's segment": Mutant(
        patches={"hsm.core.ledger:_begin": wrongs.append_to_old},
        caught_by=("I3", "I13"),
        faults=(F.TAKEOVER, F.STOP_IN_ACT, F.STOP_MANAGER),
    ),
    "no reader cut-off": Mutant(
        patches={
            "hsm.wire.log:LogReader.records": wrongs.no_limit,
            "hsm.core.ledger:LedgerReader._cross": wrongs.cross_unchecked,
        },
        caught_by=("I12", "I13", "I1", "I5"),
        faults=(F.TAKEOVER, F.STOP_IN_ACT, F.STOP_MANAGER),
    ),
    "drop the COMMIT rule": Mutant(
        patches={"hsm.wire.frames:_group_at": wrongs.no_commit_rule},
        caught_by=("I13",),
        faults=(F.KILL_MANAGER_ACT, F.SHORT_WRITE),
    ),
    "accept a torn middle": Mutant(
        patches={"hsm.core.ledger:LedgerReader._check_tail": wrongs.always(None)}, caught_by=("I18",)
    ),
    "ignore a short write": Mutant(
        patches={"hsm.wire.log:write_all": wrongs.write_once},
        caught_by=("I3", "I13"),
        faults=(F.SHORT_WRITE,),
    ),
    "retry fsync after EIO": Mutant(
        patches={_SYNC: wrongs.retry_sync},
        caught_by=("I3", "I13"),
        faults=(F.SYNC_ERROR, F.SYNC_ERROR, F.POWER_CUT),
    ),
    "ask the hunter again after a crash": Mutant(
        patches={
            "hsm.core.planner:Planner.ask_if_due": wrongs.ask_again,
            "hsm.core.planner:Planner._asked_again": lambda _: None,
        },
        caught_by=("I9",),
        faults=(F.KILL_MANAGER,),
        hunter="minute",
    ),
    "tell in completion order": Mutant(
        patches={"hsm.core.planner:history_of": wrongs.in_completion_order},
        caught_by=("I9",),
        hunter="minute",
    ),
    "seal before artifacts are durable": Mutant(
        patches={"hsm.core.turn:Turn.needs_artifacts": lambda _: False},
        caught_by=("I2",),
        faults=(F.POWER_CUT,),
    ),
    "no token check": Mutant(
        patches={"hsm.compute.agent.backlog:Backlog.hear": wrongs.run_again},
        caught_by=("I7",),
        faults=(F.KILL_MANAGER, F.KILL_AGENT),
    ),
    "count transport faults as attempts": Mutant(
        patches={_TAKE: wrongs.charge_voids},
        caught_by=("I8",),
        faults=(F.KILL_MANAGER, F.KILL_MANAGER_ACT, F.DETACH),
    ),
    "resubmit on a lost reply": Mutant(
        patches={_TAKE: wrongs.void_unconfirmed}, caught_by=("I7",), faults=(F.LOST_REPLY, F.BLIND)
    ),
    "MISSING = done": Mutant(
        patches={_MISSED: wrongs.missing_is_done}, caught_by=("I4",), faults=(F.BLIND, F.LOST_REPLY)
    ),
    "MISSING = failed after a timeout": Mutant(
        patches={_MISSED: wrongs.missing_is_lost}, caught_by=("I7",), faults=(F.BLIND, F.LOST_REPLY)
    ),
    "trust the native id": Mutant(
        patches={"hsm.sim.batch:BatchSession._listing": wrongs.by_number},
        caught_by=("I4",),
        faults=(F.FORGET,),
    ),
    "wall-clock lease": Mutant(
        patches={"hsm.core.engine:watch": wrongs.by_wall_clock},
        caught_by=("I20",),
        faults=(F.SECOND_ENGINE, F.CLOCK_JUMP),
        tasks=50,
    ),
    "kill by pid alone": Mutant(
        patches={"hsm.compute.agent.service:Agent._bury_predecessors": wrongs.kill_by_pid},
        caught_by=("I19",),
        faults=(F.REUSE_PID,),
    ),
    "adopt a foreign process": Mutant(
        patches={"hsm.sim.world:SimWorld.is_alive": wrongs.alive_by_pid},
        caught_by=("I10",),
        faults=(F.REUSE_PID,),
    ),
    "set iteration order": Mutant(
        patches={"hsm.core.sweep_state:SweepState.waiting": wrongs.by_hash},
        caught_by=("DETERMINISM",),
        tasks=50,
    ),
    "swallow the writer's exception": Mutant(
        patches={f"{_LEDGER}._append": wrongs.swallow},
        caught_by=("I3",),
        faults=(F.DISK_FULL, F.SYNC_ERROR, F.POWER_CUT),
    ),
    "prune without fsync": Mutant(
        patches={"hsm.core.archive:_pack": wrongs.pack_unsynced},
        caught_by=("I3", "I13"),
        faults=(F.POWER_CUT, F.KILL_MANAGER),
    ),
    "no look at the epoch before a commit": Mutant(
        patches={f"{_LEDGER}._check_epoch": wrongs.always(None)},
        caught_by=("I3",),
        faults=(F.TAKEOVER, F.STOP_MANAGER),
    ),
    "act before the intent is durable": Mutant(
        patches={"hsm.core.drive:Drive._commit": wrongs.act_first}, caught_by=("I6",)
    ),
    "answer a cancel before it is durable": Mutant(
        patches={"hsm.core.drive:Drive._commit": wrongs.answer_first},
        caught_by=("I3",),
        faults=(F.CANCEL_TASKS, F.CANCEL_TASKS, F.KILL_MANAGER_ACT, F.KILL_MANAGER, F.SYNC_ERROR),
    ),
    "what ran when the line was lost is lost": Mutant(
        patches={"hsm.compute.ssh.source:_SSHSession.observations": wrongs.lost_with_the_line},
        caught_by=("I5", "I7"),
        faults=(F.LINE_RESET, F.LINE_CUT, F.LINE_SILENT),
    ),
    "dead process = all its members done": Mutant(
        patches={"hsm.compute.agent.batches:Batches.settle": wrongs.all_did_well},
        caught_by=("I4",),
        faults=(F.KILL_TASK,),
        sharing=3,
    ),
    "believe reports of what is over": Mutant(
        patches={"hsm.compute.agent.shared:SharedProcess.reports": wrongs.of_whoever_is_open},
        caught_by=("I2", "I4"),
        sharing=3,
    ),
    "try a batch again as it was": Mutant(
        patches={"hsm.core.batching:share": lambda _: lambda _task, size: size},
        caught_by=("I8",),
        faults=(F.KILL_TASK,),
        sharing=5,
    ),
    "leave processes of batches to themselves": Mutant(
        patches={"hsm.compute.agent.pool:Pool.bury": wrongs.always(None)},
        caught_by=("I7",),
        faults=(F.KILL_AGENT,),
        sharing=3,
    ),
}


def scenario_for(name: str, seed: int) -> Scenario:
    """Return the scenario of a seed, with the faults that bring a planted bug out."""
    if not name:
        return draw(seed)
    mutant = MUTANTS[name]
    return draw(seed, only=mutant.faults, hunter=mutant.hunter, tasks=mutant.tasks, sharing=mutant.sharing)


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Put a planted bug in place for a while; the empty name stands for none."""
    undo: list[tuple[Any, str, Any]] = []
    for target, make in (MUTANTS[name].patches if name else {}).items():
        owner, attribute = _owner_of(target)
        undo.append((owner, attribute, vars(owner).get(attribute, _ABSENT)))
        setattr(owner, attribute, make(vars(owner).get(attribute)))
    try:
        yield
    finally:
        for owner, attribute, original in undo:
            if original is _ABSENT:
                delattr(owner, attribute)
            else:
                setattr(owner, attribute, original)


_ABSENT = object()


def _owner_of(target: str) -> tuple[Any, str]:
    module, _, path = target.partition(":")
    owner: Any = importlib.import_module(module)
    *classes, attribute = path.split(".")
    for name in classes:
        owner = getattr(owner, name)
    return owner, attribute
