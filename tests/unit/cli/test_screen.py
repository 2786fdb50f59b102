"""What progress looks like: everything on few lines, none wider than the terminal."""

from dataclasses import replace
from pathlib import Path

import pytest

from hsm.cli.console import ASCII, Glyphs, text_of
from hsm.cli.live import text_from
from hsm.cli.screen import Scene, counts, lines_of, sparkline
from hsm.core.monitor import Eta, Failures, LaneProgress, Progress
from hsm.core.states import SweepStatus, TaskStatus
from hsm.core.tallies import Best
from hsm.core.tree import SweepTree

LANE = LaneProgress(
    name="local",
    is_open=True,
    reason="",
    slots=4,
    running=4,
    queued=6,
    finished=20,
    failed=2,
    rate_hz=0.5,
    heard_s=2.0,
)
PROGRESS = Progress(
    status=SweepStatus.RUNNING,
    counts={
        **dict.fromkeys(TaskStatus, 0),
        TaskStatus.SEALED: 20,
        TaskStatus.FAILED: 2,
        TaskStatus.RUNNING: 4,
    },
    planned=26,
    expected=40,
    finished=22,
    retries=0,
    generation=2,
    generations=3,
    elapsed_s=72.0,
    age_s=1.0,
    rate_hz=0.5,
    eta=Eta(likely_s=36.0, low_s=25.0, high_s=52.0, endings=22, remaining=18),
    eta_reason="",
    metric="score",
    best=Best(0.93, 17),
    improvements=3,
    lanes=(LANE,),
    failures=(
        Failures(cause="time", signature="over 10 s", count=2, final=2, tasks=(3, 9), remedy="raise it"),
    ),
    stopped="",
)
SCENE = Scene(
    tree=SweepTree(Path("/x/heat-20260102-030405-abcd")),
    progress=PROGRESS,
    best_params="k: 0.2",
    recent=("12:00:00 task_0022 sealed", "12:00:01 task_0023 sealed"),
)


def _texts(scene: Scene, width: int = 100, glyphs: Glyphs = Glyphs()) -> list[str]:  # noqa: B008 - a frozen value
    return [text_of(spans) for spans in lines_of(scene, width, glyphs)]


