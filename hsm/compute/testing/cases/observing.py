"""Cases of observing: reading may begin again at any place, and nothing is left out."""

from __future__ import annotations

from asyncio import timeout

from hsm.compute.testing.ability import Ability
from hsm.compute.testing.case import CaseBase, case
from hsm.compute.testing.plays import EXIT
from hsm.compute.testing.site import FINAL, PATIENCE_S, Site
from hsm.core.source import Observation
from hsm.core.states import AttemptState


class ObservingCases(CaseBase):
    """A cursor is a promise: after it comes everything that was not seen before it."""

    @case()
    async def test_reading_resumes_at_every_cursor(self, site: Site) -> None:
        """From each cursor that was ever given, what follows is what followed then."""
        await self._play(site)
        await self._check_cursors(site)

    @case(Ability.AGENT)
    async def test_reading_resumes_across_agents(self, site: Site) -> None:
        """The same holds when an agent died in between."""
        await self._play(site)
        self.kill_agent(site)
        await self._play(site)
        await self._check_cursors(site)

    async def _play(self, site: Site) -> None:
        """Let attempts end one by one, so that there are many cursors."""
        for code in range(4):
            await site.ended(await site.submit(EXIT(code), EXIT(code)))
        gate = site.gate()
        held = await site.submit(site.hold("held", gate))
        await site.running(*held)
        gate.open()
        await site.ended(held)

    async def _check_cursors(self, site: Site) -> None:
        everything = list(site.seen)
        places = [("", 0), *zip(site.cursors, site.counts, strict=True)]
        for cursor, count in places:
            await site.drop()
            await site.open(cursor)
            assert await self._read(site, len(everything) - count) == everything[count:]

    async def _read(self, site: Site, count: int) -> list[Observation]:
        before = len(site.seen)
        await site.until(lambda: len(site.seen) - before >= count)
        return site.seen[before:]

    @case(slots=1)
    async def test_observations_tell_a_story_in_order(self, site: Site) -> None:
        """Of each attempt RUNNING comes before its end, the end comes last, and times do not run back."""
        gate = site.gate()
        orders = await site.submit(site.hold("one", gate), site.hold("two", gate))
        await site.running(orders[0])
        gate.open()
        await site.ended(orders)
        for order in orders:
            states = [seen.state for seen in site.seen if seen.token == order.token]
            assert states[-1] in FINAL
            assert all(state is AttemptState.RUNNING for state in states[:-1])
        times = [seen.at for seen in site.seen]
        assert times == sorted(times)
        ended = site.endings[orders[0].token]
        assert 0 < ended.started_at <= ended.at

    @case()
    async def test_two_may_read_at_a_time(self, site: Site) -> None:
        """A second reader from the beginning sees what the first one saw."""
        orders = await site.submit(*map(EXIT, range(3)))
        await site.ended(orders)
        tokens: set[str] = set()
        async with timeout(PATIENCE_S):
            async for batch in site.session.observations():
                tokens |= {seen.token for seen in batch.seen if seen.state in FINAL}
                if len(tokens) == len(orders):
                    break
        assert tokens == {order.token for order in orders}
