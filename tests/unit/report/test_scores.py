"""The page of scores beside chance: what programs claim, read with suspicion, drawn and said in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hsm.report import documents, plots, render, render_scores
from hsm.report.claims import BYTES, read_claims
from hsm.report.figure import Figure, Mark
from hsm.report.view import ReportView
from tests.unit.report.sweeps import leave, png, task, view

HOSTILE = "</style><script>alert(1)</script>"


def null(**more: Any) -> dict[str, Any]:
    """Return a null with nine draws, as a program writes it."""
    return {
        "about": "shuffled",
        "score": 5.0,
        "low_is_good": False,
        "p": 0.2,
        "draws": 9,
        "without_score": 0,
        "reached": 1,
        "low": 1.0,
        "high": 4.0,
        "log": False,
        "counts": [2, 6, 1],
        **more,
    }


def claims(**more: Any) -> dict[str, Any]:
    """Return the content of a file that speaks of one tested score."""
    ring = {
        "value": 5.0,
        "unit": "nats",
        "can": "that there is a ring.",
        "cannot": "it does not say why.",
        "p_value": "ring_p_value",
        "nulls": [null()],
        **more,
    }
    plain = {**ring, "p_value": None, "nulls": [], "can": "how large it is."}
    return {"schema": 1, "scores": {"ring": ring, "size": plain}}


def swept(folder: Path, content: object, p: tuple[float | None, ...] = (0.4, 0.1, None, 0.9)) -> ReportView:
    """Return a gathered hunt with these p-values, each task of which wrote the claims."""
    tasks = [task(at, {"b": at}, {"pcs": 0.5, "ring_p_value": each}) for at, each in enumerate(p, 1)]
    for each in tasks:
        place = leave(folder, each, pictures={"phase.png": png()})
        (place / "results" / "claims.json").write_text(json.dumps(content))
    return view(folder, tasks=tasks).gather()


def section_of(page: str, key: str) -> str:
    start = page.index(f'id="{key}"')
    return page[start : page.index("</section>", start)]


def test_a_score_stands_beside_its_null_with_p_and_q_and_its_words(tmp_path: Path) -> None:
    """The task with the smallest p is the one whose null is drawn."""
    tested = section_of(render_scores(swept(tmp_path, claims())), "tested")
    assert "that there is a ring." in tested
    assert "it does not say why." in tested
    assert "No candidate: no q is at most 0.01." in tested
    assert "The smallest p of 3 runs is 0.1" in tested
    assert "task_0002</a>: p = 0.1, q = 0.3" in tested
    assert "1 draw of 9 as good (as high or more so): p = 0.2." in tested
    assert tested.count("<svg") >= 2


def test_why_a_score_is_null_is_said_where_it_is_missed(tmp_path: Path) -> None:
    """In the words of the program, once for all runs that have the same reason; other programs say none."""
    page = render_scores(swept(tmp_path / "a", claims(value=None, nulls=[], reason="it has <1> ring")))
    for key in ("tested", "untested"):
        assert "Where it is null: </b>it has &lt;1&gt; ring (4 runs)" in section_of(page, key)
    silent = render_scores(swept(tmp_path / "b", claims(value=None, nulls=[])))
    assert "None of the runs that are shown has this score." in silent
    assert "Where it is null" not in silent


def test_too_few_draws_are_not_taken_for_chance(tmp_path: Path) -> None:
    """Where no draw reaches the best score, p is as small as it can be, which is said."""
    content = claims(nulls=[null(reached=0, p=0.1)])
    assert "for want of draws" in section_of(render_scores(swept(tmp_path / "few", content)), "tested")
    found = swept(tmp_path / "many", content, p=(1e-5, 0.5))
    assert "1 candidate with q" in section_of(render_scores(found), "tested")


def test_what_is_not_tested_stands_apart(tmp_path: Path) -> None:
    """With its sentence and its value, without a verdict."""
    page = section_of(render_scores(swept(tmp_path, claims())), "untested")
    assert "how large it is." in page
    assert "ring" not in page.replace("that there is a ring.", "")
    assert "chance" not in page


def test_pictures_of_the_shown_runs_are_in_the_page(tmp_path: Path) -> None:
    """The page stands alone."""
    page = section_of(render_scores(swept(tmp_path, claims())), "gallery")
    assert "phase.png" in page
    assert "data:image/" in page


def test_a_sweep_without_claims_has_no_such_page(tmp_path: Path) -> None:
    """Nor a link to one; a sweep with them has both."""
    without = view(tmp_path / "without").gather()
    names = [name for name, _ in documents(without)]
    assert "scores_report.html" not in names
    assert "scores_report.html" not in render(without)
    with_ = swept(tmp_path / "with", claims())
    assert "scores_report.html" in [name for name, _ in documents(with_)]
    assert 'href="scores_report.html"' in render(with_)


def test_what_a_program_says_is_text(tmp_path: Path) -> None:
    """Names, units, sentences and nulls are never markup, and a long sentence is cut."""
    content = claims(unit=HOSTILE, can=HOSTILE, cannot="x" * 9_000, nulls=[null(about=HOSTILE)])
    content["scores"][HOSTILE] = content["scores"]["ring"]
    page = render_scores(swept(tmp_path, content))
    assert HOSTILE not in page
    assert "x" * 500 not in page


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"schema": 2, "scores": {}},
        {"schema": 1, "scores": {"a": {}}},
        claims(value="high"),
        claims(nulls=[null(counts=[1.5])]),
        claims(nulls=[null(counts=[])]),
        claims(nulls=[null(low=4.0, high=4.0)]),
        claims(nulls=[null(low=0.0, log=True)]),
        claims(nulls=[null(draws=-1)]),
        claims(nulls=[null()] * 7),
        claims(can="x" * BYTES),
    ],
)
def test_a_file_of_another_form_is_passed_over(tmp_path: Path, content: object) -> None:
    """Whole: half of a claim is none."""
    assert swept(tmp_path, content).claims == {}


def test_claims_are_read_inside_the_sweep_only(tmp_path: Path) -> None:
    """A link that leads out is not followed."""
    outside = tmp_path / "claims.json"
    outside.write_text(json.dumps(claims()))
    results = tmp_path / "sweep" / "tasks" / "task_0001" / "results"
    results.mkdir(parents=True)
    (results / "claims.json").symlink_to(outside)
    assert read_claims(tmp_path / "sweep", "tasks/task_0001") == ()
    assert read_claims(tmp_path, "sweep/tasks/task_0001") != ()


def drawn(tmp_path: Path, **more: Any) -> Figure:
    """Return the histogram of a null."""
    found = swept(tmp_path, claims(nulls=[null(**more)])).claims["task_0001"]
    return plots.null_histogram("ring", found[0].nulls[0])


def test_a_histogram_holds_every_draw_and_the_score(tmp_path: Path) -> None:
    """The score lies where it is, outside of the draws too."""
    figure = drawn(tmp_path)
    area, line = figure.series
    assert area.mark is Mark.AREA
    assert area.points == ((1.0, 2.0), (2.0, 6.0), (3.0, 1.0), (4.0, 0.0))
    assert line.points[0] == (5.0, 0.0)
    low, high = figure.axes[0].low, figure.axes[0].high
    assert low is not None
    assert high is not None
    assert low < 1.0
    assert high > 5.0
    assert figure.n == 9
    assert "M" in figure.svg()


def test_a_logarithmic_histogram_has_equal_factors(tmp_path: Path) -> None:
    """A score of zero, which has no logarithm, takes nothing from the draws."""
    figure = drawn(tmp_path, low=1.0, high=8.0, log=True, score=2.0)
    assert [point[0] for point in figure.series[0].points] == pytest.approx([1, 2, 4, 8])
    figure = drawn(tmp_path, low=1.0, high=8.0, log=True, score=0.0)
    assert figure.series[1].points[0][0] == figure.axes[0].low
    assert "<svg" in figure.svg()


def test_what_is_not_tested_has_a_histogram_without_p(tmp_path: Path) -> None:
    """Neither side of it is better."""
    figure = drawn(tmp_path, p=None, reached=None, low_is_good=None, without_score=2)
    assert "Nothing is tested" in figure.note
    assert "2 draws had no score." in figure.note


def test_p_values_of_chance_lie_on_the_line_of_chance() -> None:
    """The i-th of n is drawn at (i − 1/2)/n, where chance puts it."""
    p = [(at + 0.5) / 20 for at in range(20)]
    dots, chance, candidate = plots.ordered_p_values("ring_p_value", p[::-1], 0.01).series
    assert [x for x, _ in dots.points] == pytest.approx([y for _, y in dots.points])
    assert all(x == y for x, y in chance.points)
    assert all(y == pytest.approx(0.01 * x) for x, y in candidate.points)
