"""Figures: what they hold, what they say of themselves, and how they are drawn."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.core.model import Task
from hsm.core.states import AttemptState, SweepStatus, TaskStatus
from hsm.report import Figure, ReportView, plots
from hsm.report.choice import even
from hsm.report.coordinates import coordinate
from hsm.report.draw import PANEL, draw
from hsm.report.figure import Axis, Kind, Mark, Series, Tone
from hsm.report.plots.importance import correlation, influence
from hsm.report.ranks import groups, ranks
from hsm.report.style import figure_style
from tests.unit.report.sweeps import STARTED, attempt, failed, grid_spec, hunt_spec, hunt_tasks, task, view

EVERY = (
    plots.convergence,
    plots.parallel_coordinates,
    plots.importance,
    plots.heat_map,
    plots.timeline,
)


def figures(made: ReportView) -> list[Figure]:
    return [*(plot(made) for plot in EVERY), *plots.slices(made)]


def grid(count: int = 60) -> list[Task]:
    """Return a grid in which `k` decides, `m` helps a little and `idle` does nothing."""
    rng = Random(3)
    tasks = []
    for index in range(1, count + 1):
        k, mode, idle = index % 6, "abc"[index % 3], rng.random()
        tasks.append(task(index, {"k": k, "mode": mode, "idle": idle}, {"error": 10.0 * k + rng.random()}))
    return tasks


def grid_view(folder: Path, tasks: list[Task]) -> ReportView:
    spec = grid_spec({"k": tuple(range(6)), "mode": ("a", "b", "c")})
    return view(folder, spec=spec, tasks=tasks, status=SweepStatus.COMPLETE)


def test_every_figure_stands_alone_as_well_formed_svg(tmp_path: Path) -> None:
    """A notebook gets one picture with style, title and n; nothing in it is no number."""
    for made in (view(tmp_path), grid_view(tmp_path, grid())):
        for figure in figures(made):
            picture = figure._repr_html_()
            root = ET.fromstring(picture)
            words = "".join(element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text"))
            assert figure.is_empty or f"n = {figure.n:,}" in words
            assert "nan" not in picture.partition("</style>")[2].replace("plausible", "")
            assert picture == figure.svg()


@pytest.mark.parametrize("tasks", [[], [failed(1, {"b": 1.0})], [task(1, {"b": 1.0})]])
def test_what_cannot_be_drawn_says_why(tmp_path: Path, tasks: list[Task]) -> None:
    """Empty, all-failed and waiting sweeps have figures that are empty with a reason, or drawn."""
    for spec in (hunt_spec(), grid_spec({"b": (1.0,)})):
        for figure in figures(view(tmp_path, spec=spec, tasks=tasks)):
            assert figure.absent or figure.series
            assert ET.fromstring(figure.svg()) is not None


def test_a_figure_is_drawn_alike_each_time(tmp_path: Path) -> None:
    """The same view gives the same figures and the same bytes."""
    one, other = figures(view(tmp_path)), figures(view(tmp_path))
    assert one == other
    assert [figure.svg() for figure in one] == [figure.svg() for figure in other]


def test_every_tone_has_a_style() -> None:
    """A tone without a colour would be drawn black on a dark page."""
    sheet = figure_style()
    assert not [
        tone
        for tone in Tone
        if tone is not Tone.HEAT
        if f".k-{tone}" not in sheet and f".l-{tone}" not in sheet
    ]
    assert ":root" not in sheet


def test_importance_finds_what_matters(tmp_path: Path) -> None:
    """The deciding parameter comes first and near 1, an idle one is not told from chance; n is given."""
    found = plots.influences(grid_view(tmp_path, grid()), "error")
    assert found[0].name == "k"
    by_name = {one.name: one for one in found}
    assert by_name["k"].share > 0.95
    assert by_name["k"].trend == pytest.approx(1.0, abs=0.05)
    assert by_name["idle"].share < by_name["idle"].chance
    assert by_name["mode"].trend is None
    assert {one.n for one in found} == {60}


def test_importance_sees_what_a_straight_line_does_not(tmp_path: Path) -> None:
    """A metric that is best in the middle of a range depends on it, although the correlation is nil."""
    spec = hunt_spec()
    xs = [index / 50 - 1.0 for index in range(101)]
    one = coordinate(spec, "b", list(xs))
    assert one is not None
    found = influence(one, ranks([1.0 - x * x for x in xs]))
    assert found is not None
    assert found.share > 0.85
    assert found.trend == pytest.approx(0.0, abs=0.05)


def test_importance_says_when_it_is_not_computable(tmp_path: Path) -> None:
    """Nine values are too few, and equal values tell nothing."""
    few = [task(i, {"k": float(i)}, {"error": float(i)}) for i in range(1, 10)]
    assert "9 tasks have a value; 10 are needed" in plots.importance(grid_view(tmp_path, few)).absent
    same = [task(i, {"k": float(i)}, {"error": 1.0}) for i in range(1, 30)]
    assert "all values are equal" in plots.importance(grid_view(tmp_path, same)).absent


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), most=st.integers(2, 8))
def test_ranks_and_groups_keep_order(values: list[float], most: int) -> None:
    """A larger value never has a lower rank or group; equal values share both; ranks add up."""
    found, members = ranks(values), groups(values, most, is_named=False)
    assert sum(found) == pytest.approx(len(values) * (len(values) + 1) / 2)
    ordered = sorted(zip(values, found, members, strict=True))
    for (x, rank, group), (y, other, further) in pairwise(ordered):
        assert (rank, group) == (other, further) if x == y else (rank < other and group <= further)
    assert max(members) < max(most, min(len(set(values)), most))
    assert correlation(found, found) in (None, pytest.approx(1.0))


def test_parallel_coordinates_are_thinned_without_chance(tmp_path: Path) -> None:
    """Of 1,200 tasks the best and an even choice of the others are drawn, and the note counts them."""
    figure = plots.parallel_coordinates(view(tmp_path, tasks=hunt_tasks(1_200, 400)))
    drawn = {series.name: len(series.points) for series in figure.series}
    assert drawn["the best 30"] == 30
    assert sum(drawn.values()) <= 330
    assert f"{sum(drawn.values())} of " in figure.note
    assert all(math.isnan(point[-1]) for point in figure.series[1].points), "failed tasks have no metric"
    assert draw(figure, PANEL).count("<path") < 500


def test_a_choice_of_many_shows_no_stripes() -> None:
    """A choice of a grid of 250 x 200 meets nearly all of its rows and columns, about equally often."""
    chosen = even([(k, n) for k in range(250) for n in range(200)], 2_000)
    assert len(chosen) == 2_000
    assert chosen == sorted(chosen)
    for axis, kinds in enumerate((250, 200)):
        times = Counter(entry[axis] for entry in chosen)
        assert len(times) > 0.98 * kinds
        assert max(times.values()) < 4 * 2_000 / kinds


def test_parallel_coordinates_of_a_grid_tell_low_from_high(tmp_path: Path) -> None:
    """Without an objective nothing is best: both ends of the metric are told apart, by name and stroke."""
    figure = plots.parallel_coordinates(grid_view(tmp_path, grid()))
    series = {one.name: one for one in figure.series}
    low, high = series["the lowest tenth"], series["the highest tenth"]
    assert low.tone is not high.tone
    assert max(p[-1] for p in low.points) < min(p[-1] for p in series["others"].points)
    assert min(p[-1] for p in high.points) > max(p[-1] for p in series["others"].points)


def test_a_timeline_shows_each_attempt_while_they_are_few(tmp_path: Path) -> None:
    """Waiting and running are blocks with tooltips, a bad end is a cross, and none lies upon another."""
    waited = replace(attempt(1), intended_at=STARTED - 3.0)
    lost = replace(attempt(2, state=AttemptState.LOST), intended_at=STARTED)
    tasks = [
        task(1, {"b": 1.0}, {"pcs": 1.0}, attempts=(waited,)),
        task(2, {"b": 2.0}, {"pcs": 1.0}, attempts=(lost, replace(attempt(9), number=2))),
    ]
    figure = plots.timeline(view(tmp_path, tasks=tasks))
    series = {one.name: one for one in figure.series}
    assert figure.n == 3
    assert "task_0001, attempt 1: waited 8.0 s" in series["waiting"].notes
    assert series["ended badly"].notes == ("task_0002, attempt 1: lost",)
    assert len(series["running"].points) == 3


def test_a_timeline_of_many_attempts_counts_them(tmp_path: Path) -> None:
    """Two slots that are always busy are a full lane: the mean number is exact, whatever the bins."""
    attempts = [replace(attempt(i), started_at=STARTED + i // 2, intended_at=STARTED) for i in range(400)]
    tasks = [
        task(i + 1, {"b": 1.0}, {"pcs": 1.0}, attempts=(replace(one, exit=replace(one.exit, wall_s=1.0)),))
        for i, one in enumerate(attempts)
        if one.exit
    ]
    figure = plots.timeline(view(tmp_path, tasks=tasks, slots={"local": 2}, started_at=STARTED))
    running, waiting = figure.series
    assert [axis.categories for axis in figure.axes][1][0] == "local: running, of 2"
    assert {round(point[4], 6) for point in running.points} == {1.0}
    assert len(waiting.points) <= 120


def test_a_heat_map_is_of_means(tmp_path: Path) -> None:
    """Each cell says its values, its n and its mean."""
    tasks = [
        task(i, {"k": k, "mode": mode}, {"error": float(k) + s})
        for i, (k, mode, s) in enumerate([(k, m, s) for k in (1, 2) for m in "ab" for s in (0.0, 1.0)], 1)
    ]
    figure = plots.heat_map(grid_view(tmp_path, tasks))
    notes = figure.series[0].notes
    assert len(notes) == 4
    assert any("(n = 2): 1.5" in words for words in notes)


def test_a_heat_map_of_many_values_gathers_neighbours(tmp_path: Path) -> None:
    """Of 40 x 40 values there are at most 25 places on an axis; the mean over all is kept."""
    pairs = [(k, n) for k in range(40) for n in range(40)]
    tasks = [task(i, {"k": k, "n": n}, {"error": float(k)}) for i, (k, n) in enumerate(pairs, 1)]
    figure = plots.heat_map(grid_view(tmp_path, tasks))
    assert [len(axis.categories) for axis in figure.axes] == [20, 20]
    assert fmean(point[2] for point in figure.series[0].points) == pytest.approx(19.5)
    assert figure.n == 1600
    assert "Neighbouring values share a place" in figure.note
    assert "Dark is low (0.5), bright is high (38.5)" in figure.note


def test_hostile_words_in_a_figure_are_text() -> None:
    """Titles, units, categories and notes are escaped in a picture that stands alone."""
    evil = "</style><script>alert(1)</script>\x1b"
    figure = Figure(
        kind=Kind.BARS,
        title=evil,
        axes=(Axis(title=evil, unit=evil, high=1.0), Axis(title=evil, categories=(evil,))),
        series=(Series(name=evil, mark=Mark.BLOCK, tone=Tone.OTHER, points=((0.5, 0.0),), notes=(evil,)),),
        note=evil,
    )
    picture = figure.svg()
    assert "<script" not in picture
    assert "\x1b" not in picture
    assert ET.fromstring(picture) is not None


def test_slices_show_tasks_without_a_value_as_crosses(tmp_path: Path) -> None:
    """A final task without the metric is a cross below the plot, at its parameter."""
    figure = plots.slices(view(tmp_path))[0]
    missing = [task for task in hunt_tasks() if task.status is TaskStatus.FAILED]
    crosses = figure.series[1]
    assert crosses.mark is Mark.CROSS
    assert len(crosses.points) == len(missing) + 1, "one more could not be scored"
    assert all(len(point) == 1 for point in crosses.points)
