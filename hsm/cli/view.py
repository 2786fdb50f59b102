"""What a watcher looks at, and what each key does to it. Pure: keys in, a new view and perhaps a wish out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum

FEW = 10
"""So many tasks are ended after a plain `y`; more need the whole word `yes`."""


class Page(Enum):
    """What fills the screen."""

    OVERVIEW = "overview"
    FAILURES = "failures"
    TASK = "task"
    LOG = "log"
    HELP = "help"


class Order(StrEnum):
    """How tasks are sorted."""

    ACTIVITY = "activity"
    NUMBER = "number"
    STATUS = "status"
    TIME = "time"
    SCORE = "score"


class Ask(Enum):
    """What is being typed, in the line above the keys."""

    FILTER = "filter"
    CANCEL = "cancel"
    RETRY = "retry"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is looked at. `selected` is the task under the cursor, 0 for the first one."""

    page: Page = Page.OVERVIEW
    selected: int = 0
    group: int = 0
    scroll: int = 0
    filter: str = ""
    order: Order = Order.ACTIVITY
    ask: Ask | None = None
    typed: str = ""
    doomed: tuple[int, ...] = ()
    message: str = ""


class Wish(Enum):
    """What is to be done outside of the view."""

    LEAVE = "leave"
    CANCEL = "cancel"
    RETRY = "retry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What keys depend on. `no_cancel` and `no_retry` say why that is not possible, empty where it is.

    `rows` are the tasks that are listed; `open_tasks` those that could be ended; `groups` the tasks of each
    group of failures, and `group_notes` what is to be said of them; `page_rows` how far a page reaches.
    """

    rows: Sequence[int] = ()
    groups: Sequence[str] = ()
    group_notes: Sequence[str] = ()
    open_tasks: Sequence[int] = ()
    failed: int = 0
    has_score: bool = False
    no_cancel: str = ""
    no_retry: str = ""
    page_rows: int = 10


def selected_of(view: View, facts: Facts) -> int:
    """Return the task under the cursor, 0 where none is listed."""
    if view.selected in facts.rows or view.page in (Page.TASK, Page.LOG):
        return view.selected
    return facts.rows[0] if facts.rows else 0


def press(view: View, key: str, facts: Facts) -> tuple[View, Wish | None]:
    """Return the view after a key, and what is wished for."""
    view = replace(view, message="")
    if view.ask is not None:
        return _type(view, key, facts)
    if key in ("q", "Q"):
        return view, Wish.LEAVE
    if key in _MOVES:
        return _moved(view, _MOVES[key](facts), facts), None
    act = _KEYS.get(key)
    return (act(view, facts) if act else view), None


_MOVES: dict[str, Callable[[Facts], int]] = {
    "up": lambda _: -1,
    "k": lambda _: -1,
    "down": lambda _: 1,
    "j": lambda _: 1,
    "page-up": lambda facts: -facts.page_rows,
    "page-down": lambda facts: facts.page_rows,
    "home": lambda _: -(10**9),
    "end": lambda _: 10**9,
}


def _moved(view: View, by: int, facts: Facts) -> View:
    match view.page:
        case Page.OVERVIEW:
            if not facts.rows:
                return view
            now = selected_of(view, facts)
            place = list(facts.rows).index(now) + by
            return replace(view, selected=facts.rows[max(0, min(len(facts.rows) - 1, place))])
        case Page.FAILURES:
            return replace(view, group=max(0, min(len(facts.groups) - 1, view.group + by)))
        case _:
            return replace(view, scroll=max(0, min(10**6, view.scroll + by)))


def _enter(view: View, facts: Facts) -> View:
    if view.page is Page.FAILURES and facts.groups:
        place = min(view.group, len(facts.groups) - 1)
        note = facts.group_notes[place] if facts.group_notes else ""
        return replace(view, page=Page.OVERVIEW, filter=facts.groups[place], selected=0, message=note)
    if view.page is Page.OVERVIEW:
        return _opened(view, Page.TASK, facts)
    return view


def _opened(view: View, page: Page, facts: Facts) -> View:
    index = selected_of(view, facts)
    if not index:
        return replace(view, message="no task is listed")
    return replace(view, page=page, selected=index, scroll=0)


def _back(view: View, _facts: Facts) -> View:
    if view.page is Page.LOG:
        return replace(view, page=Page.TASK, scroll=0)
    if view.page is not Page.OVERVIEW:
        return replace(view, page=Page.OVERVIEW, scroll=0)
    return replace(view, filter="", message="the filter is off" if view.filter else "")


def _log(view: View, facts: Facts) -> View:
    if view.page is Page.LOG:
        return replace(view, page=Page.TASK, scroll=0)
    return _opened(view, Page.LOG, facts)


def _sort(view: View, facts: Facts) -> View:
    orders = [order for order in Order if facts.has_score or order is not Order.SCORE]
    return replace(
        view, page=Page.OVERVIEW, order=orders[(orders.index(view.order) + 1) % len(orders)], selected=0
    )


def _toggled(page: Page) -> Callable[[View, Facts], View]:
    def toggle(view: View, _facts: Facts) -> View:
        return replace(view, page=Page.OVERVIEW if view.page is page else page, scroll=0)

    return toggle


def _ask_filter(view: View, _facts: Facts) -> View:
    return replace(view, page=Page.OVERVIEW, ask=Ask.FILTER, typed=view.filter)


def _ask_cancel(view: View, facts: Facts) -> View:
    index = selected_of(view, facts)
    if facts.no_cancel:
        return replace(view, message=facts.no_cancel)
    if index not in facts.open_tasks:
        return replace(view, message="this task is over; `C` ends the whole sweep")
    return replace(view, ask=Ask.CANCEL, typed="", doomed=(index,))


def _ask_cancel_all(view: View, facts: Facts) -> View:
    if facts.no_cancel:
        return replace(view, message=facts.no_cancel)
    return replace(view, ask=Ask.CANCEL, typed="", doomed=())


def _ask_retry(view: View, facts: Facts) -> View:
    if facts.no_retry:
        return replace(view, message=facts.no_retry)
    return replace(view, ask=Ask.RETRY, typed="")


_KEYS: dict[str, Callable[[View, Facts], View]] = {
    "enter": _enter,
    "esc": _back,
    "?": _toggled(Page.HELP),
    "f": _toggled(Page.FAILURES),
    "s": _sort,
    "l": _log,
    "/": _ask_filter,
    "c": _ask_cancel,
    "C": _ask_cancel_all,
    "r": _ask_retry,
}


def _type(view: View, key: str, facts: Facts) -> tuple[View, Wish | None]:
    """Take a key while something is being typed."""
    if key == "esc":
        return replace(view, ask=None, typed="", message="nothing was done"), None
    if key == "backspace":
        return replace(view, typed=view.typed[:-1]), None
    if key == "enter":
        return _answered(view, facts)
    if len(key) == 1 and key.isprintable():
        return replace(view, typed=(view.typed + key)[:200]), None
    return view, None


def _answered(view: View, facts: Facts) -> tuple[View, Wish | None]:
    done = replace(view, ask=None, typed="")
    if view.ask is Ask.FILTER:
        return replace(done, filter=view.typed.strip(), selected=0), None
    if view.typed.strip().lower() not in yes_words(view, facts):
        return replace(done, message="nothing was done"), None
    return done, Wish.CANCEL if view.ask is Ask.CANCEL else Wish.RETRY


def yes_words(view: View, facts: Facts) -> tuple[str, ...]:
    """Return what has to be typed to agree: much needs the whole word."""
    count = facts.failed if view.ask is Ask.RETRY else len(view.doomed or facts.open_tasks)
    return ("yes", "y") if count <= FEW else ("yes",)
