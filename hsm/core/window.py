"""How long events gather before they are committed: what comes in within one window is one group."""

from __future__ import annotations

from hsm.core.world import World

WINDOW_S = 0.01
BUSY_WINDOW_S = 0.1
BUSY_EVENTS = 32


class Window:
    """The time after a commit began in which more may come in, to share the next fdatasync.

    A busy sweep has a longer one, but not at once, so that its sources never run dry while it starts.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._was_busy = False

    def length_s(self, events: int) -> float:
        """Return the window after a commit of so many events."""
        is_busy, self._was_busy = events >= BUSY_EVENTS and self._was_busy, events >= BUSY_EVENTS
        return BUSY_WINDOW_S if is_busy else WINDOW_S

    async def pass_by(self, began: float, events: int) -> None:
        """Wait until the window of a commit of so many events is over, which began by the monotonic clock."""
        left = began + self.length_s(events) - self._world.monotonic()
        if left > 0:
            await self._world.sleep(left)
