"""Kill the manager or the agent at its N-th act on the disk under the sweeps. Python imports this first.

KILL_WHO is `manager` or `agent`, KILL_AT the number of the act, KILL_SIDE `before`, `within` (half of a
write) or `after` it. The first process of that role dies, and none after it: KILL_MARK is made then.
A process that lives leaves the number of its acts beside the mark.
"""

import atexit
import os
import signal
import sys

_PATHS = ("mkdir", "rename", "replace", "link", "symlink", "unlink")
_FILES = ("write", "fsync", "fdatasync", "ftruncate")


def _role():
    if "hsm.compute.agent" in sys.orig_argv:
        return "agent"
    return "manager" if any(word.endswith("/hsm") for word in sys.orig_argv[1:2]) else ""


class _Reaper:
    def __init__(self):
        self.acts = 0
        self.at = int(os.environ["KILL_AT"])
        self.side = os.environ["KILL_SIDE"]
        self.mark = os.environ["KILL_MARK"]
        self.write = os.write
        for name in (*_PATHS, *_FILES):
            setattr(os, name, self._watched(name, getattr(os, name)))
        atexit.register(self._tell)

    def _watched(self, name, act):
        def watched(first, *rest, **more):
            if not self._is_ours(name, first):
                return act(first, *rest, **more)
            self.acts += 1
            if self.acts != self.at:
                return act(first, *rest, **more)
            try:
                if self.side == "after":
                    act(first, *rest, **more)
                elif self.side == "within" and name == "write":
                    self.write(first, rest[0][: len(rest[0]) // 2])
            finally:  # also when the act itself failed
                self._die()

        return watched

    def _is_ours(self, name, first):
        try:
            path = os.readlink(f"/proc/self/fd/{first}") if name in _FILES else os.fspath(first)
        except OSError:
            return False
        return "/sweeps/outputs" in str(path)

    def _die(self):
        os.close(os.open(self.mark, os.O_CREAT | os.O_EXCL))
        os.kill(os.getpid(), signal.SIGKILL)

    def _tell(self):
        with open(f"{self.mark}.acts", "w") as file:
            file.write(str(self.acts))


if _role() == os.environ.get("KILL_WHO") and not os.path.exists(os.environ["KILL_MARK"]):
    _Reaper()
