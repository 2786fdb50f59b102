"""The generated part of docs/reference/states.md. Run as a script, it writes the page anew."""

from __future__ import annotations

from pathlib import Path

from hsm.core.states import LIVE, TRANSITIONS, AttemptState

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "states.md"
PICTURE = PAGE.parent.parent / "images" / "states.svg"
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


def picture() -> str:
    """Return the transition table as a picture: rows are what is, columns what may follow."""
    states, cell, left, top = list(AttemptState), 26, 110, 100
    width, height = left + cell * len(states) + 60, top + cell * len(states) + 12
    marks = []
    for row, before in enumerate(states):
        y = top + cell * row
        marks.append(f'<text x="{left - 10}" y="{y + 17}" text-anchor="end">{before}</text>')
        marks.append(
            f'<text transform="translate({left + cell * row + 17} {top - 10}) rotate(-55)">{before}</text>'
        )
        marks.append(f'<path d="M{left} {y}H{left + cell * len(states)}" stroke="#8886"/>')
        for column, after in enumerate(states):
            if after in TRANSITIONS[before]:
                marks.append(f'<circle cx="{left + cell * column + 13}" cy="{y + 13}" r="6" fill="#0072b2"/>')
    body = "\n".join(marks)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'font-family="sans-serif" font-size="13">\n<title>What an attempt may become</title>\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'
    )


def page(text: str) -> str:
    """Return the page with its generated part as the code has it."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    shown = "![A row is what an attempt is, a dot what it may become](../images/states.svg)"
    return f"{head}{BEGIN}\n{table()}\n{shown}\n\n{END}{tail}"


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
