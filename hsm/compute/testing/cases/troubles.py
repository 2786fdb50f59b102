"""Cases of trouble: replies get lost, attempts show up late, listings lack what is there.

They are for sources, mostly fakes, that can be put into trouble on purpose, and no part of `SourceContract`.
"""

from __future__ import annotations

from collections.abc import Sequence

from hsm.compute.testing.case import CaseBase, case
from hsm.compute.testing.cases.resolution import found
from hsm.compute.testing.site import Site
from hsm.core.errors import SourceError
from hsm.core.source import AttemptOrder
from hsm.core.states import AttemptState


class TroubleCases(CaseBase):
    """What a source in trouble may do, and what it still must tell."""

    def lose_reply(self, *, arrives: bool) -> None:
        """Have the reply to the next hand-over get lost, whether or not the attempts arrive."""
        raise NotImplementedError

    def deny(self, *, times: int) -> None:
        """Have the next answers of `find` lack everything."""
        raise NotImplementedError

    def miss(self, order: AttemptOrder) -> None:
        """Have a listing lack an attempt that is there."""
        raise NotImplementedError

    @case()
    async def test_a_lost_reply_leaves_the_attempts_to_be_found(self, site: Site) -> None:
        """The hand-over raises and says nothing; found is what arrived, after a while if it shows up late."""
        for arrives in (True, False):
            orders = [site.order(site.note(word)) for word in range(2)]
            self.lose_reply(arrives=arrives)
            lost = await self._is_lost(site, orders)
            assert lost.transient
            assert await found(site, orders) == ({order.token for order in orders} if arrives else set())
            await site.session.submit(orders)
            await site.ended(orders)
        assert sorted(site.runs()) == ["0", "0", "1", "1"]

    async def _is_lost(self, site: Site, orders: Sequence[AttemptOrder]) -> SourceError:
        try:
            await site.session.submit(orders)
        except SourceError as error:
            return error
        raise AssertionError("the reply was not lost")

    @case()
    async def test_what_shows_up_late_is_found_in_the_end(self, site: Site) -> None:
        """One denial is no proof: what was handed over may be denied, and is there all the same."""
        orders = await site.submit(site.note("late"))
        self.deny(times=1)
        answers = [await found(site, orders) for _ in range(2)]
        assert answers == [set(), {order.token for order in orders}]
        await site.ended(orders)

    @case()
    async def test_what_a_listing_lacks_may_come_back(self, site: Site) -> None:
        """MISSING is told of what a listing lacks, and does not keep its end from being told."""
        gate = site.gate()
        (order,) = await site.submit(site.hold("held", gate))
        await site.running(order)
        self.miss(order)
        await site.until(lambda: any(seen.state is AttemptState.MISSING for seen in site.seen))
        gate.open()
        (end,) = await site.ended([order])
        assert (end.state, end.cause) == (AttemptState.EXITED, None)
        assert site.runs() == ["held"]
