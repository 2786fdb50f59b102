"""The file system as one simulated process sees it: names, on top of contents."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from fnmatch import translate
from typing import List  # noqa: UP035 - inside of the class `list` is its method

from hsm.sim.contents import Contents
from hsm.sim.disk import PLENTY_BYTES, Directory, Node, Symlink, error
from hsm.sim.inode import Inode
from hsm.wire.files import Kind, Name


class SimFiles(Contents):
    """The disks of one machine for one process."""

    def list(self, path: str) -> List[str]:  # noqa: UP006
        self._act("list", path)
        return sorted(self._disk(path).folder(path).entries)

    def holds(self, path: str, name: str) -> bool:
        self._act("list", path)
        return name in self._disk(path).folder(path).entries

    def scan(self, path: str) -> List[Name]:  # noqa: UP006
        self._act("list", path)
        entries = self._disk(path).folder(path).entries
        return [Name(name, _kind(node), _length(node)) for name, node in entries.items()]

    def glob(self, path: str, pattern: str) -> List[str]:  # noqa: UP006
        self._process.check()
        fits = re.compile(translate(pattern)).match
        return sorted(found for found in self._below(path) if fits(found))

    def _below(self, path: str, prefix: str = "") -> Iterator[str]:
        for name, node in self._disk(path).folder(path).entries.items():
            yield prefix + name
            if isinstance(node, Directory):
                yield from self._below(f"{path}/{name}", f"{prefix}{name}/")

    def kind(self, path: str) -> Kind | None:
        self._process.check()
        node = self._disk(path).node(path, follow=False)
        return None if node is None else _kind(node)

    def is_own(self, path: str) -> bool:
        self._process.check()
        return True  # there is one user

    def is_executable(self, path: str) -> bool:
        self._process.check()
        return True  # whatever is meant to run does

    def find_program(self, name: str, search_path: str | None) -> str | None:
        self._process.check()
        return f"/bin/{name}"

    def resolve(self, path: str) -> str:
        return path

    def set_mode(self, path: str, mode: int) -> None:
        self._process.check()
        node = self._disk(path).node(path)
        if isinstance(node, Inode):
            node.is_read_only = not mode & 0o200

    def is_directory(self, path: str) -> bool:
        self._process.check()
        return isinstance(self._disk(path).node(path), Directory)

    def is_file(self, path: str) -> bool:
        self._process.check()
        return isinstance(self._disk(path).node(path), Inode)

    def length(self, path: str) -> int:
        self._process.check()
        return len(self._disk(path).inode(path).content)

    def modified_ns(self, path: str) -> int:
        self._process.check()
        node = self._disk(path).node(path)
        return node.modified_ns if isinstance(node, Inode) else 0

    def extent(self, path: str) -> tuple[int, int]:
        self._process.check()
        inode = self._disk(path).inode(path)
        return inode.number, len(inode.content)

    def read_link(self, path: str) -> str:
        self._process.check()
        node = self._disk(path).node(path, follow=False)
        if not isinstance(node, Symlink):
            raise error(errno.ENOENT if node is None else errno.EINVAL, path)
        return node.target

    def free_bytes(self, path: str) -> int:
        self._process.check()
        room = self._disk(path).room
        return PLENTY_BYTES if room is None else room

    def total_bytes(self, path: str) -> int:
        self._process.check()
        return PLENTY_BYTES

    def free_files(self, path: str) -> int:
        self._process.check()
        return PLENTY_BYTES

    # Names

    def make_directory(self, path: str) -> None:
        dies = self._act("mkdir", path)
        self._disk(path).new_folder(path)
        if dies:
            self._die()

    def make_directories(self, path: str) -> None:
        if self.is_directory(path):
            return
        head = path.rpartition("/")[0]
        if head:
            self.make_directories(head)
        self.make_directory(path)

    def symlink(self, target: str, path: str) -> None:
        dies = self._act("symlink", path)
        folder, name = self._disk(path).place(path)
        if name in folder.entries:
            raise error(errno.EEXIST, path)
        self._disk(path).change((folder, name, Symlink(target)))
        if dies:
            self._die()

    def link(self, old: str, new: str) -> None:
        dies = self._act("link", new)
        inode = self._disk(old).inode(old)
        folder, name = self._disk(new).place(new)
        if name in folder.entries:
            raise error(errno.EEXIST, new)
        self._disk(new).change((folder, name, inode))
        if dies:
            self._die()

    def unlink(self, path: str) -> None:
        dies = self._act("unlink", path)
        folder, name = self._disk(path).place(path)
        node = folder.entries.get(name)
        if node is None:
            raise error(errno.ENOENT, path)
        if isinstance(node, Directory):
            raise error(errno.EISDIR, path)
        self._disk(path).change((folder, name, None))
        self._disk(path).give_back(node)
        if dies:
            self._die()

    def rename(self, old: str, new: str) -> None:
        dies = self._act("rename", new)
        disk = self._disk(old)
        here, name = disk.place(old)
        node = here.entries.get(name)
        if node is None:
            raise error(errno.ENOENT, old)
        there, wanted = disk.place(new)
        _check_target(node, there.entries.get(wanted), new)
        disk.change((here, name, None), (there, wanted, node))
        if dies:
            self._die()

    def remove_tree(self, path: str) -> None:
        folder, name = self._disk(path).place(path)
        node = folder.entries.get(name)
        if isinstance(node, Directory):
            for inside in sorted(node.entries):
                self.remove_tree(f"{path}/{inside}")
        dies = self._act("remove", path)
        if node is not None:
            self._disk(path).change((folder, name, None))
        if dies:
            self._die()


def _check_target(node: object, target: object, path: str) -> None:
    """Refuse a rename as the system call does."""
    if isinstance(node, Directory):
        if isinstance(target, Directory) and target.entries:
            raise error(errno.ENOTEMPTY, path)
        if target is not None and not isinstance(target, Directory):
            raise error(errno.ENOTDIR, path)
    elif isinstance(target, Directory):
        raise error(errno.EISDIR, path)


def _kind(node: Node) -> Kind:
    if isinstance(node, Inode):
        return Kind.FILE
    return Kind.DIRECTORY if isinstance(node, Directory) else Kind.LINK


def _length(node: Node) -> int:
    return len(node.content) if isinstance(node, Inode) else 0
