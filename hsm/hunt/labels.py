"""Why a hunter proposed a parameter set, and how many are proposed for each reason."""

from __future__ import annotations

from enum import StrEnum

from hsm.core.spec import Shares


class Label(StrEnum):
    """The reason for a proposal, kept with its task."""

    EXPLORE = "explore"  # drawn from the whole space, whatever is known
    EXPLOIT = "exploit"  # bred from the best that is known
    WILDCAT = "wildcat"  # a leap away from something good


def labels(shares: Shares, *, population: int, bred: int) -> list[Label]:
    """Return the labels of the generation that follows `bred` generations to which the shares applied.

    The shares hold over all of them together: rounding each generation alone would give a tenth of a
    population of four nothing, for ever.
    """
    explore = _quota(shares.explore, population, bred)
    wildcat = min(_quota(shares.wildcat, population, bred), population - explore)
    exploit = population - explore - wildcat
    return [Label.EXPLOIT] * exploit + [Label.WILDCAT] * wildcat + [Label.EXPLORE] * explore


def _quota(share: float, population: int, bred: int) -> int:
    each = share * population
    return round(each * (bred + 1)) - round(each * bred)
