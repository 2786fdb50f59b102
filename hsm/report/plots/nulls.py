"""Scores beside chance: the draws of a null and where the score lies, and all p-values of a sweep."""

from __future__ import annotations

from collections.abc import Sequence

from hsm.report.choice import even
from hsm.report.claims import Null
from hsm.report.figure import Axis, Figure, Kind, Mark, Series, Tone
from hsm.report.text import count, number, shorten

POINTS = 2_000
ROOM = 1.08


def null_histogram(name: str, null: Null) -> Figure:
    """Return the draws of a null as a histogram, and where the score lies."""
    edges = _edges(null)
    top = ROOM * max(*null.counts, 1)
    bins = tuple((edge, float(amount)) for edge, amount in zip(edges, (*null.counts, 0), strict=True))
    low, high = _ends(null)
    place = max(null.score, low)  # a score of 0 has no place on a logarithmic axis but its end
    return Figure(
        kind=Kind.XY,
        title=f"{shorten(name, 60)} beside its null",
        axes=(
            Axis(title=shorten(name, 60), log=null.is_log, low=low, high=high),
            Axis(title="draws", log=False, low=0.0, high=top),
        ),
        series=(
            Series(name="draws of the null", mark=Mark.AREA, tone=Tone.OTHER, points=bins),
            Series(
                name=f"this run: {number(null.score, digits=4)}",
                mark=Mark.LINE,
                tone=Tone.BEST,
                points=((place, 0.0), (place, top)),
            ),
        ),
        n=null.draws,
        counted="draws",
        note=_said(null),
    )


def ordered_p_values(name: str, p: Sequence[float], level: float) -> Figure:
    """Return the p-values of a sweep, the smallest first, beside chance and what a candidate must have.

    `p`: of each result that has one. Chance gives about (i − 1/2)/n as the i-th smallest; by Benjamini and
    Hochberg the results up to the last one below `level` i/n are candidates.
    """
    n = len(p)
    ranked = [((place + 0.5) / n, value) for place, value in enumerate(sorted(p))]
    ends = (0.5 / n, 1.0)
    return Figure(
        kind=Kind.XY,
        title=f"{shorten(name, 60)}: all runs beside chance",
        axes=(
            Axis(title="rank, as a share of all runs", log=n > 1, low=ends[0] / 1.3, high=1.3),
            Axis(title=shorten(name, 60), log=True, low=min(*p, level * ends[0]) / 1.5, high=1.5),
        ),
        series=(
            Series(name="runs", mark=Mark.DOT, tone=Tone.RUNNING, points=tuple(even(ranked, POINTS))),
            Series(
                name="chance", mark=Mark.LINE, tone=Tone.BEST, points=tuple((share, share) for share in ends)
            ),
            Series(
                name=f"candidate: q ≤ {number(level)}",
                mark=Mark.LINE,
                tone=Tone.NONE,
                points=tuple((share, level * share) for share in ends),
            ),
        ),
        n=n,
        counted="runs",
    )


def _edges(null: Null) -> list[float]:
    bins = len(null.counts)
    if null.is_log:
        return [null.low * (null.high / null.low) ** (place / bins) for place in range(bins + 1)]
    return [null.low + (null.high - null.low) * place / bins for place in range(bins + 1)]


def _ends(null: Null) -> tuple[float, float]:
    """Return the ends of the axis: draws and score fit in, with room; a logarithm starts above 0."""
    low, high = min(null.low, null.score), max(null.high, null.score)
    if null.is_log:
        low = null.low if low <= 0 else low
        room = (high / low) ** 0.04
        return low / room, high * room
    room = 0.04 * (high - low)
    return low - room, high + room


def _said(null: Null) -> str:
    lacking = f" {count(null.without_score, 'draw')} had no score." if null.without_score else ""
    if null.p is None or null.reached is None:
        return f"{null.about}. Nothing is tested: neither side is better.{lacking}"
    side = "as low" if null.low_is_good else "as high"
    reached = (
        f"{count(null.reached, 'draw')} of {null.draws - null.without_score:,} as good ({side} or more so)"
    )
    return f"{null.about}. {reached}: p = {number(null.p, digits=3)}.{lacking}"
