"""The listing of a bundle: which files of a project an attempt starts from, by content.

    {"files":[["lib/model.py","file","<SHA-256>",1024],["latest","link","lib",0]],"format":"hsm.bundle.v1"}

The digest of a bundle is the SHA-256 of its listing, which is therefore an object like each of its files.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

from hsm.wire.hashing import sha256_hex
from hsm.wire.manifest import is_safe

FORMAT = "hsm.bundle.v1"
MAX_ITEMS = 200_000
MAX_LISTING_BYTES = 64 << 20
MAX_OBJECT_BYTES = 64 << 20
"""No file of a bundle is larger, and no listing."""

MAX_TARGET_BYTES = 1024
MAX_HOPS = 40
SHA256 = re.compile(r"[0-9a-f]{64}")


class ItemKind(Enum):
    """What an item of a bundle is. A program is a file that may be executed."""

    FILE = "file"
    PROGRAM = "program"
    LINK = "link"


class Item(NamedTuple):
    """One name in a bundle. `content` is the SHA-256 of a file, or where a link leads."""

    path: str
    kind: ItemKind
    content: str
    size: int


class BadListing(ValueError):
    """Bytes that are no listing, or one that says what no bundle may hold."""


def encode_listing(items: Iterable[Item]) -> bytes:
    """Return the one text of a listing."""
    files = [[item.path, item.kind.value, item.content, item.size] for item in sorted(items, key=_path)]
    return json.dumps({"files": files, "format": FORMAT}, separators=(",", ":")).encode("ascii")


def _path(item: Item) -> str:
    return item.path


def digest_of(listing: bytes) -> str:
    """Return the digest of the bundle that a listing describes."""
    return sha256_hex(listing)


def decode_listing(listing: bytes) -> List[Item]:
    """Return the items of a listing, sorted by path.

    Raises:
        BadListing: it is none, or one of a path that leads out of the bundle.
    """
    if len(listing) > MAX_LISTING_BYTES:
        raise BadListing(f"a listing of {len(listing)} bytes")
    try:
        content = json.loads(listing)
        named, items = content["format"], [_item(entry) for entry in content["files"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadListing(f"no listing: {error}") from error
    if named != FORMAT:
        raise BadListing(f"a listing of format {named!r:.40}")
    check_items(items)
    return items


def _item(entry: Any) -> Item:
    path, kind, content, size = entry
    if type(path) is not str or type(content) is not str or type(size) is not int:
        raise TypeError(f"an item that is none: {entry!r:.200}")
    return Item(path, ItemKind(kind), content, size)


def check_items(items: List[Item]) -> None:
    """Refuse items that cannot lie in one directory, or that lead out of it.

    Raises:
        BadListing: it names the first of them.
    """
    if len(items) > MAX_ITEMS:
        raise BadListing(f"{len(items)} files, at most {MAX_ITEMS}")
    names = {item.path for item in items}
    if len(names) != len(items):
        raise BadListing("a path is listed twice")
    links = {item.path: item.content for item in items if item.kind is ItemKind.LINK}
    for item in items:
        if not is_safe(item.path):
            raise BadListing(f"the path {item.path!a:.200} leads out of the project")
        above = next((folder for folder in folders_of(item.path) if folder in names), None)
        if above is not None:
            raise BadListing(f"{item.path!a:.200} lies below {above!a:.200}, which is no directory")
        if item.kind is ItemKind.LINK:
            _check_link(item, links)
        elif not SHA256.fullmatch(item.content) or not 0 <= item.size <= MAX_OBJECT_BYTES:
            raise BadListing(f"{item.path!a:.200} has no SHA-256, or no size that a bundle may hold")


def _check_link(item: Item, links: Dict[str, str]) -> None:
    if not _is_target(item.content) or led_to(item.path, links) is None:
        raise BadListing(f"the link {item.path!a:.200} leads out of the project")


def _is_target(text: str) -> bool:
    try:
        return 0 < len(text.encode("utf-8")) <= MAX_TARGET_BYTES and "\0" not in text
    except UnicodeEncodeError:
        return False


def folders_of(path: str) -> Iterable[str]:
    """Yield the directories above a path, the uppermost first."""
    parts = path.split("/")
    for count in range(1, len(parts)):
        yield "/".join(parts[:count])


def led_to(path: str, links: Dict[str, str]) -> Optional[str]:
    """Return where a path in a bundle leads, every link on the way followed; None where that is outside."""
    place: List[str] = []
    ahead = path.split("/")[::-1]
    hops = 0
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not place:
                return None
            place.pop()
            continue
        place.append(part)
        target = links.get("/".join(place))
        if target is None:
            continue
        hops += 1
        if hops > MAX_HOPS or target.startswith("/"):
            return None
        place.pop()
        ahead.extend(target.split("/")[::-1])
    return "/".join(place)
