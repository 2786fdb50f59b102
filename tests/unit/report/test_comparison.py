"""Several sweeps on one page: what became of each, what they share, how they differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hsm.core.spec import Objective
from hsm.report import ReportView, plots, render_comparison
from hsm.report.comparison import file_name
from tests.unit.report.sweeps import grid_spec, hunt_spec, hunt_tasks, task, view
from tests.unit.report.test_completion import HOSTILE, Page, hostile_view


def pair(folder: Path) -> list[ReportView]:
    one = view(folder, spec=hunt_spec(document={"hunt": {"seed": 7}, "retry": {"lost": 2}}))
    other = view(
        folder,
        spec=hunt_spec(document={"hunt": {"seed": 8}, "retry": {"lost": 2}}),
        tasks=hunt_tasks(24),
        sweep_id="ncgl-hunt-20300318-000000-zzzz",
    )
    return [one, other]


def test_two_hunts_stand_side_by_side(tmp_path: Path) -> None:
    """Each has its row, its best, and a link to its report; only the keys that differ are listed."""
    made = pair(tmp_path)
    page = Page(render_comparison(made))
    assert "2 sweeps side by side" in page.text
    assert "1 key differs" in page.text
    assert "hunt.seed78" in page.text.replace(" ", "")
    assert "retry.lost" not in page.text
    places = {str(a["href"]) for name, a in page.elements if name == "a"}
    assert "../../ncgl-hunt-20300318-000000-zzzz/reports/completion_report.html" in places
    for each in made:
        assert f"{each.best()[0].score:.5g}" in page.text


def test_convergence_is_overlaid_where_the_objective_is_the_same(tmp_path: Path) -> None:
    """One staircase for each hunt of one objective; another objective is counted, not drawn."""
    one, other = pair(tmp_path)
    assert one.spec.hunt is not None
    assert [len(figure.series) for figure in [plots.overlay([one, other])]] == [2]
    unlike = replace(
        other, spec=replace(other.spec, hunt=replace(one.spec.hunt, objective=Objective(metric="mean_rho")))
    )
    figure = plots.overlay([one, unlike])
    assert len(figure.series) == 1
    assert "Not drawn: 1" in figure.note
    levels = [point[1] for point in figure.series[0].points]
    assert levels == sorted(levels)


def test_grids_are_compared_by_metrics_and_parameters(tmp_path: Path) -> None:
    """Sweeps without an objective have no best, and nothing that converges."""
    tasks = [task(i, {"k": float(i)}, {"error": 1.0 / i}) for i in range(1, 5)]
    made = [
        view(tmp_path, spec=grid_spec({"k": (1.0, 2.0)}), tasks=tasks, sweep_id=name) for name in ("a", "b")
    ]
    page = Page(render_comparison(made))
    assert "Metrics that they share" in page.text
    assert "1 to 4" in page.text
    assert "Convergence" not in page.text


def test_the_page_is_stable_and_named_after_its_choice(tmp_path: Path) -> None:
    """The same sweeps give the same bytes under the same name; others another name."""
    assert render_comparison(pair(tmp_path)) == render_comparison(pair(tmp_path))
    assert file_name(pair(tmp_path)) != file_name(pair(tmp_path)[:1])


def test_hostile_sweeps_can_be_compared(tmp_path: Path) -> None:
    """Ids, names and values full of markup stay text, and no link leads out."""
    plain = Page(render_comparison([hostile_view(tmp_path / "p", "x" * 30)] * 2))
    for place, evil in enumerate(HOSTILE):
        page = Page(render_comparison([hostile_view(tmp_path / str(place), evil)] * 2))
        assert page.names <= plain.names
        assert all(str(a["href"]).startswith(("#", "../../")) for name, a in page.elements if name == "a")


def test_a_sweep_without_tasks_can_be_compared(tmp_path: Path) -> None:
    """One that has just begun stands beside one that is finished."""
    empty = view(tmp_path, tasks=[], started_at=None, ended_at=None, metadata={})
    assert "No task" not in Page(render_comparison([empty, view(tmp_path)])).text
