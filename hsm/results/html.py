"""Results and sweeps as a notebook shows them: small, self-contained HTML with every value escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TypeAlias

from hsm.core.monitor import Progress
from hsm.core.spec import Value
from hsm.core.states import TaskStatus
from hsm.core.tree import SweepTree
from hsm.results.frames import text
from hsm.wire.names import task_id

SHOWN_ROWS = 20
SHOWN_COLUMNS = 16
SHOWN_TEXT = 60
STATUS = "meta.status"
PADDING = "padding:2px 10px 2px 0"
ALWAYS = ("meta.task", STATUS)
HIDDEN = ("meta.started_at", "meta.ended_at", "meta.config_hash", "meta.path", "meta.max_rss_bytes")

COLORS: Mapping[TaskStatus, str] = {
    TaskStatus.SEALED: "#009e73",
    TaskStatus.REUSED: "#56b4e9",
    TaskStatus.FAILED: "#d55e00",
    TaskStatus.CORRUPT: "#d55e00",
    TaskStatus.CANCELLED: "#e69f00",
    TaskStatus.COLLECTING: "#0072b2",
    TaskStatus.RUNNING: "#0072b2",
    TaskStatus.SCHEDULED: "#999999",
    TaskStatus.RECEIVED: "#cccccc",
}
Pairs: TypeAlias = "Iterable[tuple[str, str]]"


def counted(count: int, noun: str) -> str:
    """Return `1 row`, `1,200 rows`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def shown(cell: Value) -> str:
    """Return a cell as a person reads it: six digits of a number, nothing where it is missing."""
    if cell is None:
        return ""
    return f"{cell:.6g}" if isinstance(cell, float) else text(cell)


def table_of(columns: Mapping[str, Sequence[Value]], count: int) -> str:
    """Return the first rows of results, and how many there are in which state."""
    names = [name for name in columns if _is_worth(name, columns[name])][:SHOWN_COLUMNS]
    head = "".join(f"<th style='text-align:left;{PADDING}'>{escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(_cell(columns[name][at]) for name in names)}</tr>"
        for at in range(min(count, SHOWN_ROWS))
    )
    said = [counted(count, "row"), counted(len(columns), "column")]
    said += [f"{number:,} {status}" for status, number in Counter(columns.get(STATUS, ())).items()]
    if count > SHOWN_ROWS or len(names) < len(columns):
        said.append(f"shown: {min(count, SHOWN_ROWS)} rows, {counted(len(names), 'column')}")
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div style='overflow-x:auto'>{table}<p><small>{escape(' · '.join(said))}</small></p></div>"


def _is_worth(name: str, cells: Sequence[Value]) -> bool:
    """Tell whether a person wants to see a column: not what is the same for every task."""
    if not name.startswith("meta.") or name in ALWAYS:
        return True
    return name not in HIDDEN and any(cell != cells[0] for cell in cells)


def _cell(cell: Value) -> str:
    words = shown(cell)
    if len(words) > SHOWN_TEXT:
        words = words[: SHOWN_TEXT - 1] + "…"
    side = "right" if isinstance(cell, int | float) and not isinstance(cell, bool) else "left"
    return f"<td style='text-align:{side};{PADDING}'>{escape(words)}</td>"


def card_of(tree: SweepTree, name: str, now: Progress) -> str:
    """Return a sweep as a card: name, status, a bar of its states, the best so far, where it is."""
    counts = [(status, now.counts[status]) for status in COLORS if now.counts[status]]
    facts = [("tasks", f"{now.finished:,} of {now.expected:,} finished")]
    facts += [("states", " · ".join(f"{count:,} {status}" for status, count in counts))] if counts else []
    if now.best is not None:
        facts.append(("best", f"{now.metric} = {now.best.score:.6g} ({task_id(now.best.task)})"))
    if now.stopped:
        facts.append(("stopped", now.stopped))
    facts.append(("path", str(tree.root)))
    return (
        "<div style='border:1px solid #8888;border-radius:6px;padding:8px 12px;max-width:44em'>"
        f"<strong>{escape(name)}</strong> <code>{escape(tree.sweep_id)}</code> {escape(now.status)}"
        f"{_bar(counts, max(now.expected, 1))}{_facts(facts)}</div>"
    )


def _bar(counts: Sequence[tuple[TaskStatus, int]], whole: int) -> str:
    pieces = "".join(
        f"<span title='{count:,} {status}' style='display:inline-block;height:10px;"
        f"width:{100 * count / whole:.3f}%;background:{COLORS[status]}'></span>"
        for status, count in counts
    )
    outer = "display:flex;background:#8883;height:10px;margin:6px 0;overflow:hidden;border-radius:3px"
    return f"<div style='{outer}'>{pieces}</div>"


def _facts(pairs: Pairs) -> str:
    return "".join(
        f"<div><small style='opacity:.65'>{escape(label)}</small> {escape(words)}</div>"
        for label, words in pairs
    )
