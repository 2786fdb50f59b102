"""How a run ended: always with a status and, unless it is `ok`, a reason in one sentence."""

from dataclasses import dataclass

from hsm.physics.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Where a run stopped, and why.

    t, step: the last good state. bad_step: the first step that failed, if one did. max_rho: the largest
    density of that step, None where it was not finite or no step failed.
    """

    status: Status
    reason: str | None
    t: float
    step: int
    bad_step: int | None = None
    max_rho: float | None = None


def stopped(status: Status, t: float, step: int) -> Ending:
    """Return the ending of a run that its caller stopped."""
    why = "by a signal" if status is Status.CANCELLED else "before HSM_DEADLINE"
    return Ending(status=status, reason=f"stopped {why} at t = {t:.6g}", t=t, step=step)


def blown_up(t: float, step: int, density: float) -> Ending:
    """Return the ending of a run whose next step left a density that is not finite or too large."""
    finite = density < float("inf")  # also refuses nan
    shown = f"{density:.4g}" if finite else "not finite"
    reason = f"the largest density was {shown} after step {step + 1}; last good t = {t:.6g}"
    return Ending(
        status=Status.BLOWN_UP,
        reason=reason,
        t=t,
        step=step,
        bad_step=step + 1,
        max_rho=density if finite else None,
    )


def metric_failed(t: float, step: int) -> Ending:
    """Return the ending of a run whose next step found no metric."""
    reason = f"the constraint could not be solved in step {step + 1}; last good t = {t:.6g}"
    return Ending(status=Status.METRIC_FAILED, reason=reason, t=t, step=step, bad_step=step + 1)


def underresolved(t: float, step: int, tail: float, limit: float) -> Ending:
    """Return the ending of a run whose spectrum reaches the edge of the band."""
    cure = "use more points (N) or a smaller box (L)"
    reason = f"spectral_tail was {tail:.3g} at t = {t:.6g}, above {limit:g}: {cure}"
    return Ending(status=Status.UNDERRESOLVED_SPACE, reason=reason, t=t, step=step)


def too_coarse(t: float, step: int, error: float, limit: float) -> Ending:
    """Return the ending of a run whose steps are too long for what happens in them."""
    reason = f"step_error was {error:.3g} at t = {t:.6g}, above {limit:g} per unit time: use a smaller h"
    return Ending(status=Status.UNDERRESOLVED_TIME, reason=reason, t=t, step=step)


def violated(t: float, step: int, norm: float, limit: float, *, compared: bool) -> Ending:
    """Return the ending of a run whose metric does not belong to its density.

    compared: that metric was not solved for.
    """
    cure = "use a metric that is solved for" if compared else "use more points (N), a smaller box (L) or f64"
    reason = f"h_norm was {norm:.3g} at t = {t:.6g}, above {limit:g}: {cure}"
    return Ending(status=Status.CONSTRAINT_VIOLATED, reason=reason, t=t, step=step)


def dead(t: float, step: int, density: float, limit: float) -> Ending:
    """Return the ending of a run that decayed to nothing."""
    reason = f"the final mean density, {density:.3g}, is below {limit:g}"
    return Ending(status=Status.DEAD, reason=reason, t=t, step=step)


def completed(t: float, step: int) -> Ending:
    """Return the ending of a run that reached its end."""
    return Ending(status=Status.OK, reason=None, t=t, step=step)
