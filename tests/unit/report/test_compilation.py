"""What compiling took: counted as programs tell it, and believed only where it has the form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from hsm.core.states import TaskStatus
from hsm.report import ReportView, render
from hsm.report.compilation import SILENT, read_told
from hsm.report.documents import documents
from hsm.report.view import Limits
from tests.unit.report.sweeps import leave, task, view

TIMES = [(False, 2.0), (False, 4.0), (True, 0.5), (True, 0.25), (True, None)]


def tell(folder: Path, *timings: object, **more: object) -> ReportView:
    """Return the view of results whose programs tell this of themselves; None tells nothing."""
    tasks = [task(index, {"b": float(index)}, {"pcs": 1.0}) for index in range(1, len(timings) + 1)]
    for one, timing in zip(tasks, timings, strict=True):
        report = {"program": None if timing is None else {"timing": timing}}
        (leave(folder, one) / "provenance.json").write_text(json.dumps(report))
    return view(folder, tasks=tasks, **more).gather()


def timing(is_hit: bool, compile_s: float | None) -> object:
    return {"compilation_cache_hit": is_hit, "compile_s": compile_s}


def test_runs_that_compiled_and_runs_that_did_not_are_told_apart(tmp_path: Path) -> None:
    """What was saved is the difference of the medians, for each run that found its program compiled."""
    told = tell(tmp_path, *(timing(*one) for one in TIMES))
    found = told.compilation
    assert found is not None
    assert (found.compiled.count, found.compiled.total_s) == (2, 6.0)
    assert (found.found.count, found.found.total_s) == (3, 0.75)
    assert found.saved_s == (2.0 - 0.25) * 3
    page = render(told)
    assert "<h3>Compiling</h3>" in page
    assert "That saved about 5.2 s: the difference of the medians, for 3 runs." in page
    written = yaml.safe_load(dict(documents(told))["performance_analysis.yaml"])["compilation"]
    assert written["compiled"]["took_s"]["p50"] == 2.0
    assert written["found_compiled"]["runs"] == 3
    assert (written["saved_s"], written["results_read"]) == (5.25, 5)


def test_what_was_never_compiled_beside_it_saved_nothing_that_is_known(tmp_path: Path) -> None:
    """Where every run found its program compiled there is nothing to compare with."""
    told = tell(tmp_path, timing(True, 0.5), timing(True, 0.7))
    assert told.compilation is not None
    assert told.compilation.saved_s is None
    assert "That saved" not in render(told)


def test_of_programs_that_tell_nothing_nothing_is_said(tmp_path: Path) -> None:
    """No heading and no numbers; after some results that are silent no more are read."""
    told = tell(tmp_path, *[None] * SILENT, timing(True, 0.5))
    assert told.compilation is None
    assert "Compiling" not in render(told)
    assert "compilation" not in yaml.safe_load(dict(documents(told))["performance_analysis.yaml"])


def test_what_was_not_read_is_said(tmp_path: Path) -> None:
    """A page reads so many results, and says of how many."""
    told = tell(tmp_path, *[timing(False, 1.0)] * 4, limits=Limits(compilations=3))
    assert "The first 3 of 4 results were read." in render(told)


@pytest.mark.parametrize(
    "report",
    [
        "[]",
        "{",
        '{"program": []}',
        '{"program": {"timing": 3}}',
        '{"program": {"timing": {"compilation_cache_hit": 1}}}',
        '{"program": {"timing": {"compilation_cache_hit": [], "compile_s": 1}}}',
        "[" * 100_000,
    ],
)
def test_what_has_not_the_form_tells_nothing(tmp_path: Path, report: str) -> None:
    """Programs write what they like; the page stays as it was."""
    folder = leave(tmp_path, task(1, {"b": 1.0}))
    (folder / "provenance.json").write_text(report)
    assert read_told(tmp_path, "tasks/task_0001") is None


@pytest.mark.parametrize("seconds", ["NaN", "-1", "1e999", '"2"', "true", "null", "1" + "0" * 400])
def test_seconds_that_are_none_are_not_known(tmp_path: Path, seconds: str) -> None:
    """The run is counted, its time is not."""
    folder = leave(tmp_path, task(1, {"b": 1.0}))
    text = f'{{"program": {{"timing": {{"compilation_cache_hit": true, "compile_s": {seconds}}}}}}}'
    (folder / "provenance.json").write_text(text)
    told = read_told(tmp_path, "tasks/task_0001")
    assert told is not None
    assert (told.is_hit, told.took_s) == (True, None)


def test_only_results_are_read(tmp_path: Path) -> None:
    """What an attempt left that failed is no result."""
    failed = task(1, {"b": 1.0}, status=TaskStatus.FAILED)
    report = {"program": {"timing": timing(False, 1.0)}}
    (leave(tmp_path, failed) / "provenance.json").write_text(json.dumps(report))
    assert view(tmp_path, tasks=[failed]).gather().compilation is None
