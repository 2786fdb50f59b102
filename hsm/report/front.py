"""The section on several objectives: the sets that no other dominates, drawn and listed."""

from __future__ import annotations

from hsm.report import plots
from hsm.report.columns import Column, value_column
from hsm.report.drawn import plate
from hsm.report.html import Markup, note, section, table, tag
from hsm.report.links import task_link
from hsm.report.plots.pareto import Standing
from hsm.report.view import ReportView, params_of

SHOWN = 30
PARAMETERS = 12


def front(view: ReportView) -> Markup:
    """Return the section on the Pareto front."""
    leading = [entry for entry in plots.standings(view) if entry.leads]
    words = note(
        f"{len(leading):,} parameter sets are dominated by no other: none is at least as good in every"
        " objective and better in one."
    )
    listed = _listed(view, leading[:SHOWN]) if leading else None
    more = note(f"{len(leading) - SHOWN:,} more are in the front.") if leading[SHOWN:] else None
    return section("front", "Pareto front", words, plate(plots.pareto_front(view), 620), listed, more)


def _listed(view: ReportView, shown: list[Standing]) -> Markup:
    tasks = [entry.ranked.task for entry in shown]
    params = [params_of(task) for task in tasks]
    objectives = view.spec.hunt.objectives if view.spec.hunt else ()
    names = [name for name in view.varying if any(name in own for own in params)][:PARAMETERS]
    columns = [
        Column(title="task", cells=[tag("td", task_link(task)) for task in tasks]),
        *(
            value_column(objective.metric, [entry.values[place] for entry in shown], [True] * len(shown))
            for place, objective in enumerate(objectives)
        ),
        *(
            value_column(name, [own.get(name) for own in params], [name in own for own in params])
            for name in names
        ),
    ]
    rows = [tag("tr", *(column.cells[place] for column in columns)) for place in range(len(shown))]
    return table([column.head for column in columns], rows, label="Pareto front")
