"""The picture of a watch: a sweep, its sources, failures and tasks, fitted into any terminal. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hsm.cli import screen, words
from hsm.cli.console import Glyphs, Line, Span, Tone, line, text_of
from hsm.cli.screen import Scene, cut
from hsm.cli.tables import table
from hsm.cli.telling import folded
from hsm.cli.view import Ask, Facts, Page, View, selected_of, yes_words
from hsm.core.states import SweepStatus

SHOWN_LANES = 4
SHOWN_RECENT = 8
SAID_ROWS = 2
"""A notice or a question may take so many lines."""
LIST_TITLES = ("", "task", "status", ">tries", "source", ">time", "result")

HELP = (
    ("q", "leave; the sweep goes on"),
    ("up down", "choose a task (also j, k, page up, page down, home, end)"),
    ("Enter", "open the task: its story and the end of its logs; Esc goes back"),
    ("l", "the log of the task, both streams"),
    ("/", "show only some tasks: 3-9, failed, running, best:5, or a text; empty shows all"),
    ("s", "sort tasks by activity, number, status, time, score"),
    ("f", "failures by cause; Enter shows the tasks of one group"),
    ("c", "end the task that is chosen, after a question; C ends the whole sweep"),
    ("r", "leave the watch and try failed tasks again, after a question"),
    ("?", "this page"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPage:
    """One opened task: its head and story, and the ends of its logs, each line with its stream's mark.

    `log_age` says how old the logs are, where they come from far away and are not of now.
    """

    head: Sequence[Line] = ()
    story: Sequence[Line] = ()
    log: Sequence[Line] = ()
    log_age: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything that can be seen. `row` returns the cells of a task; `driver` says who drives the sweep."""

    view: View
    facts: Facts
    scene: Scene
    row: Callable[[int], Sequence[str | Span]]
    driver: str = ""
    page: TaskPage = TaskPage()


