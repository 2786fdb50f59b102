"""What the p-values of a sweep can claim after so many tries: a table, and a sentence for each."""

from __future__ import annotations

from dataclasses import dataclass

from hsm.core.model import Task
from hsm.core.significance import P_VALUE, chance_of_best, is_p_value, q_values, why_no_candidate
from hsm.report.html import Markup, code, note, section, short, table, tag
from hsm.report.links import task_link
from hsm.report.text import count, number
from hsm.report.view import ReportView

LEVEL = 0.01
BEST = 5
NAME = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """One p-value over a sweep: (p, q, task) of every result that has it, the smallest first."""

    name: str
    ranked: tuple[tuple[float, float, Task], ...]

    @property
    def candidates(self) -> int:
        """How many results have a q-value of at most LEVEL."""
        return sum(1 for _, q, _ in self.ranked if q <= LEVEL)


def has_p_values(view: ReportView) -> bool:
    """Tell whether any task wrote a p-value."""
    return any(is_p_value(name) for name in view.metric_names)


def significance(view: ReportView) -> Markup:
    """Return the section."""
    every = [ranked_p_values(view, name) for name in view.metric_names if is_p_value(name)]
    head = [tag("th", "p-value"), tag("th", "task")]
    head += [tag("th", title, class_="n") for title in ("p", "q", "tested")]
    rows = [row for each in every for row in _rows(each)]
    return section(
        "significance",
        "Significance",
        note(
            "p is the chance that a null reaches the score of one run, q (Benjamini and Hochberg) takes all "
            f"runs of the sweep into account. A run with q ≤ {LEVEL} is a candidate; it is believed when "
            "fresh seeds confirm it: ",
            code(f"hsm analyze {view.sweep_id} --with significance"),
            " names them.",
        ),
        *(note(tag("b", _label(each)), ": ", sentence(each)) for each in every),
        table(head, rows, label="The smallest p-values") if rows else None,
    )


def ranked_p_values(view: ReportView, name: str) -> Tested:
    """Return a p-value over the sweep; a result that stands for several tasks was tested once."""
    pairs = zip(view.tasks, view.values_of(name), strict=True)
    own = [(value, task) for task, value in pairs if value is not None and task.reuses is None]
    q = q_values([value for value, _ in own])
    found = [
        (value, q_value, task) for (value, task), q_value in zip(own, q, strict=True) if q_value is not None
    ]
    return Tested(name=name, ranked=tuple(sorted(found, key=lambda each: each[0])))


def sentence(each: Tested) -> str:
    """Say what this p-value can claim."""
    if not each.ranked:
        return "no run could be scored, so nothing can be claimed."
    best, tests = each.ranked[0][0], len(each.ranked)
    chance = number(chance_of_best(best, tests), digits=2)
    runs = count(tests, "run")
    smallest = number(best, digits=2)
    by_chance = (
        f"the best of {runs} has p = {smallest}; chance alone does that with a probability of {chance}"
    )
    if not each.candidates:
        return f"no candidate: {why_no_candidate(LEVEL)}; {by_chance}."
    return f"{count(each.candidates, 'candidate')} to be confirmed; {by_chance}."


def _rows(each: Tested) -> list[Markup]:
    return [
        tag(
            "tr",
            short(_label(each), NAME, "td"),
            tag("td", task_link(task)),
            *(tag("td", number(value, digits=3), class_="n", data_v=value) for value in (p, q)),
            tag("td", f"{len(each.ranked):,}", class_="n", data_v=len(each.ranked)),
        )
        for p, q, task in each.ranked[:BEST]
    ]


def _label(each: Tested) -> str:
    return each.name.removesuffix(P_VALUE)
