"""`completion_report.html`: one self-contained page that says what happened in a sweep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hsm.report import error_analysis, scores
from hsm.report.analyses import analyses
from hsm.report.best import best
from hsm.report.cost import cost
from hsm.report.drawn import convergence, parameters
from hsm.report.failures import failures
from hsm.report.front import front
from hsm.report.html import Markup, tag
from hsm.report.origin import provenance, reproduce
from hsm.report.page import page
from hsm.report.performance import FILE_NAME as PERFORMANCE
from hsm.report.pictures import gallery, has_gallery
from hsm.report.significance import has_p_values, significance
from hsm.report.summary import masthead, status_words, summary
from hsm.report.tasks import task_table
from hsm.report.view import ReportView

FILE_NAME = "completion_report.html"
"""Its name in the sweep's `reports/`."""

SECTIONS: Mapping[str, tuple[str, Callable[[ReportView], Markup]]] = MappingProxyType(
    {
        "summary": ("Summary", summary),
        "best": ("Best", best),
        "significance": ("Significance", significance),
        "front": ("Front", front),
        "convergence": ("Convergence", convergence),
        "parameters": ("Parameters", parameters),
        "gallery": ("Pictures", gallery),
        "analyses": ("Analyses", analyses),
        "performance": ("Performance", cost),
        "failures": ("Failures", failures),
        "tasks": ("Tasks", task_table),
        "reproduce": ("Reproduce", reproduce),
        "provenance": ("Provenance", provenance),
    }
)


def render(view: ReportView) -> str:
    """Return the report of a sweep, finished or not, as one HTML document."""
    left_out = set() if view.spec.hunt else {"convergence"}
    if not has_p_values(view):
        left_out.add("significance")
    if not has_gallery(view):
        left_out.add("gallery")
    if not view.analyses:
        left_out.add("analyses")
    if view.spec.hunt is None or not view.spec.hunt.further:
        left_out.add("front")
    chosen = {key: entry for key, entry in SECTIONS.items() if key not in left_out}
    places = {key: word for key, (word, _) in chosen.items()}
    if view.spec.hunt is None:
        places["best"] = "Metrics"
    others = tag(
        "p",
        tag("a", "Scores beside chance", href=scores.FILE_NAME) if scores.has_scores(view) else None,
        tag("a", "Error analysis", href=error_analysis.FILE_NAME),
        tag("a", "Performance as YAML", href=PERFORMANCE),
        class_="pages",
    )
    return page(
        f"{view.spec.name} · {status_words(view)} · {view.sweep_id}",
        masthead(view, others),
        places,
        [write(view) for _, write in chosen.values()],
        "Links to tasks work while this file lies in the sweep's reports/ directory.",
    )
