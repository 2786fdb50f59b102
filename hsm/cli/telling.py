"""Telling a task's story: one line for each thing that happened."""

from __future__ import annotations

from hsm.cli import words
from hsm.cli.console import Line, Tone, line
from hsm.core.history import Happening
from hsm.core.story import told


def story_line(happening: Happening, *, with_day: bool = True) -> Line:
    """Return what happened, behind its time; what is about the sweep stands back."""
    at = getattr(happening.event, "at", None)
    when = "" if at is None else words.moment_s(at) if with_day else words.clock(at)
    tone = Tone.PLAIN if hasattr(happening.event, "task") else Tone.DIM
    return line(
        (f"{when:{19 if with_day else 8}}  ", Tone.DIM), (told(happening.event, happening.task), tone)
    )
