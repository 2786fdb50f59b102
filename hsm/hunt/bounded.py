"""Any hunter within the rules of its sweep: it stops when told to, and proposes nothing that is forbidden."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from random import Random

from hsm.core.constraints import Constraints
from hsm.core.model import History, Hunter, HuntOver, Proposal, Screened
from hsm.core.spec import Rule, SweepSpec
from hsm.hunt.stopping import reason_to_stop, tasks_left
from hsm.hunt.values import params_key

ASKS = 8
"""So often a hunter that proposes forbidden sets is asked again, to fill their places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundedHunter:
    """A hunter whose proposals are screened.

    The hunters of HSM look at the rules themselves while they draw; a grid and the hunters of plug-ins
    need not know of them. Asked again, a hunter has the same history but other random numbers.
    """

    inner: Hunter
    spec: SweepSpec

    def ask(self, history: History, rng: Random) -> Iterable[Proposal]:
        """Return what the hunter proposes and the rules permit.

        Raises:
            HuntOver: a stop rule holds, or everything proposed is forbidden.
        """
        reason = reason_to_stop(history, self.spec)
        if reason:
            raise HuntOver(reason)
        proposals = self._permitted(history, rng)
        left = tasks_left(history, self.spec)
        return proposals if left is None else _first(proposals, left)

    def _permitted(self, history: History, rng: Random) -> Iterable[Proposal]:
        constraints = Constraints.of(rules_of(self.spec))
        if not constraints.rules:
            return self.inner.ask(history, rng)
        screened = _screened(self.inner.ask(history, rng), constraints)
        return screened if self.spec.hunt is None else self._filled(screened, constraints, history, rng)

    def _filled(
        self, screened: Screened, constraints: Constraints, history: History, rng: Random
    ) -> Iterable[Proposal]:
        """Return a hunt's generation, forbidden proposals replaced where the hunter has others."""
        found = list(screened)
        wanted, seen = len(found) + screened.forbidden, {_identity(proposal) for proposal in found}
        for _ in range(ASKS):
            if len(found) >= wanted:
                break
            fresh = _screened(self.inner.ask(history, rng), constraints)
            found += [p for p in fresh if _identity(p) not in seen and not seen.add(_identity(p))]  # type: ignore[func-returns-value]
        if wanted and not found:
            raise HuntOver(f"everything that the hunter proposes is forbidden: {constraints.words}")
        return Screened(found[:wanted], lambda _: True, max(0, wanted - len(found)))


def bounded(hunter: Hunter, spec: SweepSpec) -> Hunter:
    """Return a hunter within the rules of its sweep: itself, where there are none."""
    has_stops = spec.hunt is not None and spec.hunt.stop != type(spec.hunt.stop)()
    return BoundedHunter(inner=hunter, spec=spec) if has_stops or rules_of(spec) else hunter


def rules_of(spec: SweepSpec) -> tuple[Rule, ...]:
    """Return the rules of `forbid:`, of a hunt or of a grid."""
    if spec.hunt is not None:
        return spec.hunt.forbid
    return spec.grid.forbid if spec.grid is not None else ()


def _first(proposals: Iterable[Proposal], limit: int) -> Iterable[Proposal]:
    kept = list(islice(proposals, limit))
    forbidden = proposals.forbidden if isinstance(proposals, Screened) else 0
    return Screened(kept, lambda _: True, forbidden)


def _screened(proposals: Iterable[Proposal], constraints: Constraints) -> Screened:
    return Screened(proposals, lambda proposal: constraints.permit(proposal.params))


def _identity(proposal: Proposal) -> object:
    return (params_key(proposal.params), proposal.seed)
