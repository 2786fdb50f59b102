"""metrics.json: the scores of a run.

A score is a number where it says something about the equation, and null otherwise, with the reason beside it:
a run that ran out of resolution, died or blew up has no score to compare. `reason` says why the run has no
scores, `reasons` why each single one is null.
"""

from collections.abc import Sequence

from hsm.physics.metrics import Diagnostics, defect_density
from hsm.physics.outcome import Ending
from hsm.physics.parameters import Params
from hsm.physics.record import Record
from hsm.physics.status import Status

MEANINGFUL = {
    Status.CONSTRAINT_VIOLATED: frozenset({"sdg_h_norm_l2"}),
    Status.UNDERRESOLVED_SPACE: frozenset({"spectral_tail"}),
    Status.DEAD: frozenset({"mean_rho", "mass"}),
}


def scores(ending: Ending, seen: Sequence[Diagnostics], area: float) -> dict[str, object]:
    """Return what is measured on the fields.

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
    return _kept(ending, measured)


def metrics(params: Params, ending: Ending, seen: Sequence[Diagnostics], last: Record) -> dict[str, object]:
    """Return the content of metrics.json; mass, max_amplitude and free_energy are of the final field."""
    own = {"mass": last.mass, "max_amplitude": last.max_amplitude, "free_energy": last.free_energy}
    found = scores(ending, seen, params.grid.plaquette_area) | _kept(ending, own)
    if params.dim == 1:
        found |= {"defect_count": None, "defect_density": None}
    missing = [name for name, value in found.items() if value is None and name not in ("status", "reason")]
    return found | {"reasons": {name: _why(name, params, ending) for name in missing}}


def _kept(ending: Ending, measured: dict[str, float | None]) -> dict[str, object]:
    kept = measured if ending.status is Status.OK else MEANINGFUL.get(ending.status, frozenset())
    shown = {name: value if name in kept else None for name, value in measured.items()}
    return {"status": ending.status.value, "reason": ending.reason, **shown}


def _why(name: str, params: Params, ending: Ending) -> str:
    """Return why a score is null: what holds for these parameters comes before how the run ended."""
    if name == "sdg_h_norm_l2" and not params.kappa:
        return "space is flat (kappa = 0): there is no constraint"
    if name.startswith("defect") and params.dim == 1:
        return "there are no plaquettes in one dimension"
    if name == "free_energy" and params.kappa:
        return "not defined in curved space"
    if ending.reason is not None:
        return ending.reason
    return f"{params.model} has none"
