"""What the analyses of a sweep came to: how many are done, their numbers, their pictures."""

from __future__ import annotations

from collections.abc import Mapping

from hsm.report.analysed import AnalysisShown
from hsm.report.html import Markup, join, note, section, short, table, tag
from hsm.report.links import task_link
from hsm.report.pictures import image
from hsm.report.text import count, number
from hsm.report.view import ReportView

ROWS = 12
"""The numbers of so many results are shown, the best first."""
CELL = 60


def analyses(view: ReportView) -> Markup:
    """Return the section."""
    head = [tag("th", "analysis"), *(tag("th", word, class_="n") for word in ("done", "failed", "to go"))]
    head.append(tag("th", "first failure"))
    return section(
        "analyses",
        "Analyses",
        note(
            "Programs that looked at each result, beside the sweep: what they wrote is in ",
            tag("code", "tasks/TASK/analyses/NAME/"),
            ". Nothing of it counts for the sweep, its hunter or its failures.",
        ),
        table(head, [_row(one) for one in view.analyses], label="Analyses"),
        _numbers(view),
        _pictures(view),
    )


def _row(one: AnalysisShown) -> Markup:
    cells = [tag("td", f"{each:,}", class_="n", data_v=each) for each in (one.done, one.failed, one.open)]
    name = tag("a", one.name, href=f"../.hsm/analyses/{one.name}/")
    return tag("tr", tag("td", name), *cells, short(one.first_failure, CELL, "td"))


def _numbers(view: ReportView) -> Markup | None:
    """Return a table of every number of every analysis, for the first results."""
    tasks = [task for task in view.ranking() if any(one.metrics(task) for one in view.analyses)][:ROWS]
    names = list(
        dict.fromkeys((one, name) for one in view.analyses for task in tasks for name in one.metrics(task))
    )
    if not names:
        return None
    head = [tag("th", "task"), *(tag("th", f"{one.name}.{name}", class_="n") for one, name in names)]
    rows = [
        tag("tr", tag("td", task_link(task)), *(_cell(one.metrics(task), name) for one, name in names))
        for task in tasks
    ]
    return join(note(f"The numbers of {count(len(tasks), 'result')}:"), table(head, rows, label="Numbers"))


def _cell(metrics: Mapping[str, float | None], name: str) -> Markup:
    value = metrics.get(name)
    return tag("td", "" if value is None else number(value, digits=4), class_="n", data_v=value)


def _pictures(view: ReportView) -> Markup | None:
    figures = [
        tag("figure", image(picture), tag("figcaption", tag("span", task_link(task), tag("b", one.name))))
        for one in view.analyses
        for task in view.ranking()
        for picture in one.pictures.get(task.task_id, ())
    ]
    return tag("div", *figures, class_="gallery") if figures else None
