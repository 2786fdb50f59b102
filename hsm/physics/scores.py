"""metrics.json: the scores of a run.

A score is a number where it says something about the equation, and null otherwise, with the status and its
reason beside it: a run that ran out of resolution, died or blew up has no score to compare.
"""

from collections.abc import Sequence

from hsm.physics.metrics import Diagnostics, defect_density
from hsm.physics.outcome import Ending
from hsm.physics.status import Status

MEANINGFUL = {
    Status.OK: frozenset(
        {"pcs", "mean_rho", "spectral_tail", "defect_count", "defect_density", "sdg_h_norm_l2"}
    ),
    Status.CONSTRAINT_VIOLATED: frozenset({"sdg_h_norm_l2"}),
    Status.UNDERRESOLVED_SPACE: frozenset({"spectral_tail"}),
    Status.DEAD: frozenset({"mean_rho"}),
}


def scores(ending: Ending, seen: Sequence[Diagnostics], area: float) -> dict[str, object]:
    """Return the content of metrics.json.

    pcs, mean_rho, defect_count, sdg_h_norm_l2 (null in flat space): of the final field. defect_density: per
    10⁴ units of area (`area`: of all plaquettes), mean over the frames of the second half. spectral_tail: the
    largest of all frames.
    """
    last = seen[-1]
    measured = {
        "pcs": last.pcs,
        "mean_rho": last.mean_rho,
        "defect_count": last.defect_count,
        "defect_density": defect_density(seen, area),
        "sdg_h_norm_l2": last.h_norm,
        "spectral_tail": max(frame.spectral_tail for frame in seen),
    }
    kept = MEANINGFUL.get(ending.status, frozenset())
    shown = {name: value if name in kept else None for name, value in measured.items()}
    return {"status": ending.status.value, "reason": ending.reason, **shown}
