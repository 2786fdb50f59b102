"""Telling a task's story: one line for each thing that happened."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from hsm.cli import words
from hsm.cli.console import Line, Tone, line, text_of
from hsm.cli.tables import width_of
from hsm.core.cleaning import clean
from hsm.core.history import Happening
from hsm.core.story import told


def story_line(happening: Happening, *, with_day: bool = True) -> Line:
    """Return what happened, behind its time; what is about the sweep stands back."""
    at = getattr(happening.event, "at", None)
    when = "" if at is None else words.moment_s(at) if with_day else words.clock(at)
    indent, width = ("  ", 19) if with_day else ("", 8)
    tone = Tone.PLAIN if hasattr(happening.event, "task") else Tone.DIM
    return line((f"{indent}{when:{width}}  ", Tone.DIM), (told(happening.event, happening.task), tone))


def folded(spans: Line, width: int) -> Iterator[Line]:
    """Yield a line whose last piece is folded to the width, what follows below its beginning."""
    *before, (text, tone) = spans or line("")
    if width_of(clean(text_of(spans))) <= width:
        yield [*before, (clean(text), tone)]
        return
    indent = len(text_of(before))
    rows = textwrap.wrap(clean(text), max(20, width - indent), break_on_hyphens=False) or [""]
    yield [*before, (rows[0], tone)]
    for row in rows[1:]:
        yield line(" " * indent, (row, tone))
