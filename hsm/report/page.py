"""The frame of every page: its policy, its style, its one script, its navigation and its last words.

The policy allows the style sheet and the script by their hashes, pictures that are part of the page, and
nothing else: whatever got into the page as markup could neither run nor ask for anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hsm import __version__
from hsm.report.html import Markup, tag
from hsm.report.style import digest, script, style


def page(
    title: str, masthead: Markup, places: Mapping[str, str], sections: Sequence[Markup], last_words: str
) -> str:
    """Return a page; `places` are the words of the navigation by the ids of the sections."""
    links = [tag("a", word, href=f"#{place}") for place, word in places.items()]
    body = tag(
        "body",
        masthead,
        tag("nav", *links, aria_label="Sections"),
        tag("main", *sections),
        tag("footer", f"Written by hsm {__version__} from the ledger of the sweep. {last_words}"),
        tag("script", Markup(script())),
    )
    return f"<!doctype html>\n{tag('html', _head(title), body, lang='en')}\n"


def policy() -> str:
    """Return the content security policy of every page."""
    return (
        f"default-src 'none'; script-src {digest(script())}; style-src {digest(style())}; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def _head(title: str) -> Markup:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy()),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(style())),
    )
