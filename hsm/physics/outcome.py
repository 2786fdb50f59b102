"""How a run ended, and what may be said about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from hsm.physics.metrics import Diagnostics
from hsm.physics.status import Status

DEAD_BELOW = 1e-6  # mean density


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Where the solver stopped, and why if it was before the end.

    t, step: the last good state. blow_up_step: the first step whose field was not finite or too dense.
    max_rho: the largest density of that step, None where it was not finite.
    """

    status: Status
    t: float
    step: int
    blow_up_step: int | None = None
    max_rho: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The status of a run and, unless it is `ok`, its reason in one sentence."""

    status: Status
    reason: str | None


def judge(ending: Ending, history: Sequence[Diagnostics], tail_limit: float) -> Outcome:
    """Turn an ending and what was seen on the way into an outcome; the most severe finding wins."""
    match ending.status:
        case Status.BLOWN_UP:
            density = "not finite" if ending.max_rho is None else f"{ending.max_rho:.4g}"
            step, good = ending.blow_up_step, f"last good t = {ending.t:.6g}"
            reason = f"the largest density was {density} after step {step}; {good}"
        case Status.CANCELLED:
            reason = f"stopped by a signal at t = {ending.t:.6g}"
        case Status.TIMEOUT:
            reason = f"stopped before HSM_DEADLINE at t = {ending.t:.6g}"
        case _:
            return _judge_completed(history, tail_limit)
    return Outcome(status=ending.status, reason=reason)


def _judge_completed(history: Sequence[Diagnostics], tail_limit: float) -> Outcome:
    if history[-1].mean_rho < DEAD_BELOW:
        reason = f"the final mean density, {history[-1].mean_rho:.3g}, is below {DEAD_BELOW:g}"
        return Outcome(status=Status.DEAD, reason=reason)
    worst = max(frame.spectral_tail for frame in history)
    if worst > tail_limit:
        cure = "use more points (N) or a smaller box (L)"
        reason = f"spectral_tail reached {worst:.3g}, above {tail_limit:g}: {cure}"
        return Outcome(status=Status.UNDERRESOLVED_SPACE, reason=reason)
    return Outcome(status=Status.OK, reason=None)
