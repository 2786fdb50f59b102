"""The wrong functions of the planted bugs: each is made out of the right one that it stands in for."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any, TypeAlias

from hsm.compute.agent import shared
from hsm.compute.agent.attempt import NO_VERDICT
from hsm.core import events as ev
from hsm.core.epochs import SILENCE_S
from hsm.core.model import Exit
from hsm.core.planner import history_of
from hsm.core.source import Observation, Observations
from hsm.core.states import AttemptState
from hsm.sim.machine import EPOCH_S
from hsm.wire import frames
from hsm.wire.log import LogWriter
from hsm.wire.manifest import NO_FILES

Make: TypeAlias = Callable[[Any], Any]
"""Makes the wrong function out of the right one."""


def always(value: Any) -> Make:
    """Always."""
    return lambda _: lambda *_args, **_more: value


def retry_sync(sync: Any) -> Any:
    """Retry sync."""

    def wrong(log: LogWriter) -> None:
        try:
            sync(log)
        except OSError:
            log._failed = None  # noqa: SLF001
            sync(log)

    return wrong


def append_to_old(begin: Any) -> Any:
    """Append to old."""

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


def no_limit(records: Any) -> Any:
    """No limit."""
    return lambda log, _limit=None: records(log, None)


def cross_unchecked(_: Any) -> Any:
    """Cross unchecked."""

    def wrong(reader: Any, path: Any, header: Any) -> None:
        position = reader.mark.position._replace(
            offset=0, seq=header["prev"]["seq"], chain=bytes.fromhex(header["prev"]["chain"])
        )
        reader._name, reader._reader = path.name, reader._open(path.name, position)  # noqa: SLF001

    return wrong


def no_commit_rule(group_at: Any) -> Any:
    """No commit rule."""

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


def write_once(_: Any) -> Any:
    """Write once."""
    return lambda files, fd, data: files.write(fd, data)


def ask_again(ask: Any) -> Any:
    """Ask again."""

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


def in_completion_order(history: Any) -> Any:
    """In completion order."""

    def wrong(tracker: Any, generation: int) -> Any:
        told = history(tracker, generation)
        ended = {
            task.index: (task.attempt.ended_at or 0.0) if task.attempt else 0.0 for task in tracker.tasks
        }
        return type(told)(
            generation=told.generation, results=sorted(told.results, key=lambda result: ended[result.index])
        )

    return wrong


def run_again(hear: Any) -> Any:
    """Run again."""

    def wrong(backlog: Any, epoch: int, message: Any) -> None:
        backlog._known.discard(getattr(message, "token", ""))  # noqa: SLF001
        hear(backlog, epoch, message)

    return wrong


def charge_voids(take: Any) -> Any:
    """Charge voids."""

    def wrong(turn: Any, event: Any) -> None:
        if isinstance(event, ev.AttemptVoided):
            event = ev.AttemptLost(task=event.task, attempt=event.attempt, reason=event.reason, at=event.at)
        take(turn, event)

    return wrong


def void_unconfirmed(take: Any) -> Any:
    """Void unconfirmed."""

    def wrong(turn: Any, event: Any) -> None:
        if isinstance(event, ev.AttemptUnconfirmed):
            event = ev.AttemptVoided(task=event.task, attempt=event.attempt, reason=event.reason, at=event.at)
        take(turn, event)

    return wrong


def missing_is_done(_: Any) -> Any:
    """Missing is done."""

    def wrong(_reactions: Any, seen: Any, task: Any, attempt: Any, turn: Any, *_: Any, **__: Any) -> None:
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


def missing_is_lost(_: Any) -> Any:
    """Missing is lost."""

    def wrong(_reactions: Any, seen: Any, task: Any, attempt: Any, turn: Any, *_: Any, **__: Any) -> None:
        reason = "it is missing from a listing"
        turn.take(ev.AttemptLost(task=task.index, attempt=attempt.number, reason=reason, at=seen.at))

    return wrong


def by_number(_: Any) -> Any:
    """By number."""

    def wrong(session: Any) -> Any:
        jobs = {job.number: job for job in session._cluster.listed()}  # noqa: SLF001
        return {token: jobs[number] for token, number in session._numbers.items() if number in jobs}  # noqa: SLF001

    return wrong


def by_wall_clock(watch: Any) -> Any:
    """By wall clock: the age of a heartbeat is what this machine's clock makes of the file's time."""

    async def wrong(world: Any, tree: Any, claim: Any, *args: Any) -> Any:
        written = world.files.modified_ns(f"{tree.epochs}/{claim.epoch:06d}.beat") / 1e9
        if world.now() - EPOCH_S - written > SILENCE_S:
            return True
        return await watch(world, tree, claim, *args)

    return wrong


def kill_by_pid(_: Any) -> Any:
    """Kill by pid."""

    def wrong(agent: Any) -> None:
        for token, started in agent._backlog.unfinished.items():  # noqa: SLF001
            agent._host.signal_session(started.pid, 9)  # noqa: SLF001
            agent._slots.lose(token, "its agent died")  # noqa: SLF001
        agent._backlog.unfinished.clear()  # noqa: SLF001

    return wrong


def lost_with_the_line(observations: Any) -> Any:
    """Take for lost what ran on a host when the line to it was lost."""

    async def wrong(session: Any, cursor: str = "") -> Any:
        lost = [
            Observation(token=token, state=AttemptState.LOST, reason="the line was lost", at=0.0)
            for token in session._context.adopted or ()  # noqa: SLF001
        ]
        if lost:
            yield Observations(seen=tuple(lost), cursor=cursor)
        async for batch in observations(session, cursor):
            yield batch

    return wrong


def alive_by_pid(_: Any) -> Any:
    """Alive by pid."""

    def wrong(world: Any, who: Any) -> bool | None:
        machine = world._machine  # noqa: SLF001
        return None if who.host != machine.name else machine.find(who.pid) is not None

    return wrong


def swallow(append: Any) -> Any:
    """Swallow."""

    def wrong(ledger: Any, payloads: Any) -> None:
        try:
            append(ledger, payloads)
        except OSError:
            return

    return wrong


def pack_unsynced(_: Any) -> Any:
    """Pack unsynced."""

    def wrong(files: Any, path: Any, target: Any) -> Any:
        files.write_new(str(target), gzip.compress(files.contents(str(path)), 1, mtime=0))
        files.unlink(str(path))
        return target

    return wrong


def by_hash(waiting: Any) -> Any:
    """Take tasks in the order in which a set of their names yields them."""

    def wrong(state: Any, limit: int) -> Any:
        return [int(name) for name in {str(index) for index in waiting(state, limit)}]

    return wrong


def act_first(commit: Any) -> Any:
    """Act first."""

    async def wrong(drive: Any, turn: Any) -> None:
        deeds = drive._deeds  # noqa: SLF001
        deeds.carry_out(turn)
        deeds.carry_out = lambda _turn: None
        try:
            await commit(drive, turn)
        finally:
            del deeds.carry_out

    return wrong


def answer_first(commit: Any) -> Any:
    """Answer first."""

    async def wrong(drive: Any, turn: Any) -> None:
        for done in turn.acks:
            if not done.done():
                done.set_result(None)
        await commit(drive, turn)

    return wrong


def all_did_well(settle: Any) -> Any:
    """All did well, whatever the process ended with."""

    def wrong(batches: Any, process: Any, exited: Any) -> None:
        batches._hear(process)  # noqa: SLF001
        for token in list(process.open):
            batches._close_member(process, token, 0, process.spent(), NO_VERDICT)  # noqa: SLF001
        settle(batches, process, exited)

    return wrong


def of_whoever_is_open(_: Any) -> Any:
    """Take a report for that of a member that is open, whoever it names."""

    def wrong(process: Any) -> Any:
        process._hear()  # noqa: SLF001
        while b"\n" in process._heard:  # noqa: SLF001
            line, _, process._heard = process._heard.partition(b"\n")  # noqa: SLF001
            report = shared._report(line)  # noqa: SLF001
            token = report.token if report.token in process.open else next(iter(process.open), "")
            if token:
                yield report._replace(token=token)

    return wrong
