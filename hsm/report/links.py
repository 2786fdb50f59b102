"""Names of tasks as links to their directories, which work while the report lies in its sweep."""

from __future__ import annotations

from collections.abc import Sequence

from hsm.core.model import Task
from hsm.report.html import Markup, join, tag


def task_link(task: Task) -> Markup:
    """Return the id of a task, linked to its directory if it ever had one."""
    if not task.attempts:
        return tag("span", task.task_id, class_="id")
    return tag("a", task.task_id, href=f"../tasks/{task.task_id}/", class_="id")


def ranges(tasks: Sequence[Task]) -> str:
    """Return tasks as a command takes them: `3,20-30`."""
    runs: list[list[int]] = []
    for task in tasks:
        if runs and task.index == runs[-1][1] + 1:
            runs[-1][1] = task.index
        else:
            runs.append([task.index, task.index])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def task_list(tasks: Sequence[Task], most: int) -> Markup:
    """Return the first `most` tasks, and how many more there are."""
    links = [join(" " if position else None, task_link(task)) for position, task in enumerate(tasks[:most])]
    more = f" and {len(tasks) - most:,} more" if len(tasks) > most else None
    return join(*links, more)
