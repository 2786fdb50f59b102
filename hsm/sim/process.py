"""Simulated processes: whose handles run on the loop, who may touch the disk, and what dies with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


class Killed(BaseException):
    """Raised out of whatever a process that is no more was just doing."""


@dataclass(eq=False)
class SimProcess:
    """One process: manager, agent or program. Its handles run on the loop only while it lives.

    `stash` holds what came due while it was stopped; `ends` is called once, when it is gone. `kill_in` is the
    number of acts on the disk that it still gets, None for any number; with a `kill_kind` only those count.
    It `is_inside` a call of its loop that has not returned: until that does, nobody can have it go on.
    """

    name: str
    pid: int
    start: str
    alive: bool = True
    stopped: bool = False
    is_inside: bool = False
    acts: int = 0
    kill_in: int | None = None
    kill_kind: str = ""
    stash: list[asyncio.Handle] = field(default_factory=list)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    resumed_at: float = -1.0
    ends: list[Callable[[], None]] = field(default_factory=list)

    def die(self) -> None:
        """Be gone at once; nothing of it runs any more."""
        if not self.alive:
            return
        self.alive, self.stopped = False, False
        self.stash.clear()
        for end in self.ends:
            end()
        self.ends.clear()

    def check(self) -> None:
        """Raise if the process is no more.

        Raises:
            Killed: it is not.
        """
        if not self.alive:
            raise Killed

    def bury(self) -> None:
        """Let go of what its coroutines held; whatever they try to do about it is refused by the world."""
        for task in self.tasks:
            if not task.done():
                setattr(task, _SILENT, False)
                with suppress(BaseException):
                    task.get_coro().close()
        self.tasks.clear()


_SILENT = "_log_destroy_pending"  # asyncio's own switch

PROCESS: ContextVar[SimProcess | None] = ContextVar("hsm-sim-process", default=None)
"""Whose handle runs."""

IN_THREAD: ContextVar[bool] = ContextVar("hsm-sim-in-thread", default=False)
"""Whether it stands for a thread of its own, so that the rest of its process goes on while it blocks."""
