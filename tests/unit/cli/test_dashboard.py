"""The picture of a watch fits every terminal, tells the same facts, and shows hostile text as text."""

from dataclasses import replace

import pytest

from hsm.cli.console import ASCII, Console, Glyphs, Line, Tone, line, text_of
from hsm.cli.dashboard import Stage, TaskPage, allot, picture
from hsm.cli.tables import width_of
from hsm.cli.view import Ask, Facts, Order, Page, View
from hsm.core.monitor import Failures
from hsm.core.states import SweepStatus
from hsm.core.tallies import Best
from tests.unit.cli.test_screen import LANE, PROGRESS, SCENE

HOSTILE = "\x1b[2J[bold]x[/bold]\r\n\u202e{k}"
TREND = (Best(0.1, 1), Best(0.4, 5), Best(0.93, 17))
STAGE = Stage(
    view=View(),
    facts=Facts(rows=tuple(range(1, 27)), groups=("3,9",), open_tasks=(25, 26), failed=2, no_retry="it runs"),
    scene=replace(
        SCENE, progress=replace(PROGRESS, trend=TREND), recent=tuple(f"12:00:0{n} news" for n in range(8))
    ),
    row=lambda index: [f"task_{index:04d}", "running", "1", "local", "2.0 s", f"k = {index}"],
    driver="engine here:7",
)
SIZES = [(80, 24), (40, 15), (200, 60)]


def _rows(
    stage: Stage = STAGE,
    width: int = 80,
    height: int = 24,
    glyphs: Glyphs = Glyphs(),  # noqa: B008 - a frozen value
) -> list[str]:
    return [text_of(spans) for spans in picture(stage, width, height, glyphs)]


def test_a_small_terminal_shows_everything_once() -> None:
    """Head, bar, states, lane, best with its sparkline, failures, news, tasks and keys on 80 x 24."""
    assert _rows() == [
        "heat-20260102-030405-abcd  running",
        "~36 s (25 to 52 s) left  1 min 12 s so far  news 1 s old  engine here:7",
        "█" * 32 + "░" * 18 + "  22/40  55 %",
        "✓ 20 sealed  ✗ 2 failed  4 running  generation 2 of 3",
        "local     open  4 slots  4 running  6 queued  30/min  2 failed  heard 2 s ago",
        "best      score = 0.93  task_0017  k: 0.2",
        "          ▁▁▁▁▃▃▃▃▃▃▃▃▃▃▃▃██████████  from 0.1 (task_0001) in 2 improvements",
        "failures  2 × time  over 10 s  task_0003, task_0009",
        "now       12:00:05 news",
        "          12:00:06 news",
        "          12:00:07 news",
        "26 tasks by activity  1 to 9",
        "   task       status   tries  source   time  result",
        "▸  task_0001  running      1  local   2.0 s  k = 1",
        *[f"   task_{n:04d}  running      1  local   2.0 s  k = {n}" for n in range(2, 10)],
        "",
        "q leave  Enter  ? help  /  s sort  f  l  c cancel  (r retry)",
    ]


@pytest.mark.parametrize(("width", "height"), [*SIZES, (20, 5), (1, 1), (80, 3)])
@pytest.mark.parametrize("page", Page)
@pytest.mark.parametrize("ask", [None, *Ask])
def test_every_page_fits_every_terminal(width: int, height: int, page: Page, ask: Ask | None) -> None:
    """No line is wider and no picture higher than the terminal, whatever is shown and asked."""
    long: list[Line] = [[("x" * 300, Tone.PLAIN)]] * 99
    page_of = TaskPage(head=long[:4], story=long, log=long)
    stage = replace(STAGE, view=View(page=page, ask=ask, typed="t" * 99), page=page_of)
    rows = _rows(stage, width, height)
    assert len(rows) == height
    assert max(map(len, rows)) <= width


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_what_matters_is_seen_at_every_size(width: int, height: int) -> None:
    """Status, time to go, counts, the lane, the worst failure, a task and the keys are always there."""
    text = "\n".join(_rows(width=width, height=height))
    for fact in (
        "running",
        "left",
        "22/40",
        "20 sealed",
        "local",
        "2 × time",
        "score = 0.93",
        "task_0001",
        "q leave",
    ):
        assert fact in text


def test_a_large_terminal_shows_more() -> None:
    """More room means more tasks and more news, not more emptiness."""
    text = "\n".join(_rows(width=200, height=60))
    assert "task_0026" in text
    assert "12:00:00 news" in text


def test_a_key_that_does_not_work_is_greyed_without_colour_too() -> None:
    """It stands in brackets, and the help says why."""
    assert "(r retry)" in _rows(width=100)[-1]
    assert "r         not now: it runs" in _rows(replace(STAGE, view=View(page=Page.HELP)))


def test_the_filter_and_the_order_are_told() -> None:
    """Whoever looks at a part of the tasks is told so."""
    stage = replace(STAGE, view=View(filter="running", order=Order.TIME))
    assert "26 tasks of `running` by time  (Esc: all)  1 to 9" in _rows(stage)
    none = replace(stage, facts=Facts())
    assert "  no task is like that now" in _rows(none)


