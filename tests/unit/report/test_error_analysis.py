"""The page on failures: groups with their facts, what failures share, and how to try again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from hsm.core.model import Task
from hsm.core.states import AttemptState, Cause, TaskStatus
from hsm.report import render_errors
from hsm.report.error_analysis import retry_command
from hsm.report.shared import shared_ranges
from tests.unit.report.sweeps import TRACEBACK, attempt, failed, grid_spec, leave, task, view
from tests.unit.report.test_completion import HOSTILE, Page, hostile_view


def gathering(count: int = 100) -> list[Task]:
    """Return tasks of which those with a large `k` fail, whatever their `m`."""
    return [
        failed(i, {"k": float(i), "m": i % 2})
        if i > 0.8 * count
        else task(i, {"k": float(i), "m": i % 2}, {"e": 1.0})
        for i in range(1, count + 1)
    ]


def test_a_group_has_its_times_sources_hosts_and_remedy(tmp_path: Path) -> None:
    """Count, first and last time, source, host as recorded, tasks, tail and remedy stand together."""
    tasks = [failed(1, {"b": 1.0}), failed(2, {"b": 2.0}), failed(3, {"b": 3.0}, cause=Cause.MEMORY)]
    for entry in tasks[:2]:
        folder = leave(tmp_path, entry, stderr=(TRACEBACK % 4).encode())
        (folder / "provenance.json").write_text(json.dumps({"host": {"name": "node<7>"}}))
    told = Page(render_errors(view(tmp_path, tasks=tasks).gather())).text
    assert "2 × application · exit code 1" in told
    assert "2030-03-17 17:46:48 UTC to 2030-03-17 17:46:53 UTC" in told
    assert "node<7> (2)" in told
    assert "local (2)" in told
    assert "The program failed by itself: hsm logs task_0001 --stderr shows its last words." in told
    assert "hsm sweep complete ncgl-hunt-20300317-174640-a1b2 --retry-failed" in told
    assert "This tries the 3 failed tasks again" in told


def test_each_group_can_be_tried_again_alone(tmp_path: Path) -> None:
    """A group among others is named by ranges; all failures together, or too many ranges, are not."""
    groups = {
        "one": [3, 4, 5, 9],
        "two": [7, *range(20, 1_200, 2)],
    }
    tasks = [task(i, {"b": float(i)}, {"pcs": 1.0}) for i in range(1, 1_201)]
    for reason, members in groups.items():
        for index in members:
            tasks[index - 1] = failed(index, {"b": float(index)}, reason=reason)
    made = view(tmp_path, tasks=tasks)
    two, one = made.failures()
    assert retry_command(made, one.tasks).endswith(" --retry 3-5,9")
    assert retry_command(made, two.tasks) == ""
    told = Page(render_errors(made)).text
    assert "Try just these again:" in told
    assert "too many to be named in one command" in told
    alone = view(tmp_path, tasks=[failed(1, {"b": 1.0}), task(2, {"b": 2.0}, {"pcs": 1.0})])
    assert retry_command(alone, alone.failures()[0].tasks).endswith(" --retry-failed")


def test_what_failures_share_is_counted(tmp_path: Path) -> None:
    """The range in which tasks fail is named with counts; a parameter that has no part in it is not."""
    spec = grid_spec({"k": tuple(map(float, range(100))), "m": (0, 1)})
    made = view(tmp_path, spec=spec, tasks=gathering())
    found = shared_ranges(made, {entry.index for entry in made.tasks if entry.status is TaskStatus.FAILED})
    assert [(one.name, one.is_telling) for one in found] == [("k", True), ("m", False)]
    assert (found[0].worst.words, found[0].worst.failed, found[0].worst.tasks) == ("81 to 100", 20, 20)
    assert (
        "Failures gather where k is 81 to 100: 20 of 20; elsewhere 0 of 80." in Page(render_errors(made)).text
    )


def test_attempts_made_good_have_their_table(tmp_path: Path) -> None:
    """A lost attempt that another made good is counted by cause, reason and source."""
    lost = replace(attempt(1, state=AttemptState.LOST, cause=Cause.LOST), reason="the agent vanished")
    good = task(1, {"b": 1.0}, {"pcs": 0.5}, attempts=(lost, attempt(1, number=2)))
    told = Page(render_errors(view(tmp_path, tasks=[good]))).text
    assert "the agent vanished" in told
    assert "There is nothing to try again." in told


def test_a_sweep_without_failures_or_tasks_has_a_page(tmp_path: Path) -> None:
    """Nothing failed is said, not an empty table."""
    for tasks in ([], [task(1, {"b": 1.0}, {"pcs": 1.0})]):
        assert "No task failed." in Page(render_errors(view(tmp_path, tasks=tasks))).text


def test_hostile_values_are_text_on_this_page_too(tmp_path: Path) -> None:
    """Markup in values, signatures, sources and logs adds no element."""
    plain = Page(render_errors(hostile_view(tmp_path / "a", "x" * 30)))
    for place, evil in enumerate(HOSTILE):
        found = Page(render_errors(hostile_view(tmp_path / f"b{place}", evil)))
        assert found.names <= plain.names
        assert found.attributes - {"title"} <= plain.attributes
