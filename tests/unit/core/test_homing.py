"""Homing: what has ended is brought home in groups, and one that is slow, late or lost holds no other up."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hsm.compute.testing.memory import MemoryMachine, MemorySource
from hsm.core import events as ev
from hsm.core.errors import SourceError
from hsm.core.source import CollectionResult, Fault, SourceSession, SweepContext, Wanted
from hsm.core.states import Cause, SweepStatus
from tests.unit.core.test_engine import drive, lab
from tests.unit.core.worlds import numbered

Results = Mapping[str, CollectionResult]
Fetch = Callable[[Sequence[Wanted]], Awaitable[Results]]
Around = Callable[[Sequence[Wanted], Fetch], Awaitable[Results]]


class FarSource(MemorySource):
    """A source whose sessions fetch as a test says: `around` is given what is wanted and the true way."""

    def __init__(self, machine: MemoryMachine, around: Around) -> None:
        super().__init__(machine)
        self.opened = 0
        self._around = around

    @asynccontextmanager
    async def session(self, context: SweepContext) -> AsyncIterator[SourceSession]:
        async with super().session(context) as session:
            self.opened += 1
            fetch, around = session.fetch, self._around
            session.fetch = lambda wanted: around(wanted, fetch)  # type: ignore[method-assign,assignment,return-value]
            yield session


def task_of(wanted: Wanted) -> int:
    return int(Path(wanted.directory).name[5:9])


async def test_what_is_slow_to_come_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one attempt is on its way, others are brought and judged, by a few calls at a time."""
    monkeypatch.setattr("hsm.core.homing.GROUP", 1)
    here = lab(tmp_path, files=True)
    others_sealed, now, most = asyncio.Event(), 0, 0

    async def around(wanted: Sequence[Wanted], fetch: Fetch) -> Results:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if task_of(wanted[0]) == 1:
            await others_sealed.wait()
        await asyncio.sleep(0)
        now -= 1
        return await fetch(wanted)

    sealed: list[int] = []

    def watch(event: ev.Event) -> None:
        if isinstance(event, ev.AttemptSealed):
            sealed.append(event.task)
            if len(sealed) == 11:
                others_sealed.set()

    result = await drive(here.job(numbered(12), FarSource(here.machine, around)), watch=watch)
    assert result.status is SweepStatus.COMPLETE
    assert sealed[-1] == 1
    assert most == 4


async def test_what_ends_together_is_fetched_together(tmp_path: Path) -> None:
    """Far fewer calls than attempts, each told where the attempt ran, its report, and where it is to come."""
    here = lab(tmp_path, slots=30, files=True)
    asked: list[Sequence[Wanted]] = []

    async def around(wanted: Sequence[Wanted], fetch: Fetch) -> Results:
        asked.append(wanted)
        return await fetch(wanted)

    assert (
        await drive(here.job(numbered(30), FarSource(here.machine, around)))
    ).status is SweepStatus.COMPLETE
    every = {one.ref: one for group in asked for one in group}
    assert len(every) == 30
    assert len(asked) <= 5
    for order in here.executed:
        one = every[order.token]
        assert (one.directory, one.dest) == (order.directory, here.tree.root / order.directory)
        assert one.report == next(seen.manifest for seen in here.machine.log if seen.token == one.ref)


async def test_what_does_not_come_now_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that is missing from an answer is fetched by a later call, and nothing runs twice."""
    monkeypatch.setattr("hsm.core.homing.RETRY_S", 0.01)
    here = lab(tmp_path, files=True)
    asked: list[int] = []

    async def around(wanted: Sequence[Wanted], fetch: Fetch) -> Results:
        asked.extend(map(task_of, wanted))
        return await fetch([one for one in wanted if asked.count(task_of(one)) > 1 or task_of(one) % 2])

    assert (
        await drive(here.job(numbered(6), FarSource(here.machine, around)))
    ).status is SweepStatus.COMPLETE
    assert sorted(asked) == [1, 2, 2, 3, 4, 4, 5, 6, 6]
    assert len(here.executed) == 6


async def test_what_can_never_come_whole_has_failed(tmp_path: Path) -> None:
    """A fault is the attempt's cause and reason, and costs no other attempt anything."""
    here = lab(tmp_path, files=True)
    reason = "its manifest lists '../x', which leads out of its directory"

    async def around(wanted: Sequence[Wanted], fetch: Fetch) -> Results:
        bad = [one.ref for one in wanted if task_of(one) == 2]
        here.machine.trouble.faults.update({ref: Fault(cause=Cause.PROTOCOL, reason=reason) for ref in bad})
        return await fetch(wanted)

    await drive(here.job(numbered(3), FarSource(here.machine, around)))
    failed = here.kinds(ev.AttemptFailed)
    assert {(event.task, event.cause, event.reason) for event in failed} == {(2, Cause.PROTOCOL, reason)}
    assert {event.task for event in here.kinds(ev.AttemptSealed)} == {1, 3}


async def test_no_room_at_home_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user is told, the source stays open, nothing is run again, and all is well when there is room."""
    monkeypatch.setattr("hsm.core.room.RETRY_S", 0.01)
    here = lab(tmp_path, files=True)
    refused: list[int] = []

    async def around(wanted: Sequence[Wanted], fetch: Fetch) -> Results:
        if len(refused) < 3:
            refused.append(len(wanted))
            raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))
        return await fetch(wanted)

    source = FarSource(here.machine, around)
    assert (await drive(here.job(numbered(4), source))).status is SweepStatus.COMPLETE
    assert len(refused) == 3
    assert source.opened == 1
    assert len(here.executed) == 4
    assert here.kinds(ev.RecordingHindered)
    assert not here.tracker.hindrance


async def test_the_failure_of_a_session_that_is_gone_closes_no_other_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetch that outlives its session and then fails costs the next one nothing, and is done by that."""
    monkeypatch.setattr("hsm.core.homing.GROUP", 1)
    here = lab(tmp_path, files=True)
    asked: list[str] = []
    late = asyncio.Event()

    async def around(wanted: Sequence[Wanted], fetch: Fetch) -> Results:
        asked.append("")
        if len(asked) == 1:
            await late.wait()
            raise SourceError("memory", "too late", transient=True)
        if source.opened == 1:
            raise SourceError("memory", "cut", transient=True)
        late.set()
        return await fetch(wanted)

    source = FarSource(here.machine, around)
    assert (await drive(here.job(numbered(12), source))).status is SweepStatus.COMPLETE
    assert source.opened == 2
    assert [event.reason for event in here.kinds(ev.SourceFailed)] == ["source 'memory': cut"]
