"""Planted bugs: each takes the place of a real function while a simulation runs, and must be found.

A harness that finds nothing may be blind. Each bug here is one that somebody could write, put in by name at
the seam; `hsm.sim.gate` counts the seeds until the invariant that guards against it breaks. Production code
knows nothing of them.
"""

from __future__ import annotations

import copy
import gzip
import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from hsm.core import events as ev
from hsm.core.model import Exit
from hsm.core.planner import history_of
from hsm.sim.scenario import FaultKind as F
from hsm.sim.scenario import Scenario, draw
from hsm.wire import frames
from hsm.wire.log import LogWriter
from hsm.wire.manifest import NO_FILES

Make: TypeAlias = Callable[[Any], Any]
"""Makes the wrong function out of the right one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One planted bug: what it replaces, which invariants must break, and the faults that bring it out."""

    patches: Mapping[str, Make]
    caught_by: tuple[str, ...]
    faults: tuple[F, ...] = ()
    hunter: str = ""


def _always(value: Any) -> Make:
    return lambda _: lambda *_args, **_more: value


def _retry_sync(sync: Any) -> Any:
    def wrong(log: LogWriter) -> None:
        try:
            sync(log)
        except OSError:
            log._failed = None  # noqa: SLF001
            sync(log)

    return wrong


def _append_to_old(begin: Any) -> Any:
    def wrong(files: Any, tree: Any, epoch: int, number: int = 1, *, mark: Any, again: Any = ()) -> Any:
        if not mark.segment:
            return begin(files, tree, epoch, number, mark=mark, again=again)
        path = str(tree.ledger / mark.segment)
        fd = files.open_append(path)
        files.truncate(fd, mark.position.offset)
        log = LogWriter(files, path, fd, mark.position)
        log.write(list(again))
        return log

    return wrong


def _no_limit(records: Any) -> Any:
    return lambda log, _limit=None: records(log, None)


def _cross_unchecked(_: Any) -> Any:
    def wrong(reader: Any, path: Any, header: Any) -> None:
        position = reader.mark.position._replace(
            offset=0, seq=header["prev"]["seq"], chain=bytes.fromhex(header["prev"]["chain"])
        )
        reader._name, reader._reader = path.name, reader._open(path.name, position)  # noqa: SLF001

    return wrong


def _no_commit_rule(group_at: Any) -> Any:
    def wrong(data: bytes, start: int, seq: int, chain: bytes) -> Any:
        found = group_at(data, start, seq, chain)
        if not (isinstance(found, frames.Damage) and found.incomplete):
            return found
        payloads: list[bytes] = []
        at = start
        frame = frames._frame_at(data, at)  # noqa: SLF001
        while isinstance(frame, tuple) and frame[0] == seq:
            payloads.append(frame[1])
            chain, seq, at = frames.advance(chain, frame[1]), seq + 1, frame[2]
            frame = frames._frame_at(data, at) if at < len(data) else None  # noqa: SLF001
        return frames.Group(payloads, at, seq, chain) if payloads else found

    return wrong


def _write_once(_: Any) -> Any:
    return lambda files, fd, data: files.write(fd, data)


def _ask_again(ask: Any) -> Any:
    def wrong(planner: Any, tracker: Any) -> None:
        if tracker.generations and not tracker.open and not planner.is_asking and tracker.epoch > 1:
            again = tracker.generations[-1].number
            if planner._asked_again != again:  # noqa: SLF001
                planner._asked_again = again  # noqa: SLF001
                planner.is_asking = True
                planner._requests.put(history_of(tracker, again))  # noqa: SLF001
                return
        ask(planner, tracker)

    return wrong


def _in_completion_order(history: Any) -> Any:
    def wrong(tracker: Any, generation: int) -> Any:
        told = history(tracker, generation)
        ended = {
            task.index: (task.attempt.ended_at or 0.0) if task.attempt else 0.0 for task in tracker.tasks
        }
        return type(told)(
            generation=told.generation, results=sorted(told.results, key=lambda result: ended[result.index])
        )

    return wrong


def _run_again(hear: Any) -> Any:
    def wrong(backlog: Any, epoch: int, message: Any) -> None:
        backlog._known.discard(getattr(message, "token", ""))  # noqa: SLF001
        hear(backlog, epoch, message)

    return wrong


def _charge_voids(take: Any) -> Any:
    def wrong(turn: Any, event: Any) -> None:
        if isinstance(event, ev.AttemptVoided):
            event = ev.AttemptLost(task=event.task, attempt=event.attempt, reason=event.reason, at=event.at)
        take(turn, event)

    return wrong


def _void_unconfirmed(take: Any) -> Any:
    def wrong(turn: Any, event: Any) -> None:
        if isinstance(event, ev.AttemptUnconfirmed):
            event = ev.AttemptVoided(task=event.task, attempt=event.attempt, reason=event.reason, at=event.at)
        take(turn, event)

    return wrong


