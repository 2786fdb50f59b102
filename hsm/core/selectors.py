"""Selectors: the words that name some of a sweep's tasks: `12`, `3-9`, `1-10:2`, `failed`, `best:5`, `all`.

Several are joined by commas. Parsing is pure and reports every mistake at once; selecting needs a tracker.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from hsm.core.errors import Problem, SelectorInvalid, SweepError
from hsm.core.scoring import beats
from hsm.core.states import FINAL, TaskStatus
from hsm.core.sweep_state import SweepState
from hsm.wire.names import task_id

FORMS = "3,7 or 3-9 or 1-10:2 or failed or best:5 or all"
_OPEN = frozenset(TaskStatus) - FINAL
_WORDS = {
    **{str(status): frozenset({status}) for status in TaskStatus},
    "waiting": frozenset({TaskStatus.RECEIVED}),
    "queued": frozenset({TaskStatus.SCHEDULED}),
    "open": _OPEN,
    "final": FINAL,
}
_INDEX = r"(?:task_)?(\d{1,13})"
_RANGE = re.compile(rf"{_INDEX}(?:-{_INDEX}(?::(\d{{1,13}}))?)?", re.ASCII)
_BEST = re.compile(r"best(?::(\d{1,13}))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Indices:
    """The tasks from `first` to `last`, every `step`-th."""

    first: int
    last: int
    step: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WithStatus:
    """The tasks that stand in one of these statuses; `word` is how they were asked for."""

    word: str
    statuses: frozenset[TaskStatus]


@dataclass(frozen=True, slots=True, kw_only=True)
class BestTasks:
    """The `count` tasks with the best scores, the best first."""

    count: int


@dataclass(frozen=True, slots=True)
class Everything:
    """All tasks."""


Term: TypeAlias = Indices | WithStatus | BestTasks | Everything


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Some of a sweep's tasks, as they were asked for."""

    text: str
    terms: tuple[Term, ...]

    @property
    def needs_results(self) -> bool:
        """Whether the tracker must know the results of finished tasks."""
        return any(isinstance(term, BestTasks) for term in self.terms)

    @property
    def single(self) -> int | None:
        """The one task that is named by its index, None when the selector may mean several."""
        match self.terms:
            case (Indices(first=first, last=last),) if first == last:
                return first
            case _:
                return None


def parse_selector(text: str) -> Selector:
    """Return what a selector says.

    Raises:
        SelectorInvalid: with every part that cannot be read.
    """
    found: list[Term] = []
    problems: list[Problem] = []
    for part in text.split(","):
        term = _term(part.strip().lower())
        if isinstance(term, Problem):
            problems.append(term)
        else:
            found.append(term)
    if problems:
        raise SelectorInvalid(problems)
    return Selector(text=text, terms=tuple(found))


def is_selector(text: str) -> bool:
    """Tell whether a text is a selector."""
    try:
        parse_selector(text)
    except SelectorInvalid:
        return False
    return True


def join_selectors(texts: Sequence[str]) -> Selector:
    """Return one selector of several words of a command line."""
    return parse_selector(",".join(texts))


def _term(part: str) -> Term | Problem:
    if not part:
        return _problem("an empty selector", f"name tasks as {FORMS}")
    if part == "all":
        return Everything()
    if part in _WORDS:
        return WithStatus(word=part, statuses=_WORDS[part])
    if best := _BEST.fullmatch(part):
        count = int(best[1] or 1)
        return BestTasks(count=count) if count else _problem("asks for no task", "best:1 is the best")
    if match := _RANGE.fullmatch(part):
        return _indices(part, match)
    return _problem(f"{part[:60]!r} is not a task", _meant(part))


def _indices(part: str, match: re.Match[str]) -> Term | Problem:
    first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
    if not (first and last and step):
        return _problem(f"{part!r}: tasks are counted from 1, and a step is at least 1", FORMS)
    if last < first:
        return _problem(f"{part!r} runs backwards", f"did you mean {last}-{first}?")
    return Indices(first=first, last=last, step=step)


def _problem(message: str, hint: str) -> Problem:
    return Problem(where="", message=message, hint=hint)


def _meant(part: str) -> str:
    near = difflib.get_close_matches(part, [*_WORDS, "all", "best"], n=1)
    meant = f"did you mean `{near[0]}`? " if near else ""
    return f"{meant}name it as task_0003, or as 3; several as {FORMS}"


# Selecting


def select(selector: Selector, state: SweepState) -> list[int]:
    """Return the indices that are meant, each once, in the order in which they were asked for.

    Raises:
        SweepError: it names tasks that the sweep does not have, or asks for the best where nothing is ranked.
    """
    found: dict[int, None] = {}
    for term in selector.terms:
        found.update(dict.fromkeys(_chosen(term, state)))
    return list(found)


def _chosen(term: Term, state: SweepState) -> Iterable[int]:
    count = len(state.tasks)
    match term:
        case Everything():
            return range(1, count + 1)
        case WithStatus(statuses=statuses):
            return [task.index for task in state.tasks if task.status in statuses]
        case Indices(first=first, last=last, step=step):
            _check(last if first == last else first, count)
            return range(first, min(last, count) + 1, step)
        case BestTasks(count=wanted):
            return ranking(state)[:wanted]
        case _:
            assert_never(term)


def _check(index: int, count: int) -> None:
    if index > count:
        known = f"it has {task_id(1)} to {task_id(count)}" if count else "it has no task yet"
        raise SweepError(f"the sweep has no {task_id(index)}", hint=known)


def ranking(state: SweepState) -> list[int]:
    """Return every task that has a score, the best first; of equal ones the earlier first.

    Raises:
        SweepError: the sweep has no objective.
    """
    hunt = state.spec.hunt
    if hunt is None:
        raise SweepError(
            "nothing ranks the tasks of this sweep",
            hint="`best` needs a hunt with an objective; name tasks by their numbers",
        )
    direction = hunt.objective.direction
    sign = -1.0 if beats(1.0, 0.0, direction) else 1.0
    scores = ((state.outcome(task).score, task.index) for task in state.tasks if task.status in FINAL)
    return [
        index for _, index in sorted((sign * score, index) for score, index in scores if score is not None)
    ]


# Writing selectors


def compact(indices: Iterable[int]) -> str:
    """Return the shortest plain selector of these tasks: runs as `3-9`, with a step where there is one."""
    return ",".join(_runs(sorted(set(indices))))


def _runs(indices: Sequence[int]) -> Iterator[str]:
    place = 0
    while place < len(indices):
        end = _run_end(indices, place)
        first, last = indices[place], indices[end]
        step = (last - first) // (end - place) if end > place else 1
        yield f"{first}" if end == place else f"{first}-{last}" + (f":{step}" if step > 1 else "")
        place = end + 1


def _run_end(indices: Sequence[int], place: int) -> int:
    """Return where the run that begins here ends; two tasks make one only when they are neighbours."""
    if place + 1 >= len(indices):
        return place
    step, end = indices[place + 1] - indices[place], place + 1
    while end + 1 < len(indices) and indices[end + 1] - indices[end] == step:
        end += 1
    return end if step == 1 or end - place >= 2 else place
