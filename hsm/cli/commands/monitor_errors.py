"""`hsm monitor errors`: failures, grouped by cause and by what they said last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from hsm.cli import evidence, forms, options
from hsm.cli.console import Console, Line, Tone, line
from hsm.cli.words import clipped, moment, plural
from hsm.cli.workspace import Look, Workspace
from hsm.core.errors import ExitCode
from hsm.core.failures import FailureFile, read_failures
from hsm.core.selectors import compact
from hsm.core.states import TaskStatus
from hsm.wire.names import task_id

TAIL_LINES = 8
NAMED = 8
ASKED = 20
"""The reports of so many attempts of a group are asked for their host."""


@forms.command("monitor errors", "monitor errors heat-20260102", "monitor errors last --json")
@options.sweep
@options.outputs
@options.json_output
@click.pass_obj
def command(console: Console, *, reference: str, outputs: Path | None) -> ExitCode:
    """Show failures, grouped by cause and by what they said last, with the end of one log each.

    Each group names sources and hosts, and the command that tries just its tasks again.
    """
    space = Workspace.here(outputs)
    look = space.look(reference)
    cases = [_case(space, look, group) for group in read_failures(space.world.files, look.tree)]
    if console.as_json:
        records = [_record(case) for case in cases]
        console.envelope("monitor.errors", {"sweep_id": look.tree.sweep_id, "groups": records})
        return ExitCode.FINE
    if not cases:
        console.say("no attempt failed")
        return ExitCode.FINE
    for case in cases:
        for spans in _lines(case, console):
            console.data(*spans)
    failed = look.tracker.counts[TaskStatus.FAILED]
    if failed:
        retry = space.command("sweep complete ID --retry-failed", look.tree)
        console.say(f"{plural(failed, 'task')} failed in the end; try all again: {retry}")
    return ExitCode.FINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A group of like failures with what there is to see of it."""

    group: FailureFile
    failed: tuple[int, ...]
    stream: str
    tail: list[str]
    hosts: Mapping[str, int]
    retry: str


def _case(space: Workspace, look: Look, group: FailureFile) -> Case:
    tracker = look.tracker
    failed = tuple(index for index in group.tasks if tracker.task(index).status is TaskStatus.FAILED)
    directories = [
        evidence.directory_of(look.tree, end.task, end.attempt, end.token) for end in group.ends[:ASKED]
    ]
    stream, rows = evidence.last_words(directories[0], TAIL_LINES)
    is_all = len(failed) == tracker.counts[TaskStatus.FAILED]
    retry = f"sweep complete ID --retry {'failed' if is_all else compact(failed)}" if failed else ""
    return Case(
        group=group,
        failed=failed,
        stream=stream,
        tail=rows,
        hosts=evidence.hosts_of(directories),
        retry=space.command(retry, look.tree) if retry else "",
    )


def _record(case: Case) -> dict[str, object]:
    group = case.group
    return {
        "cause": group.cause,
        "signature": group.signature,
        "count": len(group.ends),
        "tasks": [task_id(task) for task in group.tasks],
        "failed_tasks": [task_id(task) for task in case.failed],
        "sources": group.sources,
        "hosts": case.hosts,
        "first_at": group.ends[0].at,
        "last_at": group.ends[-1].at,
        "remedy": group.remedy,
        "retry": case.retry or None,
        "stream": case.stream,
        "tail": case.tail,
    }


def _lines(case: Case, console: Console) -> Iterator[Line]:
    group, times = case.group, console.data_glyphs.times
    yield line((f"{len(group.ends):,} {times} {group.cause}", Tone.BAD), f"  {group.signature}")
    names = ", ".join(task_id(task) for task in group.tasks[:NAMED])
    rest = f" and {len(group.tasks) - NAMED:,} more" if len(group.tasks) > NAMED else ""
    fate = "" if len(case.failed) == len(group.tasks) else f"; {len(case.failed):,} failed in the end"
    yield _labelled("tasks", names + rest + fate)
    yield _labelled("where", _where(case))
    yield _labelled("when", _when(group))
    for place, row in enumerate(case.tail):
        yield _labelled(case.stream if place == 0 else "", row)
    if group.remedy:
        yield line(("  hint   ", Tone.ACTIVE), group.remedy.replace("TASK", task_id(group.tasks[0])))
    if case.retry:
        yield line(("  retry  ", Tone.ACTIVE), _shortened(case.retry, console))
    yield line()


def _labelled(label: str, text: str) -> Line:
    return line((f"  {label:6} ", Tone.DIM), text)


def _where(case: Case) -> str:
    """Return sources, and hosts as far as they were asked."""
    sources = ", ".join(f"{name} ({count:,})" for name, count in case.group.sources.items())
    if not case.hosts:
        return sources
    some = f" of the first {ASKED}" if len(case.group.ends) > ASKED else ""
    hosts = ", ".join(f"{name} ({count:,}{some})" for name, count in case.hosts.items())
    return f"{sources}; host {hosts}"


def _when(group: FailureFile) -> str:
    first, last = moment(group.ends[0].at), moment(group.ends[-1].at)
    return first if first == last else f"{first} to {last}"


def _shortened(command_: str, console: Console) -> str:
    """Return a command as it can be typed; a very long one only where nobody looks at it."""
    if not console.is_data_on_terminal:
        return command_
    most = 4 * console.data_width
    return command_ if len(command_) <= most else clipped(command_, most) + " (whole: `| cat`)"