def test_one_glance_tells_everything() -> None:
    """Status, time to go, states, sources, best, failures and what happened, one line each."""
    assert _texts(SCENE) == [
        "heat-20260102-030405-abcd  running  1 min 12 s  ~36 s (25 to 52 s) left",
        "█" * 39 + "░" * 21 + "  22/40  55 %",
        "✓ 20 sealed  ✗ 2 failed  4 running  generation 2 of 3",
        "local     open  4 slots  4 running  6 queued  30/min  2 failed  heard 2 s ago",
        "best      score = 0.93  task_0017  k: 0.2",
        "failures  2 × time  over 10 s  task_0003, task_0009",
        "now       12:00:00 task_0022 sealed",
        "          12:00:01 task_0023 sealed",
    ]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 160])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Lines are cut, with a mark, instead of being wrapped."""
    long = replace(SCENE, best_params="p" * 300, notice="n" * 300)
    assert max(map(len, _texts(long, width))) <= width


def test_a_terminal_without_unicode_gets_ascii() -> None:
    """The same facts in signs that every locale has."""
    assert all(row.isascii() for row in _texts(SCENE, glyphs=ASCII))


def test_the_bar_is_full_only_when_all_is_done() -> None:
    """399 of 400 tasks are 99 %, never 100 %."""
    counts = {**PROGRESS.counts, TaskStatus.SEALED: 399, TaskStatus.FAILED: 0, TaskStatus.RUNNING: 1}
    nearly = replace(PROGRESS, counts=counts, planned=400, expected=400, finished=399)
    assert _texts(replace(SCENE, progress=nearly))[1].endswith("399/400  99 %")


def test_old_news_is_called_old() -> None:
    """When nothing has happened for a while, the header says for how long."""
    assert "last news 40 s ago" in _texts(replace(SCENE, progress=replace(PROGRESS, age_s=40.0)))[0]


def test_a_failed_source_says_why() -> None:
    """A lane that is gone shows its reason instead of its load."""
    gone = replace(LANE, is_open=False, reason="no route to host")
    assert "local     failed  no route to host" in _texts(
        replace(SCENE, progress=replace(PROGRESS, lanes=(gone,)))
    )


def test_a_source_of_a_long_name_is_told_from_how_it_is() -> None:
    """One that cannot be reached now is away; it has not failed."""
    gone = replace(LANE, name="ssh:workstation", is_open=False, is_paused=True, reason="is tried again: cut")
    row = "ssh:workstation away  is tried again: cut"
    assert row in _texts(replace(SCENE, progress=replace(PROGRESS, lanes=(gone,))))


def test_a_lane_without_an_engine_tells_what_was_known_last() -> None:
    """Nobody takes note of what ends there, so nothing is said to run now."""
    left = replace(PROGRESS, status=SweepStatus.PARTIAL, lanes=(replace(LANE, heard_s=600.0),))
    row = "local     4 running, 6 queued when last heard of, 10 min ago"
    assert row in _texts(replace(SCENE, progress=left))


def test_a_source_says_when_it_was_heard_last() -> None:
    """The age of its last news is told, or that there were none yet."""
    never = replace(PROGRESS, lanes=(replace(LANE, heard_s=None),))
    assert _texts(replace(SCENE, progress=never))[3].endswith("  not heard yet")
    silent = replace(PROGRESS, lanes=(replace(LANE, heard_s=40.0),))
    assert _texts(replace(SCENE, progress=silent))[3].endswith("  heard 40 s ago")


@pytest.mark.parametrize(
    ("trend", "bars"),
    [
        ([Best(1.0, 1), Best(2.0, 3), Best(9.0, 4)], "▁▁▂█"),
        ([Best(9.0, 1), Best(1.0, 2)], "█▁▁▁"),
        ([Best(1.0, 3), Best(9.0, 2)], " ███"),
        ([Best(5.0, 2)], " ███"),
    ],
)
def test_the_sparkline_is_the_best_score_so_far_by_task(trend: list[Best], bars: str) -> None:
    """Its height is the score; where no task had one yet there is nothing."""
    assert sparkline(trend, 4, Glyphs()) == bars


def test_many_kinds_of_failure_are_summed_up() -> None:
    """Only the largest groups are shown; the others are counted and a command is named."""
    groups = tuple(replace(PROGRESS.failures[0], signature=f"s{n}") for n in range(7))
    texts = _texts(replace(SCENE, progress=replace(PROGRESS, failures=groups)))
    assert "          3 more kinds, 6 attempts: `hsm monitor errors`" in texts


def test_nothing_in_a_live_picture_is_markup() -> None:
    """Brackets of a user's text are shown, control characters escaped."""
    text = text_from(lines_of(replace(SCENE, recent=("[bold]x[/bold]\x1b[2J",)), 100, Glyphs()))
    assert "[bold]x[/bold]\\x1b[2J" in text.plain


def test_a_hunt_that_ended_early_says_why() -> None:
    """Beside its generations, and only when there were fewer than there might have been."""
    early = replace(PROGRESS, generation=2, generations=5, ended_because="the target is reached")
    assert text_of(counts(early, ASCII)).endswith("generation 2 of 5, ended early: the target is reached")
    whole = replace(early, generation=5)
    assert "ended early" not in text_of(counts(whole, ASCII))


def test_a_hunt_none_of_whose_results_has_a_score_says_so() -> None:
    """Sealed tasks alone look like success; before the first, or without an objective, nothing is missed."""
    bare = replace(PROGRESS, best=None)
    assert "best      none of 20 results has a score in score" in _texts(replace(SCENE, progress=bare))
    for other in (replace(bare, counts=dict.fromkeys(TaskStatus, 0)), replace(bare, metric="")):
        assert not any("none of" in text for text in _texts(replace(SCENE, progress=other)))
