"""The completion report: what it says of finished, partial, empty, huge and hostile sweeps."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from random import Random

import pytest

from hsm.core.model import Task
from hsm.core.spec import Direction, FloatRange, HuntSpec, Objective
from hsm.core.states import AttemptState, Cause, SweepStatus, TaskStatus
from hsm.report import Limits, ReportView, documents, render, render_comparison
from hsm.report.style import digest, script, style
from tests.unit.report.sweeps import (
    BLOW_UP,
    TRACEBACK,
    attempt,
    failed,
    grid_spec,
    hunt_spec,
    hunt_tasks,
    leave,
    png,
    spec,
    task,
    view,
)

HOSTILE = (
    "<script>document.title='pwned'</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>alert(1)</script>",
    "javascript:alert(1)",
    "{{7*7}}${7*7}",
    "<svg onload=alert(1)>",
    "url(//evil.example/x)",
    "a\u2028b\u202ec\x1b]0;evil\x07\x1b[2J",
    "]]><!--",
)


class Page(HTMLParser):
    """The elements and the text of a page, as a browser would read them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.elements}

    @property
    def attributes(self) -> set[str]:
        return {attribute for _, attributes in self.elements for attribute in attributes}


def page(made: ReportView) -> Page:
    return Page(render(made))


def test_a_finished_hunt_is_told_in_one_sentence(tmp_path: Path) -> None:
    """Results, failures, duration and the best result stand at the top."""
    tasks = hunt_tasks()
    best = view(tmp_path).best()[0]
    told = page(view(tmp_path, tasks=tasks)).text
    assert f"33 of 36 tasks have a result, 3 failed, after 4 min 12 s. Best pcs: {best.score:.5g} by" in told
    assert "n = 32 scored of 36 tasks" in told
    assert "hsm sweep complete" not in told


