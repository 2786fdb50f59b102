"""What progress looks like: a few lines made of a Progress, the same in a live screen and in plain text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hsm.cli import words
from hsm.cli.console import Glyphs, Line, Span, Tone, line
from hsm.cli.tables import beginning, width_of
from hsm.core.monitor import Failures, LaneProgress, Progress
from hsm.core.states import SweepStatus, TaskStatus
from hsm.core.tallies import Best
from hsm.core.tree import SweepTree
from hsm.wire.names import task_id

if TYPE_CHECKING:
    from hsm.results.analysed import Analysed

LABEL = 10
MAX_BAR = 60
SPARK = 32
SHOWN_FAILURES = 4

TASK_TONES = {
    TaskStatus.SEALED: Tone.GOOD,
    TaskStatus.REUSED: Tone.GOOD,
    TaskStatus.CORRUPT: Tone.BAD,
    TaskStatus.FAILED: Tone.BAD,
    TaskStatus.CANCELLED: Tone.WARN,
    TaskStatus.COLLECTING: Tone.ACTIVE,
    TaskStatus.RUNNING: Tone.ACTIVE,
    TaskStatus.SCHEDULED: Tone.DIM,
    TaskStatus.RECEIVED: Tone.DIM,
}
SWEEP_TONES = {
    SweepStatus.RUNNING: Tone.ACTIVE,
    SweepStatus.PARTIAL: Tone.WARN,
    SweepStatus.COMPLETE: Tone.GOOD,
    SweepStatus.FAILED: Tone.BAD,
    SweepStatus.STOPPED: Tone.BAD,
    SweepStatus.CANCELLED: Tone.WARN,
}
SWEEP_WORDS = {
    SweepStatus.RUNNING: "running",
    SweepStatus.PARTIAL: "not finished",
    SweepStatus.COMPLETE: "complete",
    SweepStatus.FAILED: "finished, with failures",
    SweepStatus.STOPPED: "stopped",
    SweepStatus.CANCELLED: "cancelled",
}
TASK_WORDS = {
    TaskStatus.RECEIVED: "waiting",
    TaskStatus.SCHEDULED: "queued",
    TaskStatus.CORRUPT: "corrupt at rest",
}
BAR_ORDER = tuple(TASK_TONES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything that is shown: the sweep, how it gets on, the best task's parameters, what happened."""

    tree: SweepTree
    progress: Progress
    best_params: str = ""
    recent: Sequence[str] = ()
    notice: str = ""
    analyses: Sequence[Analysed] = ()


def lines_of(scene: Scene, width: int, glyphs: Glyphs) -> list[Line]:
    """Return the scene as lines of at most `width` characters."""
    now = scene.progress
    found: list[Line] = [header(scene), *bar(now, width, glyphs), counts(now, glyphs)]
    found += lanes(now)
    found += analyses(scene.analyses, glyphs)
    found += best(scene, glyphs)
    found += failures(now, glyphs)
    found += [labelled("now" if at == 0 else "", row) for at, row in enumerate(scene.recent)]
    if scene.notice:
        found.append(line((scene.notice, Tone.WARN)))
    return [cut(spans, width, glyphs.more) for spans in found]


def header(scene: Scene) -> Line:
    """Return id, status, time so far and time to go."""
    now = scene.progress
    spans: list[Span | str] = [(scene.tree.sweep_id, Tone.NAME), "  ", status_word(now.status)]
    if now.elapsed_s is not None:
        spans += ["  ", words.duration(now.elapsed_s)]
    if now.eta is not None:
        spans += ["  ", (f"{words.eta(now.eta)} left", Tone.STRONG)]
    if now.status is SweepStatus.RUNNING and now.age_s is not None and now.age_s >= 5:
        spans += ["  ", (f"last news {words.rough(now.age_s)} ago", Tone.DIM)]
    return line(*spans)


def status_word(status: SweepStatus) -> Span:
    """Return where a sweep stands, in a word and its tone."""
    return SWEEP_WORDS[status], SWEEP_TONES[status]


def task_word(status: TaskStatus) -> Span:
    """Return where a task stands, in a word and its tone."""
    return TASK_WORDS.get(status, str(status)), TASK_TONES[status]


