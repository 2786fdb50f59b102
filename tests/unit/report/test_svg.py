"""Scales, ticks and marks of the charts."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from hsm.report.svg import (
    Plot,
    above,
    beside,
    dot,
    linear_ticks,
    log_ticks,
    scale,
    steps,
    tick_label,
    wants_log,
)

VALUES = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20)


@given(values=VALUES)
@example([1e-4, 1e-2, 1.0])
@example([-1.7e308, 1.7e308])
@example([5e-324, 1e-3])
@example([1e308, 1.7e308])
def test_a_scale_holds_its_data(values: list[float]) -> None:
    """Every finite value lies on the axis, also when all are equal or as far apart as numbers go."""
    axis = scale(values, start=50.0, end=450.0)
    assert all(50.0 <= axis.at(value) <= 450.0 for value in values)


def test_a_scale_leaves_room_at_its_ends() -> None:
    """A mark at the lowest or highest value is not cut by the frame."""
    for values in ([1e-4, 1e-2, 1.0], [1.0, 2.0], [3.0]):
        axis = scale(values, start=0.0, end=100.0)
        assert all(3.0 < axis.at(value) < 97.0 for value in values)


@given(low=st.floats(-1e9, 1e9), width=st.floats(1e-3, 1e9), most=st.integers(2, 12))
def test_ticks_are_few_and_within_the_axis(low: float, width: float, most: int) -> None:
    """There is at least one tick, never many more than asked for, and none lies outside."""
    assume(width > 1e-9 * abs(low))
    ticks = linear_ticks(low, low + width, most)
    assert 1 <= len(ticks) <= most + 1
    room = 1e-6 * width
    assert all(low - room <= tick <= low + width + room for tick in ticks)


def test_ticks_are_round() -> None:
    """Ticks are multiples of 1, 2 or 5, without binary dust."""
    assert linear_ticks(0.0, 1.0, 5) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert linear_ticks(-0.3, 0.31, 4) == [-0.2, 0.0, 0.2]
    assert linear_ticks(0.1, 4.3, 2) == [2.0, 4.0], "no multiple of 5 lies there"
    assert linear_ticks(2.0, 17.0, 2) == [5.0, 10.0, 15.0], "one tick alone gives no scale"
    assert log_ticks(2e-3, 40.0, 5) == [0.01, 0.1, 1.0, 10.0]
    assert log_ticks(1e-12, 1.0, 4) == pytest.approx([1e-12, 1e-8, 1e-4, 1.0])


def test_a_range_that_no_float_can_hold_has_ticks() -> None:
    """From the lowest to the highest number there are ticks on both sides of zero."""
    assert linear_ticks(-1.2e308, 1.2e308, 4) == [-1e308, 0.0, 1e308]


@pytest.mark.parametrize(
    ("names", "letters", "shown"),
    [
        (["0.1429", "0.2653", "0.3878", "0.5102"], 14.0, [(0.0, "0.1429"), (2.0, "0.3878")]),
        (["a", "b", "c"], 30.0, [(0.0, "a"), (1.0, "b"), (2.0, "c")]),
        (["generations", "populations"], 20.0, [(0.0, "generati…"), (1.0, "populati…")]),
    ],
)
def test_names_beside_each_other_can_be_read(
    names: list[str], letters: float, shown: list[tuple[float, str]]
) -> None:
    """Short names, numbers for one, stand whole, if need be only every second; long ones are cut."""
    assert beside(names, letters) == shown


def test_names_above_each_other_do_not_overlap() -> None:
    """Where there are more names than lines, some are left out."""
    assert above(["a", "b", "c", "d", "e"], 2.5) == [(0.0, "a"), (2.0, "c"), (4.0, "e")]


def test_log_axes_are_for_data_that_spread() -> None:
    """Positive data over decades get a log axis; data around zero, or of one size, do not."""
    assert wants_log([1e-4, 1e-2, 1.0])
    assert wants_log([1.0, 1.1, 1.2, 1.3, 40.0])
    assert not wants_log([1.0, 20.0, 39.0, 40.0])
    assert not wants_log([0.0, 1e-4, 1.0])
    assert not wants_log([-1.0, 1e6])


def test_a_log_axis_within_a_decade_still_has_ticks() -> None:
    """Where no two powers of ten fit, round values are taken."""
    assert len(scale([2.0, 8.0], start=0.0, end=100.0, log=True).ticks(5)) >= 2


@pytest.mark.parametrize(
    ("value", "label"),
    [(0.0, "0"), (-0.5, "−0.5"), (1e-8, "10⁻⁸"), (2.5e7, "2.5·10⁷"), (-1e6, "−10⁶"), (1200.0, "1200")],
)
def test_tick_labels_read_well(value: float, label: str) -> None:
    """Labels have real minus signs and powers of ten instead of `1e-08`."""
    assert tick_label(value) == label


def test_a_plot_is_well_formed_and_says_what_it_shows() -> None:
    """The chart is an image with a label, titles on both axes, and finite coordinates."""
    x, y = scale([1.0, 3.0], start=50.0, end=400.0), scale([1e-3, 10.0], start=200.0, end=20.0)
    plot = Plot(width=420, height=240, x=x, y=y, x_title="k (1/m)", y_title="error & more")
    drawing = plot.draw(dot(1, 2, 3), label="error against k")
    root = ET.fromstring(drawing)
    words = [element.text for element in root.iter("text")]
    assert root.attrib["aria-label"] == "error against k"
    assert {"k (1/m)", "error & more (log)"} <= set(words)
    assert "nan" not in drawing


def test_a_staircase_is_level_until_the_next_step() -> None:
    """Best so far changes where a generation begins, not on the way to it."""
    assert steps([(0, 10), (5, 8), (9, 8)]) == "M0 10H5V8H9V8"
    assert math.isclose(float(steps([(1.25, 2)])[1:5]), 1.25)
