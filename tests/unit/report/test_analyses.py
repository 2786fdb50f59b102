"""What the report says of analyses, and that nothing which they wrote becomes part of the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hsm.core.model import Task
from hsm.core.states import TaskStatus
from hsm.report import render
from hsm.report.analysed import AnalysisShown
from tests.unit.report.sweeps import png, task, view

HOSTILE = "<script>alert(1)</script>"


def sealed(index: int, **metrics: float | None) -> Task:
    return task(index, {"b": 1.0}, metrics={"pcs": 0.5, **metrics})


def shown(*tasks: Task, **more: Task) -> AnalysisShown:
    return AnalysisShown(name="look", made=more or {each.task_id: each for each in tasks})


def reported(tmp_path: Path, *analyses: AnalysisShown) -> str:
    """Return the report of a sweep of three tasks."""
    made = view(tmp_path, tasks=tuple(sealed(n) for n in (1, 2, 3)))
    return render(replace(made, analyses=analyses).gather())


def test_without_analyses_there_is_no_section(tmp_path: Path) -> None:
    """Most sweeps have none."""
    assert 'id="analyses"' not in reported(tmp_path)


def test_counts_numbers_and_the_first_failure_are_shown(tmp_path: Path) -> None:
    """Numbers of failed analyses are none, whatever they wrote."""
    good = sealed(1, size=2.5, lack=None)
    bad = replace(sealed(2, size=9.75), status=TaskStatus.FAILED, reason="exit code 3")
    page = reported(tmp_path, shown(good, bad))
    assert "look.size" in page
    assert "2.5" in page
    assert "9.75" not in page
    assert "task_0002: exit code 3" in page


def test_pictures_of_an_analysis_are_in_the_page(tmp_path: Path) -> None:
    """They are found where the analysis has them, and shown with the task whose result they are of."""
    folder = tmp_path / ".hsm" / "analyses" / "look" / "tasks" / "task_0007" / "results"
    folder.mkdir(parents=True)
    (folder / "diagram.png").write_bytes(png())
    page = reported(tmp_path, shown(task_0002=sealed(7)))
    assert page.count("diagram.png") == 1


def test_what_an_analysis_says_is_text(tmp_path: Path) -> None:
    """Names of numbers and reasons are never markup."""
    good = sealed(1, **{HOSTILE: 1.0})
    bad = replace(sealed(2), status=TaskStatus.FAILED, reason=HOSTILE)
    assert HOSTILE not in reported(tmp_path, shown(good, bad))
