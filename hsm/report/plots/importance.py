"""How much each parameter alone says about a metric: variance-based, in pure arithmetic, with its n.

The metric is replaced by its ranks, so that scale and outliers do not matter. The tasks are split into
groups by the parameter: its own values where they are few, else bins of equal counts. Eta squared is the
share of the variance of the ranks that lies between the groups; from k groups of n tasks, chance alone makes
(k - 1)/(n - 1) of it, which is taken off (epsilon squared: T. L. Kelley, PNAS 21 (1935) 554). What is left
can be compared between parameters with different numbers of values. Parameters that matter only together
with others are not seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from hsm.report.coordinates import Coordinate
from hsm.report.figure import Axis, Figure, Kind, Mark, Series, Tone
from hsm.report.ranks import groups, ranks
from hsm.report.text import shorten
from hsm.report.view import ReportView

LEAST = 10
"""So many values are needed before anything is said."""

PER_GROUP = 5
MOST_GROUPS = 8
SHOWN = 20
METHOD = (
    "Share of the variance of the metric's ranks that each parameter explains alone (epsilon squared: eta"
    " squared over its values or bins of equal counts, less what chance gives). Effects of several together"
    " are not seen, and a hunt that searched one region more than others shows that region."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """What one parameter explains: `share` of the variance, `chance` alone reaches in one of twenty cases.

    `trend` is the rank correlation, None for categories.
    """

    name: str
    share: float
    chance: float
    groups: int
    n: int
    trend: float | None


def influences(view: ReportView, metric: str) -> list[Influence]:
    """Return the influence of each parameter that can be judged, the greatest first."""
    values = view.target_values if metric == view.target else view.values_of(metric)
    scores = iter(ranks([value for value in values if value is not None]))
    ranked = [None if value is None else next(scores) for value in values]
    found = (influence(one, ranked) for one in view.coordinates)
    return sorted((one for one in found if one), key=lambda one: (-one.share, one.name))


def influence(one: Coordinate, values: Sequence[float | None]) -> Influence | None:
    """Return what a parameter explains of these values, None where there are too few or equal ones."""
    pairs = [(x, y) for x, y in zip(one.values, values, strict=True) if x is not None and y is not None]
    if len(pairs) < LEAST:
        return None
    xs, scores = [x for x, _ in pairs], [y for _, y in pairs]
    places = ranks(xs)
    most = max(2, min(MOST_GROUPS, len(xs) // PER_GROUP))
    members = groups(xs, most, is_named=bool(one.categories), ranked=places)
    n, k = len(pairs), len(set(members))
    mean = fmean(scores)
    total = sum((score - mean) ** 2 for score in scores)
    if total == 0 or k < 2 or n <= k:
        return None
    sums: dict[int, list[float]] = {}
    for group, score in zip(members, scores, strict=True):
        entry = sums.setdefault(group, [0.0, 0.0])
        entry[0] += score - mean
        entry[1] += 1
    between = sum(deviation**2 / size for deviation, size in sums.values())
    share = 1 - (total - between) / total * (n - 1) / (n - k)
    return Influence(
        name=one.name,
        share=max(0.0, min(1.0, share)),
        chance=min(1.0, 1.645 * math.sqrt(2 * (k - 1)) / (n - k)),
        groups=k,
        n=n,
        trend=None if one.categories else correlation(places, scores),
    )


def correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return the correlation of two rankings, None when one of them is all ties."""
    mean, other_mean = fmean(one), fmean(other)
    cross = sum((x - mean) * (y - other_mean) for x, y in zip(one, other, strict=True))
    scale = math.sqrt(sum((x - mean) ** 2 for x in one) * sum((y - other_mean) ** 2 for y in other))
    return None if scale == 0 else max(-1.0, min(1.0, cross / scale))


def importance(view: ReportView, found: Sequence[Influence] | None = None) -> Figure:
    """Return the influence of each parameter on the objective, or on the first metric of a grid.

    `found` are the influences, where they are known already.
    """
    metric = view.target
    title = f"What {shorten(metric, 60)} depends on" if metric else "Parameter importance"
    given = sum(value is not None for value in view.target_values) if view.metric_names else 0
    if given < LEAST:
        has = (
            f"{given} task{' has' if given == 1 else 's have'} a value"
            if view.metric_names
            else "there is no metric"
        )
        return Figure(kind=Kind.BARS, title=title, n=given, absent=f"{has}; {LEAST} are needed")
    found = influences(view, metric) if found is None else found
    if not found:
        reason = "no parameter varies, or all values are equal"
        return Figure(kind=Kind.BARS, title=title, n=given, absent=reason)
    shown = found[:SHOWN]
    clear = [one.share > one.chance for one in shown]
    return Figure(
        kind=Kind.BARS,
        title=title,
        axes=(
            Axis(title="explained alone", unit="share of the variance of ranks", high=1.0),
            Axis(title="parameter", categories=tuple(one.name for one in shown)),
        ),
        series=(
            _bars("more than chance", Tone.EXPLOIT, shown, [not is_clear for is_clear in clear]),
            _bars("not told from chance", Tone.FAINT, shown, clear),
        ),
        n=max(one.n for one in shown),
        note=METHOD + (f" {len(found) - SHOWN} more parameters explain less." if found[SHOWN:] else ""),
    )


def _bars(name: str, tone: Tone, shown: Sequence[Influence], hidden: Sequence[bool]) -> Series:
    kept = [(place, one) for place, one in enumerate(shown) if not hidden[place]]
    return Series(
        name=name,
        mark=Mark.BLOCK,
        tone=tone,
        points=tuple((one.share, float(place)) for place, one in kept),
        notes=tuple(_words(one) for _, one in kept),
    )


def _words(one: Influence) -> str:
    trend = "" if one.trend is None or abs(one.trend) < 0.3 else " ↑" if one.trend > 0 else " ↓"
    return f"{one.share:.2f}{trend}"
