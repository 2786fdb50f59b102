"""The report's section on p-values: what a hunt can claim after so many tries."""

from pathlib import Path

from hsm.core.model import Task
from hsm.core.states import TaskStatus
from hsm.report.completion import render
from hsm.report.significance import ranked_p_values, sentence
from hsm.report.view import ReportView
from tests.unit.report.sweeps import hunt_tasks, task, view


def hunt(folder: Path, p: list[float | None]) -> ReportView:
    """Return a hunt whose runs have these p-values."""
    return view(
        folder, tasks=[task(at, {"b": at}, {"pcs": 0.5, "ring_p_value": v}) for at, v in enumerate(p, 1)]
    )


def test_p_and_q_stand_beside_each_other(tmp_path: Path) -> None:
    """The smallest with their q-values, and how many runs were tested."""
    page = render(hunt(tmp_path, [0.4, 0.0001, None, 0.9]))
    section = page[page.index('id="significance"') :]
    row = section[section.index("task_0002") :][:200]
    assert "0.0001" in row
    assert "0.0003" in row
    assert "hsm analyze ncgl-hunt-20300317-174640-a1b2 --with significance" in section


def test_the_best_of_many_is_said_to_be_chance(tmp_path: Path) -> None:
    """Nothing is called significant that as many tries of chance give as well."""
    found = ranked_p_values(hunt(tmp_path, [0.004, *((at + 2) / 200 for at in range(198))]), "ring_p_value")
    assert found.candidates == 0
    assert sentence(found) == (
        "no candidate: no q is at most 0.01; the best of 199 runs has p = 0.004; "
        "chance alone does that with a probability of 0.55."
    )


def test_a_candidate_is_to_be_confirmed(tmp_path: Path) -> None:
    """It is not called more than that."""
    assert sentence(ranked_p_values(hunt(tmp_path, [1e-6, 0.5]), "ring_p_value")).startswith(
        "1 candidate to be confirmed"
    )


def test_a_hunt_without_scores_claims_nothing(tmp_path: Path) -> None:
    """Null for every run: the section says so."""
    assert sentence(ranked_p_values(hunt(tmp_path, [None, None]), "ring_p_value")) == (
        "no run could be scored, so nothing can be claimed."
    )


def test_reused_results_are_tested_once(tmp_path: Path) -> None:
    """A task that another one stands for is no second try."""
    tasks: list[Task] = [
        task(1, {"b": 1}, {"ring_p_value": 0.01}),
        task(2, {"b": 1}, None, status=TaskStatus.REUSED, reuses=1),
        task(3, {"b": 2}, {"ring_p_value": 0.5}),
    ]
    assert len(ranked_p_values(view(tmp_path, tasks=tasks), "ring_p_value").ranked) == 2


def test_sweeps_without_p_values_have_no_such_section(tmp_path: Path) -> None:
    """The report of other programs is as it was."""
    assert 'id="significance"' not in render(view(tmp_path, tasks=hunt_tasks()))
