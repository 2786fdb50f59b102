"""Listings of bundles: one text per project, and none that could lead out of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm.wire.bundle import (
    MAX_OBJECT_BYTES,
    BadListing,
    Item,
    ItemKind,
    check_items,
    decode_listing,
    digest_of,
    encode_listing,
    led_to,
)

SHA = "ab" * 32


def file(path: str, sha: str = SHA, size: int = 1) -> Item:
    return Item(path, ItemKind.FILE, sha, size)


def link(path: str, target: str) -> Item:
    return Item(path, ItemKind.LINK, target, 0)


def test_a_listing_is_read_as_it_was_written_whatever_the_order() -> None:
    """The digest is that of the set of files, not of how they were found."""
    items = [file("b/ü\n.py"), Item("a", ItemKind.PROGRAM, "cd" * 32, 7), link("c", "b")]
    text = encode_listing(items)
    assert decode_listing(text) == sorted(items, key=lambda item: item.path)
    assert encode_listing(items[::-1]) == text
    assert digest_of(text) != digest_of(encode_listing([items[1]._replace(kind=ItemKind.FILE), *items[::2]]))


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc/x", "a/../../x", "", ".", "a//b", "a/./b", "nul\0", "x" * 300, "a/" * 600 + "b", "\udcff"],
)
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    """Also one that no machine, or not every machine, could make."""
    with pytest.raises(BadListing):
        check_items([file(path)])


@pytest.mark.parametrize(
    "items",
    [
        [file("a"), file("a")],
        [file("a"), file("a/b")],
        [link("a", "b"), file("a/b"), file("b/c")],
        [file("a", "no sha")],
        [file("a", SHA.upper())],
        [file("a", size=-1)],
        [file("a", size=MAX_OBJECT_BYTES + 1)],
        [link("a", "")],
        [link("a", "/etc/passwd")],
        [link("a", "../x")],
        [link("a", "b\0")],
        [link("a", "a")],
        [link("up", "d/.."), link("d", "x"), link("out", "up/../../y")],
        [link("d/here", ".."), link("out", "d/here/../secret")],
    ],
)
def test_items_that_cannot_lie_in_one_directory_are_refused(items: list[Item]) -> None:
    """Twice a path, something below a file or a link, no content, links that lead out or in circles."""
    with pytest.raises(BadListing):
        check_items(items)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"files":[],"format":"other"}',
        b'{"files":[["a","file"]],"format":"hsm.bundle.v1"}',
        b'{"files":[["a","device","x",1]],"format":"hsm.bundle.v1"}',
        b'{"files":[["a","file","' + SHA.encode() + b'",true]],"format":"hsm.bundle.v1"}',
        b'{"files":{"a":1},"format":"hsm.bundle.v1"}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_bytes_that_are_no_listing_are_refused(text: bytes) -> None:
    """Whatever they are."""
    with pytest.raises(BadListing):
        decode_listing(text)


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TARGETS = st.lists(st.sampled_from(["a", "b", "c", "..", "."]), min_size=1, max_size=4).map("/".join)


@pytest.mark.slow
@settings(max_examples=20)
@given(links=st.dictionaries(PATHS, TARGETS, max_size=4))
def test_links_lead_where_the_system_would_follow_them(
    links: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is taken to be inside is inside, for every set of links that can be made."""
    root = Path(os.path.realpath(tmp_path_factory.mktemp("links")))
    made: dict[str, str] = {}
    for path, target in links.items():
        place = root / path
        if any(place.is_relative_to(root / other) or (root / other).is_relative_to(place) for other in made):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
        made[path] = target
    for path in made:
        inside = led_to(path, made)
        if inside is None:
            continue
        real = Path(os.path.realpath(root / path))
        assert real == Path(os.path.realpath(root / inside)), json.dumps(made)
        assert real.is_relative_to(root)
