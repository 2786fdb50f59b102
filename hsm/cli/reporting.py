"""Writing the reports of a sweep, finished or not, and of several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hsm.api.origin import metadata_of
from hsm.cli.workspace import Look

if TYPE_CHECKING:
    from hsm.report import ReportView
    from hsm.report.analysed import AnalysisShown


def write_report(look: Look) -> Path:
    """Write all reports of a sweep and return where its completion report is.

    The look must know every detail.

    Raises:
        OSError: one cannot be written.
    """
    return write_documents(view_of(look), look.tree.reports)


def view_of(look: Look) -> ReportView:
    """Return what the reports of a sweep are made from, evidence of its tasks included."""
    from hsm.report import ReportView

    view = ReportView.of(look.tracker, look.tree, look.status, metadata_of(look.tree))
    return replace(view, analyses=_analyses(look)).gather()


def _analyses(look: Look) -> tuple[AnalysisShown, ...]:
    """Return the analyses of a sweep, and what each made of the results that stand now."""
    from hsm.report.analysed import AnalysisShown
    from hsm.results.analysed import analysed
    from hsm.wire.files import Files

    every = analysed(Files(), look.tree, look.spec, whole=True)
    found = [{task.task_id: one.of(task) for task in look.tracker.tasks} for one in every]
    return tuple(
        AnalysisShown(name=one.name, made={key: made for key, made in of.items() if made is not None})
        for one, of in zip(every, found, strict=True)
    )


def write_documents(view: ReportView, reports: Path) -> Path:
    """Write the documents of a sweep and return where its completion report is.

    Raises:
        OSError: one cannot be written.
    """
    from hsm.report import FILE_NAME, documents

    for name, text in documents(view):
        _write(reports / name, text)
    return reports / FILE_NAME


def write_comparison(views: Sequence[ReportView], reports: Path) -> Path:
    """Write the page that shows several sweeps side by side, and return where it is.

    Raises:
        OSError: it cannot be written.
    """
    from hsm.report.comparison import file_name, render_comparison

    path = reports / file_name(views)
    _write(path, render_comparison(views))
    return path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
