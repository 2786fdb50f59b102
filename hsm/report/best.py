"""What came out best: the winning parameter sets with their pictures, and the range of every metric."""

from __future__ import annotations

import math
from statistics import median, pstdev

from hsm.core.model import Task
from hsm.core.spec import Direction, Value
from hsm.report.columns import CELL, Column, is_number, value_column
from hsm.report.html import Markup, join, note, section, short, table, tag
from hsm.report.links import task_link
from hsm.report.pictures import image
from hsm.report.text import column, number, plain, shorten
from hsm.report.view import Ranked, ReportView, has_result, params_of

RUNNERS_UP = 10
VALUE = 80
NAME = 40
METRICS = 40


def best(view: ReportView) -> Markup:
    """Return the section on the best results; a grid has no objective, so it gets the ranges alone."""
    if view.spec.hunt is None:
        return section("best", "Metrics", ranges(view))
    objective = view.spec.hunt.objective
    sense = "highest" if objective.direction is Direction.MAXIMIZE else "lowest"
    ranked = view.best()
    if not ranked:
        nothing = note(
            f"No parameter set has a value of {shorten(objective.metric, 60)} yet, so there is no best one."
        )
        return section("best", "Best", nothing, ranges(view))
    seeds = f", mean of {view.spec.seeds} seeds" if view.spec.seeds > 1 else ""
    order = note(
        f"Ranked by the {sense} ",
        tag("b", shorten(objective.metric, 60)),
        f"{seeds}; n = {len(ranked):,} sets scored.",
        _others(view),
    )
    return section("best", "Best", order, _winner(view, ranked[0]), _runners_up(view, ranked), ranges(view))


def _others(view: ReportView) -> Markup | None:
    """Say that one objective alone is ranked here, where there are several."""
    if view.spec.hunt is None or not view.spec.hunt.further:
        return None
    words = f" This is the first of {len(view.spec.hunt.objectives)} objectives; the "
    return join(words, tag("a", "Pareto front", href="#front"), " weighs all of them.")


def _winner(view: ReportView, winner: Ranked) -> Markup:
    task = winner.task
    pictures = view.pictures.get(task.task_id, ())
    own = {name: value for name, value in params_of(task).items() if name not in view.spec.parameters}
    metrics = dict(list(view.metrics(task).items())[:METRICS])
    objective = shorten(view.spec.hunt.objective.metric, 60) if view.spec.hunt else ""
    figure = tag("figure", image(pictures[0]), tag("figcaption", pictures[0].path)) if pictures else None
    facts = tag(
        "div",
        tag("p", tag("b", number(winner.score), class_="big"), f" {objective} ", _spread(view, winner)),
        tag(
            "p",
            task_link(task),
            f" · generation {task.generation} · {shorten(task.label, 30) or 'no label'} · seed {task.seed}",
        ),
        tag("h3", "Parameters"),
        _pairs(own),
        tag("h3", "Metrics"),
        _pairs(metrics),
    )
    return tag("div", figure, facts, class_="winner")


def _spread(view: ReportView, winner: Ranked) -> str | None:
    if len(winner.tasks) < 2:
        return None
    scores = [score for task in winner.tasks if (score := view.score(task)) is not None]
    return f"± {number(pstdev(scores), digits=2)} over {len(scores)} seeds"


def _pairs(values: dict[str, Value] | dict[str, float | None]) -> Markup:
    items = [
        tag("div", short(name, VALUE, "dt"), _pair_value(value)) for name, value in sorted(values.items())
    ]
    return tag("dl", *items, class_="pairs")


def _pair_value(value: Value) -> Markup:
    if is_number(value):
        written = number(value, digits=6)
        return tag("dd", written, title=plain(value) if plain(value) != written else None)
    return short(plain(value), VALUE, "dd")


def _runners_up(view: ReportView, ranked: list[Ranked]) -> Markup | None:
    shown = ranked[:RUNNERS_UP]
    if len(shown) < 2 or view.spec.hunt is None:
        return None
    tasks = [entry.task for entry in shown]
    params = [params_of(task) for task in tasks]
    names = [name for name in view.varying if any(name in own for own in params)][:12]
    columns = [
        Column(
            title="#",
            cells=[tag("td", str(place), class_="n") for place in range(1, len(shown) + 1)],
            numeric=True,
        ),
        Column(title="task", cells=[tag("td", task_link(task)) for task in tasks]),
        value_column(view.spec.hunt.objective.metric, [entry.score for entry in shown], [True] * len(shown)),
        Column(
            title="generation",
            cells=[tag("td", str(task.generation), class_="n") for task in tasks],
            numeric=True,
        ),
        Column(title="label", cells=[short(task.label, CELL, "td") for task in tasks]),
        *(
            value_column(name, [own.get(name) for own in params], [name in own for own in params])
            for name in names
        ),
    ]
    rows = [tag("tr", *(entry.cells[place] for entry in columns)) for place in range(len(shown))]
    return join(
        tag("h3", f"The first {len(shown)}"),
        table([entry.head for entry in columns], rows, label="Best sets"),
    )


def ranges(view: ReportView) -> Markup:
    """Return the range of every metric over the tasks that have a result."""
    done = [task for task in view.tasks if has_result(task)]
    names = view.metric_names
    if not names:
        return note("No task has written metrics.")
    titles = ("computed", "lowest", "median", "highest")
    head = [tag("th", "metric"), *(tag("th", title, class_="n") for title in titles)]
    rows = [_range_row(view, name, done) for name in names[:METRICS]]
    more = (
        note(f"{len(names) - METRICS:,} more metrics are in each task's metrics.json.")
        if names[METRICS:]
        else None
    )
    return join(tag("h3", "Range of every metric"), table(head, rows, label="Range of every metric"), more)


def _range_row(view: ReportView, name: str, done: list[Task]) -> Markup:
    pairs = [
        (value, task)
        for task in done
        if (value := view.metrics(task).get(name)) is not None and math.isfinite(value)
    ]
    cells = [
        short(name, NAME, "td"),
        tag("td", f"{len(pairs):,} of {len(done):,}", class_="n", data_v=len(pairs)),
    ]
    if not pairs:
        return tag("tr", *cells, *([tag("td", "–", class_="n")] * 3))
    low, high = min(pairs, key=_value), max(pairs, key=_value)
    values = [low[0], float(median(value for value, _ in pairs)), high[0]]
    written = column(values)
    ends = {0: low[1], 2: high[1]}
    return tag(
        "tr",
        *cells,
        *(
            tag("td", _where(ends.get(place)), text, class_="n", data_v=values[place])
            for place, text in enumerate(written)
        ),
    )


def _value(pair: tuple[float, Task]) -> float:
    return pair[0]


def _where(task: Task | None) -> Markup | None:
    return None if task is None else tag("small", task_link(task), " ")
