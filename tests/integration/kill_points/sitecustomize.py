"""End the manager or the agent, or the whole machine, at an act on the disk. Python imports this first.

KILL_WHO    `manager` or `agent`
KILL_UNDER  a part of the paths on which acts are counted
KILL_AT     numbers of acts: the first process of that role dies at the first of them, the next process at the
            second, and so on; those after the last number live
KILL_SIDE   `before`, `within` (half of a write) or `after` the act
KILL_MARK   `MARK.0`, `MARK.1`, ... are made at each death. A process that lives leaves `MARK.acts`: one line
            for each of its acts, with what was done to which path, and the events in what was written
KILL_CUT    a mounted file system that loses its power with the process: what was not synced is gone
"""

import atexit
import os
import re
import signal

_PATHS = ("mkdir", "rename", "replace", "link", "symlink", "unlink")
_FILES = ("write", "fsync", "fdatasync", "ftruncate")
_SHUTDOWN = 2 << 30 | 4 << 16 | ord("X") << 8 | 125  # the same number on ext4 and XFS
_NO_LOG_FLUSH = b"\2\0\0\0"


def _role():
    import sys

    if "hsm.compute.agent" in sys.orig_argv:
        return "agent"
    return "manager" if any(word.endswith("/hsm") for word in sys.orig_argv[1:2]) else ""


def _deaths():
    count = 0
    while os.path.exists(f"{os.environ['KILL_MARK']}.{count}"):
        count += 1
    return count


class _Reaper:
    def __init__(self, at, deaths):
        self.at = at
        self.acts = []
        self.side = os.environ["KILL_SIDE"]
        self.under = os.environ["KILL_UNDER"]
        self.mark = os.environ["KILL_MARK"]
        self.deaths = deaths
        self.write = os.write
        for name in (*_PATHS, *_FILES):
            setattr(os, name, self._watched(name, getattr(os, name)))
        self._watch_syncfs()
        atexit.register(self._tell)

    def _watch_syncfs(self):
        """Count it too: it is called by way of the C library, which nothing here can replace."""
        from hsm.wire import syncing

        syncing.sync_filesystem_of = self._watched("syncfs", syncing.sync_filesystem_of)

    def _watched(self, name, act):
        def watched(first, *rest, **more):
            path = self._path(name, first)
            if self.under not in path:
                return act(first, *rest, **more)
            events = re.findall(rb'"t":"(\w+)"', bytes(rest[0])) if name == "write" else []
            self.acts.append(f"{name} {path} {b' '.join(events).decode()}")
            if len(self.acts) != self.at:
                return act(first, *rest, **more)
            try:
                if self.side == "after":
                    act(first, *rest, **more)
                elif self.side == "within" and name == "write":
                    self.write(first, rest[0][: len(rest[0]) // 2])
            finally:  # also when the act itself failed
                self._die()

        return watched

    def _path(self, name, first):
        try:
            return os.fspath(first) if name in _PATHS else os.readlink(f"/proc/self/fd/{first}")
        except OSError:
            return ""

    def _die(self):
        if "KILL_CUT" in os.environ:
            import fcntl

            fcntl.ioctl(os.open(os.environ["KILL_CUT"], os.O_RDONLY), _SHUTDOWN, _NO_LOG_FLUSH)
        os.close(os.open(f"{self.mark}.{self.deaths}", os.O_CREAT | os.O_EXCL))
        os.kill(os.getpid(), signal.SIGKILL)

    def _tell(self):
        with open(f"{self.mark}.acts", "w") as file:
            file.write("".join(f"{act}\n" for act in self.acts))


if _role() == os.environ.get("KILL_WHO"):
    _numbers = [int(word) for word in os.environ["KILL_AT"].split(",")]
    _count = _deaths()
    if _count < len(_numbers):
        _Reaper(_numbers[_count], _count)
