"""Telling on stdout how far a run is: a first line, then at most one a second."""

from collections.abc import Callable

from hsm.physics.metrics import Diagnostics

EVERY_S = 1.0


class Progress:
    """Prints the lines of one run of `steps` steps of length `h`; `clock` returns seconds."""

    def __init__(self, steps: int, h: float, begun: int, clock: Callable[[], float]) -> None:
        self._steps, self._h = steps, h
        self._clock = clock
        self._told_at, self._told_step = clock(), begun
        self._told = False

    def __call__(self, step: int, figures: Diagnostics) -> None:
        """Print a line, if it is time for one. `figures`: of the last saved frame."""
        now = self._clock()
        if self._told and now - self._told_at < EVERY_S:
            return
        print(f"{self._place(step)}{self._speed(step, now)}  {_shown(figures)}", flush=True)
        self._told_at, self._told_step, self._told = now, step, True

    def _place(self, step: int) -> str:
        return f"t = {step * self._h:.6g} of {self._steps * self._h:.6g}  {100 * step / self._steps:.0f} %"

    def _speed(self, step: int, now: float) -> str:
        taken, took_s = step - self._told_step, now - self._told_at
        if not self._told or not taken or took_s <= 0:
            return ""
        rate = taken / took_s
        return f"  {rate:.3g} steps/s  {_duration((self._steps - step) / rate)} left"


def _shown(figures: Diagnostics) -> str:
    return f"mean_rho {figures.mean_rho:.4f}  pcs {figures.pcs:.4f}  defects {figures.defect_count}"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {whole % 60:02d} s"