def _missing_is_done(_: Any) -> Any:
    def wrong(_reactions: Any, seen: Any, task: Any, attempt: Any, turn: Any) -> None:
        done = ev.AttemptExited(
            task=task.index,
            attempt=attempt.number,
            exit=Exit(code=0),
            manifest=NO_FILES,
            started_at=seen.at,
            at=seen.at,
        )
        turn.take(done)

    return wrong


def _missing_is_lost(_: Any) -> Any:
    def wrong(_reactions: Any, seen: Any, task: Any, attempt: Any, turn: Any) -> None:
        reason = "it is missing from a listing"
        turn.take(ev.AttemptLost(task=task.index, attempt=attempt.number, reason=reason, at=seen.at))

    return wrong


def _by_number(_: Any) -> Any:
    def wrong(session: Any) -> Any:
        jobs = {job.number: job for job in session._cluster.listed()}  # noqa: SLF001
        return {token: jobs[number] for token, number in session._numbers.items() if number in jobs}  # noqa: SLF001

    return wrong


def _by_wall_clock(watch: Any) -> Any:
    async def wrong(world: Any, *args: Any) -> Any:
        trusting = copy.copy(world)
        trusting.monotonic = world.now
        return await watch(trusting, *args)

    return wrong


def _kill_by_pid(_: Any) -> Any:
    def wrong(agent: Any) -> None:
        for token, started in agent._backlog.unfinished.items():  # noqa: SLF001
            agent._host.signal_session(started.pid, 9)  # noqa: SLF001
            agent._slots.lose(token, "its agent died")  # noqa: SLF001
        agent._backlog.unfinished.clear()  # noqa: SLF001

    return wrong


def _alive_by_pid(_: Any) -> Any:
    def wrong(world: Any, who: Any) -> bool | None:
        machine = world._machine  # noqa: SLF001
        return None if who.host != machine.name else machine.find(who.pid) is not None

    return wrong


def _swallow(append: Any) -> Any:
    def wrong(ledger: Any, payloads: Any) -> None:
        try:
            append(ledger, payloads)
        except OSError:
            return

    return wrong


def _pack_unsynced(_: Any) -> Any:
    def wrong(files: Any, path: Any, target: Any) -> Any:
        files.write_new(str(target), gzip.compress(files.contents(str(path)), 1, mtime=0))
        files.unlink(str(path))
        return target

    return wrong


def _by_hash(ready: Any) -> Any:
    def wrong(state: Any, limit: int) -> Any:
        return list({task.task_id: task for task in set_order(ready(state, limit))}.values())

    return wrong


def set_order(tasks: Any) -> Any:
    """Return tasks in the order in which a set of their names yields them."""
    by_name = {task.task_id: task for task in tasks}
    return [by_name[name] for name in set(by_name)]


def _act_first(commit: Any) -> Any:
    async def wrong(drive: Any, turn: Any) -> None:
        deeds = drive._deeds  # noqa: SLF001
        deeds.carry_out(turn)
        deeds.carry_out = lambda _turn: None
        try:
            await commit(drive, turn)
        finally:
            del deeds.carry_out

    return wrong


def _answer_first(commit: Any) -> Any:
    async def wrong(drive: Any, turn: Any) -> None:
        for done in turn.acks:
            if not done.done():
                done.set_result(None)
        await commit(drive, turn)

    return wrong


_SYNC = "hsm.wire.log:LogWriter.sync"
_LEDGER = "hsm.core.ledger:Ledger"
_TAKE = "hsm.core.turn:Turn.take"
_MISSED = "hsm.core.reactions:Reactions._missed"

