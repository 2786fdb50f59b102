"""metrics.json: the scores of a run, made from its history alone.

A score is a number where it says something about the equation, and null otherwise, with the reason beside it:
a run that ran out of resolution, died or blew up has no score to compare. `reason` says why the run has no
scores, `reasons` why each single one is null. docs/explanation/scores.md says what each can claim.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

from hsm.physics.balance import residual
from hsm.physics.measure import coherence, log_prime, structure
from hsm.physics.measure.artifact import Artifact
from hsm.physics.measure.chance import NotComputable
from hsm.physics.metrics import AREA_UNIT, defect_density
from hsm.physics.parameters import Params, SourceKind
from hsm.physics.status import Status

Numbers = Mapping[str, float | None]
MEANINGFUL = {
    Status.CONSTRAINT_VIOLATED: frozenset({"sdg_h_norm_l2"}),
    Status.UNDERRESOLVED_SPACE: frozenset({"spectral_tail"}),
    Status.DEAD: frozenset({"mean_rho", "mass"}),
}


def metrics(artifact: Artifact) -> dict[str, object]:
    """Return the content of metrics.json."""
    values: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for names, measure in MEASURES.items():
        found, why = _measured(artifact, names, measure)
        values |= found
        reasons |= why
    return {"status": artifact.status.value, "reason": artifact.reason, **values, "reasons": reasons}


def names() -> list[str]:
    """Return the names of all scores."""
    return [name for group in MEASURES for name in group]


def _measured(
    artifact: Artifact, names: Sequence[str], measure: "Measure"
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return the scores of a group, and why each null is null.

    What holds for these parameters comes before how the run ended.
    """
    values: dict[str, float | None] = dict.fromkeys(names)
    reasons = {name: why for name in names if (why := unfit(name, artifact.params))}
    wanted = [name for name in names if name not in reasons]
    reasons |= {name: str(artifact.reason) for name in wanted if not is_meaningful(name, artifact.status)}
    try:
        found = measure(artifact) if len(reasons) < len(names) else {}
    except NotComputable as error:
        return values, dict.fromkeys(names, error.reason) | reasons
    values |= {name: found[name] for name in names if name not in reasons}
    absent = [name for name, value in values.items() if value is None and name not in reasons]
    return values, reasons | dict.fromkeys(absent, f"{artifact.params.model} has none")


def is_meaningful(name: str, status: Status) -> bool:
    """Tell whether a score says something of a run that ended so."""
    return status is Status.OK or name in MEANINGFUL.get(status, frozenset())


def unfit(name: str, params: Params) -> str | None:
    """Return why a score does not exist for these parameters, whatever the run did."""
    if name == "sdg_h_norm_l2" and not params.kappa:
        return "space is flat (kappa = 0): there is no constraint"
    if name.startswith("defect") and params.dim == 1:
        return "there are no plaquettes in one dimension"
    if name in ("free_energy", "lyapunov_rise") and params.kappa:
        return "not defined in curved space"
    if name == "lyapunov_rise" and params.source_kind is not SourceKind.NONE:
        return "free_energy may rise: the source drives the field"
    if name == "lyapunov_rise" and not params.equation.is_gradient_flow:
        return "free_energy may rise: for these parameters the equation is no gradient flow"
    return None


# The measures, by the names of what they return


def series_scores(artifact: Artifact) -> Numbers:
    """Return what the time series say; of the last frame where it is not said otherwise.

    defect_density: per 10⁴ units of area, mean over the frames of the second half. spectral_tail: the largest
    of all frames.
    """
    last, seen = artifact.last, artifact.figures
    return {
        **{name: last[name] for name in ("pcs", "mean_rho", "defect_count", "mass", "max_amplitude")},
        "free_energy": last["free_energy"],
        "sdg_h_norm_l2": last["h_norm"],
        "defect_density": defect_density(seen, artifact.params.grid.plaquette_area),
        "spectral_tail": max(frame.spectral_tail for frame in seen),
    }


