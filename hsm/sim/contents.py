"""Contents of files as one simulated process sees them: every act can be its last, fail, or take long."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

from hsm.sim.disk import Disk, error
from hsm.sim.inode import Inode
from hsm.sim.process import Killed, SimProcess
from hsm.sim.trace import Trace
from hsm.wire.files import Files, write_all

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
    is_passing: bool = False  # opened and closed within one act


class Contents(Files):
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
        self._root = disks["/"]
        self._process = process
        self._trace = trace
        self._rng = rng
        self._hazards = hazards or Hazards()
        self._open: dict[int, Opened] = {}
        self._next_fd = 1000

    @property
    def open_files(self) -> list[str]:
        """The files that are open, for whoever looks for leaks."""
        return [opened.path for opened in self._open.values() if not opened.is_passing]

    def _disk(self, path: str) -> Disk:
        end = path.find("/", 1)
        return self._disks.get(path[:end] if end > 0 else path) or self._root

    def _act(self, kind: str, path: str) -> bool:
        """Begin an act on the disk; True when the process dies in the middle of it.

        Raises:
            Killed: the process is no more, or dies before it.
        """
        process = self._process
        if not process.alive:
            raise Killed
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
        if not process.alive:
            raise Killed
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

    def seek(self, fd: int, offset: int) -> None:
        self._of(fd).at = offset

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
        self._open[fd].is_passing = True
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
        end = len(content) if limit < 0 else offset + limit
        return bytes(memoryview(content)[offset:end])

    def contents(self, path: str) -> bytes:
        self._act(READING, path)
        return bytes(self._disk(path).inode(path).content)

    def chunks(self, path: str, offset: int = 0, *, protect: bool = False) -> Iterator[bytes]:
        self._act(READING, path)
        inode = self._disk(path).inode(path, follow=False)
        inode.is_read_only = inode.is_read_only or protect
        content = bytes(inode.content)
        for at in range(offset, len(content), CHUNK_BYTES):
            yield content[at : at + CHUNK_BYTES]
