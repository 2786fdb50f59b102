"""Cases of resolution: what became of attempts whose manager learnt nothing of its reply."""

from __future__ import annotations

from collections.abc import Sequence

from hsm.compute.testing.case import CaseBase, case
from hsm.compute.testing.site import Site
from hsm.core.source import AttemptOrder


async def found(site: Site, orders: Sequence[AttemptOrder]) -> set[str]:
    """Return what is found when everything that was handed over must have become visible."""
    await site.world.sleep(site.session.capabilities.settle_s)
    return set(await site.session.find([order.token for order in orders]))


class ResolutionCases(CaseBase):
    """`find` tells the truth once a source has settled, so that nothing is lost and nothing is run twice."""

    @case(slots=1)
    async def test_what_was_handed_over_is_found_once_settled(self, site: Site) -> None:
        """A manager that learnt nothing of its reply finds every attempt, when `settle_s` is over."""
        gate = site.gate()
        orders = [site.order(site.hold("held", gate)), *(site.order(site.note(word)) for word in range(3))]
        await site.session.submit(orders)
        await site.drop()
        await site.open()
        assert await found(site, orders) == {order.token for order in orders}
        gate.open()
        await site.ended(orders)
        assert site.runs() == ["held", "0", "1", "2"]

    @case()
    async def test_what_was_never_handed_over_is_denied_again_and_again(self, site: Site) -> None:
        """However often it is asked; handed over after that under the same token, it is run once."""
        order = site.order(site.note("late"))
        for _ in range(2):
            assert await found(site, [order]) == set()
        await site.session.submit([order])
        assert await found(site, [order]) == {order.token}
        await site.ended([order])
        assert site.runs() == ["late"]

    @case(slots=1)
    async def test_the_same_manager_may_come_again(self, site: Site) -> None:
        """A session that ended is opened anew under the same epoch: it reads on, and nothing runs twice."""
        gate = site.gate()
        held = await site.submit(site.hold("held", gate), site.note("second"))
        await site.running(held[0])
        for word in range(3):
            await site.drop()
            await site.open(is_again=True)
            await site.session.submit(held)
            held += await site.submit(site.note(word))
        gate.open()
        await site.ended(held)
        assert site.runs() == ["held", "second", "0", "1", "2"]
