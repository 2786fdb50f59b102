"""Cases of survival: managers and agents die, and nothing is lost or run twice."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from hsm.compute.testing.ability import Ability
from hsm.compute.testing.case import CaseBase, case
from hsm.compute.testing.plays import Play
from hsm.compute.testing.processes import wait_gone
from hsm.compute.testing.site import GONE_S, Site
from hsm.core.states import AttemptState, Cause

# The daemon says by a line in a FIFO that it is there.
HOLD_WITH_DAEMON = Play(
    "hold-with-daemon",
    """
setsid sh -c 'sleep 1000 & echo ready >"$1"; wait' daemon "$1" >/dev/null 2>&1 &
read -r _ <"$2"
""",
)


def _read_line(path: Path) -> str:
    """Wait until somebody writes a line into a FIFO."""
    with path.open(encoding="utf-8") as file:
        return file.readline()


class SurvivalCases(CaseBase):
    """Attempts belong to the sweep, not to the process that ordered them."""

    @case(slots=2)
    async def test_a_later_manager_adopts_what_runs(self, site: Site) -> None:
        """After its manager's death everything goes on; the next one reads on and sees every end, once."""
        gate = site.gate()
        over = await site.submit(site.note("over"))
        await site.ended(over)
        held = await site.submit(*(site.hold(word, gate) for word in range(2)))
        queued = await site.submit(*(site.note(word) for word in range(2, 6)))
        await site.running(*held)
        await site.drop()
        count = len(site.seen)
        await site.open()
        tokens = [order.token for order in [*held, *queued]]
        assert set(await site.session.find(tokens)) == set(tokens)
        gate.open()
        endings = await site.ended([*held, *queued])
        assert {(seen.state, seen.cause) for seen in endings} == {(AttemptState.EXITED, None)}
        assert over[0].token not in {seen.token for seen in site.seen[count:]}, "read from the beginning"
        assert sorted(site.runs()) == ["0", "1", "2", "3", "4", "5", "over"]

    @case(slots=1)
    async def test_ends_without_a_manager_are_seen_later(self, site: Site) -> None:
        """Attempts that end while nobody listens are told to the next manager."""
        gate = site.gate()
        orders = await site.submit(site.hold("held", gate), site.note("next"))
        await site.running(orders[0])
        await site.drop()
        gate.open()
        await site.open()
        endings = await site.ended(orders)
        assert [seen.cause for seen in endings] == [None, None]
        assert site.runs() == ["held", "next"]

    @case(slots=1)
    async def test_many_managers_follow_one_another(self, site: Site) -> None:
        """Each of several managers hands over some attempts and dies; all of them are run, once each."""
        orders = []
        for word in range(5):
            orders += await site.submit(site.note(word), site.note(word + 100))
            await site.drop()
            await site.open()
        await site.ended(orders)
        expected = [str(word + more) for word in range(5) for more in (0, 100)]
        assert site.runs() == expected

    @case(Ability.AGENT, slots=2)
    async def test_a_dead_agent_loses_only_what_ran(self, site: Site) -> None:
        """When the agent dies, what ran is LOST and its processes are killed; what waited is run."""
        gate = site.gate()
        held = await site.submit(*(site.hold(word, gate) for word in range(2)))
        queued = await site.submit(*(site.note(word) for word in range(2, 6)))
        await site.running(*held)
        left = site.bearers()
        self.kill_agent(site)
        endings = await site.ended([*held, *queued])
        assert [seen.state for seen in endings[:2]] == [AttemptState.LOST] * 2
        assert {seen.cause for seen in endings[:2]} == {Cause.LOST}
        assert {seen.state for seen in endings[2:]} == {AttemptState.EXITED}
        assert sorted(site.runs()) == ["0", "1", "2", "3", "4", "5"]
        assert all(wait_gone(pid, GONE_S) for pid in left), "programs of lost attempts live on"

    @case(Ability.AGENT, Ability.PROCESSES)
    async def test_daemons_of_lost_attempts_are_killed(self, site: Site) -> None:
        """What a lost attempt had sent into a session of its own is killed before the loss is told."""
        gate, place = site.gate(), site.root / "daemon"
        os.mkfifo(place)
        (order,) = await site.submit(HOLD_WITH_DAEMON(place, gate.path))
        await site.running(order)
        await asyncio.to_thread(_read_line, place)
        left = site.bearers()
        self.kill_agent(site)
        (seen,) = await site.ended([order])
        assert seen.state is AttemptState.LOST
        assert len(left) == 3, "the program, its daemon, and what the daemon runs"
        assert all(wait_gone(pid, GONE_S) for pid in left), "processes of lost attempts live on"

    @case(Ability.AGENT, slots=1)
    async def test_an_agent_may_die_without_a_manager(self, site: Site) -> None:
        """Agent and manager both die; the next manager finds what ran LOST, and what waited is run."""
        gate = site.gate()
        orders = await site.submit(site.hold("held", gate), site.note("next"))
        await site.running(orders[0])
        await site.drop()
        self.kill_agent(site)
        await site.open()
        held, queued = await site.ended(orders)
        assert (held.state, queued.state) == (AttemptState.LOST, AttemptState.EXITED)
        assert site.runs() == ["held", "next"]

    @case(Ability.AGENT, slots=1)
    async def test_what_is_counted_on_and_not_known_is_told(self, site: Site) -> None:
        """A power cut may take an order: who counts on it hears that it never began, and it never will."""
        order = site.order(site.note("never"))
        await site.drop()
        await site.open()
        (seen,) = await site.ended([order])
        assert seen.state is AttemptState.VOID
        await site.session.submit([order])
        await site.ended(await site.submit(site.note("next")))
        assert site.runs() == ["next"]

    @case(Ability.AGENT, slots=1)
    async def test_an_end_is_told_once_across_agents(self, site: Site) -> None:
        """What had ended before an agent died is not told again, nor lost, by the next one."""
        over = await site.submit(*(site.note(word) for word in range(3)))
        await site.ended(over)
        self.kill_agent(site)
        last = await site.submit(site.note("last"))
        await site.ended(last)
        assert [seen.token for seen in site.seen if seen.state is not AttemptState.RUNNING] == [
            order.token for order in [*over, *last]
        ]
