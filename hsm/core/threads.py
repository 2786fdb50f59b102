"""A few threads for work that blocks, as near to the loop as can be: a queue there and a bell back.

`concurrent.futures` does the same at three times the cost, which every commit of the ledger would pay. Both
ways go through an eventfd, where there is one to be had: whoever writes to it lets go of the interpreter
before the other one wakes up, who then need not wait for it a second time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from hsm.core.errors import HostLacking
from hsm.core.limits import PROCESSES


class Call:
    """One piece of work. `future` has its result; it may be cancelled, which the work does not notice."""

    __slots__ = ("_error", "_function", "_is_over", "_over", "_result", "future")

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._result: Any = None
        self._error: BaseException | None = None
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._is_over = False
        self._over: asyncio.Event | None = None  # for who waits, which hardly anybody does

    def perform(self) -> None:
        """Do the work, in a thread."""
        try:
            self._result = self._function()
        except BaseException as raised:  # noqa: BLE001 - handed to whoever awaits it
            self._error = raised

    def finish(self) -> None:
        """Tell what came of it, in the loop."""
        self._is_over = True
        if self._over is not None:
            self._over.set()
        if self.future.done():
            return
        if self._error is None:
            self.future.set_result(self._result)
        else:
            self.future.set_exception(self._error)

    async def end(self) -> None:
        """Wait until the work of a call that was cancelled has ended, which it may have by now."""
        if not self._is_over:
            self._over = self._over or asyncio.Event()
            await self._over.wait()


class Bell:
    """How threads tell one loop of calls that they have performed.

    The loop's own way in, for want of an eventfd, takes three times as many system calls.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._performed: deque[Call] = deque()
        self._fd = _eventfd("EFD_NONBLOCK")
        if self._fd is not None:
            loop.add_reader(self._fd, self._heard, self._fd)

    def ring(self, call: Call) -> None:
        """Have a call finished by the loop; in any thread."""
        self._performed.append(call)
        if self._fd is not None:
            os.eventfd_write(self._fd, 1)
        else:
            self._send_word()

    def _send_word(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever waited
            self.loop.call_soon_threadsafe(self._finish)

    def _heard(self, fd: int) -> None:
        os.eventfd_read(fd)
        self._finish()

    def _finish(self) -> None:
        while self._performed:
            self._performed.popleft().finish()

    def close(self) -> None:
        """Let go of it, once no thread can ring it any more; what it was rung for last is still heard."""
        if self._fd is not None:
            self.loop.remove_reader(self._fd)
            os.close(self._fd)
            self._send_word()


def _eventfd(way: str) -> int | None:
    try:
        return os.eventfd(0, os.EFD_CLOEXEC | getattr(os, way))
    except (AttributeError, OSError):
        return None  # not Linux, or too many files are open


Job: TypeAlias = tuple[Call, Bell]


class Queue:
    """What threads are to do, in order. None ends the one that takes it."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._fd: int | None = None

    def begin(self) -> None:
        """Make ready to wake threads, before the first of them takes anything."""
        self._fd = _eventfd("EFD_SEMAPHORE")

    def put(self, job: Job | None) -> None:
        """Have a job taken by the next thread that is free."""
        self._jobs.put(job)
        if self._fd is not None:
            os.eventfd_write(self._fd, 1)

    def take(self) -> Job | None:
        """Wait for a job, in a thread."""
        if self._fd is not None:
            os.eventfd_read(self._fd)  # one more than were taken is in the queue then
        return self._jobs.get()

    def close(self) -> None:
        """Let go of it, once no thread takes from it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class Threads:
    """Threads that are begun when there is work for them, up to a number."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._queue = Queue()
        self._threads: list[threading.Thread] = []
        self._idle: deque[None] = deque()  # an entry for each thread that has nothing to do
        self._bells: list[Bell] = []

    def submit(self, function: Callable[[], Any]) -> Call:
        """Have a function performed; the caller runs in an event loop.

        Raises:
            HostLacking: no thread can be started.
        """
        if len(self._threads) < self._count and not self._takes_idle():
            self._begin()
        call = Call(function)
        self._queue.put((call, self._bell(call.future.get_loop())))
        return call

    def _takes_idle(self) -> bool:
        try:
            self._idle.pop()
        except IndexError:
            return False
        return True

    def _begin(self) -> None:
        if not self._threads:
            self._queue.begin()
        thread = threading.Thread(target=self._work, name=f"hsm-blocking-{len(self._threads)}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            if not self._threads:  # with one at least, work waits its turn
                self._queue.close()
                raise HostLacking("not even one thread can be started", hint=PROCESSES) from error
        else:
            self._threads.append(thread)

    def _bell(self, loop: asyncio.AbstractEventLoop) -> Bell:
        if not self._bells or self._bells[-1].loop is not loop:
            self._bells.append(Bell(loop))
        return self._bells[-1]

    def _work(self) -> None:
        while True:
            job = self._queue.take()
            if job is None:
                return
            call, bell = job
            call.perform()
            if len(self._threads) < self._count:
                self._idle.append(None)
            bell.ring(call)
            del job, call, bell

    def close(self) -> None:
        """Let the threads finish what they have, and end them."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._queue.close()
        for bell in self._bells:
            bell.close()
        self._bells.clear()
