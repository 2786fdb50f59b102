"""What went wrong: groups of tasks that failed alike, what to do about each, and the ends of their logs."""

from __future__ import annotations

from collections import Counter

from hsm.core.model import Task
from hsm.core.monitor import REMEDIES
from hsm.core.states import AttemptState
from hsm.report.groups import FailedAlike
from hsm.report.html import Markup, code, join, note, prose, section, short, tag, text
from hsm.report.links import task_link, task_list
from hsm.report.text import count, redact, size
from hsm.report.view import ReportView, has_result

ERRORS = "error_analysis.html"
TASKS = 16
SIGNATURE = 200


def failures(view: ReportView) -> Markup:
    """Return the section on failures."""
    groups = view.failures()
    if not groups:
        return section("failures", "Failures", note("No task failed."), _made_good(view))
    most = view.limits.failure_groups
    shown = [_group(view, group, is_open=place < 3) for place, group in enumerate(groups[:most])]
    left = sum(len(group.tasks) for group in groups[most:])
    rest = note(
        f"{count(len(groups) - most, 'more group')} with {count(left, 'task')}: see ",
        code("logs/errors/failed_tasks.yaml"),
        ".",
    )
    more = note("What failures share, when and where they happened: ", tag("a", ERRORS, href=ERRORS), ".")
    return section("failures", "Failures", more, _made_good(view), *shown, rest if left else None)


def _group(view: ReportView, group: FailedAlike, *, is_open: bool) -> Markup:
    times = tag("span", f"{len(group.tasks):,} ×", class_="times")
    heading = tag("h3", times, f" {group.cause or 'cause not known'} · {', '.join(group.endings[:3])}")
    words = tag("p", short(redact(group.signature), SIGNATURE, "code", "words")) if group.signature else None
    told = [task for task in group.tasks if task.task_id in view.logs]
    tails = [log_tail(view, task, is_open=is_open and place == 0) for place, task in enumerate(told)]
    silent = note("Nothing was written to stderr.") if not tails else None
    hint = note(sentence(REMEDIES[group.cause], view, group)) if group.cause else None
    where = tag("p", task_list(group.tasks, TASKS), class_="ids")
    return tag("article", heading, words, hint, where, *tails, silent, class_="failure")


def sentence(remedy: str, view: ReportView, group: FailedAlike) -> Markup:
    """Return a remedy as a sentence, its commands filled in."""
    words = remedy.replace("TASK", group.tasks[0].task_id).replace("ID", view.sweep_id)
    return prose(f"{words[0].upper()}{words[1:]}.")


def log_tail(view: ReportView, task: Task, *, is_open: bool) -> Markup:
    """Return the end of a task's stderr, folded away unless it is among the first."""
    tail = view.logs[task.task_id]
    reason = f" · {task.attempt.reason}" if task.attempt and task.attempt.reason else ""
    head = tag(
        "summary",
        join(
            tag("b", task.task_id),
            f" stderr.log, the last {count(len(tail.lines), 'line')} of {size(tail.size_bytes)}",
        ),
        short(reason, 120) if reason else None,
    )
    lines = tag("pre", text(redact("\n".join(tail.lines)), keep="\n\t"), tabindex="0")
    link = tag("p", "Everything it left: ", task_link(task))
    return tag("details", head, lines, link, open="" if is_open else None)


def _made_good(view: ReportView) -> Markup | None:
    """Tell which attempts failed although their task has a result."""
    found = Counter(
        str(attempt.cause or attempt.state)
        for task in view.tasks
        if has_result(task)
        for attempt in task.attempts
        if attempt.state in (AttemptState.FAILED, AttemptState.LOST)
    )
    if not found:
        return None
    words = ", ".join(f"{amount:,} {cause}" for cause, amount in sorted(found.items()))
    return note(f"{count(found.total(), 'attempt')} ended badly, made good by another attempt: {words}.")