def bar(now: Progress, width: int, glyphs: Glyphs) -> Iterator[Line]:
    """Yield the bar: one piece for each state, in order, by its share of the tasks to be expected."""
    if not now.expected:
        return
    room = max(10, min(MAX_BAR, width - 30))
    spans: list[Span] = []
    done = used = 0
    for status in BAR_ORDER:
        if status.is_final or status in (TaskStatus.COLLECTING, TaskStatus.RUNNING):
            done += now.counts[status]
            end = round(done / now.expected * room)
            spans.append((glyphs.full * (end - used), TASK_TONES[status]))
            used = end
    spans.append((glyphs.empty * (room - used), Tone.DIM))
    share = now.finished / now.expected
    spans.append((f"  {now.finished:,}/{now.expected:,}  {_percent(share)}", Tone.STRONG))
    yield spans


def _percent(share: float) -> str:
    """Return a share, 100 % only when it is all."""
    return f"{min(99, int(share * 100)) if share < 1 else 100} %"


def counts(now: Progress, glyphs: Glyphs) -> Line:
    """Return how many tasks are in each state, and the generation of a hunt."""
    spans: list[Span | str] = []
    for status in BAR_ORDER:
        count = now.counts[status]
        if count:
            sign = {TaskStatus.SEALED: f"{glyphs.good} ", TaskStatus.FAILED: f"{glyphs.bad} "}.get(status, "")
            spans += [(f"{sign}{count:,} {TASK_WORDS.get(status, status)}", TASK_TONES[status]), "  "]
    if now.generations > 1:
        spans += [f"generation {now.generation} of {now.generations}"]
        if now.ended_because and now.generation < now.generations:
            spans += [(f", ended early: {now.ended_because}", Tone.DIM)]
    if spans and spans[-1] == "  ":
        spans.pop()
    return line(*spans) if spans else line(("no task has been proposed yet", Tone.DIM))


def lanes(now: Progress) -> list[Line]:
    """Return a line for each source, and what can be done; without an engine it tells what was known last."""
    found = []
    for entry in now.lanes:
        found.append(lane(entry, is_driven=now.status is SweepStatus.RUNNING))
        if entry.reason and entry.hint:
            found.append(labelled("", ("hint: ", Tone.ACTIVE), entry.hint))
    return found


def lane(entry: LaneProgress, *, is_driven: bool = True) -> Line:
    """Return a source: how it is, its slots, what runs and waits there, how fast, when it was heard last."""
    if entry.reason and (entry.is_open or entry.lacks):
        there = f"  {entry.running:,} running, {entry.queued:,} queued"
        return labelled(entry.name, ("waits", Tone.WARN), f"  {entry.reason}", (there, Tone.DIM))
    if entry.reason:
        how = ("away", Tone.WARN) if entry.is_paused else ("failed", Tone.BAD)
        return labelled(entry.name, how, f"  {entry.reason}")
    if entry.is_open and not is_driven:
        last = f"{entry.running:,} running, {entry.queued:,} queued when last heard of"
        ago = f", {words.rough(entry.heard_s)} ago" if entry.heard_s is not None else ""
        return labelled(entry.name, (last + ago, Tone.WARN))
    if not entry.is_open:
        ended = f"closed; {entry.finished:,} sealed, {entry.failed:,} failed"
        return labelled(entry.name, (ended, Tone.DIM))
    pieces = ["", words.plural(entry.slots, "slot"), f"{entry.running:,} running", f"{entry.queued:,} queued"]
    if entry.rate_hz is not None:
        pieces.append(words.rate(entry.rate_hz))
    if entry.failed:
        pieces.append(f"{entry.failed:,} failed")
    heard = "not heard yet" if entry.heard_s is None else f"heard {words.rough(entry.heard_s)} ago"
    if entry.shown_s is not None:
        as_of = (f"  as of {words.rough(entry.shown_s)} ago", Tone.WARN)
        return labelled(entry.name, ("open", Tone.GOOD), "  ".join(pieces), as_of)
    return labelled(entry.name, ("open", Tone.GOOD), "  ".join(pieces), (f"  {heard}", Tone.DIM))


def analyses(every: Sequence[Analysed], glyphs: Glyphs) -> Iterator[Line]:
    """Yield a line for each analysis of the sweep, and why it failed most often."""
    for at, one in enumerate(every):
        tone = Tone.BAD if one.failed else Tone.PLAIN
        yield labelled("analyses" if at == 0 else "", f"{one.name}  ", (one.words, tone))
        if one.failed:
            worst = [group for group in one.failures if group.final][:1]
            yield from (labelled("", "  ", *failure(group, glyphs, one.about)) for group in worst)


