"""The colours of a report can be read."""

from __future__ import annotations

import re

import pytest

from hsm.report.style import style

ON_CARD = ("ink", "soft", "link", "ok-ink", "bad-ink", "run-ink", "gone-ink")


def palettes() -> list[dict[str, str]]:
    """Return the variables of the light and of the dark page."""
    blocks = re.findall(r":root\s*\{([^}]*)\}", style())[:2]
    light, dark = (dict(re.findall(r"--([\w-]+):\s*(#\w+)", block)) for block in blocks)
    return [light, {**light, **dark}]


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ground", ["card", "head", "bg"])
@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_enough_contrast(scheme: int, ground: str) -> None:
    """Every colour that text has keeps 4.5 to 1 to every ground that it stands on."""
    colours = palettes()[scheme]
    weak = [name for name in ON_CARD if contrast(colours[name], colours[ground]) < 4.5]
    assert not weak


def test_the_style_sheet_asks_for_nothing() -> None:
    """No font, image or other sheet is loaded, and no comment is shipped."""
    assert not re.search(r"url\(|@import|/\*|<", style())
