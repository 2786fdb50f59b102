"""`hsm report`: the files that it writes, for one sweep or several, the same bytes each time."""

from pathlib import Path

import pytest
import yaml

from tests.integration.cli_project import Project

pytestmark = pytest.mark.integration

NAMES = ("completion_report.html", "error_analysis.html", "performance_analysis.yaml")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, hsm_command: Path) -> Project:
    """Return a project with two sweeps that have run, of which one has a failure."""
    found = Project(root=tmp_path_factory.mktemp("project"), hsm=hsm_command)
    found.sweep("heat", ["a", "bad", "cc"], extra="sources: [local:2]\n")
    found.sweep("cold", ["a", "cc"], extra="sources: [local:2]\n")
    found.run("sweep", "run", "heat.yaml", "-q", code=1)
    found.run("sweep", "run", "cold.yaml", "-q")
    return found


def tree(project: Project, name: str) -> Path:
    (path,) = (project.root / "sweeps" / "outputs").glob(f"{name}-*")
    return path


def test_reports_are_written_alike_each_time(project: Project) -> None:
    """What the run wrote, a second and a third writing repeat byte by byte; a rebuild too."""
    reports = tree(project, "heat") / "reports"
    before = {name: (reports / name).read_bytes() for name in NAMES}
    project.run("report", "heat")
    assert {name: (reports / name).read_bytes() for name in NAMES} == before
    for name in NAMES:
        (reports / name).unlink()
    project.run("sweep", "rebuild", "heat")
    assert {name: (reports / name).read_bytes() for name in NAMES} == before
    assert not list(reports.glob("*.part"))
    cost = yaml.safe_load(before["performance_analysis.yaml"])
    assert (cost["tasks"], cost["sources"]["local"]["ended_badly"]) == (3, 1)
    assert cost["sources"]["local"]["collecting_s"]["count"] == 3
    assert b"ValueError: bad [bold]value[/bold]" in before["error_analysis.html"]


def test_several_sweeps_are_shown_side_by_side(project: Project) -> None:
    """The page of several lies with the first; a sweep named twice counts once; a wrong name is told."""
    answer = project.run("report", "heat", "cold", "heat", "--json").data
    path = Path(answer["path"])
    assert path.parent == tree(project, "heat") / "reports"
    html = path.read_text()
    assert "2 sweeps side by side" in html
    assert f'href="../../{tree(project, "cold").name}/reports/completion_report.html"' in html
    assert list(answer["reports"]) == [tree(project, "heat").name, tree(project, "cold").name]
    assert project.run("report", "heat", "heat").out.strip().endswith("completion_report.html")
    wrong = project.run("report", "heat", "warm", code=None)
    assert wrong.code != 0
    assert "there is no sweep 'warm'" in wrong.err


def test_open_asks_the_browser_of_the_desktop(project: Project) -> None:
    """The browser that BROWSER names gets the page's address; without any, the path is said."""
    browser, seen = project.root / "browser.sh", project.root / "seen.txt"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    browser.chmod(0o755)
    out = project.run("report", "heat", "--open", BROWSER=f"{browser} %s").out.strip()
    page = project.root / out
    assert seen.read_text().strip() == page.as_uri()
    told = project.run("report", "heat", "--open", BROWSER="", PATH="/nonexistent", DISPLAY="")
    assert told.out.strip() == out
    assert "no browser could be started here" in told.err
