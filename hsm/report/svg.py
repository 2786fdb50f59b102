"""A small SVG writer for charts: scales with honest ticks, axes with titles, marks that need no colour."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from hsm.report.html import Markup, tag
from hsm.report.text import number, shorten

MINUS = "−"
WHOLE = 8
CUT = 5
"""Names of up to `WHOLE` letters stand whole beside an axis; of longer ones at least `CUT` letters."""
LINE = 14
"""The height of a line of labels, in px."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A map from values to pixels, linear or logarithmic; `start` may be larger than `end` (y axes)."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return the pixel of a value, to a tenth."""
        ends = (self.low, self.high, value)
        # Halves cannot overflow, however far apart the ends are.
        low, high, x = (math.log10(end) if self.log else end / 2 for end in ends)
        return round(self.start + (self.end - self.start) * ((x - low) / (high - low)), 1)

    def ticks(self, most: int) -> list[float]:
        """Return round values within the scale, about `most` of them and never many more."""
        if self.log:
            decades = log_ticks(self.low, self.high, most)
            if len(decades) > 1:
                return decades
        return linear_ticks(self.low, self.high, most)


def scale(values: Sequence[float], *, start: float, end: float, log: bool | None = None) -> Scale:
    """Return a scale that holds all `values` with a little room; logarithmic where the data want it."""
    logarithmic = wants_log(values) if log is None else log
    low, high = min(values), max(values)
    if logarithmic:
        room = (high / low) ** 0.05 if high > low else 2.0
        ends = max(low / room, sys.float_info.min), min(high * room, sys.float_info.max)
    else:
        room = 0.1 * (high / 2 - low / 2) or 0.1 * abs(high) or 1.0
        ends = max(low - room, -sys.float_info.max), min(high + room, sys.float_info.max)
    return Scale(low=ends[0], high=ends[1], start=start, end=end, log=logarithmic)


def wants_log(values: Sequence[float]) -> bool:
    """Tell whether positive data spread so widely that a linear axis would press most of them together."""
    low, high = min(values), max(values)
    if low < sys.float_info.min or not math.isfinite(high / low):
        return False
    crowded = median(values) < low + 0.1 * (high - low)
    return high / low >= 1_000 or (high / low >= 30 and crowded)


_STEPS = (1, 2, 5, 10)


def linear_ticks(low: float, high: float, most: int) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten within [low, high]."""
    rough = high / max(most, 1) - low / max(most, 1)  # the range itself may be more than a float can hold
    if rough <= 0 or not math.isfinite(rough):
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    enough = next(place for place, factor in enumerate(_STEPS) if factor * power >= rough * 0.999)
    found: list[float] = []
    for factor in reversed(_STEPS[: enough + 1]):  # the widest step may meet the axis once or not at all
        step = factor * power
        if not math.isfinite(step) or len(found) > 1:
            continue
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        found = [tidy(index * step) for index in range(first, last + 1)] or found
    return found or [low]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Return powers of ten within [low, high], every k-th of them where there are many."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    stride = max(1, math.ceil((last - first + 1) / max(most, 1)))
    return [10.0**power for power in range(first, last + 1, stride)]


def tidy(value: float) -> float:
    """Take the binary dust off a tick: 0.30000000000000004 becomes 0.3."""
    return float(f"{value:.12g}") + 0.0


def tick_label(value: float) -> str:
    """Return a tick as text, with a real minus sign and powers of ten written as such."""
    if value and (abs(value) >= 1e5 or abs(value) < 1e-3):
        mantissa, _, power = f"{value:.6e}".partition("e")
        digits = mantissa.rstrip("0").rstrip(".")
        lead = {"1": "", "-1": MINUS}.get(digits, f"{digits}·".replace("-", MINUS))
        return f"{lead}10{superscript(int(power))}"
    whole = f"{value:.10g}"
    return whole.replace("-", MINUS)


