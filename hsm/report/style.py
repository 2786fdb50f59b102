"""The look of a report: the style sheet beside this module, without its comments."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files


@cache
def style() -> str:
    """Return the style sheet; it goes into the page, which asks nothing of any other file."""
    sheet = (files(__package__) / "style.css").read_text("utf-8")
    return re.sub(r"/\*.*?\*/\s*", "", sheet, flags=re.DOTALL).strip()
