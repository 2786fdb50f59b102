"""The file system: every act that core, compute and agent do on it, so that a simulator can stand in.

Paths are text. The last methods of the class are made of the others.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pathlib
import shutil
import stat
import sys
from enum import Enum
from typing import Iterator, List, NamedTuple, Optional, Tuple

from hsm.wire import locality, status, syncing

BLOCK_BYTES = 1 << 16  # larger ones are no faster to hash, and slow to allocate for small files
_REGULAR = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Kind(Enum):
    """What a name in a directory stands for; a link is not followed."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    OTHER = "other"


class Name(NamedTuple):
    """A name in a directory; `length` in bytes, of regular files only."""

    name: str
    kind: Kind
    length: int


class Files:
    """The real file system. Every method raises OSError as the system call does."""

    # Descriptors of files that are written

    def create(self, path: str) -> int:
        """Create a file that must not exist, and return a descriptor to append to it."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def open_append(self, path: str) -> int:
        """Open an existing file for writing at its end."""
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        os.lseek(fd, 0, os.SEEK_END)
        return fd

    def lock(self, path: str) -> int:
        """Take a lock, kept until the descriptor is closed; BlockingIOError: somebody has it."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise
        return fd

    def write(self, fd: int, data: bytes) -> int:
        """Write and return how much was written, which may be less than asked."""
        return os.write(fd, data)

    def truncate(self, fd: int, size: int) -> None:
        """Cut the file to `size` and go on writing there."""
        os.ftruncate(fd, size)
        os.lseek(fd, size, os.SEEK_SET)

    def seek(self, fd: int, offset: int) -> None:
        """Go on writing at `offset`."""
        os.lseek(fd, offset, os.SEEK_SET)

    def size(self, fd: int) -> int:
        """Return the size of an open file."""
        return os.fstat(fd).st_size

    def datasync(self, fd: int) -> None:
        """Make the content of an open file durable."""
        getattr(os, "fdatasync", os.fsync)(fd)

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)

    # Durability by name

    def sync_file(self, path: str) -> None:
        """Make the content of a file durable."""
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

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
            syncing.sync_filesystem_of(fd)
        finally:
            os.close(fd)

    # Whole files

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

    def contents(self, path: str) -> bytes:
        """Return all that is in a file, which must exist."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _read_all(fd, 0, os.fstat(fd).st_size)
        finally:
            os.close(fd)

    def chunks(self, path: str, offset: int = 0, *, protect: bool = False) -> Iterator[bytes]:
        """Yield the bytes of a regular file from `offset` on; no link is followed, no pipe waited for.

        With `protect` the file is made read-only before, where it can be; one that has another name elsewhere
        is left as it is.
        """
        fd = os.open(path, _REGULAR)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", path)
            if protect and found.st_nlink == 1:
                _make_read_only(fd, found.st_mode)
            while True:
                block = os.pread(fd, BLOCK_BYTES, offset)
                if not block:
                    return
                yield block
                offset += len(block)
        finally:
            os.close(fd)

    def write_new(self, path: str, data: bytes) -> None:
        """Write a whole file that is not there yet; existing content is replaced."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            write_all(self, fd, data)
        finally:
            os.close(fd)

    def allocate(self, path: str, size: int) -> None:
        """Make a file that takes up so many bytes, though nothing is written; it must not exist."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            os.posix_fallocate(fd, 0, size)
        finally:
            os.close(fd)

    def append(self, path: str, data: bytes) -> None:
        """Write at the end of a file, which is made where it is missing."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            write_all(self, fd, data)
        finally:
            os.close(fd)

    # Names

    def make_directory(self, path: str) -> None:
        """Make one directory, which must not exist."""
        os.mkdir(path)

    def make_directories(self, path: str) -> None:
        """Make a directory and those above it, as far as they are missing."""
        os.makedirs(path, exist_ok=True)

    def list(self, path: str) -> List[str]:
        """Return the names in a directory, sorted."""
        return sorted(os.listdir(path))

    def scan(self, path: str) -> List[Name]:
        """Return the names in a directory, in no order, with what they stand for."""
        with os.scandir(path) as entries:
            return [_name(entry) for entry in entries]

    def glob(self, path: str, pattern: str) -> List[str]:
        """Return what lies below a directory and fits a pattern of `pathlib`, sorted, relative to it."""
        root = pathlib.Path(path)
        return sorted(found.relative_to(root).as_posix() for found in root.glob(pattern))

    def kind(self, path: str) -> Optional[Kind]:
        """Return what a path stands for, None where there is nothing; a link is not followed."""
        try:
            return _KINDS.get(stat.S_IFMT(os.lstat(path).st_mode), Kind.OTHER)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_directory(self, path: str) -> bool:
        """Tell whether a path leads to a directory."""
        return os.path.isdir(path)

    def is_file(self, path: str) -> bool:
        """Tell whether a path leads to a regular file."""
        return os.path.isfile(path)

    def is_own(self, path: str) -> bool:
        """Tell whether what a path stands for belongs to this user; a link is not followed."""
        return os.lstat(path).st_uid == os.geteuid()

    def is_executable(self, path: str) -> bool:
        """Tell whether a path leads to something that this user may execute, or enter."""
        return os.access(path, os.X_OK)

    def find_program(self, name: str, search_path: Optional[str]) -> Optional[str]:
        """Return the first program of a name on a search path like PATH, None where there is none."""
        return shutil.which(name, path=search_path)

    def resolve(self, path: str) -> str:
        """Return the absolute path that a path leads to, free of links."""
        return os.path.realpath(path)

    def length(self, path: str) -> int:
        """Return the length in bytes of the file that a path leads to."""
        return os.stat(path).st_size

    def extent(self, path: str) -> Tuple[int, int]:
        """Return which file a path leads to, by a number, and its length in bytes."""
        return status.extent(path)

    def modified_ns(self, path: str) -> int:
        """Return when the file that a path leads to was last written, in nanoseconds since the epoch."""
        return os.stat(path).st_mtime_ns

    def free_bytes(self, path: str) -> int:
        """Return how much this user may still write to the file system that holds a path."""
        return shutil.disk_usage(path).free

    def total_bytes(self, path: str) -> int:
        """Return how much the file system that holds a path takes in all; 0 where it does not tell."""
        return shutil.disk_usage(path).total

    def free_files(self, path: str) -> int:
        """Return how many more files this user may make there; where nobody counts them, very many."""
        counted = os.statvfs(path)
        return counted.f_favail if counted.f_files else sys.maxsize

    def set_mode(self, path: str, mode: int) -> None:
        """Set the permissions of what a path leads to."""
        os.chmod(path, mode)

    def unlink(self, path: str) -> None:
        """Remove a name that stands for anything but a directory."""
        os.unlink(path)

    def rename(self, old: str, new: str) -> None:
        """Give something another name, in place of a file or an empty directory that has it."""
        os.rename(old, new)

    def link(self, old: str, new: str) -> None:
        """Give a file a second name, which must not exist; exclusive on network file systems too."""
        os.link(old, new)

    def symlink(self, target: str, path: str) -> None:
        """Make a symbolic link."""
        os.symlink(target, path)

    def read_link(self, path: str) -> str:
        """Return where a symbolic link leads."""
        return os.readlink(path)

    def remove_tree(self, path: str) -> None:
        """Remove a directory and everything below it."""
        shutil.rmtree(path)

    # Made of the others

    def exists(self, path: str) -> bool:
        """Tell whether a path stands for anything, be it a link that leads nowhere."""
        return self.kind(path) is not None

    def holds(self, path: str, name: str) -> bool:
        """Tell whether a directory holds a name, be it one that another host has made just now."""
        return self.exists(f"{path}/{name}") if locality.is_local(path) else name in self.list(path)

    def remove(self, path: str) -> None:
        """Remove a name that may not be there."""
        with contextlib.suppress(FileNotFoundError):
            self.unlink(path)

    def beginning(self, path: str, limit: int) -> bytes:
        """Return at most `limit` bytes from the beginning of a regular file, opened as `chunks` does."""
        data = b""
        for block in self.chunks(path):
            data += block
            if len(data) >= limit:
                break
        return data[:limit]

    def matching(self, path: str, ending: str) -> List[str]:
        """Return the paths in a directory that end so, sorted; none where there is no such directory."""
        try:
            return [f"{path}/{name}" for name in self.list(path) if name.endswith(ending)]
        except FileNotFoundError:
            return []

    def publish(self, path: str, data: bytes, part: str) -> None:
        """Make a whole, durable file that must not exist; nobody ever sees it half written.

        `part` distinguishes whoever else may be making it at this moment.
        """
        draft = f"{path}.{part}"
        try:
            self.write_new(draft, data)
            self.sync_file(draft)
            self.link(draft, path)
        finally:
            self.remove(draft)
        self.sync_directory(os.path.dirname(path))

    def replace(self, path: str, data: bytes, *, durable: bool = False) -> None:
        """Put a whole file in place of `path` at once; readers see the old one or the new one.

        A process that is being superseded may have the same draft, and put it in place before us: then it is
        written again.
        """
        try:
            self._replace(path, data, durable=durable)
        except FileNotFoundError:
            self._replace(path, data, durable=durable)

    def _replace(self, path: str, data: bytes, *, durable: bool) -> None:
        part = f"{path}.part"
        self.write_new(part, data)
        if durable:
            self.sync_file(part)
        self.rename(part, path)
        if durable:
            self.sync_directory(os.path.dirname(path))


_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.LINK}


def _name(entry: "os.DirEntry[str]") -> Name:
    if entry.is_file(follow_symlinks=False):
        return Name(entry.name, Kind.FILE, entry.stat(follow_symlinks=False).st_size)
    if entry.is_symlink():
        return Name(entry.name, Kind.LINK, 0)
    is_directory = entry.is_dir(follow_symlinks=False)
    return Name(entry.name, Kind.DIRECTORY if is_directory else Kind.OTHER, 0)


def _make_read_only(fd: int, mode: int) -> None:
    """Take the right to write away from everybody, unless file system or owner does not let us."""
    try:
        os.fchmod(fd, stat.S_IMODE(mode) & ~0o222)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EACCES, errno.EROFS, errno.ENOTSUP, errno.ENOSYS):
            raise


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
