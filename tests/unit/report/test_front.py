"""The Pareto front: which sets lead, how they are drawn and listed, and when there is none."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hsm.core.model import Task
from hsm.core.spec import Direction, Objective, SweepSpec
from hsm.report import plots, render
from tests.unit.report.sweeps import hunt_spec, task, view

NUMBERS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=30)


def two_objectives(seeds: int = 1) -> SweepSpec:
    """Return a hunt that wants little cost and much speed."""
    spec = hunt_spec(seeds=seeds)
    assert spec.hunt is not None
    first = Objective(metric="cost", direction=Direction.MINIMIZE)
    second = Objective(metric="speed", direction=Direction.MAXIMIZE)
    return replace(spec, hunt=replace(spec.hunt, objective=first, further=(second,)))


def tasks_of(values: list[tuple[int, int]]) -> list[Task]:
    return [
        task(index, {"b": float(index)}, {"cost": float(cost), "speed": float(speed)})
        for index, (cost, speed) in enumerate(values, 1)
    ]


@given(NUMBERS)
def test_a_set_leads_when_no_other_is_better_in_one_and_nowhere_worse(values: list[tuple[int, int]]) -> None:
    """Cost is minimised and speed maximised; sets that are equal lead together."""
    found = plots.standings(view(Path("/nowhere"), spec=two_objectives(), tasks=tasks_of(values)))
    assert len(found) == len(values)
    for entry in found:
        cost, speed = entry.values
        beaten = any(
            other.values != entry.values and other.values[0] <= cost and other.values[1] >= speed
            for other in found
        )
        assert entry.leads is not beaten


def test_the_front_is_drawn_and_listed(tmp_path: Path) -> None:
    """Leading sets are diamonds, the others dots; a set that lacks an objective is neither."""
    tasks = tasks_of([(1, 1), (2, 3), (3, 2), (4, 4)])
    tasks.append(task(5, {"b": 5.0}, {"cost": 0.0, "speed": None}))
    made = view(tmp_path, spec=two_objectives(), tasks=tasks)
    figure = plots.pareto_front(made)
    assert [series.points for series in figure.series] == [
        ((3.0, 2.0),),
        ((1.0, 1.0), (2.0, 3.0), (4.0, 4.0)),
    ]
    assert (figure.n, figure.counted) == (4, "sets with both objectives")
    page = render(made)
    assert "3 parameter sets are dominated by no other" in page
    listed = page.rpartition('aria-label="Pareto front"')[2].partition("</table>")[0]
    assert [
        name for name in ("task_0001", "task_0002", "task_0003", "task_0004", "task_0005") if name in listed
    ] == [
        "task_0001",
        "task_0002",
        "task_0004",
    ]


def test_every_objective_has_its_best_and_its_convergence(tmp_path: Path) -> None:
    """The first sentence names the best of each objective; each has a plot, with its own sense of better."""
    made = view(tmp_path, spec=two_objectives(), tasks=tasks_of([(5, 1), (2, 3), (3, 7)]))
    page = render(made)
    lead = page.partition('class="lead"')[2].partition("</p>")[0]
    assert re.findall(r"Best (\w+): <b>(\w+)</b>", lead) == [("cost", "2"), ("speed", "7")]
    levels = [
        [point[1] for point in plots.convergence(made, place).series[-1].points[-1:]] for place in (0, 1)
    ]
    assert levels == [[2.0], [7.0]]
    assert 'the <a href="#front">Pareto front</a> weighs all of them' in page


def test_one_objective_has_no_front(tmp_path: Path) -> None:
    """The figure says so, and the report has no such section."""
    made = view(tmp_path)
    assert plots.pareto_front(made).absent == "the sweep has fewer than two objectives"
    assert 'id="front"' not in render(made)
