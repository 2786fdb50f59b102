"""A disk that tells what was written from what is durable, and forgets the difference in a power cut.

File contents are durable after a sync of the file, names after a sync of their directory (its own name and
those above it included), everything after a sync of the file system. A rename is one act: after a power cut
it has happened or it has not. What a cut keeps of the rest is drawn: nothing, all, what came first, or single
512-byte sectors and single names.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from random import Random
from typing import TypeAlias

from hsm.sim.inode import Inode, Keep
from hsm.sim.trace import Trace

MAX_LINKS = 16
PLENTY_BYTES = 1 << 40


class Symlink:
    """A symbolic link."""

    __slots__ = ("target",)

    def __init__(self, target: str) -> None:
        self.target = target


class Directory:
    """A directory: its names as programs see them, and as they would be after a power cut."""

    __slots__ = ("entries", "name", "parent", "stable")

    def __init__(self, parent: Directory | None, name: str) -> None:
        self.parent = parent
        self.name = name
        self.entries: dict[str, Node] = {}
        self.stable: dict[str, Node] = {}


Node: TypeAlias = "Inode | Directory | Symlink"
Change: TypeAlias = "tuple[Directory, str, Node | None]"


def error(code: int, path: str) -> OSError:
    """Return the error that the system call would raise."""
    return OSError(code, os.strerror(code), path)


class Disk:
    """One file system. `room` is how many bytes still fit, None for plenty."""

    def __init__(self, trace: Trace, epoch_s: float = 0.0) -> None:
        self.root = Directory(None, "")
        self._epoch_s = epoch_s  # when the world began, by the clock that files are dated by
        self.room: int | None = None
        self.is_torn = False
        self._trace = trace
        self._changes: list[tuple[Change, ...]] = []
        self._dirty: dict[int, Inode] = {}
        self._number = 0
        self._folders: dict[str, Directory] = {}

    # Looking

    def folder(self, path: str) -> Directory:
        """Return the directory at an absolute path, links followed.

        Raises:
            OSError: there is none.
        """
        return self._folders.get(path) or self._find_folder(path)

    def _find_folder(self, path: str) -> Directory:
        head, _, name = path.rpartition("/")
        if name in ("", ".", ".."):
            node: Node | None = self._walk(path, MAX_LINKS)
        else:
            try:
                node = self.folder(head).entries.get(name)
            except OSError as failed:
                raise error(failed.errno or 0, path) from None
            if node is None:
                raise error(errno.ENOENT, path)
            if type(node) is Symlink:
                node = self._walk(path, MAX_LINKS)
        if type(node) is not Directory:
            raise error(errno.ENOTDIR, path)
        self._folders[path] = node
        return node

    def node(self, path: str, *, follow: bool = True) -> Node | None:
        """Return what is at a path, None for nothing."""
        head, _, name = path.rpartition("/")
        try:
            folder = self._folders.get(head) or self._find_folder(head)
            node = folder.entries.get(name) if name else self.folder(path)
            if follow and type(node) is Symlink:
                return self._walk(path, MAX_LINKS)
        except FileNotFoundError:
            return None
        return node

    def inode(self, path: str, *, follow: bool = True) -> Inode:
        """Return the regular file at a path.

        Raises:
            OSError: there is none.
        """
        node = self.node(path, follow=follow)
        if type(node) is Inode:
            return node
        if node is None:
            raise error(errno.ENOENT, path)
        if isinstance(node, Directory):
            raise error(errno.EISDIR, path)
        raise error(errno.ELOOP, path)

    def _walk(self, path: str, links: int) -> Node:
        at: Directory = self.root
        parts = [part for part in path.split("/") if part and part != "."]
        for number, part in enumerate(parts):
            node: Node | None = (at.parent or at) if part == ".." else at.entries.get(part)
            if node is None:
                raise error(errno.ENOENT, path)
            if isinstance(node, Symlink):
                if not links:
                    raise error(errno.ELOOP, path)
                base = "" if node.target.startswith("/") else _path_of(at) + "/"
                return self._walk("/".join([base + node.target, *parts[number + 1 :]]), links - 1)
            if number == len(parts) - 1:
                return node
            if not isinstance(node, Directory):
                raise error(errno.ENOTDIR, path)
            at = node
        return at

    # Changing names

    def change(self, *changes: Change) -> None:
        """Change names, as one act."""
        for folder, name, node in changes:
            before = folder.entries.get(name)
            if node is None:
                folder.entries.pop(name, None)
            else:
                folder.entries[name] = node
                if isinstance(node, Directory):
                    node.parent, node.name = folder, name
            if before is not None and type(before) is not Inode:
                self._folders.clear()  # what was found through it may be elsewhere now
        self._changes.append(changes)

    def place(self, path: str) -> tuple[Directory, str]:
        """Return the directory that a path lies in, and its name there."""
        head, _, name = path.rpartition("/")
        return self.folder(head), name

    def new_file(self, path: str) -> Inode:
        """Make an empty file at a path where nothing is."""
        folder, name = self.place(path)
        if name in folder.entries:
            raise error(errno.EEXIST, path)
        self._need_room(path)
        self._number += 1
        inode = Inode(self._number)
        self.change((folder, name, inode))
        return inode

    def new_folder(self, path: str) -> None:
        """Make an empty directory at a path where nothing is."""
        folder, name = self.place(path)
        if name in folder.entries or not name:
            raise error(errno.EEXIST, path)
        self._need_room(path)
        self.change((folder, name, Directory(folder, name)))

    def allocate(self, path: str, size: int) -> None:
        """Make a file that takes up so much room."""
        if self.room is not None and self.room < size:
            raise error(errno.ENOSPC, path)
        self.new_file(path).reserved = size
        self._take(size)

    def give_back(self, node: Node) -> None:
        """Have the room of a removed file that only took it up."""
        if isinstance(node, Inode):
            self._take(-node.reserved)
            node.reserved = 0

    def _take(self, size: int) -> None:
        if self.room is not None:
            self.room -= size

    def _need_room(self, path: str) -> None:
        if self.room is not None and self.room <= 0:
            raise error(errno.ENOSPC, path)

    # Changing contents

    def write(self, inode: Inode, offset: int, data: bytes) -> int:
        """Write as much as there is room for, and return how much that was."""
        if self.room is not None:
            over = max(0, len(inode.content) - offset)  # what is written over takes no room
            data = data[: over + max(0, self.room)]
            if not data:
                raise error(errno.ENOSPC, "")
            self.room -= max(0, len(data) - over)
        inode.write(offset, bytes(data))
        self._dirty[inode.number] = inode
        inode.modified_ns = int((self._epoch_s + self._trace.now) * 1e9)
        return len(data)

    def truncate(self, inode: Inode, size: int) -> None:
        """Cut a file."""
        inode.truncate(size)
        self._dirty[inode.number] = inode

    # Durability

    def sync_file(self, inode: Inode) -> None:
        """Make a file's content durable; not its name."""
        inode.sync()
        self._dirty.pop(inode.number, None)

    def sync_folder(self, folder: Directory) -> None:
        """Make a directory's names durable, and those by which it is reached."""
        needed: set[tuple[int, str]] = set()
        above: Directory | None = folder
        while above is not None and above.parent is not None:
            needed.add((id(above.parent), above.name))
            above = above.parent
        chosen: list[tuple[Change, ...]] = []
        left: list[tuple[Change, ...]] = []
        for changes in reversed(self._changes):
            for where, name, _ in changes:
                if where is folder or (id(where), name) in needed:
                    needed.update((id(where), name) for where, name, _ in changes)
                    chosen.append(changes)
                    break
            else:
                left.append(changes)
        self._settle(reversed(chosen))
        self._changes = left[::-1]

    def sync_all(self) -> None:
        """Make everything durable."""
        self._settle(self._changes)
        self._changes.clear()
        for inode in self._dirty.values():
            inode.sync()
        self._dirty.clear()

    def _settle(self, acts: Iterable[tuple[Change, ...]]) -> None:
        for changes in acts:
            for folder, name, node in changes:
                if node is None:
                    folder.stable.pop(name, None)
                else:
                    folder.stable[name] = node

    def cut_power(self, rng: Random) -> str:
        """Lose what was not synced, or some of it, and say which way that went."""
        names, contents = rng.choice(list(Keep)), rng.choice(list(Keep))
        kept = self._changes
        if names is Keep.NONE:
            kept = []
        elif names is Keep.PREFIX:
            kept = kept[: rng.randint(0, len(kept))]
        elif names is Keep.TORN:
            kept = [changes for changes in kept if rng.random() < 0.5]
        self._settle(kept)
        self._changes = []
        for inode in self._dirty.values():
            inode.cut_power(contents, rng)
        self._dirty.clear()
        self._folders.clear()
        self._restore(self.root)
        self.room = None
        return f"names:{names} contents:{contents}"

    def _restore(self, folder: Directory) -> None:
        folder.entries = dict(folder.stable)
        for name, node in folder.entries.items():
            if isinstance(node, Directory):
                node.parent, node.name = folder, name
                self._restore(node)
            elif isinstance(node, Inode):
                node.content = bytearray(node.stable)


def durable_files(disk: Disk, path: str) -> dict[str, bytes]:
    """Return the files of a directory as a power cut that keeps nothing would leave them."""
    at = disk.root
    for part in path.strip("/").split("/"):
        node = at.stable.get(part)
        if not isinstance(node, Directory):
            return {}
        at = node
    return {name: bytes(node.stable) for name, node in at.stable.items() if isinstance(node, Inode)}


def _path_of(folder: Directory) -> str:
    parts: list[str] = []
    at: Directory | None = folder
    while at is not None and at.parent is not None:
        parts.append(at.name)
        at = at.parent
    return "/" + "/".join(reversed(parts)) if parts else ""
