"""`scores_report.html`: what the scores of a sweep can claim beside chance, and pictures of its best runs.

It is written where programs say what their scores can claim (`claims.json`); of other sweeps there is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hsm.core.model import Task
from hsm.core.significance import chance_of_best, why_no_candidate
from hsm.report import plots
from hsm.report.claims import Claim, Null
from hsm.report.draw import PANEL, draw
from hsm.report.drawn import caption
from hsm.report.evidence import Picture
from hsm.report.html import Markup, code, join, note, section, table, tag
from hsm.report.links import task_link
from hsm.report.page import page
from hsm.report.pictures import described, image
from hsm.report.significance import LEVEL, Tested, ranked_p_values
from hsm.report.summary import masthead, status_words
from hsm.report.text import count, number, shorten
from hsm.report.view import ReportView

FILE_NAME = "scores_report.html"
"""Its name in the sweep's `reports/`."""

COMPLETION = "completion_report.html"
PLACES = {"tested": "Tested", "untested": "Not tested", "gallery": "Pictures", "how": "How to read this"}
ROWS = 8
GALLERY = 8
NAME = 60
WORDS = 400
REASONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A score of one task as the page shows it; p and q are None where it has none."""

    task: Task
    claim: Claim
    p: float | None
    q: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A score of the tasks whose claims were read: the smallest p first, else the best of the sweep."""

    name: str
    shown: tuple[Shown, ...]
    tested: Tested | None

    @property
    def claim(self) -> Claim:
        """What is said of it, as its first task says it."""
        return self.shown[0].claim

    @property
    def has_too_few_draws(self) -> bool:
        """Whether no draw of any null reaches the best score: its p is the smallest there can be."""
        tested = [null.reached for null in self.claim.nulls if null.reached is not None]
        return bool(tested) and not any(tested)


def has_scores(view: ReportView) -> bool:
    """Tell whether there is such a page."""
    return bool(view.claims)


def render_scores(view: ReportView) -> str:
    """Return the page."""
    back = tag("p", tag("a", "Completion report", href=COMPLETION), class_="pages")
    every = list(scores(view))
    return page(
        f"{view.spec.name} · scores · {view.sweep_id}",
        masthead(view, back, title="Scores beside chance"),
        PLACES,
        [
            _tested([each for each in every if each.tested is not None]),
            _untested([each for each in every if each.tested is None]),
            _gallery(view),
            _how(view),
        ],
        f"The sweep is {status_words(view)}. Links work while this file lies in its reports/ directory.",
    )


def scores(view: ReportView) -> Iterator[Score]:
    """Yield every score that the claims speak of, in their order, those that any run has."""
    by_id = {task.task_id: task for task in view.tasks}
    names = dict.fromkeys(claim.name for claims in view.claims.values() for claim in claims)
    for name in names:
        found = [
            (by_id[task_id], claim)
            for task_id, claims in view.claims.items()
            for claim in claims
            if claim.name == name
        ]
        p_value = found[0][1].p_value
        tested = ranked_p_values(view, p_value) if p_value else None
        known = {task.task_id: (p, q) for p, q, task in tested.ranked} if tested else {}
        shown = [_shown(task, claim, known) for task, claim in found]
        if tested is not None:
            shown.sort(key=lambda each: (each.p is None, each.p or 0.0))
        yield Score(name=name, shown=tuple(shown), tested=tested)


def _shown(task: Task, claim: Claim, known: Mapping[str, tuple[float, float]]) -> Shown:
    p, q = known.get(task.task_id, (None, None))
    return Shown(task=task, claim=claim, p=p, q=q)


def _tested(every: list[Score]) -> Markup:
    heading = "Scores that are held against chance"
    if not every:
        return section("tested", heading, note("No score of this sweep is tested against a null."))
    return section("tested", heading, *(_article(score) for score in every))


def _untested(every: list[Score]) -> Markup:
    heading = "Scores without a test"
    if not every:
        return section("untested", heading, note("Every score of this sweep is tested."))
    panels = [panel for score in every for panel in _nulls(score)]
    return section(
        "untested",
        heading,
        *(join(_title(score.claim), _sayings(score.claim), _why_null(score)) for score in every),
        _side_by_side(every),
        tag("div", *panels, class_="panels") if panels else None,
    )


def _side_by_side(every: list[Score]) -> Markup:
    """Return one table of all untested scores."""
    tasks = [each.task for each in every[0].shown][:ROWS]
    values = {(each.task.index, score.name): each.claim.value for score in every for each in score.shown}
    head = [tag("th", "task"), *(tag("th", shorten(score.name, NAME), class_="n") for score in every)]
    rows = [
        tag(
            "tr",
            tag("td", task_link(task)),
            *(_cell(values.get((task.index, score.name))) for score in every),
        )
        for task in tasks
    ]
    return table(head, rows, label="Scores without a test, the best of the sweep first")


def _article(score: Score) -> Markup:
    return tag(
        "article",
        _title(score.claim),
        _sayings(score.claim),
        _verdict(score),
        _table(score),
        _panels(score),
    )


def _title(claim: Claim) -> Markup:
    unit = f" ({claim.unit})" if claim.unit not in ("", "1") else ""
    return tag("h3", code(shorten(claim.name, NAME)), shorten(unit, NAME))


def _sayings(claim: Claim) -> Markup:
    return join(_said("It can claim", claim.can), _said("Its limits", claim.cannot))


