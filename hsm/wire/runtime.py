"""Where sockets live: a private directory on this machine, never the sweep's tree, which may be on NFS."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile


class UnsafeRuntime(OSError):
    """The directory for sockets is not ours alone."""


def runtime_dir() -> str:
    """Return this user's private directory for sockets, made on first use.

    Raises:
        UnsafeRuntime: it belongs to another user or others may write to it.
    """
    # Not XDG_RUNTIME_DIR: it is removed at logout, which agents are there to outlive.
    path = os.path.join(tempfile.gettempdir(), f"hsm-{os.getuid()}")
    os.makedirs(path, mode=0o700, exist_ok=True)
    info = os.lstat(path)
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o077:
        raise UnsafeRuntime(f"{path} is not a private directory of yours; remove it or set TMPDIR")
    return path


def socket_path(purpose: str) -> str:
    """Return the path of the socket for this purpose: the same for the same words, short enough to bind."""
    return os.path.join(runtime_dir(), hashlib.sha256(purpose.encode("utf-8")).hexdigest()[:24] + ".sock")