def test_a_question_stands_above_the_keys() -> None:
    """What would be ended, and what has to be typed."""
    stage = replace(STAGE, view=View(ask=Ask.CANCEL, doomed=(25,)))
    assert _rows(stage)[-2] == "End task 25? Type y, then Enter: _"
    many = replace(STAGE.facts, open_tasks=tuple(range(99)))
    stage = replace(STAGE, view=View(ask=Ask.CANCEL), facts=many)
    assert _rows(stage)[-2] == "End 99 open tasks, the whole sweep? Type yes, then Enter: _"


def test_a_dead_sweep_says_so() -> None:
    """Without an engine the notice says how to go on."""
    scene = replace(
        STAGE.scene,
        progress=replace(PROGRESS, status=SweepStatus.PARTIAL, eta=None, rate_hz=None),
        notice="no engine drives it; go on: hsm sweep complete last",
    )
    rows = _rows(replace(STAGE, scene=scene, driver="no engine"))
    assert "not finished" in rows[0]
    assert rows[-2] == "no engine drives it; go on: hsm sweep complete last"


def test_an_unknown_time_to_go_says_why() -> None:
    """No number is made up while too few tasks have ended."""
    scene = replace(STAGE.scene, progress=replace(PROGRESS, eta=None, eta_reason="too few tasks have ended"))
    assert _rows(replace(STAGE, scene=scene))[1].startswith("time to go: too few tasks have ended")


def test_a_terminal_without_unicode_gets_ascii() -> None:
    """The same picture in signs that every locale has."""
    for page in Page:
        long = replace(STAGE, view=View(page=page), row=lambda index: [f"task_{index}", *["x" * 99] * 5])
        rows = _rows(long, glyphs=ASCII)
        assert all(row.isascii() for row in rows), rows


def test_wide_characters_take_two_places() -> None:
    """A name in a script with wide characters is cut where the terminal ends."""
    wide = replace(STAGE, scene=replace(STAGE.scene, best_params="k = " + "漢" * 99), driver="漢" * 50)
    for spans in picture(wide, 80, 24, Glyphs()):
        assert width_of(text_of(spans)) <= 80


def test_hostile_values_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters are escaped, and nothing is read as markup, on every page."""
    evil = Failures(cause="application", signature=HOSTILE, count=3, final=3, tasks=(1,), remedy=HOSTILE)
    lane = replace(LANE, name=HOSTILE, reason=HOSTILE)
    scene = replace(
        STAGE.scene,
        progress=replace(PROGRESS, failures=(evil,), lanes=(lane,)),
        best_params=HOSTILE,
        recent=(HOSTILE,),
        notice=HOSTILE,
    )
    stage = replace(STAGE, scene=scene, row=lambda _: [HOSTILE] * 6, driver=HOSTILE)
    for page in Page:
        for spans in picture(replace(stage, view=View(page=page, filter=HOSTILE)), 80, 24, Glyphs()):
            _is_harmless(spans, capsys)


def _is_harmless(spans: Line, capsys: pytest.CaptureFixture[str]) -> None:
    Console.standard().data(*spans)
    out = capsys.readouterr().out
    assert out.endswith("\n")
    assert out[:-1].isprintable()
    assert "\x1b" not in out


def test_lines_are_shared_out_by_need() -> None:
    """Every minimum first, in order, then the rest up to every maximum, in order."""
    wanted = [("a", 1, 3), ("b", 2, 2), ("c", 0, 9)]
    assert allot(10, wanted) == {"a": 3, "b": 2, "c": 5}
    assert allot(4, wanted) == {"a": 2, "b": 2, "c": 0}
    assert allot(2, wanted) == {"a": 2, "b": 0, "c": 0}
    assert allot(-3, wanted) == {"a": 0, "b": 0, "c": 0}


def test_what_is_long_is_folded_where_it_can_be_read() -> None:
    """Story, logs, help and notices are not cut at the edge as long as there is room below."""
    long = " ".join(f"word{number}" for number in range(20))
    page = TaskPage(head=[line("task")], story=[line("12:00:00  ", long)], log=[line("err ", f"  {long}")])
    assert "word19" in "".join(_rows(replace(STAGE, view=View(page=Page.TASK), page=page)))
    rows = _rows(replace(STAGE, view=View(page=Page.LOG), page=page))
    assert "word19" in "".join(rows)
    assert rows[1].startswith("err   word0")
    assert rows[2].startswith("    word")
    help_ = replace(STAGE, view=View(page=Page.HELP), facts=replace(STAGE.facts, no_cancel=long))
    assert "word19" in "".join(_rows(help_))
    noticed = replace(STAGE, scene=replace(STAGE.scene, notice=long))
    assert "word19" in "".join(_rows(noticed)[-3:-1])
    assert "word19" not in "".join(_rows(noticed, width=40)), "two lines of it at most"
