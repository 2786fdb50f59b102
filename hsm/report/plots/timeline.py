"""When attempts waited and ran, by source: each attempt while they are few, else how many at a time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from hsm.core.states import AttemptState
from hsm.report.figure import Axis, Figure, Kind, Mark, Series, Tone
from hsm.report.spans import Span
from hsm.report.text import duration
from hsm.report.view import ReportView

EACH = 150
ROWS = 24
BINS = 120
SOURCES = 8
_BAD = frozenset({AttemptState.FAILED, AttemptState.LOST, AttemptState.REJECTED})
_UNITS = ((2 * 86_400, 86_400, "d"), (2 * 3_600, 3_600, "h"), (300, 60, "min"), (0, 1, "s"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The axis of time: its zero, its length and its unit in seconds."""

    zero: float
    length_s: float
    unit_s: float
    unit: str

    def at(self, moment: float) -> float:
        """Return a moment on the axis."""
        return (moment - self.zero) / self.unit_s

    @property
    def axis(self) -> Axis:
        """The axis, from zero to the end."""
        return Axis(title="time since the start", unit=self.unit, low=0.0, high=self.length_s / self.unit_s)


def timeline(view: ReportView) -> Figure:
    """Return the lanes of the sources: waiting in grey, running in colour, bad ends as crosses."""
    title = "Timeline by compute source"
    by_source: dict[str, list[Span]] = {}
    for span in view.spans:
        by_source.setdefault(span.source, []).append(span)
    if not by_source:
        return Figure(kind=Kind.LANES, title=title, counted="attempts", absent="no attempt has begun")
    names = sorted(by_source, key=lambda name: (-len(by_source[name]), name))[:SOURCES]
    chosen = {name: by_source[name] for name in sorted(names)}
    clock = _clock(view, chosen)
    count = sum(map(len, chosen.values()))
    packed = {name: _packed(entries) for name, entries in chosen.items()} if count <= EACH else {}
    if packed and all(max(rows) < ROWS for rows in packed.values()):
        figure = _each(clock, chosen, packed)
    else:
        figure = _together(view, clock, chosen)
    left = len(by_source) - len(chosen)
    axes, series, note = figure
    return Figure(
        kind=Kind.LANES,
        title=title,
        axes=axes,
        series=series,
        n=count,
        counted="attempts",
        note=note + (f" {left} sources with fewer attempts are left out." if left else ""),
    )


_Parts = tuple[tuple[Axis, ...], tuple[Series, ...], str]


def _clock(view: ReportView, chosen: Mapping[str, Sequence[Span]]) -> Clock:
    every = [span for entries in chosen.values() for span in entries]
    zero = min(span.intended_at for span in every)
    if view.started_at is not None:
        zero = min(zero, view.started_at)
    end = max(zero + 1e-3, *(span.ended_at for span in every))
    length = end - zero
    unit, name = next((unit, name) for least, unit, name in _UNITS if length >= least)
    return Clock(zero=zero, length_s=length, unit_s=unit, unit=name)


def _packed(entries: Sequence[Span]) -> list[int]:
    """Return a row for each attempt, so that none lies upon another."""
    free: list[float] = []
    rows = []
    for span in entries:
        row = next((place for place, end in enumerate(free) if end <= span.intended_at + 1e-6), len(free))
        if row == len(free):
            free.append(0.0)
        free[row] = span.ended_at
        rows.append(row)
    return rows