def best(scene: Scene, glyphs: Glyphs) -> Iterator[Line]:
    """Yield the best task of a hunt, and how the best score came to be."""
    now = scene.progress
    if now.best is None:
        if now.metric and (results := now.counts[TaskStatus.SEALED]):
            said = f"none of {words.plural(results, 'result')} has a score in {now.metric}"
            yield labelled("best", (said, Tone.WARN))
        return
    spans: list[Span | str] = [
        (f"{now.metric} = {now.best.score:.6g}", Tone.GOOD),
        f"  {task_id(now.best.task)}",
    ]
    if scene.best_params:
        spans.append((f"  {scene.best_params}", Tone.DIM))
    yield labelled("best", *spans)
    if len(now.trend) > 1:
        first = now.trend[0]
        steps = words.plural(len(now.trend) - 1, "improvement")
        said = f"  from {first.score:.6g} ({task_id(first.task)}) in {steps}"
        yield labelled("", (sparkline(now.trend, now.planned, glyphs), Tone.GOOD), (said, Tone.DIM))


def sparkline(trend: Sequence[Best], tasks: int, glyphs: Glyphs) -> str:
    """Return the best score so far against the number of the task, as a row of bars.

    High bars are high scores, whichever direction is the better one.
    """
    low, high = (pick(entry.score for entry in trend) for pick in (min, max))
    places = max(1, min(SPARK, tasks))
    steps = sorted(trend, key=lambda entry: entry.task)
    rank = {id(entry): place for place, entry in enumerate(trend)}
    shown, reached, best_at = [], 0, steps[0]
    for place in range(places):
        end = (place + 1) * tasks / places
        while reached < len(steps) and steps[reached].task <= end:
            if rank[id(steps[reached])] >= rank[id(best_at)]:
                best_at = steps[reached]
            reached += 1
        shown.append(_level(best_at.score, low, high, glyphs) if reached else " ")
    return "".join(shown)


def _level(score: float, low: float, high: float, glyphs: Glyphs) -> str:
    share = (score - low) / (high - low) if high > low else 1.0
    return glyphs.levels[min(len(glyphs.levels) - 1, int(share * len(glyphs.levels)))]


def failures(now: Progress, glyphs: Glyphs, shown: int = SHOWN_FAILURES) -> Iterator[Line]:
    """Yield the largest groups of like failures."""
    for at, group in enumerate(now.failures[:shown]):
        yield labelled("failures" if at == 0 else "", *failure(group, glyphs))
    rest = now.failures[shown:]
    if rest:
        count = words.plural(sum(group.count for group in rest), "attempt")
        kinds = words.plural(len(rest), "more kind")
        yield labelled("", (f"{kinds}, {count}: `hsm monitor errors`", Tone.DIM))
    if now.diverged:
        told = f"{words.plural(now.diverged, 'attempt')} ended with other results than the one that counts"
        yield labelled("divergent", (told, Tone.WARN))
    if now.stopped:
        yield labelled("stopped", (now.stopped, Tone.BAD))
    if now.hindrance:
        waits = "no attempt is begun until it can be recorded; what runs goes on"
        yield labelled("waiting", (f"{now.hindrance}: {waits}", Tone.BAD))


def failure(group: Failures, glyphs: Glyphs, name: Callable[[int], str] = task_id) -> list[Span | str]:
    """Return a group of failures: how many, why, and the first tasks."""
    first = ", ".join(filter(None, map(name, group.tasks[:2])))
    more = glyphs.more if len(group.tasks) > 2 else ""
    again = "" if group.final else "tried again: "
    return [
        (f"{group.count:,} {glyphs.times} {group.cause}", Tone.BAD if group.final else Tone.WARN),
        f"  {again}{words.clipped(group.signature, 120, glyphs.more)}",
        (f"  {first}{more}", Tone.DIM),
    ]


def labelled(label: str, *spans: Span | str) -> Line:
    """Return a line that begins with what it is about."""
    return line((f"{label} ".ljust(LABEL), Tone.DIM if label else Tone.PLAIN), *spans)


def cut(spans: Line, width: int, mark: str) -> Line:
    """Return a line cut to `width` places."""
    if sum(width_of(text) for text, _ in spans) <= width:
        return spans
    kept: list[Span] = []
    left = width - len(mark)
    for text, tone in spans:
        kept.append((beginning(text, left), tone))
        left -= width_of(text)
        if left <= 0:
            break
    return [*kept, (mark[: max(0, width)], Tone.DIM)]
