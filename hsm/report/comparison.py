"""Several sweeps side by side: what became of each, what they share, how their configurations differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from statistics import median
from types import MappingProxyType

from hsm.core.states import TaskStatus
from hsm.report import plots
from hsm.report.coordinates import Coordinate
from hsm.report.drawn import plate
from hsm.report.html import Markup, join, note, section, short, table, tag
from hsm.report.origin import flat
from hsm.report.page import page
from hsm.report.summary import STATUS_GLYPHS, status_words
from hsm.report.text import count, duration, moment, number, plain, redact_named, shorten
from hsm.report.view import ReportView, has_result, params_of

NAME = 44
METRICS = 20
PARAMETERS = 20
DIFFERENCES = 80


def file_name(views: Sequence[ReportView]) -> str:
    """Return the name of the page, which tells one choice of sweeps from another."""
    choice = sha256("\n".join(view.sweep_id for view in views).encode()).hexdigest()[:8]
    return f"comparison-{choice}.html"


def render_comparison(views: Sequence[ReportView]) -> str:
    """Return the page; the sweeps stand in the order given."""
    names = ", ".join(dict.fromkeys(view.spec.name for view in views))
    head = tag(
        "header",
        tag("p", "comparison", class_="kind"),
        tag("h1", f"{count(len(views), 'sweep')} side by side"),
        tag("p", shorten(names, 300), class_="ident"),
    )
    has_hunt = any(view.spec.hunt is not None for view in views)
    chosen = {key: entry for key, entry in SECTIONS.items() if has_hunt or key not in ("best", "convergence")}
    return page(
        f"Comparison of {count(len(views), 'sweep')}: {shorten(names, 100)}",
        head,
        {key: word for key, (word, _) in chosen.items()},
        [write(views) for _, write in chosen.values()],
        "Links work while this file lies in the reports/ directory of the first sweep, among the others.",
    )


def _link(view: ReportView) -> Markup:
    words = shorten(view.sweep_id, NAME)
    place = f"../../{view.sweep_id}/reports/completion_report.html"
    # An id is a name on disk; whatever else stands there is shown, not followed.
    is_name = view.sweep_id.replace("-", "").replace(".", "").replace("_", "").isalnum()
    return tag("a", words, href=place, class_="id") if is_name else tag("span", words, class_="id")


def _heads(*titles: str, left: int = 1) -> list[Markup]:
    return [tag("th", title, class_="n" if place >= left else None) for place, title in enumerate(titles)]


def _row(first: Markup, *cells: str | Markup) -> Markup:
    rest = (cell if isinstance(cell, Markup) else tag("td", cell, class_="n") for cell in cells)
    return tag("tr", tag("td", first), *rest)


def _sweeps(views: Sequence[ReportView]) -> Markup:
    titles = (
        "sweep",
        "status",
        "tasks",
        "results",
        "failed",
        "duration",
        "tasks per s",
        "slots in use",
        "median run",
        "started",
    )
    rows = []
    for view in views:
        found = view.performance
        room = sum(source.slots * source.span_s for source in found.sources)
        busy = sum(source.busy_s for source in found.sources)
        walls = found.uses[0].used
        rows.append(
            _row(
                _link(view),
                tag("td", f"{STATUS_GLYPHS[view.status]} {status_words(view)}"),
                f"{len(view.tasks):,}",
                f"{sum(map(has_result, view.tasks)):,}",
                f"{sum(task.status is TaskStatus.FAILED for task in view.tasks):,}",
                _measured(view.took_s, duration),
                _measured(found.rate_hz, lambda rate: number(rate, digits=3)),
                f"{100 * busy / room:.0f} %" if room else "–",
                _measured(walls.p50 if walls else None, duration),
                moment(view.started_at),
            )
        )
    return section("sweeps", "The sweeps", table(_heads(*titles, left=2), rows, label="Sweeps"))


def _measured(value: float | None, words: Callable[[float], str]) -> Markup:
    if value is None:
        return tag("td", "–", class_="n")
    return tag("td", words(value), class_="n", data_v=f"{value:.6g}")


def _best(views: Sequence[ReportView]) -> Markup:
    hunts = [view for view in views if view.spec.hunt is not None]
    names = list(dict.fromkeys(name for view in hunts for name in view.varying))[:12]
    titles = ("sweep", "objective", "best", "task", "scored", *(shorten(name, 28) for name in names))
    rows = []
    for view in hunts:
        ranked = view.best()
        if not ranked or view.spec.hunt is None:
            rows.append(_row(_link(view), "–", "–", "–", "0", *("–" for _ in names)))
            continue
        own = params_of(ranked[0].task)
        objective = view.spec.hunt.objective
        rows.append(
            _row(
                _link(view),
                f"{objective.direction} {shorten(objective.metric, 40)}",
                tag("td", tag("b", number(ranked[0].score)), class_="n"),
                ranked[0].task.task_id,
                f"{len(ranked):,}",
                *(_value(own.get(name)) for name in names),
            )
        )
    return section("best", "Best of each", table(_heads(*titles), rows, label="Best of each sweep"))


def _value(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value, digits=4)
    return "–" if value is None else shorten(str(value), 28)


def _convergence(views: Sequence[ReportView]) -> Markup:
    return section("convergence", "Convergence", plate(plots.overlay(views), 940))


def _metrics(views: Sequence[ReportView]) -> Markup:
    heading = "Metrics that they share"
    seen: dict[str, int] = {}
    for view in views:
        for name in view.metric_names:
            seen[name] = seen.get(name, 0) + 1
    shared = [name for name, times in seen.items() if times > 1]
    if not shared:
        return section("metrics", heading, note("No metric occurs in more than one of these sweeps."))
    rows = [
        _metric_row(view, name) for name in shared[:METRICS] for view in views if name in view.metric_names
    ]
    more = note(f"{len(shared) - METRICS:,} more metrics are shared.") if shared[METRICS:] else None
    heads = _heads("metric", "sweep", "n", "lowest", "median", "highest", left=2)
    return section("metrics", heading, table(heads, rows, label=heading), more)


def _metric_row(view: ReportView, name: str) -> Markup:
    values = [value for value in view.values_of(name) if value is not None]
    ends = [min(values), float(median(values)), max(values)] if values else []
    cells = [number(value) for value in ends] or ["–"] * 3
    return _row(short(name, NAME), tag("td", _link(view)), f"{len(values):,}", *cells)


def _parameters(views: Sequence[ReportView]) -> Markup:
    heading = "Parameters that they share"
    columns = [{one.name: one for one in view.coordinates} for view in views]
    names = dict.fromkeys(name for own in columns for name in own)
    shared = [name for name in names if sum(name in own for own in columns) > 1]
    if not shared:
        return section("parameters", heading, note("No parameter varies in more than one of these sweeps."))
    rows = [
        _row(short(name, NAME), tag("td", _link(view)), f"{own[name].distinct:,}", _extent(own[name]))
        for name in shared[:PARAMETERS]
        for view, own in zip(views, columns, strict=True)
        if name in own
    ]
    heads = _heads("parameter", "sweep", "values", "range", left=2)
    return section("parameters", heading, table(heads, rows, label=heading))


def _extent(one: Coordinate) -> str:
    if one.categories:
        return shorten(", ".join(one.categories), 60)
    known = [value for value in one.values if value is not None and math.isfinite(value)]
    return f"{number(min(known), digits=4)} to {number(max(known), digits=4)}"


def _differences(views: Sequence[ReportView]) -> Markup:
    heading = "Differences of configuration"
    facts = [dict(flat(view.spec.document)) | _environment(view) for view in views]
    names = dict.fromkeys(name for own in facts for name in own)
    unlike = [name for name in names if len({own.get(name) for own in facts}) > 1]
    if not unlike:
        return section("differences", heading, note("Their configurations are alike in every key."))
    head = [tag("th", "key"), *(tag("th", shorten(view.sweep_id, NAME)) for view in views)]
    rows = [
        tag(
            "tr",
            short(name, 60, "td"),
            *(short(redact_named(name, own.get(name, "–")), 60, "td") for own in facts),
        )
        for name in unlike[:DIFFERENCES]
    ]
    same = len(names) - len(unlike)
    more = f" {len(unlike) - DIFFERENCES:,} more keys differ." if unlike[DIFFERENCES:] else ""
    words = note(f"{count(len(unlike), 'key differs', 'keys differ')}, {same:,} are alike.{more}")
    return section("differences", heading, join(words, table(head, rows, label=heading)))


def _environment(view: ReportView) -> dict[str, str]:
    """Return the facts of the metadata that decide whether two results may be compared."""
    facts = dict(flat(view.metadata))
    wanted = ("hsm", "python", "platform", "git.commit", "git.dirty", "program_digest")
    return {f"metadata.{name}": plain(facts[name]) for name in wanted if name in facts}


SECTIONS: Mapping[str, tuple[str, Callable[[Sequence[ReportView]], Markup]]] = MappingProxyType(
    {
        "sweeps": ("Sweeps", _sweeps),
        "best": ("Best", _best),
        "convergence": ("Convergence", _convergence),
        "metrics": ("Metrics", _metrics),
        "parameters": ("Parameters", _parameters),
        "differences": ("Configuration", _differences),
    }
)
