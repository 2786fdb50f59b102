"""The look and the one script of a report: the files beside this module, without their comments."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files


@cache
def style() -> str:
    """Return the style sheet of a page; it goes into the page, which asks nothing of any other file."""
    return "\n".join(_sheet(name) for name in ("palette.css", "style.css", "figure.css"))


@cache
def figure_style() -> str:
    """Return the style of a figure that stands alone, which says of itself only."""
    palette = _sheet("palette.css").replace(":root", "svg.alone")
    return f"{palette}\n{_sheet('figure.css')}"


@cache
def script() -> str:
    """Return the script of a page."""
    text = (files(__package__) / "script.js").read_text("utf-8")
    return re.sub(r"^\s*//.*\n", "", text, flags=re.MULTILINE).strip()


def digest(content: str) -> str:
    """Return the hash by which a policy allows exactly this inline content."""
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


def _sheet(name: str) -> str:
    sheet = (files(__package__) / name).read_text("utf-8")
    return re.sub(r"/\*.*?\*/\s*", "", sheet, flags=re.DOTALL).strip()
