"""Selectors name some of a sweep's tasks; every mistake in them is told at once, with what may be meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.core import events as ev
from hsm.core.errors import SelectorInvalid, SweepError
from hsm.core.model import Exit
from hsm.core.selectors import compact, is_selector, join_selectors, parse_selector, select
from hsm.core.spec import Choices, Direction, GridSpec, HuntSpec, Objective, ProgramSpec, SweepSpec
from hsm.core.states import Cause, TaskStatus
from hsm.core.tracker import SweepTracker
from tests.unit.core.worlds import made_plan

GRID = SweepSpec(name="s", program=ProgramSpec(command=("true",)), grid=GridSpec(axes=()))
SCORES = (2.0, None, 5.0, 1.0, 5.0)


def _hunt(direction: Direction) -> SweepSpec:
    objective = Objective(metric="score", direction=direction)
    space = {"k": Choices(values=(1,))}
    hunt = HuntSpec(hunter="random", space=space, objective=objective, generations=1, population=8)
    return SweepSpec(name="h", program=ProgramSpec(command=("true",)), hunt=hunt)


def _sweep(count: int = 8, spec: SweepSpec = GRID) -> SweepTracker:
    """Return a sweep of which the first five tasks are sealed, the sixth failed, the seventh runs."""
    tracker = SweepTracker(spec, lambda event: made_plan(event.count))
    tracker.fold(ev.GenerationPlanned(generation=1, plan="p", first=1, count=count, at=1.0))
    for task in range(1, min(count, 7) + 1):
        tracker.fold(ev.AttemptIntended(task=task, attempt=1, token=f"{task:032x}", source="local", at=1.0))
        tracker.fold(ev.AttemptStarted(task=task, attempt=1, at=1.0))
    for task in range(1, min(count, 6) + 1):
        tracker.fold(
            ev.AttemptExited(
                task=task, attempt=1, exit=Exit(code=0), manifest="m", cause=None, started_at=1.0, at=2.0
            )
        )
        if task == 6:
            failed = ev.AttemptFailed(task=6, attempt=1, cause=Cause.APPLICATION, reason="r", at=2.0)
            tracker.fold(failed)
        else:
            tracker.fold(ev.AttemptSealed(task=task, attempt=1, metrics={"score": SCORES[task - 1]}, at=2.0))
    return tracker


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("3", [3]),
        ("task_0003", [3]),
        ("TASK_3", [3]),
        ("2-4", [2, 3, 4]),
        ("task_0002-task_0004", [2, 3, 4]),
        ("1-8:3", [1, 4, 7]),
        ("5-99", [5, 6, 7, 8]),
        ("failed", [6]),
        ("running", [7]),
        ("received", [8]),
        ("waiting", [8]),
        ("open", [7, 8]),
        ("final", [1, 2, 3, 4, 5, 6]),
        ("all", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("8, failed ,2-3,3", [8, 6, 2, 3]),
    ],
)
def test_words_choose_tasks(text: str, wanted: list[int]) -> None:
    """Numbers, ranges with steps, statuses and lists; each task once, in the order asked for."""
    assert select(parse_selector(text), _sweep()) == wanted


@pytest.mark.parametrize("status", TaskStatus)
def test_every_status_is_a_selector(status: TaskStatus) -> None:
    """Whatever word a list shows for a status names the tasks that stand there."""
    tracker = _sweep()
    wanted = [task.index for task in tracker.tasks if task.status is status]
    assert select(parse_selector(str(status)), tracker) == wanted


@pytest.mark.parametrize(
    ("direction", "wanted"), [(Direction.MAXIMIZE, [3, 5, 1]), (Direction.MINIMIZE, [4, 1, 3])]
)
def test_best_is_by_the_objective(direction: Direction, wanted: list[int]) -> None:
    """The best come first, equal ones by their number, and what has no score is none of them."""
    tracker = _sweep(spec=_hunt(direction))
    assert select(parse_selector("best:3"), tracker) == wanted
    assert select(parse_selector("best"), tracker) == wanted[:1]
    assert len(select(parse_selector("best:99"), tracker)) == 4


def test_best_needs_an_objective() -> None:
    """A grid ranks nothing, and says so instead of choosing at random."""
    with pytest.raises(SweepError, match="nothing ranks"):
        select(parse_selector("best:2"), _sweep())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("faild", "did you mean `failed`"),
        ("runing", "did you mean `running`"),
        ("9-3", "did you mean 3-9"),
        ("0", "counted from 1"),
        ("1-4:0", "step is at least 1"),
        ("best:0", "best:1 is the best"),
        ("", "name tasks as"),
        ("3,,4", "name tasks as"),
        ("-3", "name it as task_0003, or as 3"),
        ("٣", "name it as task_0003, or as 3"),
    ],
)
def test_a_mistake_is_answered_with_what_may_be_meant(text: str, said: str) -> None:
    """Each wrong part has its problem and a hint."""
    with pytest.raises(SelectorInvalid) as caught:
        parse_selector(text)
    (problem,) = caught.value.problems
    assert said in f"{problem.message} {problem.hint}"
    assert not is_selector(text)


def test_all_mistakes_are_told_at_once() -> None:
    """Three wrong parts among right ones are three problems."""
    with pytest.raises(SelectorInvalid) as caught:
        join_selectors(["1", "x", "2-1", "failed", "best:x"])
    assert len(caught.value.problems) == 3


def test_a_task_that_there_is_not_is_named() -> None:
    """A single number, and the beginning of a range, must be there; a range may reach beyond the end."""
    for text in ("9", "9-12"):
        with pytest.raises(SweepError, match="no task_0009"):
            select(parse_selector(text), _sweep())


def test_a_single_task_is_known_as_such() -> None:
    """Only a plain number means exactly one task, planned or not."""
    assert parse_selector("12").single == 12
    assert [parse_selector(text).single for text in ("1-2", "failed", "1,2", "best:1")] == [None] * 4


SIXTY = _sweep(60)


@given(st.sets(st.integers(1, 60)))
def test_compact_is_the_inverse_of_selecting(indices: set[int]) -> None:
    """What is written for some tasks names just these tasks."""
    if indices:
        assert select(parse_selector(compact(indices)), SIXTY) == sorted(indices)
    else:
        assert compact(indices) == ""


def test_compact_is_short() -> None:
    """Runs and steps are written as such, and two tasks apart as two."""
    assert compact([1, 2, 3, 7, 9, 11, 13, 20, 30]) == "1-3,7-13:2,20,30"
    assert compact(range(1, 50_001)) == "1-50000"
    assert compact([4, 9]) == "4,9"


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever is typed, the answer is a selector or its own error, never a crash."""
    if is_selector(text):
        assert parse_selector(text).terms
