"""Cases of handing over: order, slots, refusals, tokens."""

from __future__ import annotations

from hsm.compute.testing.case import CaseBase, case
from hsm.compute.testing.plays import SUCCEED, TICK
from hsm.compute.testing.site import FINAL, Site
from hsm.core.source import Rejected, Submitted
from hsm.core.spec import Resources
from hsm.core.states import AttemptState, Cause


class HandoverCases(CaseBase):
    """Everything that is handed over is run once, in order, and never more at a time than there are slots."""

    many = 1000

    @case(slots=1)
    async def test_a_batch_is_run_in_order(self, site: Site) -> None:
        """On one slot attempts begin in the order in which they were handed over."""
        first = await site.submit(*(site.note(word) for word in range(10)))
        second = await site.submit(*(site.note(word) for word in range(10, 15)))
        await site.ended([*first, *second])
        assert site.runs() == [str(word) for word in range(15)]

    @case(slots=2)
    async def test_many_attempts_share_few_slots(self, site: Site) -> None:
        """Of a thousand attempts on two slots never more than two run at a time, and each ends once."""
        orders = await site.submit(*(TICK(site.log) for _ in range(self.many)))
        endings = await site.ended(orders)
        assert all(seen.state is AttemptState.EXITED and seen.cause is None for seen in endings)
        ends = [seen.token for seen in site.seen if seen.state is AttemptState.EXITED]
        assert len(ends) == len(set(ends)) == self.many
        at_a_time = highest = 0
        for mark in site.runs():
            at_a_time += 1 if mark == "+" else -1
            highest = max(highest, at_a_time)
        assert (highest <= 2, at_a_time, len(site.runs())) == (True, 0, 2 * self.many)

    @case(slots=2)
    async def test_no_slot_is_filled_twice(self, site: Site) -> None:
        """While every slot is taken nothing more begins: what waits can all be taken back."""
        gate = site.gate()
        orders = await site.submit(*(site.hold(word, gate) for word in range(5)))
        await site.running(*orders[:2])
        await site.session.recall([order.token for order in orders])
        endings = await site.ended(orders[2:])
        assert {seen.state for seen in endings} == {AttemptState.VOID}
        gate.open()
        await site.ended(orders)
        assert sorted(site.runs()) == ["0", "1"]

    @case()
    async def test_one_token_is_run_once(self, site: Site) -> None:
        """An attempt that is handed over twice under one token is run once, whoever hands it over."""
        order = site.order(site.note("once"))
        outcomes = [*await site.session.submit([order, order]), *await site.session.submit([order])]
        assert [type(outcome) for outcome in outcomes] == [Submitted] * 3
        await site.ended([order])
        await site.drop()
        await site.open()
        await site.session.submit([order])
        last = await site.submit(site.note("last"))
        await site.ended(last)
        assert site.runs() == ["once", "last"]
        ends = [seen.state for seen in site.seen if seen.token == order.token and seen.state in FINAL]
        assert ends == [AttemptState.EXITED]

    @case()
    async def test_a_missing_program_ends_its_attempt(self, site: Site) -> None:
        """A program that is not there fails its own attempt, with its name, and no other."""
        commands = (site.note("before"), ("no-such-program", "-x"), site.note("after"))
        orders = await site.submit(*commands)
        before, missing, after = await site.ended(orders)
        assert (before.cause, after.cause) == (None, None)
        assert (missing.state, missing.cause) == (AttemptState.EXITED, Cause.APPLICATION)
        assert "no-such-program" in missing.reason
        assert sorted(site.runs()) == ["after", "before"]

    @case()
    async def test_what_can_never_run_is_refused(self, site: Site) -> None:
        """Of a batch, only what the source could never run is refused, with a reason; the rest is run."""
        too_many = Resources(gpus=site.session.capabilities.gpus + 1)
        orders = [
            site.order(site.note("first")),
            site.order(SUCCEED(), resources=too_many),
            site.order(("/bin/echo", "a\0b")),
            site.order(()),
            site.order(site.note("last")),
        ]
        outcomes = await site.session.submit(orders)
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds == [Submitted, Rejected, Rejected, Rejected, Submitted]
        reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Rejected)]
        assert "GPU" in reasons[0]
        assert "NUL" in reasons[1]
        await site.ended([orders[0], orders[4]])
        assert not await site.session.find([order.token for order in orders[1:4]])

    @case()
    async def test_attempts_are_found_by_their_token(self, site: Site) -> None:
        """What was handed over is found, waiting, running or over, by every manager; nothing else is."""
        gate = site.gate()
        over = await site.submit(site.note("over"))
        await site.ended(over)
        held = await site.submit(*(site.hold(word, gate) for word in range(3)))
        tokens = [order.token for order in [*over, *held]]
        never = site.order(site.note("never")).token
        assert set(await site.session.find([*tokens, never])) == set(tokens)
        await site.drop()
        await site.open()
        assert set(await site.session.find([*tokens, never])) == set(tokens)
