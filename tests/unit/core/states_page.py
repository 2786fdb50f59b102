"""The generated part of docs/reference/states.md. Run as a script, it writes the page anew."""

from __future__ import annotations

from pathlib import Path

from hsm.core.states import LIVE, TRANSITIONS, AttemptState

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "states.md"
BEGIN, END = "<!-- begin: transitions -->\n", "<!-- end: transitions -->\n"


def table() -> str:
    """Return the transition table as Markdown."""
    rows = [
        f"| `{state}` | {'yes' if state in LIVE else 'no'} | {_words(TRANSITIONS[state])} |\n"
        for state in AttemptState
    ]
    return "| attempt state | live | may become |\n|---|---|---|\n" + "".join(rows)


def _words(states: frozenset[AttemptState]) -> str:
    return ", ".join(f"`{state}`" for state in AttemptState if state in states) or "nothing: it is over"


def diagram() -> str:
    """Return the transition table as a Mermaid diagram."""
    arrows = [
        f"    {before} --> {after}\n"
        for before in AttemptState
        for after in AttemptState
        if after in TRANSITIONS[before]
    ]
    return "```mermaid\nstateDiagram-v2\n    [*] --> intent\n" + "".join(arrows) + "```\n"


def page(text: str) -> str:
    """Return the page with its generated part as the code has it."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}\n{diagram()}\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
