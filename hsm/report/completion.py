"""`completion_report.html`: one self-contained page that says what happened in a sweep.

The page has no script, asks nothing of any network, and is the same byte for byte for the same view.
"""

from __future__ import annotations

from hsm import __version__
from hsm.report.best import best
from hsm.report.convergence import convergence
from hsm.report.failures import failures
from hsm.report.html import Markup, join, tag
from hsm.report.origin import provenance, reproduce
from hsm.report.pictures import gallery
from hsm.report.style import style
from hsm.report.summary import masthead, status_words, summary
from hsm.report.tasks import task_table
from hsm.report.view import ReportView

FILE_NAME = "completion_report.html"
"""Its name in the sweep's `reports/`."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def render(view: ReportView) -> str:
    """Return the report of a sweep, finished or not, as one HTML document."""
    sections = (summary, best, convergence, gallery, failures, task_table, reproduce, provenance)
    body = tag(
        "body",
        masthead(view),
        _navigation(view),
        tag("main", *(write(view) for write in sections)),
        _footer(),
    )
    return f"<!doctype html>\n{tag('html', _head(view), body, lang='en')}\n"


def _head(view: ReportView) -> Markup:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{view.spec.name} · {status_words(view)} · {view.sweep_id}"),
        tag("style", Markup(style())),
    )


def _navigation(view: ReportView) -> Markup:
    is_hunt = view.spec.hunt is not None
    places = {
        "summary": "Summary",
        "best": "Best" if is_hunt else "Metrics",
        "convergence": "Convergence" if is_hunt else "Parameters",
        "gallery": "Pictures",
        "failures": "Failures",
        "tasks": "Tasks",
        "reproduce": "Reproduce",
        "provenance": "Provenance",
    }
    links = [tag("a", word, href=f"#{place}") for place, word in places.items()]
    return tag("nav", *links, aria_label="Sections")


def _footer() -> Markup:
    words = (
        f"Written by hsm {__version__} from the ledger of the sweep. "
        "Links to tasks work while this file lies in the sweep's reports/ directory."
    )
    return tag("footer", join(words))
