"""What many p-values together can claim. Pure.

A program that writes a number called `NAME_p_value` says with what chance a null reaches its score. Over a
sweep the best of many such numbers is small without meaning anything: `NAME_q_value` says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

P_VALUE, Q_VALUE = "_p_value", "_q_value"


def is_p_value(metric: str) -> bool:
    """Tell whether a metric is a p-value, by its name."""
    return metric.endswith(P_VALUE) and metric != P_VALUE


def q_value_of(metric: str) -> str:
    """Return the name of the q-values of a p-value."""
    return metric.removesuffix(P_VALUE) + Q_VALUE


def q_values(p: Sequence[float | None]) -> list[float | None]:
    """Return the q-value of each p-value: the false discovery rate at which it is first discovered.

    By Y. Benjamini and Y. Hochberg, J. R. Stat. Soc. B 57, 289 (1995): min over j ≥ i of m p_(j)/j. None and
    what is no probability stay None, and do not count as tests.
    """
    tested = sorted((value, at) for at, value in enumerate(p) if value is not None and 0 <= value <= 1)
    found: list[float | None] = [None] * len(p)
    least = 1.0
    for rank in range(len(tested), 0, -1):
        value, at = tested[rank - 1]
        least = min(least, value * len(tested) / rank)
        found[at] = least
    return found


def fisher(p: Iterable[float]) -> float:
    """Return the p-value of several independent ones: R. A. Fisher's, −2 Σ ln p as χ² with 2n degrees.

    For an even number of degrees its tail is e^{−x} Σ_{i<n} x^i/i!, x = −Σ ln p.
    """
    logs = [-math.log(value) if value > 0 else math.inf for value in p]
    x, term, total = sum(logs), 1.0, 0.0
    if math.isinf(x):
        return 0.0
    for i in range(len(logs)):
        total += term
        term *= x / (i + 1)
    return min(1.0, math.exp(-x) * total) if logs else 1.0


def chance_of_best(p: float, tests: int) -> float:
    """Return with what chance the smallest of so many p-values of chance is at most p: 1 − (1 − p)^n."""
    return 1.0 if p >= 1 else -math.expm1(tests * math.log1p(-p))


def why_no_candidate(level: float, *, is_for_want_of_draws: bool = False) -> str:
    """Return why no run is a candidate, to stand behind `no candidate: `; it claims no more than that.

    Few draws of a null cannot make a p-value small, however good the score: only who knows them can say so.
    """
    if is_for_want_of_draws:
        return "for want of draws none reached the best score, and p cannot be smaller"
    return f"no q is at most {level:g}"