def _said(head: str, words: str) -> Markup:
    return tag("p", tag("b", f"{head}: "), shorten(words, WORDS), class_="note")


def _verdict(score: Score) -> Markup | None:
    """Say in one sentence what this sweep found."""
    tested = score.tested
    if tested is None:
        return None
    if not tested.ranked:
        return tag("p", "No run of this sweep could be scored, so nothing can be claimed.", class_="call")
    best, runs = tested.ranked[0][0], len(tested.ranked)
    chance = number(chance_of_best(best, runs), digits=2)
    by_chance = (
        f"The smallest p of {count(runs, 'run')} is {number(best, digits=2)}; "
        f"chance alone gives one as small with a probability of {chance}."
    )
    if tested.candidates:
        found = (
            f"{count(tested.candidates, 'candidate')} with q ≤ {LEVEL}, to be confirmed with fresh seeds. "
        )
    else:
        why = why_no_candidate(LEVEL, is_for_want_of_draws=score.has_too_few_draws)
        found = f"No candidate: {why}. "
    return tag("p", tag("b", found), by_chance, class_="call")


def _table(score: Score) -> Markup:
    if all(each.claim.value is None for each in score.shown):
        return join(note("None of the runs that are shown has this score."), _why_null(score))
    head = [tag("th", "task"), *(tag("th", word, class_="n") for word in ("score", "p", "q"))]
    rows = [
        tag("tr", tag("td", task_link(each.task)), _cell(each.claim.value), _cell(each.p), _cell(each.q))
        for each in score.shown[:ROWS]
    ]
    label = f"{shorten(score.name, NAME)}, the smallest p first"
    return join(table(head, rows, label=label), _why_null(score))


def _why_null(score: Score) -> Markup | None:
    """Say why runs have no such score, the most frequent reason first."""
    lacking = [each.claim for each in score.shown if each.claim.value is None]
    reasons = Counter(claim.reason for claim in lacking if claim.reason).most_common(REASONS)
    if not reasons:
        return None
    told = (f"{shorten(reason, WORDS)} ({count(runs, 'run')})" for reason, runs in reasons)
    return tag("p", tag("b", "Where it is null: "), "; ".join(told), class_="note")


def _cell(value: float | None) -> Markup:
    if value is None:
        return tag("td", "null", class_="n q", title="could not be computed")
    return tag("td", number(value, digits=3), class_="n", data_v=value)


def _panels(score: Score) -> Markup | None:
    """Return the p-values of all runs, and the nulls of the first run that has any."""
    panels = []
    if score.tested is not None and score.tested.ranked:
        p = [value for value, _, _ in score.tested.ranked]
        drawn = plots.ordered_p_values(score.tested.name, p, LEVEL)
        panels.append(tag("figure", draw(drawn, PANEL), caption(drawn), class_="panel"))
    panels += _nulls(score)
    return tag("div", *panels, class_="panels") if panels else None


def _nulls(score: Score) -> list[Markup]:
    first = next((each for each in score.shown if each.claim.nulls), None)
    return [_panel(score.name, first, null) for null in first.claim.nulls] if first else []


def _panel(name: str, shown: Shown, null: Null) -> Markup:
    figure = plots.null_histogram(name, null)
    known = shown.p is not None and shown.q is not None
    words = (
        f": p = {number(shown.p or 0.0, digits=3)}, q = {number(shown.q or 0.0, digits=3)}" if known else ""
    )
    of = tag("p", task_link(shown.task), words, class_="of")
    return tag("figure", of, draw(figure, PANEL), caption(figure), class_="panel")


def _gallery(view: ReportView) -> Markup:
    """Return the pictures of the results whose claims are shown, those of analyses beside their own."""
    by_id = {task.task_id: task for task in view.tasks}
    figures: list[Markup] = []
    for task in (by_id[task_id] for task_id in view.claims):
        pictures = list(_pictures(view, task))
        if pictures and len(figures) < GALLERY:
            images = [tag("div", image(picture), class_="shot") for picture in pictures]
            figures.append(
                tag("figure", tag("div", *images, class_="strip"), described(view, task), class_="several")
            )
    if not figures:
        return section("gallery", "Pictures", note("None of these results has a picture."))
    head = note(
        "The best runs, and those with the smallest p-values: what they drew, and what analyses drew of them."
    )
    return section("gallery", "Pictures", head, tag("div", *figures, class_="gallery"))


def _pictures(view: ReportView, task: Task) -> Iterator[Picture]:
    yield from view.pictures.get(task.task_id, ())
    for one in view.analyses:
        yield from one.pictures.get(task.task_id, ())


def _how(view: ReportView) -> Markup:
    return section(
        "how",
        "How to read this",
        note(
            "p is the chance that a null reaches the score of one run: 1 + the draws that are as good, over "
            "1 + all draws that have a score. q takes all runs of the sweep into account (Benjamini and "
            "Hochberg). In the plots of p-values, dots along the line of chance are what chance gives; the "
            "candidates are the dots up to the last one below the dashed line."
        ),
        note(
            f"A candidate has q ≤ {LEVEL}. It was chosen for its score, so it is believed only when fresh "
            "seeds confirm it: ",
            code(f"hsm analyze {view.sweep_id} --with significance"),
            " names the runs.",
        ),
        note(
            "What each score can claim is said by the program that made it. The claims of "
            f"{len(view.claims):,} of {len(view.tasks):,} tasks are shown: the best ones, and those with the "
            "smallest p-values."
        ),
    )