MUTANTS: Mapping[str, Mutant] = {
    "skip directory fsync": Mutant(
        patches={"hsm.sim.files:SimFiles.sync_directory": _always(None)},
        caught_by=("I3", "I13"),
        faults=(F.POWER_CUT,),
    ),
    "ack before fdatasync": Mutant(
        patches={_SYNC: _always(None)}, caught_by=("I3", "I13"), faults=(F.POWER_CUT,)
    ),
    "append to the old epoch's segment": Mutant(
        patches={"hsm.core.ledger:_begin": _append_to_old},
        caught_by=("I3", "I13"),
        faults=(F.TAKEOVER, F.STOP_IN_ACT, F.STOP_MANAGER),
    ),
    "no reader cut-off": Mutant(
        patches={
            "hsm.wire.log:LogReader.records": _no_limit,
            "hsm.core.ledger:LedgerReader._cross": _cross_unchecked,
        },
        caught_by=("I12", "I13", "I1", "I5"),
        faults=(F.TAKEOVER, F.STOP_IN_ACT, F.STOP_MANAGER),
    ),
    "drop the COMMIT rule": Mutant(
        patches={"hsm.wire.frames:_group_at": _no_commit_rule},
        caught_by=("I13",),
        faults=(F.KILL_MANAGER_ACT, F.SHORT_WRITE),
    ),
    "accept a torn middle": Mutant(
        patches={"hsm.core.ledger:LedgerReader._check_tail": _always(None)}, caught_by=("I18",)
    ),
    "ignore a short write": Mutant(
        patches={"hsm.wire.log:write_all": _write_once}, caught_by=("I3", "I13"), faults=(F.SHORT_WRITE,)
    ),
    "retry fsync after EIO": Mutant(
        patches={_SYNC: _retry_sync},
        caught_by=("I3", "I13"),
        faults=(F.SYNC_ERROR, F.SYNC_ERROR, F.POWER_CUT),
    ),
    "ask the hunter again after a crash": Mutant(
        patches={
            "hsm.core.planner:Planner.ask_if_due": _ask_again,
            "hsm.core.planner:Planner._asked_again": lambda _: None,
        },
        caught_by=("I9",),
        faults=(F.KILL_MANAGER,),
        hunter="minute",
    ),
    "tell in completion order": Mutant(
        patches={"hsm.core.planner:history_of": _in_completion_order}, caught_by=("I9",), hunter="minute"
    ),
    "seal before artifacts are durable": Mutant(
        patches={"hsm.core.turn:Turn.needs_artifacts": lambda _: False},
        caught_by=("I2",),
        faults=(F.POWER_CUT,),
    ),
    "no token check": Mutant(
        patches={"hsm.compute.agent.backlog:Backlog.hear": _run_again},
        caught_by=("I7",),
        faults=(F.KILL_MANAGER, F.KILL_AGENT),
    ),
    "count transport faults as attempts": Mutant(
        patches={_TAKE: _charge_voids},
        caught_by=("I8",),
        faults=(F.KILL_MANAGER, F.KILL_MANAGER_ACT, F.DETACH),
    ),
    "resubmit on a lost reply": Mutant(
        patches={_TAKE: _void_unconfirmed}, caught_by=("I7",), faults=(F.LOST_REPLY, F.BLIND)
    ),
    "MISSING = done": Mutant(
        patches={_MISSED: _missing_is_done}, caught_by=("I4",), faults=(F.BLIND, F.LOST_REPLY)
    ),
    "MISSING = failed after a timeout": Mutant(
        patches={_MISSED: _missing_is_lost}, caught_by=("I7",), faults=(F.BLIND, F.LOST_REPLY)
    ),
    "trust the native id": Mutant(
        patches={"hsm.sim.batch:BatchSession._listing": _by_number}, caught_by=("I4",), faults=(F.FORGET,)
    ),
    "wall-clock lease": Mutant(
        patches={"hsm.core.engine:watch": _by_wall_clock},
        caught_by=("I20",),
        faults=(F.SECOND_ENGINE, F.CLOCK_JUMP),
    ),
    "kill by pid alone": Mutant(
        patches={"hsm.compute.agent.service:Agent._bury_predecessors": _kill_by_pid},
        caught_by=("I19",),
        faults=(F.REUSE_PID,),
    ),
    "adopt a foreign process": Mutant(
        patches={"hsm.sim.world:SimWorld.is_alive": _alive_by_pid}, caught_by=("I10",), faults=(F.REUSE_PID,)
    ),
    "set iteration order": Mutant(
        patches={"hsm.core.sweep_state:SweepState.ready": _by_hash}, caught_by=("DETERMINISM",)
    ),
    "swallow the writer's exception": Mutant(
        patches={f"{_LEDGER}._append": _swallow},
        caught_by=("I3",),
        faults=(F.DISK_FULL, F.SYNC_ERROR, F.POWER_CUT),
    ),
    "prune without fsync": Mutant(
        patches={"hsm.core.archive:_pack": _pack_unsynced},
        caught_by=("I3", "I13"),
        faults=(F.POWER_CUT, F.KILL_MANAGER),
    ),
    "no look at the epoch before a commit": Mutant(
        patches={f"{_LEDGER}._check_epoch": _always(None)},
        caught_by=("I3",),
        faults=(F.TAKEOVER, F.STOP_MANAGER),
    ),
    "act before the intent is durable": Mutant(
        patches={"hsm.core.drive:Drive._commit": _act_first}, caught_by=("I6",)
    ),
    "answer a cancel before it is durable": Mutant(
        patches={"hsm.core.drive:Drive._commit": _answer_first},
        caught_by=("I3",),
        faults=(F.CANCEL_TASKS, F.CANCEL_TASKS, F.KILL_MANAGER_ACT, F.KILL_MANAGER, F.SYNC_ERROR),
    ),
}


def scenario_for(name: str, seed: int) -> Scenario:
    """Return the scenario of a seed, with the faults that bring a planted bug out."""
    if not name:
        return draw(seed)
    mutant = MUTANTS[name]
    return draw(seed, only=mutant.faults, hunter=mutant.hunter)


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
