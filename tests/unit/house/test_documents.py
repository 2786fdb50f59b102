"""The documents hang together: every page can be reached, and every link leads somewhere."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.unit.house.source_tree import ROOT, report

ENTRANCES = ("README.md", "ARCHITECTURE.md", "docs/index.md", "docs/reference/README.md")
LISTED = "docs/adr"  # numbered pages, named by their titles: a link to the folder is enough

FENCE = re.compile(r"^( *)```.*?^\1``` *$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def _pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@cache
def _links(page: Path) -> tuple[tuple[Path, str], ...]:
    """Return the relative links of a page as (what they lead to, the heading that they name)."""
    text = CODE.sub("", FENCE.sub("", page.read_text(encoding="utf-8")))
    targets = [link.partition("#") for link in LINK.findall(text) if not re.match(r"[a-z]+:", link)]
    return tuple(((page.parent / path).resolve() if path else page, place) for path, _, place in targets)


@cache
def _anchors(page: Path) -> set[str]:
    """Return the names under which the headings of a page can be linked."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_an_entrance() -> None:
    """A page that nobody links to is not read."""
    linked = {target for entrance in ENTRANCES for target, _ in _links(ROOT / entrance)}
    assert ROOT / LISTED in linked
    lonely = [
        page.relative_to(ROOT).as_posix()
        for page in (ROOT / "docs").rglob("*.md")
        if page not in linked and page.parent != ROOT / LISTED
    ]
    assert not lonely, report(lonely, f"link it from one of {', '.join(ENTRANCES)}")


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    """Files and folders exist, and so do headings that are named."""
    broken = [
        f"{target.relative_to(ROOT) if target.is_relative_to(ROOT) else target}#{place}"
        for target, place in _links(page)
        if not target.exists() or (place and target.suffix == ".md" and place not in _anchors(target))
    ]
    assert not broken, report(broken, "the link leads nowhere")
