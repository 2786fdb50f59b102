"""The file system as the logs see it: a handful of calls, so that a simulator can stand in for them."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Any, Callable


class Files:
    """The real file system. Every method raises OSError as the system call does."""

    def create(self, path: str) -> int:
        """Create a file that must not exist, and return a descriptor to append to it."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def open_append(self, path: str) -> int:
        """Open an existing file for writing at its end."""
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        os.lseek(fd, 0, os.SEEK_END)
        return fd

    def write(self, fd: int, data: bytes) -> int:
        """Write and return how much was written, which may be less than asked."""
        return os.write(fd, data)

    def truncate(self, fd: int, size: int) -> None:
        """Cut the file to `size` and go on writing there."""
        os.ftruncate(fd, size)
        os.lseek(fd, size, os.SEEK_SET)

    def size(self, fd: int) -> int:
        """Return the size of an open file."""
        return os.fstat(fd).st_size

    def datasync(self, fd: int) -> None:
        """Make the content of an open file durable."""
        getattr(os, "fdatasync", os.fsync)(fd)

    def sync_directory(self, path: str) -> None:
        """Make the names in a directory durable."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def sync_filesystem(self, path: str) -> None:
        """Make everything written so far to the file system that holds `path` durable."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _syncfs(fd)
        finally:
            os.close(fd)

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)

    def read(self, path: str, offset: int, limit: int = -1) -> bytes:
        """Return the bytes from `offset` on, at most `limit`; nothing where the file does not exist."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        try:
            left = max(0, os.fstat(fd).st_size - offset)
            return _read_all(fd, offset, left if limit < 0 else min(left, limit))
        finally:
            os.close(fd)

    def write_new(self, path: str, data: bytes) -> None:
        """Write a whole file that is not there yet; existing content is replaced."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            write_all(self, fd, data)
        finally:
            os.close(fd)

    def publish(self, path: str, data: bytes, part: str) -> None:
        """Make a whole, durable file that must not exist; nobody ever sees it half written.

        `part` distinguishes whoever else may be making it at this moment. The link, like O_EXCL, is exclusive
        on network file systems too.
        """
        draft = f"{path}.{part}"
        try:
            self.write_new(draft, data)
            self._sync(draft)
            os.link(draft, path)
        finally:
            if os.path.lexists(draft):
                os.unlink(draft)
        self.sync_directory(os.path.dirname(path))

    def _sync(self, path: str) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def replace(self, path: str, data: bytes, *, durable: bool = False) -> None:
        """Put a whole file in place of `path` at once; readers see the old one or the new one."""
        part = f"{path}.part"
        self.write_new(part, data)
        if durable:
            self._sync(part)
        os.replace(part, path)
        if durable:
            self.sync_directory(os.path.dirname(path))


def _read_all(fd: int, offset: int, count: int) -> bytes:
    """Read `count` bytes, less where the file ends before."""
    data = os.pread(fd, count, offset) if count else b""
    while 0 < len(data) < count:
        more = os.pread(fd, count - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def write_all(files: Files, fd: int, data: bytes) -> None:
    """Write all of `data`; a short write that leads nowhere is the error that it stands for."""
    view = memoryview(data)
    while view:
        written = files.write(fd, bytes(view) if len(view) != len(data) else data)
        if written <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view = view[written:]


def _find_syncfs() -> Callable[[int], None]:
    try:
        call: Any = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):  # not Linux, or a C library without it
        return lambda _fd: os.sync()

    def syncfs(fd: int) -> None:
        if call(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    return syncfs


_SYNCFS: list[Callable[[int], None]] = []


def _syncfs(fd: int) -> None:
    if not _SYNCFS:
        _SYNCFS.append(_find_syncfs())
    _SYNCFS[0](fd)
