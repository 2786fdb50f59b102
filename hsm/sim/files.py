"""The file system as one simulated process sees it: every act can be its last, fail, or take long."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import translate
from random import Random
from typing import List  # noqa: UP035 - inside of the class `list` is its method

from hsm.sim.disk import PLENTY_BYTES, Directory, Disk, Inode, Node, Symlink, error
from hsm.sim.process import Killed, SimProcess
from hsm.sim.trace import Trace
from hsm.wire.files import Files, Kind, Name, write_all

READING = "read"
CHUNK_BYTES = 1 << 16


class Hazards:
    """What can go wrong with an act on the disk. Here nothing does; the nemesis knows more."""

    def before(self, process: SimProcess, kind: str, path: str) -> None:
        """Stop the process here for a while, or keep the act waiting.

        Raises:
            OSError: the act fails.
        """

    def allowed(self, process: SimProcess, size: int) -> int:
        """Return how much of a write is written."""
        return size


@dataclass(slots=True)
class Opened:
    """An open file."""

    inode: Inode
    path: str
    at: int
    disk: Disk


class SimFiles(Files):
    """The disks of one machine, by the directory at which each is mounted, for one process."""

    def __init__(
        self,
        disks: Mapping[str, Disk],
        process: SimProcess,
        *,
        trace: Trace,
        rng: Random,
        hazards: Hazards | None = None,
    ) -> None:
        super().__init__()
        self._disks = disks
        self._process = process
        self._trace = trace
        self._rng = rng
        self._hazards = hazards or Hazards()
        self._open: dict[int, Opened] = {}
        self._next_fd = 1000

    @property
    def open_files(self) -> list[str]:
        """The files that are open, for whoever looks for leaks."""
        return [opened.path for opened in self._open.values()]

    def _disk(self, path: str) -> Disk:
        mount = path[: path.find("/", 1)] if path.find("/", 1) > 0 else path
        return self._disks.get(mount) or self._disks["/"]

    def _act(self, kind: str, path: str) -> bool:
        """Begin an act on the disk; True when the process dies in the middle of it.

        Raises:
            Killed: the process is no more, or dies before it.
        """
        process = self._process
        process.check()
        process.acts += 1
        self._trace.note(kind, path)
        if process.kill_in is not None and process.kill_kind in ("", kind):
            process.kill_in -= 1
            if process.kill_in <= 0:
                self._trace.count(f"kill {process.name} in an act", kind)
                if self._rng.random() < 0.5:  # else in the middle of it, or right after it
                    self._die()
                return True
        self._hazards.before(process, kind, path)
        process.check()
        return False

    def _die(self) -> None:
        self._process.die()
        raise Killed

    # Descriptors

    def _opened(self, inode: Inode, path: str, at: int) -> int:
        self._next_fd += 1
        self._open[self._next_fd] = Opened(inode, path, at, self._disk(path))
        return self._next_fd

    def _of(self, fd: int) -> Opened:
        found = self._open.get(fd)
        if found is None:
            self._process.check()
            raise error(errno.EBADF, "")
        return found

    def create(self, path: str) -> int:
        dies = self._act("create", path)
        inode = self._disk(path).new_file(path)
        if dies:
            self._die()
        return self._opened(inode, path, 0)

    def open_append(self, path: str) -> int:
        self._act("open", path)
        inode = self._disk(path).inode(path)
        if inode.is_read_only:
            raise error(errno.EACCES, path)
        return self._opened(inode, path, len(inode.content))

    def lock(self, path: str) -> int:
        self._act("lock", path)
        disk = self._disk(path)
        node = disk.node(path)
        inode = node if isinstance(node, Inode) else disk.new_file(path)
        if inode.holder is not None and inode.holder.alive and inode.holder is not self._process:
            raise error(errno.EWOULDBLOCK, path)
        inode.holder = self._process
        return self._opened(inode, path, 0)

    def write(self, fd: int, data: bytes) -> int:
        opened = self._of(fd)
        dies = self._act("write", opened.path)
        size = self._rng.randint(0, len(data)) if dies else self._hazards.allowed(self._process, len(data))
        try:
            written = opened.disk.write(opened.inode, opened.at, data[:size])
        except OSError as failed:
            if dies:
                self._die()
            raise error(failed.errno or 0, opened.path) from None
        opened.at += written
        if dies:
            self._die()
        return written

    def truncate(self, fd: int, size: int) -> None:
        opened = self._of(fd)
        dies = self._act("truncate", opened.path)
        opened.disk.truncate(opened.inode, size)
        opened.at = size
        if dies:
            self._die()

    def size(self, fd: int) -> int:
        self._process.check()
        return len(self._of(fd).inode.content)

    def close(self, fd: int) -> None:
        self._process.check()
        opened = self._of(fd)
        if opened.inode.holder is self._process:
            opened.inode.holder = None
        del self._open[fd]

    def write_new(self, path: str, data: bytes) -> None:
        self._put(path, data, cuts=True)

    def allocate(self, path: str, size: int) -> None:
        dies = self._act("allocate", path)
        self._disk(path).allocate(path, size)
        if dies:
            self._die()

    def append(self, path: str, data: bytes) -> None:
        self._put(path, data, cuts=False)

    def _put(self, path: str, data: bytes, *, cuts: bool) -> None:
        dies = self._act("open", path)
        disk = self._disk(path)
        node = disk.node(path)
        inode = node if isinstance(node, Inode) else disk.new_file(path)
        if inode.is_read_only:
            raise error(errno.EACCES, path)
        if cuts and inode.content:
            disk.truncate(inode, 0)
        if dies:
            self._die()
        fd = self._opened(inode, path, len(inode.content))
        try:
            write_all(self, fd, data)
        finally:
            self._open.pop(fd, None)

    # Durability

    def datasync(self, fd: int) -> None:
        opened = self._of(fd)
        self._sync(opened.inode, opened.path)

    def sync_file(self, path: str) -> None:
        self._sync(self._disk(path).inode(path), path)

    def _sync(self, inode: Inode, path: str) -> None:
        try:
            dies = self._act("fsync", path)
        except OSError:
            inode.forget()
            raise
        if not dies or self._rng.random() < 0.5:
            self._disk(path).sync_file(inode)
        if dies:
            self._die()

    def sync_directory(self, path: str) -> None:
        dies = self._act("fsync_directory", path)
        disk = self._disk(path)
        disk.sync_folder(disk.folder(path))
        if dies:
            self._die()

    def sync_filesystem(self, path: str) -> None:
        dies = self._act("syncfs", path)
        self._disk(path).sync_all()
        if dies:
            self._die()

    # Reading

    def read(self, path: str, offset: int, limit: int = -1) -> bytes:
        self._act(READING, path)
        try:
            content = self._disk(path).inode(path).content
        except FileNotFoundError:
            return b""
        return bytes(content[offset:] if limit < 0 else content[offset : offset + limit])

    def contents(self, path: str) -> bytes:
        self._act(READING, path)
        return bytes(self._disk(path).inode(path).content)

    def chunks(self, path: str, offset: int = 0) -> Iterator[bytes]:
        self._act(READING, path)
        content = bytes(self._disk(path).inode(path, follow=False).content)
        for at in range(offset, len(content), CHUNK_BYTES):
            yield content[at : at + CHUNK_BYTES]

    def list(self, path: str) -> List[str]:  # noqa: UP006
        self._act("list", path)
        return sorted(self._disk(path).folder(path).entries)

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
