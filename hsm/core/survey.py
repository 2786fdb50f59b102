"""What an attempt starts from: the files of a project, looked at one by one, and what is left out and why."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from enum import Enum
from pathlib import PurePosixPath

from hsm.wire.bundle import (
    MAX_OBJECT_BYTES,
    BadListing,
    Item,
    ItemKind,
    check_items,
    folders_of,
    led_to,
)
from hsm.wire.files import Files, Kind
from hsm.wire.hashing import sha256_hex
from hsm.wire.manifest import is_safe


class LeftOut(Enum):
    """Why a file of the project is not pinned; the value says it."""

    TOO_LARGE = f"larger than {MAX_OBJECT_BYTES >> 20} MiB"
    NOT_CHECKED_OUT = "a submodule that is not checked out"
    LEADS_OUT = "leads out of the project"
    UNNAMEABLE = "its name is none that another machine could take"
    NOT_A_FILE = "no regular file"
    UNREADABLE = "may not be read"


class Survey:
    """Looks at files of a project. `left_out` says of which nothing is pinned."""

    def __init__(self, files: Files, project: str) -> None:
        self._files = files
        self._project = project
        self._root = files.resolve(project)
        self._folders: dict[str, str | None] = {}
        self._items: dict[str, Item] = {}
        self.left_out: dict[str, LeftOut] = {}

    def look(self, paths: Iterable[str]) -> list[Item]:
        """Return the items that these paths stand for, sorted; what is not there any more is none."""
        ahead = deque(sorted(set(paths)))
        while ahead:
            path = ahead.popleft()
            if path not in self._items and path not in self.left_out:
                ahead.extend(self._note(path))
        self._take_links_apart()
        return [self._items[path] for path in sorted(self._items)]

    def _note(self, path: str) -> list[str]:
        """Look at one path; return what else has to be looked at."""
        if not is_safe(path):
            self.left_out[path] = LeftOut.UNNAMEABLE
        elif self._folder(os.path.dirname(path)) is None:
            self.left_out[path] = LeftOut.LEADS_OUT
        else:
            try:
                return self._note_kind(path)
            except FileNotFoundError:
                return []  # gone while it was looked at
            except OSError:
                self.left_out[path] = LeftOut.UNREADABLE
        return []

    def _note_kind(self, path: str) -> list[str]:
        """Look at what is there. Below a link to a directory there are files only, whatever leads to them."""
        place = f"{self._project}/{path}"
        kind = self._files.kind(place)
        folder = os.path.dirname(path)
        if kind is Kind.LINK and self._folder(folder) == folder:
            return self._note_link(path)
        if self._files.is_file(place) and self._inside(self._files.resolve(place)) is not None:
            self._note_file(path)
        elif kind is not None:
            is_directory = kind is Kind.DIRECTORY
            self.left_out[path] = LeftOut.NOT_CHECKED_OUT if is_directory else LeftOut.NOT_A_FILE
        return []

    def _note_file(self, path: str) -> None:
        place = f"{self._project}/{path}"
        if self._files.length(place) > MAX_OBJECT_BYTES:
            self.left_out[path] = LeftOut.TOO_LARGE
            return
        content = self._files.contents(place)
        kind = ItemKind.PROGRAM if self._files.is_executable(place) else ItemKind.FILE
        self._items[path] = Item(path, kind, sha256_hex(content), len(content))

    def _note_link(self, path: str) -> list[str]:
        """Note a link, and the file in the project to which it leads."""
        target = self._files.read_link(f"{self._project}/{path}")
        real = self._inside(self._files.resolve(f"{self._project}/{path}"))
        if real is None:
            self.left_out[path] = LeftOut.LEADS_OUT
            return []
        if led_to(path, {path: target}) is None:  # by an absolute path, or out of the project and back
            target = os.path.relpath(real or ".", os.path.dirname(path) or ".")
        self._items[path] = Item(path, ItemKind.LINK, target, 0)
        return [real] if self._files.is_file(f"{self._root}/{real}") else []

    def _folder(self, folder: str) -> str | None:
        """Return where a directory of the project really is in it, None where it leads out."""
        if folder not in self._folders:
            self._folders[folder] = self._inside(self._files.resolve(f"{self._project}/{folder}"))
        return self._folders[folder]

    def _inside(self, real: str) -> str | None:
        if real == self._root:
            return ""
        path = PurePosixPath(real)
        return path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else None

    def _take_links_apart(self) -> None:
        """Let no item lie below a link: what was found there is listed where it really is.

        Links that lead out by way of others are left out.
        """
        links = {path for path, item in self._items.items() if item.kind is ItemKind.LINK}
        for path in [path for path in self._items if not links.isdisjoint(folders_of(path))]:
            item = self._items.pop(path)
            folder = self._folder(os.path.dirname(path)) or ""
            real = PurePosixPath(folder, os.path.basename(path)).as_posix()
            self._items.setdefault(real, item._replace(path=real))
        for path in links & self._items.keys():
            targets = {link: self._items[link].content for link in links & self._items.keys()}
            if led_to(path, targets) is None:
                del self._items[path]
                self.left_out[path] = LeftOut.LEADS_OUT


def fault(items: list[Item]) -> str:
    """Return why no bundle can be made of these items, empty when one can."""
    try:
        check_items(items)
    except BadListing as error:
        return str(error)
    return ""
