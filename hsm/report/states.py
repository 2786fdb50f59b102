"""How the states of tasks look: a word, a glyph and a colour, never a colour alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hsm.core.model import Task
from hsm.core.states import TaskStatus
from hsm.report.html import Markup, tag

GLYPHS: dict[TaskStatus, str] = {
    TaskStatus.SEALED: "✓",
    TaskStatus.REUSED: "↺",
    TaskStatus.CORRUPT: "☒",
    TaskStatus.FAILED: "✗",
    TaskStatus.CANCELLED: "⊘",
    TaskStatus.COLLECTING: "⇣",
    TaskStatus.RUNNING: "▶",
    TaskStatus.SCHEDULED: "◷",
    TaskStatus.RECEIVED: "○",
}
"""Every state, from the best end to the farthest from any end: the order in which they are shown."""

BAR_WIDTH = 1_000
LEAST_WIDTH = 6.0


def badge(status: TaskStatus) -> Markup:
    """Return a state as glyph and word."""
    return tag("span", tag("b", GLYPHS[status], aria_hidden="true"), f" {status}", class_=f"st s-{status}")


def counts(tasks: Sequence[Task]) -> list[tuple[TaskStatus, int]]:
    """Return how many tasks are in each state that occurs."""
    found = Counter(task.status for task in tasks)
    return [(status, found[status]) for status in GLYPHS if found[status]]


def bar(found: Sequence[tuple[TaskStatus, int]]) -> Markup:
    """Return one bar split by state; a state that occurs is never too thin to be seen."""
    total = sum(amount for _, amount in found)
    widths = [max(LEAST_WIDTH, BAR_WIDTH * amount / total) for _, amount in found] if total else []
    shrink = BAR_WIDTH / sum(widths) if widths else 1.0
    pieces, x = [], 0.0
    for (status, amount), width in zip(found, widths, strict=True):
        title = tag("title", f"{status}: {amount:,}")
        shape = {"x": f"{x:.1f}", "y": "0", "width": f"{max(width * shrink - 2, 2):.1f}", "height": "16"}
        pieces.append(tag("rect", title, class_=f"f-{status}", **shape))
        x += width * shrink
    label = ", ".join(f"{amount:,} {status}" for status, amount in found) or "no tasks"
    return tag(
        "svg",
        *pieces,
        viewBox=f"0 0 {BAR_WIDTH} 16",
        preserveAspectRatio="none",
        class_="bar",
        role="img",
        aria_label=label,
    )


def legend(found: Sequence[tuple[TaskStatus, int]]) -> Markup:
    """Return the words and counts that belong to the bar."""
    total = sum(amount for _, amount in found)
    items = [
        tag("li", badge(status), " ", tag("strong", f"{amount:,}"), f" {100 * amount / total:.0f} %")
        for status, amount in found
    ]
    return tag("ul", *items, class_="legend")