def test_the_page_is_one_file_without_requests(tmp_path: Path) -> None:
    """No element loads anything, no attribute runs anything; the policy allows one script, by its hash."""
    tasks = hunt_tasks()
    leave(tmp_path, tasks[0], pictures={"final_rho.png": png()})
    found = page(view(tmp_path, tasks=tasks).gather())
    assert not found.names & {"link", "iframe", "object", "embed", "form", "base", "video"}
    assert not {name for name in found.attributes if name.startswith("on")}
    sources = [attributes["src"] for name, attributes in found.elements if name == "img"]
    assert sources
    assert all(source is not None and source.startswith("data:image/png;base64,") for source in sources)
    places = [str(attributes["href"]) for name, attributes in found.elements if name == "a"]
    beside = ("error_analysis.html", "performance_analysis.yaml")
    assert all(place.startswith(("#", "../tasks/task_", *beside)) for place in places)
    policies = [a["content"] for n, a in found.elements if n == "meta" and "http-equiv" in a]
    assert policies[0] is not None
    assert [attributes for name, attributes in found.elements if name == "script"] == [{}]
    allowed = f"script-src {digest(script())}; style-src {digest(style())}; img-src data:"
    assert policies == [f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"]
    assert f"<script>{script()}</script>" in render(view(tmp_path, tasks=tasks))


def test_sections_have_anchors_that_the_navigation_names(tmp_path: Path) -> None:
    """Every link of the page's navigation leads to a section."""
    tasks = hunt_tasks()
    leave(tmp_path, tasks[0], pictures={"final_rho.png": png()})
    found = page(view(tmp_path, tasks=tasks).gather())
    ids = {str(attributes["id"]) for name, attributes in found.elements if name == "section"}
    links = {str(a["href"])[1:] for n, a in found.elements if n == "a" and str(a["href"]).startswith("#")}
    assert (
        ids
        == links
        == {
            "summary",
            "best",
            "convergence",
            "parameters",
            "gallery",
            "performance",
            "failures",
            "tasks",
            "reproduce",
            "provenance",
        }
    )


def test_the_same_view_gives_the_same_bytes(tmp_path: Path) -> None:
    """Nothing of the moment, of the machine or of hash order is in the page."""
    tasks = hunt_tasks()
    for entry in tasks[:3]:
        leave(tmp_path, entry, stderr=b"warning\n", pictures={"a.png": png(), "b.png": png(3)})
    assert render(view(tmp_path, tasks=tasks).gather()) == render(view(tmp_path, tasks=hunt_tasks()).gather())
    assert str(tmp_path) not in render(view(tmp_path, tasks=tasks).gather())


def hostile_view(sweep_dir: Path, evil: str) -> ReportView:
    """Put one text everywhere a user, a program or a host can put text."""
    objective = Objective(metric=evil, direction=Direction.MINIMIZE)
    space = {evil: FloatRange(low=0, high=1)}
    hunt = HuntSpec(hunter=evil, space=space, objective=objective, generations=2, population=2)
    bad = attempt(2, exit_code=1, cause=Cause.APPLICATION, reason=evil, source=evil)
    tasks = [
        task(1, {evil: 0.5, "s": evil, "l": [evil, {evil: 1}]}, {evil: 1.0, "m": None}, label=evil),
        task(2, {evil: evil}, status=TaskStatus.FAILED, attempts=(bad,), label=evil, reason=evil),
        task(3, {evil: 0.2}, {evil: 2.0}, label=evil),
    ]
    leave(sweep_dir, tasks[1], stderr=(evil * 3 + "\n" + evil).encode("utf-8", "surrogatepass"))
    return view(
        sweep_dir,
        spec=spec(name=evil, hunt=hunt, parameters={evil + "2": evil}, metadata={"description": evil}),
        tasks=tasks,
        sweep_id=evil,
        hosts=(evil,),
        metadata={"command": [evil], evil: {evil: evil}, "git": {"branch": evil, "commit": evil}},
    ).gather()


@pytest.mark.parametrize("evil", HOSTILE)
def test_hostile_values_are_text(tmp_path: Path, evil: str) -> None:
    """Markup, escape sequences and bidirectional tricks are shown, and change no element of the page."""
    harmless = page(hostile_view(tmp_path / "a", "x" * len(evil)))
    found = page(hostile_view(tmp_path / "b", evil))
    assert found.names <= harmless.names
    assert {a for a in found.attributes if a != "title"} <= harmless.attributes
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", "".join(found.words))
    assert evil[:6].encode("unicode_escape").decode() in found.text


def test_ansi_in_a_log_is_shown_escaped(tmp_path: Path) -> None:
    """Colours of a terminal are written out instead of obeyed."""
    bad = failed(1, {"b": 1.0})
    leave(tmp_path, bad, stderr=b"\x1b[31mred\x1b[0m \x9b \xe2\x80\xae\n")
    assert "\\x1b[31mred\\x1b[0m \\x9b \\u202e" in page(view(tmp_path, tasks=[bad]).gather()).text


def test_a_partial_hunt_says_what_is_missing_and_how_to_finish(tmp_path: Path) -> None:
    """Open tasks, generations not proposed, and the command that goes on."""
    tasks = hunt_tasks(24)
    tasks[20:] = [replace(t, status=TaskStatus.RUNNING, metrics=None, attempts=()) for t in tasks[20:]]
    told = page(view(tmp_path, tasks=tasks, status=SweepStatus.PARTIAL, ended_at=None)).text
    assert (
        "This sweep is not finished. Missing: 4 tasks without an end; 1 generation of 3 not proposed" in told
    )
    assert "up to 12 tasks" in told
    assert "hsm sweep complete ncgl-hunt-20300317-174640-a1b2" in told


@pytest.mark.parametrize("status", list(SweepStatus))
def test_a_sweep_without_tasks_can_be_reported(tmp_path: Path, status: SweepStatus) -> None:
    """A sweep that has just begun, or was cancelled at once, has a page too."""
    told = page(
        view(tmp_path, tasks=[], status=status, started_at=None, ended_at=None, metadata={}).gather()
    ).text
    assert "0 of 0 tasks have a result." in told
    assert "This sweep has no tasks yet." in told


def test_a_hunt_without_scores_has_no_best(tmp_path: Path) -> None:
    """Where every task failed or has a null objective, the page says so instead of naming a winner."""
    tasks = [
        failed(1, {"b": 1.0}),
        task(2, {"b": 2.0}, {"pcs": None}),
        task(3, {"b": 3.0}, {"pcs": float("nan")}),
    ]
    told = page(view(tmp_path, tasks=tasks)).text
    assert "No parameter set has a value of pcs yet" in told
    assert "Nothing to draw: no task has a score yet." in told


def test_a_grid_has_metrics_instead_of_a_best(tmp_path: Path) -> None:
    """A grid has no objective: it gets ranges and charts against its parameters, and no winner."""
    tasks = [
        task(i, {"k": k, "n": n, "who": "me"}, {"error": k / n})
        for i, (k, n) in enumerate(((k, n) for k in (1e-3, 0.1, 10.0) for n in (32, 64)), 1)
    ]
    made = view(tmp_path, spec=grid_spec({"k": (1e-3, 0.1, 10.0), "n": (32, 64)}), tasks=tasks)
    html = render(made)
    assert html.count('class="plot"') == 2
    assert "error, mean over all other parameters" in html
    assert "Not computable, because 6 tasks have a value; 10 are needed." in Page(html).text
    assert "k (log)" in html
    assert "Best" not in Page(html).text


def test_the_best_set_is_the_best_over_all_its_seeds(tmp_path: Path) -> None:
    """Replicates are averaged; a set with a missing replicate is not ranked; direction is obeyed."""
    made = view(
        tmp_path,
        spec=hunt_spec(seeds=2),
        tasks=[
            task(1, {"b": 1.0}, {"pcs": 0.9}, seed=0),
            failed(2, {"b": 1.0}, seed=1),
            task(3, {"b": 2.0}, {"pcs": 0.4}, seed=0),
            task(4, {"b": 2.0}, {"pcs": 0.6}, seed=1),
            task(5, {"b": 3.0}, {"pcs": 0.45}, seed=0),
            task(6, {"b": 3.0}, {"pcs": 0.45}, seed=1),
        ],
    )
    assert [(entry.task.index, entry.score) for entry in made.best()] == [(3, 0.5), (5, 0.45)]
    assert "± 0.1 over 2 seeds" in page(made).text
    assert made.spec.hunt is not None
    lowest = replace(made.spec.hunt, objective=Objective(metric="pcs", direction=Direction.MINIMIZE))
    assert replace(made, spec=replace(made.spec, hunt=lowest)).best()[0].task.index == 5


@pytest.mark.parametrize("direction", list(Direction))
def test_best_so_far_never_gets_worse(tmp_path: Path, direction: Direction) -> None:
    """The staircase only climbs where more is better, only descends where less is, and does move."""
    made = view(tmp_path)
    assert made.spec.hunt is not None
    objective = Objective(metric="pcs", direction=direction)
    scores = [0.5, 0.7, 0.2, 0.9, 0.1, 0.6]
    tasks = [
        task(i, {"b": float(i)}, {"pcs": score}, generation=(i + 1) // 2) for i, score in enumerate(scores, 1)
    ]
    asked = replace(
        made, spec=replace(made.spec, hunt=replace(made.spec.hunt, objective=objective)), tasks=tasks
    )
    lines = [str(a["d"]) for name, a in page(asked).elements if name == "path" and a.get("class") == "l-best"]
    levels = [float(level) for level in re.findall(r"(?:V|M\S+ )([\d.]+)", lines[0])]
    assert levels == sorted(levels, reverse=direction is Direction.MAXIMIZE)
    assert len(set(levels)) == 2 if direction is Direction.MAXIMIZE else 3


def test_a_reused_task_shows_the_result_it_reuses(tmp_path: Path) -> None:
    """A task that was not run because its work was known has the metrics of the other task."""
    first = task(1, {"b": 1.0}, {"pcs": 0.5})
    again = replace(first, index=2, status=TaskStatus.REUSED, attempts=(), metrics=None, reuses=1)
    made = view(tmp_path, tasks=[first, again])
    assert made.metrics(again) == {"pcs": 0.5}
    assert len(made.best()) == 1


def test_failures_are_grouped_by_what_they_have_in_common(tmp_path: Path) -> None:
    """Tasks of one cause and one signature stand together, with a hint and the ends of two logs."""
    tasks = [
        failed(1, {"b": 1.0}, reason="exit code #: Segmentation fault"),
        failed(2, {"b": 2.0}, cause=Cause.MEMORY, reason="over 1 GiB"),
        *(failed(i, {"b": float(i)}) for i in range(3, 8)),
    ]
    for entry in tasks[2:]:
        leave(tmp_path, entry, stderr=(TRACEBACK % (entry.index * 37)).encode())
    told = page(view(tmp_path, tasks=tasks).gather()).text
    assert f"5 × application · exit code 1{BLOW_UP}" in told
    assert "1 × application · exit code 1exit code #: Segmentation fault" in told
    assert "1 × memory · exit code 1over 1 GiB" in told
    assert told.index("5 × application") < told.index("1 × application") < told.index("1 × memory")
    assert "Raise resources.memory in the sweep file." in told
    assert "Nothing was written to stderr." in told
    assert told.count("Traceback (most recent call last):") == 2


def test_many_kinds_of_failure_are_counted_beyond_the_first(tmp_path: Path) -> None:
    """The largest groups are shown, the others counted, and only the shown ones' logs are read."""
    tasks = [failed(i, {"b": float(i)}, reason=f"fault {i}") for i in range(1, 10)]
    for entry in tasks:
        leave(tmp_path, entry, stderr=b"words\n")
    made = view(tmp_path, tasks=tasks, limits=Limits(failure_groups=4)).gather()
    assert list(made.logs) == ["task_0001", "task_0002", "task_0003", "task_0004"]
    assert "5 more groups with 5 tasks: see logs/errors/failed_tasks.yaml" in page(made).text


def test_attempts_made_good_are_told(tmp_path: Path) -> None:
    """A retry that went well is no failure, but it is not hidden either."""
    lost = attempt(1, state=AttemptState.LOST, cause=Cause.LOST)
    good = task(1, {"b": 1.0}, {"pcs": 0.5}, attempts=(lost, attempt(1, number=2)))
    told = page(view(tmp_path, tasks=[good])).text
    assert "1 attempt ended badly, made good by another attempt: 1 lost." in told
    assert "No task failed." in told


def test_secrets_stay_out_of_the_page(tmp_path: Path) -> None:
    """Tokens of the environment and logins of a remote are not published."""
    html = render(view(tmp_path))
    assert "canary-secret" not in html
    assert "hunter2" not in html
    assert "…@git.example.org/physics/ncgl.git" in html


def test_reproduction_names_command_commit_and_digest(tmp_path: Path) -> None:
    """What must agree for the same results stands together, with a warning for uncommitted changes."""
    told = page(view(tmp_path)).text
    assert "hsm sweep run sweeps/ncgl_hunt.yaml --source local:2" in told
    assert "git checkout 3f1c9ab52e7705d0f5cf2e8f6a9be01c5a9a7d11" in told
    again = "sweeps/outputs/ncgl-hunt-20300317-174640-a1b2/sweep_config.yaml --new --source local:2"
    assert f"hsm sweep run {again}" in told
    assert "5d41" * 16 in told
    assert "changes that were not committed" in told
    clean = page(view(tmp_path, metadata={"git": {"commit": "abc", "dirty": False}})).text
    assert "changes that were not committed" not in clean


def many_tasks(count: int) -> list[Task]:
    return hunt_tasks(count, population=max(1, count // 3))


@pytest.mark.slow
def test_a_thousand_tasks_stay_small(tmp_path: Path) -> None:
    """1,000 tasks with 80 failures and their logs cost less than 1 MB; the rest of the table is counted."""
    tasks = many_tasks(1_000)
    for entry in tasks:
        if entry.status is TaskStatus.FAILED:
            leave(tmp_path, entry, stderr=b"noise\n" * 10_000 + (TRACEBACK % entry.index).encode())
    html = render(view(tmp_path, tasks=tasks).gather())
    assert len(html.encode()) < 1_000_000
    assert html.count("<tr><td><a") == 300
    assert (
        "The table shows 300 tasks, the best first. The other 700 are in task_mapping.yaml" in Page(html).text
    )


@pytest.mark.slow
def test_a_thousand_wide_tasks_stay_small(tmp_path: Path) -> None:
    """1,000 tasks with 16 parameters and 12 metrics cost less than 1 MB: the table has fewer rows."""
    rng = Random(2)
    names = [f"parameter_{place}" for place in range(16)]
    tasks = [
        task(
            index,
            {name: rng.random() for name in names},
            {f"metric_{place}": rng.gauss(0, 1) for place in range(12)},
        )
        for index in range(1, 1_001)
    ]
    html = render(view(tmp_path, spec=grid_spec(dict.fromkeys(names, (0.0, 1.0))), tasks=tasks))
    assert len(html.encode()) < 1_000_000
    assert html.count("<tr><td><a") == 166
    assert "The table shows 166 tasks, in task order. The other 834 are in" in Page(html).text


@pytest.mark.slow
def test_long_hostile_values_stay_small(tmp_path: Path) -> None:
    """300 rows of 20 long parameters and 25 kinds of failure with logs full of quotes stay under 5 MB."""
    value = '"<&' * 300
    tasks = [
        failed(i, {f"p{n}": value + str(i) for n in range(20)}, reason=f"{i % 25}{value}")
        for i in range(1, 301)
    ]
    for entry in tasks:
        leave(tmp_path, entry, stderr=b'"' * 9_000)
    html = render(view(tmp_path, tasks=tasks).gather())
    assert len(html.encode()) < 5_000_000


def test_endless_names_are_cut(tmp_path: Path) -> None:
    """Names of metrics, parameters and sources of 90 kB cost a page no more than they can tell."""
    endless = '"<&' * 10_000
    tasks = [
        task(
            i, {endless: i, f"{endless}2": i % 3}, {endless: 1.0 * i}, attempts=(attempt(i, source=endless),)
        )
        for i in range(1, 31)
    ]
    tasks[3] = failed(4, {endless: 4, f"{endless}2": 1}, reason=endless)
    grid = view(tmp_path, spec=grid_spec({endless: (1, 2)}), tasks=tasks)
    objective = HuntSpec(
        hunter="x", space={}, objective=Objective(metric=endless), generations=1, population=1
    )
    hunt = replace(grid, spec=spec(hunt=objective))
    for made in (grid, hunt):
        assert sum(len(text) for name, text in documents(made) if name.endswith(".html")) < 300_000
    assert len(render_comparison([hunt, hunt])) < 300_000


def test_pictures_are_capped_best_first(tmp_path: Path) -> None:
    """When not all pictures fit, the best ones are kept and the others are counted."""
    tasks = hunt_tasks()
    for entry in tasks:
        leave(tmp_path, entry, pictures={"final_rho.png": png(entry.index)})
    made = view(tmp_path, tasks=tasks, limits=Limits(pictures=5)).gather()
    assert list(made.pictures) == [entry.task.task_id for entry in made.best()[:5]]
    assert "28 more pictures did not fit into this page" in page(made).text
    room = 2 * len(png()) + 10
    assert len(view(tmp_path, tasks=tasks, limits=Limits(all_picture_bytes=room)).gather().pictures) == 2


def test_pictures_are_not_sought_without_end(tmp_path: Path) -> None:
    """After so many tasks in a row without a picture no more are looked for, and the page says so."""
    tasks = [task(i, {"k": float(i)}, {"e": 1.0}) for i in range(1, 9)]
    leave(tmp_path, tasks[1], pictures={"a.png": png()})
    leave(tmp_path, tasks[6], pictures={"b.png": png()})
    grid = grid_spec({"k": (1.0, 2.0)})
    some = view(tmp_path, spec=grid, tasks=tasks, limits=Limits(picture_misses=3)).gather()
    assert list(some.pictures) == ["task_0002"]
    assert "Looked for in the first 5 tasks." in page(some).text
    none = view(tmp_path, spec=grid, tasks=tasks[2:], limits=Limits(picture_misses=3)).gather()
    assert "None of the first 3 tasks has written a PNG file" in page(none).text
    every = view(tmp_path, spec=grid, tasks=tasks, limits=Limits(picture_misses=5)).gather()
    assert list(every.pictures) == ["task_0002", "task_0007"]
    assert "Looked for" not in page(every).text


def test_missing_evidence_is_no_error(tmp_path: Path) -> None:
    """A sweep whose task directories are gone is still reported."""
    made = view(tmp_path / "gone").gather()
    assert not made.pictures
    assert "Pictures" not in page(made).text


def test_several_pictures_of_a_task_share_a_row_and_a_caption(tmp_path: Path) -> None:
    """Beside each other, told once whose they are; a single one keeps its place in the grid."""
    tasks = hunt_tasks()
    leave(tmp_path, tasks[0], pictures={f"{name}.png": png() for name in ("density", "phase", "spectrum")})
    leave(tmp_path, tasks[1], pictures={"density.png": png()})
    elements = page(view(tmp_path, tasks=tasks).gather()).elements
    assert [attributes.get("class") for name, attributes in elements if name == "figure"].count(
        "several"
    ) == 1
    assert sum(attributes.get("class") == "strip" for _, attributes in elements) == 1
    assert sum(name == "figcaption" for name, _ in elements) >= 2
    assert sum(name == "img" for name, _ in elements) == 4
