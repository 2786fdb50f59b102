"""A file system that can be told to fail, for the logs."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from hsm.wire.files import Files


def _ignore(call: str) -> None:
    """Do nothing before a call."""


class FaultyFiles(Files):
    """The real file system until told otherwise.

    `room` is how many bytes may still be written (a write that does not fit is short, then ENOSPC, as on a
    full disk); `sync_error` and `truncate_error` are errnos that those calls fail with, `sync_errors` those
    of the next calls; `before` is called with the name of each call that changes something; `syncs` are the
    names of the files that were synced.
    """

    def __init__(self) -> None:
        self.room: int | None = None
        self.chunk: int | None = None
        self.sync_error = 0
        self.sync_errors: list[int] = []
        self.syncs: list[str] = []
        self.truncate_error = 0
        self.before: Callable[[str], None] = _ignore

    def create(self, path: str) -> int:
        self.before("create")
        return super().create(path)

    def write(self, fd: int, data: bytes) -> int:
        self.before("write")
        if self.room is not None:
            if self.room == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            data = data[: self.room]
            self.room -= len(data)
        return super().write(fd, data[: self.chunk])

    def allocate(self, path: str, size: int) -> None:
        self.before("allocate")
        if self.room is not None and self.room < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().allocate(path, size)

    def datasync(self, fd: int) -> None:
        self.before("datasync")
        self.syncs.append(Path(f"/proc/self/fd/{fd}").readlink().name)
        error = self.sync_errors.pop(0) if self.sync_errors else self.sync_error
        if error:
            raise OSError(error, os.strerror(error))
        super().datasync(fd)

    def truncate(self, fd: int, size: int) -> None:
        self.before("truncate")
        if self.truncate_error:
            raise OSError(self.truncate_error, os.strerror(self.truncate_error))
        if self.room is not None:
            self.room += max(0, os.fstat(fd).st_size - size)
        super().truncate(fd, size)