def picture(stage: Stage, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """Return exactly the lines that fit: at most `height`, none wider than `width`."""
    foot = [*_folded([_said(stage)], width)[:SAID_ROWS], _keys(stage, width)]
    room = max(1, height - len(foot))
    body = _PAGES[stage.view.page](stage, width, room, glyphs)[:room]
    body += [line()] * (room - len(body))
    return [cut(spans, width, glyphs.more) for spans in [*body, *foot]][-height:]


# Pages


def _overview(stage: Stage, width: int, room: int, glyphs: Glyphs) -> list[Line]:
    now = stage.scene.progress
    top = [*head(stage), *screen.bar(now, width, glyphs), screen.counts(now, glyphs)]
    parts = {
        "lanes": screen.lanes(now),
        "analyses": list(screen.analyses(stage.scene.analyses, glyphs)),
        "best": list(screen.best(stage.scene, glyphs)),
        "failures": list(screen.failures(now, glyphs)),
        "recent": [line(row) for row in stage.scene.recent],
    }
    sizes = allot(
        room - len(top),
        [
            ("lanes", min(1, len(parts["lanes"])), min(SHOWN_LANES, len(parts["lanes"]))),
            ("tasks", 4, 4),
            ("failures", min(1, len(parts["failures"])), len(parts["failures"])),
            ("analyses", 0, len(parts["analyses"])),
            ("best", min(1, len(parts["best"])), len(parts["best"])),
            ("recent", 0, min(3, len(parts["recent"]))),
            ("tasks", 0, len(stage.facts.rows) // 2),
            ("recent", 0, max(0, min(SHOWN_RECENT, len(parts["recent"])) - 3)),
            ("tasks", 0, 10**6),
        ],
    )
    found = list(top)
    for name, lines in parts.items():
        kept = sizes.get(name, 0)
        found += _labelled_now(lines[-kept:] if kept else []) if name == "recent" else lines[:kept]
    return [*found, *_tasks(stage, width, sizes.get("tasks", 0), glyphs)]


def _labelled_now(lines: Sequence[Line]) -> list[Line]:
    return [screen.labelled("" if place else "now", *spans) for place, spans in enumerate(lines)]


def allot(room: int, wanted: Sequence[tuple[str, int, int]]) -> dict[str, int]:
    """Share lines out: first every minimum in this order, then up to every maximum in this order."""
    shares: dict[str, int] = {}
    grants: list[int] = []
    for name, least, _ in wanted:
        grant = least if least <= room else 0
        grants.append(grant)
        shares[name] = shares.get(name, 0) + grant
        room -= grant
    for (name, _, most), grant in zip(wanted, grants, strict=True):
        more = max(0, min(room, most - grant))
        shares[name] += more
        room -= more
    return shares


def head(stage: Stage) -> Iterator[Line]:
    """Yield two lines: which sweep and how it stands; how long it took, takes, and how old the news are."""
    now = stage.scene.progress
    yield line((stage.scene.tree.sweep_id, Tone.NAME), "  ", screen.status_word(now.status))
    spans: list[Span | str] = []
    if now.eta is not None:
        spans += [(f"{words.eta(now.eta)} left", Tone.STRONG), "  "]
    elif now.status is SweepStatus.RUNNING and now.eta_reason:
        spans += [(f"time to go: {now.eta_reason}", Tone.DIM), "  "]
    if now.elapsed_s is not None:
        spans += [f"{_whole(now.elapsed_s)} so far", "  "]
    if now.age_s is not None:
        spans += [(f"news {words.rough(now.age_s)} old", Tone.DIM), "  "]
    spans.append((stage.driver, Tone.DIM))
    yield line(*spans)


def _whole(seconds: float) -> str:
    """Return a duration without parts of a second, which would only flicker."""
    return words.duration(round(seconds)) if seconds >= 10 else f"{round(seconds)} s"


def _tasks(stage: Stage, width: int, room: int, glyphs: Glyphs) -> list[Line]:
    """Return the list of tasks: a title, names of the columns, and the rows around the cursor."""
    if room < 3:
        return []
    rows, view = list(stage.facts.rows), stage.view
    count = room - 2
    now = selected_of(view, stage.facts)
    place = rows.index(now) if now in rows else 0
    first = max(0, min(place - count // 2, len(rows) - count))
    shown = rows[first : first + count]
    title = f"{len(rows):,} tasks by {view.order}"
    if view.filter:
        title = f"{words.plural(len(rows), 'task')} of `{view.filter[:40]}` by {view.order}  (Esc: all)"
    reach = f"  {first + 1:,} to {first + len(shown):,}" if len(shown) < len(rows) else ""
    if not shown:
        return [line((title, Tone.DIM)), line(("  no task is like that now", Tone.DIM))]
    cells = [[(glyphs.here if index == now else "", Tone.ACTIVE), *stage.row(index)] for index in shown]
    return [line((title + reach, Tone.DIM)), *table(LIST_TITLES, cells, width, glyphs.more)]


def _failures(stage: Stage, _width: int, room: int, glyphs: Glyphs) -> list[Line]:
    now, place = stage.scene.progress, stage.view.group
    found = [*head(stage), line()]
    if not now.failures:
        return [*found, line("no attempt failed")]
    count = max(1, (room - len(found)) // 3)
    first = max(0, min(place - count // 2, len(now.failures) - count))
    for at, group in enumerate(now.failures[first : first + count], first):
        mark = (f"{glyphs.here} " if at == place else "  ", Tone.ACTIVE)
        tone = Tone.STRONG if at == place else Tone.PLAIN
        found.append(line(mark, (f"{group.count:,} {glyphs.times} {group.cause}", Tone.BAD)))
        found.append(line("    ", (group.signature, tone)))
        found.append(line("    ", (group.remedy.replace("TASK", str(group.tasks[0])), Tone.DIM)))
    return found


def _task(stage: Stage, width: int, room: int, _glyphs: Glyphs) -> list[Line]:
    page = stage.page
    head, story, log = (_folded(lines, width) for lines in (page.head, page.story, page.log))
    rest = room - len(head) - 1
    below = min(len(log), max(4, rest // 3, rest - len(story)))
    shown = _window(story, rest - below, stage.view.scroll)
    title = line(("log", Tone.DIM), (f"  {page.log_age}" if page.log_age else "", Tone.WARN))
    return [*head, *shown, title, *(log[-below:] if below else [])]


def _log(stage: Stage, width: int, room: int, _glyphs: Glyphs) -> list[Line]:
    page = stage.page
    lines = _folded(page.log, width) or [line(("nothing has been printed", Tone.DIM))]
    head = [*page.head[:1], *([line((page.log_age, Tone.WARN))] if page.log_age else [])]
    return [*head, *_window(lines, room - len(head), stage.view.scroll)]


def _folded(lines: Sequence[Line], width: int) -> list[Line]:
    return [row for spans in lines for row in folded(spans, width)]


def _window(lines: Sequence[Line], room: int, scroll: int) -> Sequence[Line]:
    """Return the end of the lines; scrolling goes back from there."""
    if room <= 0:
        return []
    end = max(min(room, len(lines)), len(lines) - scroll)
    return lines[max(0, end - room) : end]


def _help(stage: Stage, width: int, room: int, _glyphs: Glyphs) -> list[Line]:
    found = [line((f"{keys:9} ", Tone.STRONG), meaning) for keys, meaning in HELP]
    for key, reason in (("c", stage.facts.no_cancel), ("r", stage.facts.no_retry)):
        if reason:
            found.append(line((f"{key:9} ", Tone.DIM), (f"not now: {reason}", Tone.DIM)))
    whole = _folded(found, width)
    return whole if len(whole) <= room else found


_PAGES: dict[Page, Callable[[Stage, int, int, Glyphs], list[Line]]] = {
    Page.OVERVIEW: _overview,
    Page.FAILURES: _failures,
    Page.TASK: _task,
    Page.LOG: _log,
    Page.HELP: _help,
}

# The foot


def _said(stage: Stage) -> Line:
    """Return the line above the keys: a question, an answer, or what should be known."""
    view = stage.view
    if view.ask is Ask.FILTER:
        return line(
            ("show only: ", Tone.STRONG), view.typed, ("_", Tone.ACTIVE), ("  failed, 3-9, a text", Tone.DIM)
        )
    if view.ask is not None:
        wanted = yes_words(view, stage.facts)[-1]
        question = f"{_question(stage)} Type {wanted}, then Enter: "
        return line((question, Tone.WARN), view.typed, ("_", Tone.ACTIVE))
    return line((view.message or stage.scene.notice, Tone.WARN))


def _question(stage: Stage) -> str:
    view, facts = stage.view, stage.facts
    if view.ask is Ask.RETRY:
        return f"Leave the watch and try {words.plural(facts.failed, 'failed task')} again?"
    if len(view.doomed) == 1:
        return f"End task {view.doomed[0]}?"
    return f"End {words.plural(len(facts.open_tasks), 'open task')}, the whole sweep?"


def _keys(stage: Stage, width: int) -> Line:
    """Return the keys, with as many words as there is room for; one that does not work is in brackets."""
    every = _all_keys(stage)
    for kept in ("", "q?scr", "q"):
        spans = _key_spans([key if not kept or key[0][0] in kept else _bare(key) for key in every])
        if len(text_of(spans)) <= width:
            return spans
    return _key_spans([_bare(key) for key in every])


def _all_keys(stage: Stage) -> list[tuple[str, bool]]:
    facts, view = stage.facts, stage.view
    keys = [
        ("q leave", True),
        ("? help", True),
        ("/ filter", True),
        ("s sort", True),
        ("f failures", bool(facts.groups)),
        ("l log", bool(facts.rows)),
        ("c cancel", not facts.no_cancel),
        ("r retry", not facts.no_retry),
    ]
    if view.page is not Page.OVERVIEW or view.ask is not None:
        keys.insert(1, ("Esc back", True))
    elif facts.rows:
        keys.insert(1, ("Enter open", True))
    return keys


def _bare(key: tuple[str, bool]) -> tuple[str, bool]:
    """Return a key without its word."""
    return key[0].partition(" ")[0], key[1]


def _key_spans(keys: Sequence[tuple[str, bool]]) -> Line:
    spans: list[Span] = []
    for label, can in keys:
        spans.append((label if can else f"({label})", Tone.ACTIVE if can else Tone.DIM))
        spans.append(("  ", Tone.PLAIN))
    return spans[:-1]