def superscript(value: int) -> str:
    """Return an integer in superscript digits."""
    return str(value).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """The frame of a chart: its size and scales in pixels, and the titles of its axes.

    `gutter` pixels between the y scale and the x axis hold the marks that have no y. An axis with names
    has one at 0, 1, 2, ... instead of ticks.
    """

    width: int
    height: int
    x: Scale
    y: Scale
    x_title: str
    y_title: str
    x_ticks: Sequence[float] = ()
    gutter: int = 0
    x_names: Sequence[str] = ()
    y_names: Sequence[str] = ()

    def draw(self, *marks: str, label: str, class_: str = "") -> Markup:
        """Return the chart: axes beneath, marks above; `label` is what a screen reader says."""
        return tag(
            "svg",
            *self._x_axis(),
            *self._y_axis(),
            *marks,
            viewBox=f"0 0 {self.width} {self.height}",
            class_=f"plot {class_}".strip(),
            role="img",
            aria_label=label,
        )

    def _x_axis(self) -> list[Markup]:
        base = max(self.y.start, self.y.end) + self.gutter
        room = abs(self.x.end - self.x.start)
        places = beside(self.x_names, room / 8) if self.x_names else _ticks(self.x, self.x_ticks, room / 80)
        marks = [tag("text", word, x=self.x.at(tick), y=base + 17, class_="t m") for tick, word in places]
        line = tag("path", d=f"M{self.x.start} {base}H{self.x.end}", class_="axis")
        middle = (self.x.start + self.x.end) / 2
        return [line, *marks, tag("text", self.x_title, x=middle, y=self.height - 5, class_="m a")]

    def _y_axis(self) -> list[Markup]:
        rules, labels = [], []
        lines = abs(self.y.end - self.y.start) / LINE
        for tick, word in above(self.y_names, lines) if self.y_names else _ticks(self.y, (), 5):
            at = self.y.at(tick)
            if not self.y_names:
                rules.append(tag("path", d=f"M{self.x.start} {at}H{self.x.end}", class_="rule"))
            labels.append(tag("text", word, x=self.x.start - 7, y=at + 4, class_="t e"))
        title = tag("text", self.y_title + (" (log)" if self.y.log else ""), x=4, y=13, class_="a")
        return [*rules, *labels, title]


def _ticks(scale_: Scale, ticks: Sequence[float], most: float) -> list[tuple[float, str]]:
    return [(tick, tick_label(tick)) for tick in ticks or scale_.ticks(max(2, int(most)))]


def beside(names: Sequence[str], letters: float) -> list[tuple[float, str]]:
    """Return the names that fit side by side into so many letters: short ones whole, long ones cut."""
    longest = max(map(len, names))
    wanted = longest + 1 if longest <= WHOLE else CUT + 1
    stride = max(1, math.ceil(len(names) * wanted / max(letters, 1)))
    each = max(CUT, int(letters * stride / len(names)) - 1)
    return [(float(place), shorten(names[place], each)) for place in range(0, len(names), stride)]


def above(names: Sequence[str], lines: float) -> list[tuple[float, str]]:
    """Return the names that fit above each other into so many lines."""
    stride = max(1, math.ceil(len(names) / max(lines, 1)))
    return [(float(place), names[place]) for place in range(0, len(names), stride)]


def dot(x: float, y: float, r: float) -> str:
    """Return the path of a circle."""
    return f"M{x - r:g} {y:g}a{r:g} {r:g} 0 1 0 {2 * r:g} 0a{r:g} {r:g} 0 1 0 {-2 * r:g} 0Z"


def square(x: float, y: float, r: float) -> str:
    """Return the path of a square standing on its corner."""
    return f"M{x:g} {y - r:g}l{r:g} {r:g}l{-r:g} {r:g}l{-r:g} {-r:g}Z"


def triangle(x: float, y: float, r: float) -> str:
    """Return the path of a triangle."""
    return f"M{x:g} {y - r:g}L{x + r:g} {y + 0.8 * r:g}H{x - r:g}Z"


def cross(x: float, y: float, r: float) -> str:
    """Return the path of a cross."""
    return f"M{x - r:g} {y - r:g}l{2 * r:g} {2 * r:g}m0-{2 * r:g}l-{2 * r:g} {2 * r:g}"


def spot(x: float, y: float, _r: float) -> str:
    """Return the path of a point, which a round, wide stroke makes a dot: a quarter of a circle's bytes."""
    return f"M{x:g} {y:g}h0"


def steps(points: Sequence[tuple[float, float]]) -> str:
    """Return a staircase through points: level until the next x, then up or down to its y."""
    (x, y), *rest = points
    return f"M{x:g} {y:g}" + "".join(f"H{right:g}V{level:g}" for right, level in rest)


def extent(values: Sequence[float]) -> str:
    """Return the range of some values in words."""
    return f"{number(min(values))} to {number(max(values))}"
