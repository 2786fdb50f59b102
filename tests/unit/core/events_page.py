"""The generated part of docs/reference/events.md. `python -m tests.unit.core.events_page` writes it anew."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from hsm.core import events as ev

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "events.md"
BEGIN, END = "<!-- begin: events -->\n", "<!-- end: events -->\n"


def table() -> str:
    """Return a row for each kind of event: what its class says, and its fields in order."""
    rows = "".join(
        f"| `{kind}` | {_said(cls)} | {', '.join(f'`{item.name}`' for item in fields(cls))} |\n"
        for kind, cls in ev.EVENTS.items()
    )
    return f"| kind | meaning | fields |\n|---|---|---|\n{rows}"


def _said(cls: type) -> str:
    return re.sub(r"\s+", " ", cls.__doc__ or "").strip().replace("|", "\\|")


def page(text: str) -> str:
    """Return the page with its generated part as the code has it."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
