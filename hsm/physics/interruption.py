"""Requests to stop early: a signal, or a deadline that comes near."""

import signal
from collections.abc import Callable
from types import FrameType

from hsm.physics.status import Status

MARGIN_S = 3.0  # time to close the files before the deadline


def never() -> bool:
    """Tell that nobody asked for the end of the run."""
    return False


class Interruption:
    """Asked before each chunk of a run; answers with the status to end with, or None.

    `clock` returns seconds since 1970. `is_cancelled` tells whether this run, of several in the process, is
    to end, `signal` that all are.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.deadline_s: float | None = None
        self.signal: int | None = None
        self.is_cancelled: Callable[[], bool] = never

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as requests to stop; a second one ends the process at once."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        signal.signal(number, signal.SIG_DFL)

    def __call__(self, ahead_s: float = 0.0) -> Status | None:
        """Tell whether to stop now. `ahead_s`: when the question will be asked again, as far as is known."""
        if self.signal is not None or self.is_cancelled():
            return Status.CANCELLED
        if self.deadline_s is not None and self._clock() + ahead_s > self.deadline_s - MARGIN_S:
            return Status.TIMEOUT
        return None
