"""results/claims.json: what each score of a run can claim, in words, and its nulls as histograms.

The form is that of docs/reference/program-contract.md, so the report shows it beside the scores without
knowing any physics. Nothing is drawn for it: the draws are those of the p-values.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from hsm.physics.measure.artifact import Artifact
from hsm.physics.measure.chance import Compared, NotComputable

NAME = "claims.json"
SCHEMA = 1
BINS, FEWEST_BINS = 40, 8  # twice the root of the number of draws, within these
WIDE = 30  # draws that are all positive and span this factor are counted in equal steps of their logarithm
DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """What is said of one score: its unit, what it can claim, what it cannot, and the name of its p-value."""

    unit: str
    can: str
    cannot: str
    p_value: str = ""


FIELD = "field null: the same spectrum, the phases of all modes drawn anew"
SPECTRUM = "spectrum null: a Gaussian field with this smooth background and no rings"
TARGETS = "target null: the first and the last target, and three drawn between them"

SAYINGS: Mapping[str, Saying] = MappingProxyType(
    {
        "pcs": Saying(
            unit="1",
            can="with a small p: the phase is in order over all of the box, beyond what its spectrum makes.",
            cannot="a high score with a large p is no discovery: a plane wave has the highest of all and "
            "p = 1, since its spectrum says everything about it.",
            p_value="pcs_p_value",
        ),
        "pcs_local": Saying(
            unit="1",
            can="with a small p: the phase is in order over a range of 2, beyond what the spectrum makes.",
            cannot="it says nothing about order over the whole box.",
            p_value="pcs_local_p_value",
        ),
        "log_prime_sse": Saying(
            unit="1",
            can="nothing alone. With p and q below 0.01 and fresh seeds that confirm it: the lowest five "
            "rings of the density lie at the logarithms of primes better than chance puts them.",
            cannot="a small misfit is not rare: the smallest of 200 fields of chance is below 0.005. A run "
            "without five peaks has no score, which is the usual case.",
            p_value="log_prime_p_value",
        ),
        "structure_peak_excess": Saying(
            unit="nats",
            can="with a small p: the density has a preferred length, 2π/structure_peak_k.",
            cannot="it does not say what makes that length. Where fewer than four of its waves fit into the "
            "box there is no p.",
            p_value="structure_peak_p_value",
        ),
        "defect_count": Saying(
            unit="1",
            can="how many vortices the last field has, beside what fields of chance with this spectrum have.",
            cannot="neither more nor fewer is better, so there is no p-value; defects alone do not tell "
            "turbulence from a frozen pattern.",
        ),
        "defect_density": Saying(
            unit="per 10⁴ area",
            can="how many vortices there are on average over the second half of the run.",
            cannot="it does not say whether they move, nor what a longer run would have.",
        ),
        "sdg_h_norm_l2": Saying(
            unit="1",
            can="that the metric satisfies its constraint, where it is far below 1e-3.",
            cannot="it is a check of the solver and no aim: a smaller one is not a better solution.",
        ),
        "spectral_tail": Saying(
            unit="1",
            can="that the grid is fine enough, where it is below 1e-5 (1e-6 in double precision).",
            cannot="it says nothing about the size of the box or the length of the run.",
        ),
        "mass_balance_residual": Saying(
            unit="1/time",
            can="that the last steps gained and lost mass as the equation says.",
            cannot="it looks at the last steps only.",
        ),
        "lyapunov_rise": Saying(
            unit="1",
            can="that the free energy fell, where it has to: 0 up to rounding.",
            cannot="it exists only where the equation is a gradient flow.",
        ),
        "correlation_length": Saying(
            unit="length",
            can="over what distance the field remembers its phase.",
            cannot="it is the same for every field with this spectrum.",
        ),
    }
)


def claims(artifact: Artifact, measured: Mapping[str, object]) -> dict[str, object]:
    """Return the content of claims.json; `measured` is that of metrics.json."""
    drawn = {name: list(_nulls(artifact, name, measured)) for name in SAYINGS}
    told = measured.get("reasons")
    reasons = told if isinstance(told, Mapping) else {}
    scores = {
        name: {
            "value": _number(measured.get(name)),
            "unit": saying.unit,
            "can": saying.can,
            "cannot": saying.cannot,
            "p_value": saying.p_value or None,
            "reason": reasons.get(name),
            "nulls": drawn[name],
        }
        for name, saying in SAYINGS.items()
    }
    return {"schema": SCHEMA, "scores": scores}


def claims_text(artifact: Artifact, measured: Mapping[str, object]) -> str:
    """Return the file: one line, since nobody reads histograms by eye."""
    return (
        json.dumps(claims(artifact, measured), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        + "\n"
    )


def _nulls(artifact: Artifact, name: str, measured: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """Yield the nulls of a score that this run has."""
    if name not in NULLS or _number(measured.get(name)) is None:
        return
    try:
        found = NULLS[name](artifact)
    except NotComputable:
        return
    has_p = bool(SAYINGS[name].p_value)
    for about, compared in found.items():
        yield _null(about, compared, has_p=has_p)


def _null(about: str, compared: Compared, *, has_p: bool) -> dict[str, object]:
    return {
        "about": about,
        "score": _short(compared.score),
        "low_is_good": compared.low_is_good if has_p else None,
        "p": compared.p if has_p else None,
        "draws": compared.drawn.size,
        "without_score": compared.drawn.size - compared.valid,
        "reached": compared.reached if has_p else None,
        **histogram(compared.drawn),
    }


def histogram(drawn: NDArray[np.floating]) -> dict[str, object]:
    """Return the draws that have a score in bins of equal width, or of equal width in the logarithm.

    Of counts, which are whole numbers, each bin holds as many of those that there can be.
    """
    valid = drawn[np.isfinite(drawn)].astype(float)
    low, high = float(valid.min()), float(valid.max())
    is_log = False
    bins = min(BINS, max(FEWEST_BINS, 2 * math.isqrt(valid.size)))
    if not high > low:
        low, high = low - 0.5, high + 0.5
    elif np.array_equal(valid, np.rint(valid)):
        low, high, bins = _whole(valid, bins)
    else:
        is_log = low > 0 and high / low >= WIDE
    edges = np.geomspace(low, high, bins + 1) if is_log else np.linspace(low, high, bins + 1)
    edges[0], edges[-1] = low, high
    counts, _ = np.histogram(valid, edges)
    return {
        "low": _short(low),
        "high": _short(high),
        "log": is_log,
        "counts": [int(count) for count in counts],
    }


def _whole(valid: NDArray[np.floating], most: int) -> tuple[float, float, int]:
    """Return the ends and the number of at most so many bins of whole numbers: half a step beyond each end.

    Defects come in pairs, so that every other bin would be empty if a step were always 1.
    """
    low = float(valid.min())
    step = int(np.gcd.reduce((valid - low).astype(np.int64)))
    places = round(float(valid.max() - low) / step) + 1
    each = -(-places // most)
    bins = -(-places // each)
    begin = low - step / 2
    return begin, begin + bins * each * step, bins


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


NULLS: Mapping[str, Callable[[Artifact], Mapping[str, Compared]]] = MappingProxyType(
    {
        "pcs": lambda artifact: {FIELD: artifact.pcs_null},
        "pcs_local": lambda artifact: {FIELD: artifact.pcs_local_null},
        "log_prime_sse": lambda artifact: dict(
            zip((SPECTRUM, TARGETS, FIELD), artifact.log_prime_nulls.values(), strict=True)
        ),
        "structure_peak_excess": lambda artifact: {SPECTRUM: artifact.structure_null},
        "defect_count": lambda artifact: {FIELD: artifact.defects_null},
    }
)
