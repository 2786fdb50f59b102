"""Listings: what it means that the listings of a source lack attempts. Of one: after long, that it is lost.

Of many at once: that the source is in doubt, for a scheduler that came back without its memory lists none.
"""

from __future__ import annotations

from hsm.core.inputs import Seen
from hsm.core.states import AttemptState
from hsm.core.tracker import SweepTracker

MIN_LISTINGS = 3
"""So many listings must lack an attempt before it is given up."""

MANY_MISSING = 10
MISSING_SHARE = 0.2
"""Where that many and a larger share are missing at once, it is their source that is in doubt."""

LISTED = frozenset({AttemptState.SUBMITTED, AttemptState.RUNNING, AttemptState.MISSING})


class Listings:
    """How often, and for how long, listings have lacked attempts without a break."""

    def __init__(self) -> None:
        self._lacked: dict[str, tuple[float, int]] = {}
        self._doubted: set[str] = set()

    def listed(self, token: str) -> None:
        """Note that an attempt was seen."""
        self._lacked.pop(token, None)

    def lacked(self, token: str, missing_s: float, now: float) -> str:
        """Note that a listing lacked an attempt, and return why it must be given up, empty while not.

        `now` is when the listing came in: an engine that was kept waiting takes in several at once.
        """
        since, count = self._lacked.get(token, (now, 0))
        self._lacked[token] = since, count + 1
        if count + 1 < MIN_LISTINGS or now - since < missing_s:
            return ""
        return f"it vanished: {count + 1} listings over {now - since:.0f} s lacked it"

    def doubt(self, item: Seen, tracker: SweepTracker) -> str | None:
        """Return why a listing proves nothing: so many are missing. Empty: not so many, None: no listing."""
        is_listing = any(seen.state is AttemptState.MISSING for seen in item.batch.seen)
        if not (is_listing or item.source in self._doubted):
            return None
        states = [
            attempt.state
            for task in tracker.live()
            for attempt in task.live_attempts
            if attempt.source == item.source and attempt.state in LISTED
        ]
        missing = states.count(AttemptState.MISSING)
        if missing < MANY_MISSING or missing <= MISSING_SHARE * len(states):
            self._doubted.discard(item.source)
            return ""
        self._doubted.add(item.source)
        return (
            f"{missing} of {len(states)} attempts are missing from its listings: maybe it lost its memory; "
            f"none is given up but by `hsm sweep complete ID --abandon-source {item.source}`"
        )
