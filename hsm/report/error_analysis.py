"""`error_analysis.html`: failures by cause and last words, what they share, and how to try them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from hsm.core.model import Task
from hsm.core.monitor import REMEDIES
from hsm.core.states import AttemptState, TaskStatus
from hsm.report.failures import ERRORS, log_tail, sentence
from hsm.report.groups import FailedAlike
from hsm.report.html import Markup, code, join, note, section, short, table, tag
from hsm.report.links import ranges, task_list
from hsm.report.page import page
from hsm.report.shared import Range, Shared, shared_ranges
from hsm.report.summary import masthead, status_words
from hsm.report.text import count, moment, redact, shorten
from hsm.report.view import ReportView, has_result

FILE_NAME = ERRORS
COMPLETION = "completion_report.html"
TASKS = 60
COMMAND = 2_000
SIGNATURE = 400
PLACES = {"groups": "Groups", "shared": "What failures share", "retried": "Made good", "again": "Try again"}


def render_errors(view: ReportView) -> str:
    """Return the page on the failures of a sweep; one without any has a page that says so."""
    back = tag("p", tag("a", "Completion report", href=COMPLETION), class_="pages")
    return page(
        f"{view.spec.name} · errors · {view.sweep_id}",
        masthead(view, back, title="Error analysis"),
        PLACES,
        [_groups(view), _shared_by_all(view), _made_good(view), _again(view)],
        f"The sweep is {status_words(view)}. Links work while this file lies in its reports/ directory.",
    )


def retry_command(view: ReportView, tasks: Sequence[Task]) -> str:
    """Return the command that tries just these failed tasks again; nothing if it would be too long."""
    others = sum(task.status in (TaskStatus.FAILED, TaskStatus.CANCELLED) for task in view.tasks)
    if len(tasks) == others:
        return f"hsm sweep complete {view.sweep_id} --retry-failed"
    command = f"hsm sweep complete {view.sweep_id} --retry {ranges(tasks)}"
    return command if len(command) <= COMMAND else ""


def _groups(view: ReportView) -> Markup:
    found = view.failures()
    if not found:
        return section("groups", "Failures", note("No task failed."))
    most = view.limits.failure_groups
    head = [
        *(tag("th", title) for title in ("cause", "last words")),
        tag("th", "tasks", class_="n"),
        *(tag("th", title) for title in ("first", "last", "sources")),
    ]
    rows = [_group_row(group, place) for place, group in enumerate(found[:most], start=1)]
    left = sum(len(group.tasks) for group in found[most:])
    more = note(
        f"{count(len(found) - most, 'more group')} with {count(left, 'task')}: see ",
        code("logs/errors/failed_tasks.yaml"),
        ".",
    )
    tasks = sum(len(group.tasks) for group in found)
    return section(
        "groups",
        "Failures by cause and last words",
        note(f"{count(tasks, 'task')} of {len(view.tasks):,} failed, in {count(len(found), 'group')}."),
        table(head, rows, label="Groups of failures"),
        *(_group(view, group, place) for place, group in enumerate(found[:most], start=1)),
        more if left else None,
    )


def _group_row(group: FailedAlike, place: int) -> Markup:
    first, last = group.times or (None, None)
    link = tag("a", str(group.cause or "not known"), href=f"#group-{place}")
    return tag(
        "tr",
        tag("td", link),
        short(redact(group.signature), 90, "td"),
        tag("td", f"{len(group.tasks):,}", class_="n"),
        tag("td", moment(first)),
        tag("td", moment(last)),
        tag("td", _sources(group)),
    )


def _sources(group: FailedAlike) -> str:
    named = [f"{shorten(name, 40)} ({amount:,})" for name, amount in group.sources[:4]]
    return ", ".join(named) + (", …" if group.sources[4:] else "")


def _group(view: ReportView, group: FailedAlike, place: int) -> Markup:
    heading = tag(
        "h3",
        tag("span", f"{len(group.tasks):,} ×", class_="times"),
        f" {group.cause or 'cause not known'} · {', '.join(group.endings[:3])}",
    )
    signature = redact(group.signature)
    told = [task for task in group.tasks if task.task_id in view.logs]
    first, last = group.times or (None, None)
    facts = [
        ("first to last", f"{moment(first)} to {moment(last)}"),
        ("compute sources", _sources(group)),
        ("hosts", _hosts(view, group)),
    ]
    pairs = [tag("div", tag("dt", name), short(value, 300, "dd")) for name, value in facts if value]
    return tag(
        "article",
        heading,
        tag("p", short(signature, SIGNATURE, "code", "words")) if signature else None,
        note(sentence(REMEDIES[group.cause], view, group)) if group.cause else None,
        tag("dl", *pairs, class_="pairs wide-pairs"),
        tag("p", task_list(group.tasks, TASKS), class_="ids"),
        _common(view, group),
        *_retry(view, group),
        *(log_tail(view, task, is_open=place <= 3 and rank == 0) for rank, task in enumerate(told)),
        None if told else note("Nothing was written to stderr."),
        class_="failure",
        id=f"group-{place}",
    )


def _retry(view: ReportView, group: FailedAlike) -> Iterator[Markup]:
    command = retry_command(view, group.tasks)
    if command:
        yield tag("p", "Try just these again:")
        yield tag("pre", command, tabindex="0")
    else:
        yield note(
            "They are too many to be named in one command: the one below tries all failed tasks again."
        )


def _hosts(view: ReportView, group: FailedAlike) -> str:
    """Say on which machines the tasks ran whose provenance reports were read."""
    found = Counter(view.task_hosts[task.task_id] for task in group.tasks if task.task_id in view.task_hosts)
    if not found:
        return ""
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{shorten(name, 60)} ({amount:,})" for name, amount in ordered[:6])
    of = f" of the first {found.total():,}" if found.total() < len(group.tasks) else ""
    return named + of


def _common(view: ReportView, group: FailedAlike) -> Markup | None:
    """Say in one sentence which range of a parameter a group of failures comes from."""
    if len(view.failures()) < 2:
        return None  # the section on all failures says it
    found = [one for one in shared_ranges(view, {task.index for task in group.tasks}) if one.is_telling]
    return note("These failures gather where ", _telling(found[0]), ".") if found else None


def _telling(one: Shared) -> Markup:
    worst = one.worst
    rest_failed = sum(entry.failed for entry in one.ranges) - worst.failed
    rest = sum(entry.tasks for entry in one.ranges) - worst.tasks
    return join(
        short(one.name, 40, "code"),
        f" is {worst.words}: {worst.failed:,} of {worst.tasks:,}; elsewhere {rest_failed:,} of {rest:,}",
    )


def _shared_by_all(view: ReportView) -> Markup:
    heading = "What failures share"
    failed = {task.index for task in view.tasks if task.status is TaskStatus.FAILED}
    if not failed:
        return section("shared", heading, note("No task failed."))
    found = shared_ranges(view, failed)
    if not found:
        return section("shared", heading, note("No parameter varies in a way that could be compared."))
    finished = sum(task.status.is_final for task in view.tasks)
    telling = [one for one in found if one.is_telling]
    lead = (
        note("Failures gather where ", _telling(telling[0]), ".")
        if telling
        else note("In no range of a parameter did clearly more tasks fail than chance would have it.")
    )
    head = [
        *(tag("th", title) for title in ("parameter", "values")),
        *(tag("th", title, class_="n") for title in ("failed", "of finished", "share")),
        tag("th", ""),
    ]
    rows = [_range_row(one, entry) for one in found for entry in one.ranges]
    how = note(
        f"n = {finished:,} finished tasks. Values: each one where they are few, else ranges that hold equally"
        " many tasks. The parameters that tell most come first."
    )
    return section("shared", heading, lead, table(head, rows, label="Failures by values of parameters"), how)


def _range_row(one: Shared, entry: Range) -> Markup:
    bar = tag(
        "svg",
        tag("rect", x=0, y=0, width=f"{60 * entry.share:.1f}", height=8, class_="f-failed"),
        viewBox="0 0 60 8",
        preserveAspectRatio="none",
        class_="share",
        aria_hidden="true",
    )
    return tag(
        "tr",
        short(one.name, 40, "td"),
        short(entry.words, 40, "td"),
        tag("td", f"{entry.failed:,}", class_="n"),
        tag("td", f"{entry.tasks:,}", class_="n"),
        tag("td", f"{100 * entry.share:.0f} %", class_="n", data_v=f"{entry.share:.4f}"),
        tag("td", bar),
    )


def _made_good(view: ReportView) -> Markup:
    bad = (AttemptState.FAILED, AttemptState.LOST, AttemptState.REJECTED)
    found = Counter(
        (str(attempt.cause or attempt.state), attempt.reason, attempt.source)
        for task in view.tasks
        if has_result(task) and len(task.attempts) > 1
        for attempt in task.attempts
        if attempt.state in bad
    )
    heading = "Attempts that ended badly and were made good"
    if not found:
        return section("retried", heading, note("None: every task that has a result got it at once."))
    head = [*(tag("th", t) for t in ("cause", "reason", "source")), tag("th", "attempts", class_="n")]
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    rows = [
        tag(
            "tr",
            tag("td", cause),
            short(redact(reason), 120, "td"),
            short(source, 40, "td"),
            tag("td", f"{amount:,}", class_="n"),
        )
        for (cause, reason, source), amount in ordered[: view.limits.failure_groups]
    ]
    return section("retried", heading, table(head, rows, label="Attempts made good"))


def _again(view: ReportView) -> Markup:
    failed = sum(task.status is TaskStatus.FAILED for task in view.tasks)
    cancelled = sum(task.status is TaskStatus.CANCELLED for task in view.tasks)
    if not failed:
        return section("again", "Try again", note("There is nothing to try again."))
    others = f", and the {count(cancelled, 'cancelled task')} with {'it' if cancelled == 1 else 'them'}"
    return section(
        "again",
        "Try again",
        note(f"This tries the {count(failed, 'failed task')} again{others if cancelled else ''}:"),
        tag("pre", f"hsm sweep complete {view.sweep_id} --retry-failed", tabindex="0"),
        note("Results that are there are kept; each new attempt has a directory of its own."),
    )
