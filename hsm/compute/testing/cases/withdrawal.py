"""Cases of withdrawal: cancelling and taking back."""

from __future__ import annotations

from hsm.compute.testing.case import CaseBase, case
from hsm.compute.testing.site import Site
from hsm.core.source import CancelOutcome
from hsm.core.states import AttemptState

UNKNOWN = "0" * 32


class WithdrawalCases(CaseBase):
    """What was asked, what was observed and what is not known are three things."""

    @case(slots=1)
    async def test_cancelling_tells_what_it_met(self, site: Site) -> None:
        """Running and waiting attempts are asked to end, ended ones have ended, others are unknown."""
        gate = site.gate()
        (over,) = await site.submit(site.note("over"))
        await site.ended([over])
        running, waiting, spared = await site.submit(
            site.hold("held", gate), site.note("waiting"), site.note("spared")
        )
        await site.running(running)
        outcomes = await site.session.cancel([over.token, running.token, waiting.token, UNKNOWN])
        assert outcomes == {
            over.token: CancelOutcome.ALREADY_ENDED,
            running.token: CancelOutcome.REQUESTED,
            waiting.token: CancelOutcome.REQUESTED,
            UNKNOWN: CancelOutcome.UNKNOWN,
        }
        endings = await site.ended([over, running, waiting, spared])
        states = [seen.state for seen in endings]
        assert states[:3] == [AttemptState.EXITED, AttemptState.CANCELLED, AttemptState.VOID]
        assert states[3] is AttemptState.EXITED
        assert site.runs() == ["over", "held", "spared"]

    @case(slots=1)
    async def test_a_later_manager_cancels_with_the_same_words(self, site: Site) -> None:
        """A manager that handed nothing over itself is told the same of running, waiting, ended attempts."""
        gate = site.gate()
        over, running, waiting = await site.submit(
            site.note("over"), site.hold("held", gate), site.note("waiting")
        )
        await site.running(running)
        await site.drop()
        await site.open()
        outcomes = await site.session.cancel([over.token, running.token, waiting.token, UNKNOWN])
        assert list(outcomes.values()) == [
            CancelOutcome.ALREADY_ENDED,
            CancelOutcome.REQUESTED,
            CancelOutcome.REQUESTED,
            CancelOutcome.UNKNOWN,
        ]
        endings = await site.ended([running, waiting])
        assert [seen.state for seen in endings] == [AttemptState.CANCELLED, AttemptState.VOID]

    @case(slots=1)
    async def test_cancelling_twice_is_harmless(self, site: Site) -> None:
        """A second wish changes nothing, and once an attempt is over it says so."""
        (order,) = await site.submit(site.hold("held", site.gate()))
        await site.running(order)
        await site.session.cancel([order.token])
        await site.session.cancel([order.token])
        (seen,) = await site.ended([order])
        assert seen.state is AttemptState.CANCELLED
        assert await site.session.cancel([order.token]) == {order.token: CancelOutcome.ALREADY_ENDED}

    @case(slots=1)
    async def test_what_waits_can_be_taken_back(self, site: Site) -> None:
        """Attempts that have not begun come back as VOID and never run; one that runs goes on."""
        gate = site.gate()
        running, *waiting = await site.submit(
            site.hold("held", gate), *(site.note(word) for word in range(5))
        )
        await site.running(running)
        await site.session.recall([order.token for order in [running, *waiting[:4]]])
        await site.ended(waiting[:4])
        gate.open()
        endings = await site.ended([running, *waiting])
        states = [seen.state for seen in endings]
        assert states == [AttemptState.EXITED, *[AttemptState.VOID] * 4, AttemptState.EXITED]
        assert site.runs() == ["held", "4"]
