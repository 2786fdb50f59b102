"""Cases of endings: exit codes, signals, limits, and what a program leaves running."""

from __future__ import annotations

import json
import signal
import sys

import pytest

from hsm.compute.testing.ability import Ability
from hsm.compute.testing.case import CaseBase, case
from hsm.compute.testing.plays import DIE, EXIT, Play
from hsm.compute.testing.site import Site
from hsm.core.model import Exit
from hsm.core.source import Observation
from hsm.core.spec import Resources
from hsm.core.states import AttemptState, Cause

MIB = 1 << 20

STUBBORN = Play("stubborn", 'trap \'\' TERM; read -r _ <"$1"; read -r _ <"$1"; exit 3')
# Counts the TERMs that arrive, busily so that each is met at once, and ends a moment after the first.
POLITE = """
import signal, sys, time
terms = []
signal.signal(signal.SIGTERM, lambda *_: terms.append(time.monotonic()))
while not terms or time.monotonic() < terms[0] + 0.2:
    pass
open("terms", "w").write(str(len(terms)))
sys.exit(4)
"""
HOG = Play("hog", '{ head -c "$1" /dev/zero; read -r _ <"$2"; } | tail -n 1 >/dev/null')
# The parent of the daemon ends before the program does, and the daemon leads a session of its own.
DAEMON = Play(
    "daemon",
    """
mkfifo ready
(setsid sh -c 'echo $$ >"$1"; echo >ready; exec sleep 1000' daemon "$1" >/dev/null 2>&1 &)
read -r _ <ready
rm ready
echo done >results/answer
""",
)
BACKGROUND = Play("background", 'sleep 1000 & echo $! >"$1"; exit 0')


def exit_of(seen: Observation) -> Exit:
    """Return the exit of an attempt that has exited."""
    assert seen.state is AttemptState.EXITED
    assert seen.exit is not None
    return seen.exit


class EndingCases(CaseBase):
    """How a program ended is told exactly, and nothing of it runs on."""

    @case()
    async def test_exit_codes_are_told(self, site: Site) -> None:
        """Every exit code arrives; all but 0 have the cause `application` and a reason that names them."""
        codes = (0, 1, 3, 127, 255)
        for code, seen in zip(codes, await site.ended(await site.submit(*map(EXIT, codes))), strict=True):
            assert (exit_of(seen).code, exit_of(seen).signal) == (code, None)
            assert seen.cause is (Cause.APPLICATION if code else None)
            assert str(code) in seen.reason if code else not seen.reason

    @case()
    async def test_signals_are_told(self, site: Site) -> None:
        """A program killed by a signal has that signal and no exit code, real-time signals included."""
        signals = (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGHUP, 40)
        orders = await site.submit(*(DIE(int(number)) for number in signals))
        for number, seen in zip(signals, await site.ended(orders), strict=True):
            assert (exit_of(seen).code, exit_of(seen).signal) == (None, number)
            assert seen.cause is Cause.APPLICATION
            assert str(int(number)) in seen.reason

    @case(Ability.PROCESSES)
    async def test_usage_is_measured(self, site: Site) -> None:
        """Wall time, processor time and memory of an attempt are those of its program."""
        busy = Play("busy", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
        used = exit_of(*await site.ended(await site.submit(busy())))
        assert 0 < used.cpu_user_s <= used.wall_s < 30
        assert MIB / 4 < used.max_rss_bytes < 100 * MIB

    @case(Ability.LIMITS, grace_s=0.3)
    async def test_a_program_over_its_time_is_killed(self, site: Site) -> None:
        """Over its time limit a program gets TERM, after the grace KILL, and the cause is `time`."""
        gate = site.gate()
        (seen,) = await site.ended(await site.submit(STUBBORN(gate.path), timeout_s=1.0))
        assert (seen.cause, exit_of(seen).signal) == (Cause.TIME, signal.SIGKILL)
        assert 1.3 <= exit_of(seen).wall_s < 10
        assert "1 s" in seen.reason

    @case(Ability.LIMITS, grace_s=20)
    async def test_a_program_may_end_within_its_grace(self, site: Site) -> None:
        """Over its time limit a program gets TERM once, and may go on to an end of its own."""
        (order,) = await site.submit((sys.executable, "-I", "-S", "-c", POLITE), timeout_s=1.0)
        (seen,) = await site.ended([order])
        assert (seen.cause, exit_of(seen).code) == (Cause.TIME, 4)
        assert exit_of(seen).wall_s < 10
        assert (await site.fetched(order) / "terms").read_text() == "1"

    @case(Ability.LIMITS)
    async def test_a_program_may_stop_for_time_itself(self, site: Site) -> None:
        """Exit status 124 has the cause `time` where there is a time limit, and only there."""
        limited = await site.submit(EXIT(124), timeout_s=3600.0)
        unlimited = await site.submit(EXIT(124))
        endings = await site.ended([*limited, *unlimited])
        assert [seen.cause for seen in endings] == [Cause.TIME, Cause.APPLICATION]

    @case(Ability.LIMITS)
    async def test_a_program_over_its_memory_is_killed(self, site: Site) -> None:
        """A program that uses more memory than allowed is killed whole, with the cause `memory`."""
        gate = site.gate()
        limit = Resources(memory_bytes=64 * MIB)
        orders = await site.submit(HOG(128 * MIB, gate.path), HOG(8 * MIB, gate.path), resources=limit)
        (greedy,) = await site.ended(orders[:1])
        assert (greedy.cause, exit_of(greedy).signal) == (Cause.MEMORY, signal.SIGKILL)
        gate.open()
        (modest,) = await site.ended(orders[1:])
        assert modest.cause is None

    @pytest.mark.parametrize("play", [DAEMON, BACKGROUND], ids=lambda play: play.name)
    @case(Ability.PROCESSES)
    async def test_nothing_of_a_program_runs_on(self, site: Site, play: Play) -> None:
        """What a program leaves running is gone when its end is told, and daemons are in the report."""
        place = site.root / "left.pid"
        (order,) = await site.submit(play(place))
        (seen,) = await site.ended([order])
        assert seen.cause is None
        assert place.read_text().strip().isdigit()
        assert not site.bearers()
        report = json.loads((await site.fetched(order) / "provenance.json").read_bytes())
        named = (["sleep"], ["sh"]) if play is DAEMON else ([],)  # `sh` where it was killed before its `exec`
        assert report["daemons"] in named
