"""The top of the report: one sentence, the states, the figures, what is missing and where it ran."""

from __future__ import annotations

from collections.abc import Iterable

from hsm.core.model import Attempt
from hsm.core.spec import Objective
from hsm.core.states import SweepStatus, TaskStatus
from hsm.report.html import Markup, code, join, section, tag
from hsm.report.links import task_link
from hsm.report.states import bar, counts, legend
from hsm.report.text import count, duration, moment, number, shorten
from hsm.report.view import ReportView, has_result

STATUS_GLYPHS = {
    SweepStatus.RUNNING: "▶",
    SweepStatus.PARTIAL: "◐",
    SweepStatus.COMPLETE: "✓",
    SweepStatus.FAILED: "✗",
    SweepStatus.STOPPED: "■",
    SweepStatus.CANCELLED: "⊘",
}


def status_words(view: ReportView) -> str:
    """Return the status for a reader, to whom a sweep with one bad task has not simply failed."""
    return "finished with failures" if view.status is SweepStatus.FAILED else str(view.status)


def masthead(view: ReportView, links: Markup | None = None, *, title: str = "") -> Markup:
    """Return the name of the sweep, its status and the sentence that a busy reader reads."""
    pill = tag("span", f"{STATUS_GLYPHS[view.status]} {status_words(view)}", class_=f"pill p-{view.status}")
    kind = f"hunt · {view.spec.hunt.hunter}" if view.spec.hunt else "grid sweep"
    description = view.spec.metadata.get("description")
    return tag(
        "header",
        tag("p", f"{title} · {kind}" if title else kind, class_="kind"),
        tag("h1", shorten(view.spec.name, 80), " ", pill),
        tag("p", code(shorten(view.sweep_id, 120)), class_="ident"),
        tag("p", shorten(description, 600), class_="about") if isinstance(description, str) else None,
        tag("p", headline(view), class_="lead"),
        links,
    )


def headline(view: ReportView) -> Markup:
    """Return the outcome in one sentence."""
    done = sum(has_result(task) for task in view.tasks)
    failed = sum(task.status is TaskStatus.FAILED for task in view.tasks)
    bad = f", {failed:,} failed" if failed else ""
    spent = f", after {duration(view.took_s)}" if view.took_s is not None else ""
    opening = f"{done:,} of {count(len(view.tasks), 'task')} have a result{bad}{spent}."
    objectives = view.spec.hunt.objectives if view.spec.hunt else ()
    return join(opening, *(_leader(view, objective) for objective in objectives))


def _leader(view: ReportView, objective: Objective) -> Markup | None:
    best = view.ranked(objective)[:1]
    if not best:
        return None
    words = f" Best {shorten(objective.metric, 60)}: "
    return join(words, tag("b", number(best[0].score)), " by ", task_link(best[0].task), ".")


def summary(view: ReportView) -> Markup:
    """Return the summary section."""
    found = counts(view.tasks)
    return section("summary", "Summary", bar(found), legend(found), missing(view), _cards(view))


def missing(view: ReportView) -> Markup | None:
    """Say plainly what this sweep still lacks, and which command finishes it."""
    words = _missing_words(view)
    if not words:
        return None
    finish = join(" Finish it with ", code(f"hsm sweep complete {view.sweep_id}"), ".")
    waits = view.status is SweepStatus.RUNNING
    return tag("p", tag("b", _STANDING[view.status]), f" {words}", None if waits else finish, class_="call")


_STANDING = {
    SweepStatus.RUNNING: "This sweep is still running.",
    SweepStatus.PARTIAL: "This sweep is not finished.",
    SweepStatus.STOPPED: "This sweep was stopped: too many of its tasks failed.",
    SweepStatus.CANCELLED: "This sweep was cancelled.",
    SweepStatus.FAILED: "This sweep is finished, but not every task has a result.",
    SweepStatus.COMPLETE: "This sweep is complete.",
}


def _missing_words(view: ReportView) -> str:
    if view.status in (SweepStatus.COMPLETE, SweepStatus.FAILED):
        return ""
    still_open = sum(not task.status.is_final for task in view.tasks)
    cancelled = sum(task.status is TaskStatus.CANCELLED for task in view.tasks)
    parts = [
        f"{count(still_open, 'task')} without an end" if still_open else "",
        f"{count(cancelled, 'task')} cancelled" if cancelled else "",
        _not_proposed(view),
    ]
    said = [part for part in parts if part]
    return f"Missing: {'; '.join(said)}." if said else "No task is open at this moment."


def _not_proposed(view: ReportView) -> str:
    hunt = view.spec.hunt
    reached = max((task.generation for task in view.tasks), default=0)
    if hunt is None or reached >= hunt.generations:
        return ""
    left = hunt.generations - reached
    tasks = left * hunt.population * view.spec.seeds
    return (
        f"{count(left, 'generation')} of {hunt.generations} not proposed yet (up to {count(tasks, 'task')})"
    )


def _cards(view: ReportView) -> Markup:
    took, attempts = view.took_s, list(_attempts(view))
    computed = sum(attempt.exit.wall_s for attempt in attempts if attempt.exit)
    finished = sum(task.status.is_final for task in view.tasks)
    cards = [
        ("Tasks", f"{len(view.tasks):,}", f"{count(len(attempts), 'attempt')}"),
        ("Duration", duration(took) if took is not None else "not known", f"from {moment(view.started_at)}"),
        ("Rate", f"{number(finished / took, digits=3)} /s" if took else "not known", "finished tasks"),
        ("Computing", duration(computed), _load(computed, took)),
        ("Engines", str(view.epochs), shorten(", ".join(view.hosts), 60) or "host not known"),
    ]
    items = [
        tag("div", tag("dt", name), tag("dd", value), tag("dd", small, class_="sub"))
        for name, value, small in cards
    ]
    return tag("dl", *items, class_="cards")


def _load(computed: float, took: float | None) -> str:
    return f"{computed / took:.2g} attempts at a time" if took else "wall time of all attempts"


def _attempts(view: ReportView) -> Iterable[Attempt]:
    return (attempt for task in view.tasks for attempt in task.attempts)
