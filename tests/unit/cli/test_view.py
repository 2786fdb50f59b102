"""What each key does: moving, opening, filtering, sorting, and asking before anything is ended."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.cli.allowed import group_note
from hsm.cli.keys import KeyDecoder
from hsm.cli.view import Ask, Facts, Order, Page, View, Wish, press, selected_of
from hsm.core.monitor import Failures

FACTS = Facts(rows=(5, 3, 8), groups=("3,9", "5"), open_tasks=(5, 8), failed=2, has_score=True, page_rows=2)
KEYS = [
    "q",
    "?",
    "/",
    "s",
    "f",
    "l",
    "c",
    "C",
    "r",
    "x",
    "y",
    "enter",
    "esc",
    "backspace",
    "up",
    "down",
    "end",
]


def _after(*keys: str, view: View = View(), facts: Facts = FACTS) -> tuple[View, Wish | None]:  # noqa: B008 - frozen
    wish = None
    for key in keys:
        view, wish = press(view, key, facts)
    return view, wish


def test_q_leaves_and_nothing_else_does() -> None:
    """Only q wishes to leave; while something is typed it is a letter."""
    assert _after("q")[1] is Wish.LEAVE
    assert all(_after(key)[1] is None for key in KEYS if key != "q")
    assert _after("/", "q") == (View(ask=Ask.FILTER, typed="q"), None)


@pytest.mark.parametrize(
    ("keys", "selected"),
    [
        (["down"], 3),
        (["j", "j"], 8),
        (["down", "up"], 5),
        (["end"], 8),
        (["end", "home"], 5),
        (["page-down"], 8),
    ],
)
def test_arrows_choose_a_task(keys: list[str], selected: int) -> None:
    """The cursor follows the list and stops at its ends."""
    assert selected_of(_after(*keys)[0], FACTS) == selected


def test_the_chosen_task_stays_chosen_when_the_list_moves() -> None:
    """A new order of the list does not change which task is meant; one that is gone gives way."""
    view, _ = _after("down")
    assert selected_of(view, replace(FACTS, rows=(8, 5, 3))) == 3
    assert selected_of(view, replace(FACTS, rows=(8, 5))) == 8


def test_enter_opens_and_esc_goes_back() -> None:
    """A task is opened, its log too, and Esc leads back step by step."""
    view, _ = _after("down", "enter")
    assert (view.page, view.selected) == (Page.TASK, 3)
    log, _ = _after("l", view=view)
    assert log.page is Page.LOG
    assert _after("esc", view=log)[0].page is Page.TASK
    assert _after("esc", "esc", view=log)[0].page is Page.OVERVIEW


def test_a_group_of_failures_opens_as_its_tasks() -> None:
    """Enter on a group filters the list by the group's tasks; Esc shows all again."""
    view, _ = _after("f", "down", "enter")
    assert (view.page, view.filter) == (Page.OVERVIEW, "5")
    assert _after("esc", view=view)[0].filter == ""


def test_a_group_that_is_not_whole_says_so() -> None:
    """Only its first tasks are remembered; what is shown is not taken for all."""
    tasks = tuple(range(1, 101))
    group = Failures(cause="time", signature="late", count=101, final=1, tasks=tasks, remedy="")
    note = group_note(group)
    assert note.startswith("the first 100 tasks")
    assert not group_note(replace(group, count=100))
    facts = replace(FACTS, group_notes=(note, ""))
    assert press(View(page=Page.FAILURES), "enter", facts)[0].message == note
    assert not press(View(page=Page.FAILURES, group=1), "enter", facts)[0].message


def test_a_filter_is_typed_and_can_be_given_up() -> None:
    """Letters are taken, backspace takes one back, Enter applies, Esc leaves everything as it was."""
    assert _after("/", *"failec", "backspace", "d", "enter")[0].filter == "failed"
    given_up, _ = _after("/", *"abc", "esc")
    assert (given_up.filter, given_up.ask) == ("", None)


def test_s_goes_through_the_orders_that_there_are() -> None:
    """Without an objective there is no order by score."""
    orders = [_after(*["s"] * count)[0].order for count in range(1, 6)]
    assert orders == [Order.NUMBER, Order.STATUS, Order.TIME, Order.SCORE, Order.ACTIVITY]
    plain = replace(FACTS, has_score=False)
    assert _after(*["s"] * 4, facts=plain)[0].order is Order.ACTIVITY


def test_cancelling_needs_a_yes() -> None:
    """One task is ended after `y`; anything else, and Esc, does nothing."""
    view, wish = _after("c", "y", "enter")
    assert wish is Wish.CANCEL
    assert _after("c")[0].doomed == (5,)
    for answer in (["enter"], ["n", "enter"], ["y", "esc"]):
        view, wish = _after("c", *answer)
        assert (wish, view.message) == (None, "nothing was done")


def test_much_needs_the_whole_word() -> None:
    """A sweep with many open tasks is not ended by a single letter."""
    many = replace(FACTS, open_tasks=tuple(range(1, 100)))
    assert _after("C", "y", "enter", facts=many)[1] is None
    assert _after("C", *"yes", "enter", facts=many)[1] is Wish.CANCEL


@pytest.mark.parametrize(
    ("key", "facts"),
    [
        ("c", replace(FACTS, no_cancel="why not")),
        ("C", replace(FACTS, no_cancel="why not")),
        ("r", replace(FACTS, no_retry="why not")),
    ],
)
def test_what_cannot_be_done_says_why(key: str, facts: Facts) -> None:
    """A greyed key asks nothing and tells the reason."""
    view, wish = _after(key, facts=facts)
    assert (view.ask, view.message, wish) == (None, "why not", None)


def test_a_finished_task_is_not_cancelled() -> None:
    """The task under the cursor is over: the key says so."""
    assert "is over" in _after("down", "c")[0].message


def test_retry_asks_and_leaves() -> None:
    """After a yes the wish is to try failed tasks again."""
    assert _after("r", "y", "enter")[1] is Wish.RETRY


@given(st.lists(st.sampled_from(KEYS), max_size=40), st.lists(st.integers(1, 9), unique=True))
def test_no_sequence_of_keys_breaks_the_view(keys: list[str], rows: list[int]) -> None:
    """Whatever is pressed, with or without tasks, the view stays one that can be shown."""
    facts = replace(FACTS, rows=rows, groups=FACTS.groups if rows else ())
    view = View()
    for key in keys:
        view, wish = press(view, key, facts)
        assert wish is not Wish.CANCEL or facts.open_tasks
        assert selected_of(view, facts) in {0, view.selected, *rows}


@pytest.mark.parametrize(
    ("chunks", "keys"),
    [
        (["q"], ["q"]),
        (["\x1b[A\x1bOBj"], ["up", "down", "j"]),
        (["\x1b", "[B"], ["down"]),
        (["\x1b[", "5~"], ["page-up"]),
        (["\x1b"], ["esc"]),
        (["\x1bq"], ["esc", "q"]),
        (["\x1b[1;5C", "\r\x7f"], ["enter", "backspace"]),
        (["é"], ["é"]),
    ],
)
def test_bytes_of_a_terminal_become_names_of_keys(chunks: list[str], keys: list[str]) -> None:
    """Sequences are whole keys however they arrive; an escape that nothing follows is the key."""
    decoder = KeyDecoder()
    found = [key for chunk in chunks for key in decoder.feed(chunk)]
    assert [*found, *decoder.flush()] == keys
