"""HTML built by functions: text is escaped unless it was built here, so nothing can be forgotten."""

from __future__ import annotations

from html import escape

from hsm.report.text import shorten, visible

VOID = frozenset({"img", "meta", "br", "hr"})
TITLE_LIMIT = 120
"""Longest value kept in a tooltip: 5,000 cells of the worst values must still fit into 5 MB."""


class Markup(str):
    """Text that is HTML already. Everything else is data, and is escaped where it enters a page."""

    __slots__ = ()


def text(value: str, *, keep: str = "") -> Markup:
    """Return data as HTML: escaped, with invisible characters written out."""
    return Markup(escape(visible(value, keep=keep), quote=True))


def tag(name: str, /, *children: str | None, **attributes: str | float | None) -> Markup:
    """Return an element. None children and attributes are left out; `class_` stands for `class`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: str | None) -> Markup:
    """Return children one after the other, escaping those that are no markup."""
    parts = (child if isinstance(child, Markup) else text(child) for child in children if child is not None)
    return Markup("".join(parts))


def short(value: str, limit: int, name: str = "span", class_: str | None = None) -> Markup:
    """Return an element with at most `limit` characters of a value, and more of it in the tooltip."""
    title = shorten(value, TITLE_LIMIT) if len(value) > limit else None
    return tag(name, shorten(value, limit), title=title, class_=class_)


def section(key: str, heading: str, *children: str | None) -> Markup:
    """Return one section of a page, with its anchor."""
    return tag("section", tag("h2", heading), *children, id=key)


def table(head: list[Markup], rows: list[Markup], *, label: str) -> Markup:
    """Return a table that scrolls within its own frame, never the page."""
    body = tag("table", tag("thead", tag("tr", *head)) if head else None, tag("tbody", *rows))
    return tag("div", body, class_="scroll", tabindex="0", role="region", aria_label=label)


def note(*children: str | None) -> Markup:
    """Return a paragraph in the voice of the report."""
    return tag("p", *children, class_="note")


def prose(words: str) -> Markup:
    """Return text in which what stands between backticks is a literal."""
    parts = words.split("`")
    return join(*(code(part) if place % 2 else part for place, part in enumerate(parts)))


def code(value: str) -> Markup:
    """Return a literal."""
    return tag("code", value)