def _each(clock: Clock, chosen: Mapping[str, Sequence[Span]], packed: Mapping[str, Sequence[int]]) -> _Parts:
    waiting, running, bad = [], [], []
    for lane, (name, entries) in enumerate(chosen.items()):
        high = max(packed[name]) + 1
        for span, row in zip(entries, packed[name], strict=True):
            low, top = (row + 0.08) / high, (row + 0.92) / high
            words = f"{span.task_id}, attempt {span.number}"
            if span.started_at > span.intended_at:
                wait = clock.at(span.intended_at), clock.at(span.started_at)
                told = f"{words}: waited {duration(span.started_at - span.intended_at)}"
                waiting.append(((*wait, float(lane), low, top), told))
            if span.has_started:
                ran = clock.at(span.started_at), clock.at(span.ended_at)
                told = f"{words}: ran {duration(span.ended_at - span.started_at)}, {span.state}"
                running.append(((*ran, float(lane), low, top), told))
            if span.state in _BAD:
                bad.append(
                    ((clock.at(span.ended_at), float(lane), (low + top) / 2), f"{words}: {span.state}")
                )
    series = (
        _series("waiting", Mark.BLOCK, Tone.WAITING, waiting),
        _series("running", Mark.BLOCK, Tone.RUNNING, running),
        _series("ended badly", Mark.CROSS, Tone.NONE, bad),
    )
    lanes = Axis(title="compute source", categories=tuple(chosen))
    note = "Waiting is from the intent to the start of the program."
    return (clock.axis, lanes), tuple(entry for entry in series if entry.points), note


def _series(name: str, mark: Mark, tone: Tone, found: Sequence[tuple[tuple[float, ...], str]]) -> Series:
    return Series(
        name=name,
        mark=mark,
        tone=tone,
        points=tuple(point for point, _ in found),
        notes=tuple(words for _, words in found),
    )


def _together(view: ReportView, clock: Clock, chosen: Mapping[str, Sequence[Span]]) -> _Parts:
    edges = [clock.zero + clock.length_s * place / BINS for place in range(BINS + 1)]
    waiting: list[tuple[float, ...]] = []
    running: list[tuple[float, ...]] = []
    names: list[str] = []
    for name, entries in chosen.items():
        ran = _mean_number([(s.started_at, s.ended_at) for s in entries if s.has_started], edges)
        waited = _mean_number([(s.intended_at, s.started_at) for s in entries], edges)
        slots = max(float(view.slots.get(name, 0)), *ran)
        running += list(_columns(clock, edges, ran, float(len(names)), slots))
        names.append(f"{name}: running, of {slots:.3g}")
        waiting += list(_columns(clock, edges, waited, float(len(names)), max(waited)))
        names.append(f"{name}: waiting, up to {max(waited):.3g}")
    note = f"Each column is the mean number of attempts over {duration(clock.length_s / BINS)}."
    series = (
        Series(name="running", mark=Mark.BLOCK, tone=Tone.RUNNING, points=tuple(running)),
        Series(name="waiting", mark=Mark.BLOCK, tone=Tone.WAITING, points=tuple(waiting)),
    )
    lanes = Axis(title="compute source", categories=tuple(names))
    return (clock.axis, lanes), tuple(entry for entry in series if entry.points), note


def _columns(
    clock: Clock, edges: Sequence[float], heights: Sequence[float], lane: float, full: float
) -> Iterator[tuple[float, ...]]:
    for place, height in enumerate(heights):
        if height > 1e-9 and full > 0:
            yield clock.at(edges[place]), clock.at(edges[place + 1]), lane, 0.0, min(1.0, height / full)


def _mean_number(intervals: Sequence[tuple[float, float]], edges: Sequence[float]) -> list[float]:
    """Return how many intervals hold at a time, as the exact mean between each two edges.

    Up to a moment t, intervals have held for the sum of (t - begin) over those begun less that of
    (t - end) over those ended: with sorted times and their running sums, two look-ups for each edge.
    """
    begun = _held([begin for begin, _ in intervals], edges)
    ended = _held([end for _, end in intervals], edges)
    held = [one - other for one, other in zip(begun, ended, strict=True)]
    return [
        max(0.0, (held[place + 1] - held[place]) / (edges[place + 1] - edges[place]))
        for place in range(len(edges) - 1)
    ]


def _held(times: list[float], edges: Sequence[float]) -> list[float]:
    zero = edges[0]
    ordered = sorted(at - zero for at in times)
    sums = [0.0, *accumulate(ordered)]
    counts = [bisect_right(ordered, edge - zero) for edge in edges]
    return [count * (edge - zero) - sums[count] for count, edge in zip(counts, edges, strict=True)]
