"""`hsm report`: write the reports of a sweep anew, or show several sweeps side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsm.cli import forms, options
from hsm.cli.console import Console
from hsm.cli.workspace import Workspace, study
from hsm.core.errors import ExitCode
from hsm.core.tree import SweepTree

if TYPE_CHECKING:
    from hsm.report import ReportView


@forms.command("report", "report heat-20260102 --open", "report heat-20260102 heat-20260103")
@click.argument("references", nargs=-1, metavar="[ID]...")
@click.option("--open", "is_opened", is_flag=True, help="Show it in the browser of this desktop, too.")
@options.outputs
@options.json_output
@click.pass_obj
def command(
    console: Console, *, references: tuple[str, ...], is_opened: bool, outputs: Path | None
) -> ExitCode:
    """Write the reports of a sweep anew, finished or not, and print the path of the first.

    With several sweeps, a page that shows them side by side is written, too, and its path is printed.
    """
    from hsm.cli.closing import near

    space = Workspace.here(outputs)
    trees = _distinct([space.find(reference) for reference in references or ("last",)])
    path = _written(space, trees)
    if console.as_json:
        reports = {tree.sweep_id: _paths(tree) for tree in trees}
        data = {"sweep_id": trees[0].sweep_id, "path": path, "reports": reports}
        console.envelope("report.written", data)
    else:
        console.data(near(path))
    if is_opened and not _opened(path):
        console.warn("no browser could be started here", f"open {path} yourself")
    return ExitCode.FINE


def _distinct(trees: list[SweepTree]) -> list[SweepTree]:
    return list({tree.root: tree for tree in trees}.values())


def _written(space: Workspace, trees: list[SweepTree]) -> Path:
    """Write the reports of each sweep, and the comparison of several; return the page to look at."""
    from hsm.cli.reporting import view_of, write_comparison, write_documents

    views: list[ReportView] = []
    path = trees[0].reports
    for tree in trees:
        view = view_of(study(space.world, tree))
        path = write_documents(view, tree.reports)
        views.append(view)
    return path if len(views) == 1 else write_comparison(views, trees[0].reports)


def _paths(tree: SweepTree) -> dict[str, Path]:
    """Return where each report of a sweep is; that of scores is there where programs claim something."""
    from hsm.report import FILE_NAME, error_analysis, performance, scores

    found = {
        "completion": tree.reports / FILE_NAME,
        "errors": tree.reports / error_analysis.FILE_NAME,
        "performance": tree.reports / performance.FILE_NAME,
    }
    about_scores = tree.reports / scores.FILE_NAME
    return {**found, "scores": about_scores} if about_scores.exists() else found


def _opened(path: Path) -> bool:
    """Tell whether a browser of this desktop took the page."""
    import webbrowser

    try:
        return webbrowser.open(path.as_uri())
    except (OSError, webbrowser.Error):
        return False
