"""Why a hunter proposed a parameter set."""

from __future__ import annotations

from enum import StrEnum


class Label(StrEnum):
    """The reason for a proposal, kept with its task."""

    EXPLORE = "explore"  # drawn from the whole space, whatever is known
    EXPLOIT = "exploit"  # bred from the best that is known
    WILDCAT = "wildcat"  # a leap away from something good
