"""What can be of the times that a source tells: its clock may be off, or it may say anything. Pure."""

from __future__ import annotations

from dataclasses import replace

from hsm.core.model import Attempt
from hsm.core.source import Observation

SLACK_S = 3600.0
"""An attempt may have lasted so much longer than it is known: the clock here may have been set back."""


def credible(seen: Observation, attempt: Attempt, now: float) -> Observation:
    """Return what was seen of an attempt, no time of it before the attempt was meant or after `now`.

    Times of day are the source's. One that cannot be is that of hearing of it, and a start is then as long
    before the end as the program took. How long that was is measured there; it is never more than there
    was time.
    """
    earliest, at = attempt.intended_at, seen.at
    if not earliest <= at <= now:
        at = max(earliest, now)
    found, started_at = seen.exit, seen.started_at
    if found is not None and found.wall_s > at - earliest + SLACK_S:
        found = replace(found, wall_s=at - earliest)
    if started_at and not earliest <= started_at <= at:
        started_at = max(earliest, at - found.wall_s) if found else at
    if (at, started_at) == (seen.at, seen.started_at) and found is seen.exit:
        return seen
    return replace(seen, at=at, started_at=started_at, exit=found)
