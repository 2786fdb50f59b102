"""Deaths: agents that die as soon as they are there, again and again. Then their source is given up.

Each is given more time than the one before it. What was lost with one, from the second in a row on, says
nothing of the tasks that it ran, so it is charged to none of them; that cannot go on for ever, for after a
few there is no further agent.
"""

from __future__ import annotations

import math

from hsm.core.errors import SourceError
from hsm.core.world import World

SOON_S = 10.0
"""An agent that lives for so long did not die at once."""

MANY = 5
"""After so many in a row the source is given up."""

FIRST_PAUSE_S = 0.25
PAUSE_GROWTH = 4.0


class Deaths:
    """The agents of one session that died at once since one of them did not."""

    def __init__(self, world: World, source: str) -> None:
        self._world = world
        self._source = source
        self._count = 0
        self._began_at = -math.inf

    def begun(self) -> None:
        """Note that an agent is being started."""
        self._began_at = self._world.monotonic()

    def found(self) -> None:
        """Note that one was there already, who knows how long."""
        self._began_at = -math.inf

    @property
    def is_suspected(self) -> bool:
        """Whether more than one before this one died at once, and it has not yet shown that it does not."""
        return self._count > 1 and self._world.monotonic() < self._began_at + SOON_S

    async def died(self, words: str, log: str) -> None:
        """Note that the agent has died, its last words if it had any, and wait before the next one.

        Raises:
            SourceError: too many have died at once.
        """
        if self._world.monotonic() >= self._began_at + SOON_S:
            self._count = 0
            return
        self._count += 1
        if self._count >= MANY:
            reason = f"its agents die as soon as they are there, {self._count} of them one after the other"
            hint = f"see {log}; when it is mended: `hsm sweep complete ID`"
            raise SourceError(self._source, f"{reason}{': ' if words else ''}{words}", hint=hint)
        await self._world.sleep(FIRST_PAUSE_S * PAUSE_GROWTH ** (self._count - 1))
