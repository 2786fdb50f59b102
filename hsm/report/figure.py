"""Figures as data: what is drawn, on which axes, with units and n. One writer draws all of them.

A figure is frozen and knows nothing of pages: the report, the notebook and a test read the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property


class Kind(StrEnum):
    """How the numbers of a figure are laid out."""

    XY = "xy"  # points (x, y); (x,) alone stands below the plot: it has no y
    BARS = "bars"  # (length, row): bars from zero, one row for each category of the second axis
    LANES = "lanes"  # (from, to, lane, bottom, top): blocks in lanes, bottom and top as shares of the lane
    PARALLEL = "parallel"  # one value for each axis; NaN ends the line there
    HEAT = "heat"  # (column, row, value)


class Mark(StrEnum):
    """The shape of a series: readable without its colour."""

    DOT = "dot"
    DIAMOND = "diamond"
    TRIANGLE = "triangle"
    CROSS = "cross"
    STEPS = "steps"
    AREA = "area"  # (x, y): filled from 0 to y until the next x
    LINE = "line"
    BLOCK = "block"


class Tone(StrEnum):
    """What a series means; each tone has one colour in the light and one in the dark."""

    EXPLORE = "explore"
    EXPLOIT = "exploit"
    WILDCAT = "wildcat"
    OTHER = "other"
    NONE = "none"  # failed, or without a value
    BEST = "best"
    WAITING = "waiting"
    RUNNING = "running"
    FAINT = "faint"
    HEAT = "heat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis. With `categories`, values are their places, counted from 0; `low` and `high` fix the ends."""

    title: str
    unit: str = ""
    log: bool | None = None
    categories: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    ticks: tuple[float, ...] = ()

    @property
    def heading(self) -> str:
        """The title with its unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points that mean the same. `notes`, where given, say in words what each point is."""

    name: str
    mark: Mark
    tone: Tone
    points: tuple[tuple[float, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What a plot shows. `n` counts what `counted` names; `absent` says why there is nothing to draw."""

    kind: Kind
    title: str
    axes: tuple[Axis, ...] = ()
    series: tuple[Series, ...] = ()
    n: int = 0
    counted: str = "tasks"
    note: str = ""
    absent: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw; then `absent` says why."""
        return bool(self.absent) or not any(series.points for series in self.series)

    @cached_property
    def has_notes(self) -> bool:
        """Whether points tell what they are."""
        return any(series.notes for series in self.series)

    def svg(self, width: int = 720) -> str:
        """Return the plot as a picture that stands alone: its style, its legend and its n are in it."""
        from hsm.report.standalone import standalone  # noqa: PLC0415 - the writer knows the figure, not the reverse

        return standalone(self, width)

    def _repr_html_(self) -> str:
        return self.svg()