def lyapunov_rise(artifact: Artifact) -> Numbers:
    """Return the largest rise of free_energy between two frames, as a share of its largest modulus."""
    energies = [frame["free_energy"] for frame in artifact.frames]
    return {"lyapunov_rise": largest_rise([energy for energy in energies if energy is not None])}


def largest_rise(values: Sequence[float]) -> float:
    """Return the largest rise from one value to the next as a share of the largest modulus; 0: none rises."""
    scale = max(map(abs, values)) or 1.0
    return max([0.0, *(after - before for before, after in pairwise(values))]) / scale


def mass_balance(artifact: Artifact) -> Numbers:
    """Return mass_balance_residual."""
    if (found := residual(artifact.balance)) is None:
        raise NotComputable("the last chunk of the run has too few steps to balance")
    return {"mass_balance_residual": found}


def pcs_local(artifact: Artifact) -> Numbers:
    """Return the coherence over a stated range."""
    return {"pcs_local": coherence.local_coherence(artifact.field, artifact.params.grid)}


def correlation_length(artifact: Artifact) -> Numbers:
    """Return where the field forgets itself."""
    return {"correlation_length": coherence.correlation_length(artifact.field, artifact.params.grid)}


def pcs_null(artifact: Artifact) -> Numbers:
    """Return the p-value of pcs, and the defects that fields with this spectrum have anyway."""
    defects = AREA_UNIT / artifact.params.grid.plaquette_area * float(artifact.defects_null.drawn.mean())
    return {"pcs_p_value": artifact.pcs_null.p, "defect_density_null": defects}


def pcs_local_null(artifact: Artifact) -> Numbers:
    """Return the p-value of pcs_local."""
    return {"pcs_local_p_value": artifact.pcs_local_null.p}


def structure_peak(artifact: Artifact) -> Numbers:
    """Return the place of the peak of the structure factor."""
    return structure.peak(artifact.spectrum)


def structure_height(artifact: Artifact) -> Numbers:
    """Return how high it stands above the background."""
    return structure.height(artifact.spectrum)


def structure_null(artifact: Artifact) -> Numbers:
    """Return the p-value of its height."""
    return {"structure_peak_p_value": artifact.structure_null.p}


def log_prime_peaks(artifact: Artifact) -> Numbers:
    """Return how many peaks there are, enough for a score or not."""
    return {"log_prime_peaks": log_prime.peak_count(artifact.spectrum)}


def log_prime_sse(artifact: Artifact) -> Numbers:
    """Return the misfit, which means nothing without its p-value."""
    return {"log_prime_sse": log_prime.score(artifact.spectrum)}


def log_prime_null(artifact: Artifact) -> Numbers:
    """Return the p-values of the three nulls, and that of the claim: the largest."""
    found = {null: compared.p for null, compared in artifact.log_prime_nulls.items()}
    return {
        "log_prime_p_value": max(found.values()),
        "log_prime_p_spectrum": found["A"],
        "log_prime_p_targets": found["B"],
        "log_prime_p_field": found["C"],
    }


Measure = Callable[[Artifact], Numbers]
MEASURES: Mapping[tuple[str, ...], Measure] = MappingProxyType(
    {
        (
            *("pcs", "mean_rho", "defect_count", "defect_density", "sdg_h_norm_l2", "spectral_tail"),
            *("mass", "max_amplitude", "free_energy"),
        ): series_scores,
        ("lyapunov_rise",): lyapunov_rise,
        ("mass_balance_residual",): mass_balance,
        ("pcs_local",): pcs_local,
        ("correlation_length",): correlation_length,
        ("pcs_p_value", "defect_density_null"): pcs_null,
        ("pcs_local_p_value",): pcs_local_null,
        ("structure_peak_k",): structure_peak,
        ("structure_peak_excess",): structure_height,
        ("structure_peak_p_value",): structure_null,
        ("log_prime_peaks",): log_prime_peaks,
        ("log_prime_sse",): log_prime_sse,
        (
            *("log_prime_p_value", "log_prime_p_spectrum", "log_prime_p_targets", "log_prime_p_field"),
        ): log_prime_null,
    }
)
