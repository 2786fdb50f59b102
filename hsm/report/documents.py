"""All documents of one sweep, by their names in its `reports/`."""

from __future__ import annotations

from collections.abc import Iterator

from hsm.report import completion, error_analysis, performance, scores
from hsm.report.view import ReportView


def documents(view: ReportView) -> Iterator[tuple[str, str]]:
    """Yield the name and the content of each document; the completion report comes last."""
    compilation = None if view.compilation is None else view.compilation.record
    yield performance.FILE_NAME, performance.as_yaml(view.performance, compilation)
    yield error_analysis.FILE_NAME, error_analysis.render_errors(view)
    if scores.has_scores(view):
        yield scores.FILE_NAME, scores.render_scores(view)
    yield completion.FILE_NAME, completion.render(view)
