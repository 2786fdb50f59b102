"""A few threads for work that blocks, as near to the loop as can be: a queue there and a callback back.

`concurrent.futures` does the same at three times the cost, which every commit of the ledger would pay.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any

from hsm.core.errors import HostLacking
from hsm.core.limits import PROCESSES


class Call:
    """One piece of work. `future` has its result; it may be cancelled, which the work does not notice."""

    __slots__ = ("_function", "_is_over", "_loop", "ended", "future")

    def __init__(self, function: Callable[[], Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self._function = function
        self.future: asyncio.Future[Any] = self._loop.create_future()
        self.ended: asyncio.Future[None] | None = None
        self._is_over = False

    def perform(self) -> None:
        """Do the work, in a thread."""
        result, error = None, None
        try:
            result = self._function()
        except BaseException as raised:  # noqa: BLE001 - handed to whoever awaits it
            error = raised
        try:
            self._loop.call_soon_threadsafe(self._finish, result, error)
        except RuntimeError:
            return  # the loop is gone, and with it whoever waited

    def _finish(self, result: object, error: BaseException | None) -> None:
        self._is_over = True
        if self.ended is not None:
            self.ended.set_result(None)
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)

    async def end(self) -> None:
        """Wait until the work of a call that was cancelled has ended, which it may have just now."""
        if self._is_over:
            return
        self.ended = self._loop.create_future()
        await asyncio.wait([self.ended])


class Threads:
    """Threads that are begun when there is work for them, up to a number."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)

    def submit(self, function: Callable[[], Any]) -> Call:
        """Have a function performed; the caller runs in an event loop.

        Raises:
            HostLacking: no thread can be started.
        """
        if len(self._threads) < self._count and not self._idle.acquire(blocking=False):
            thread = threading.Thread(
                target=self._work, name=f"hsm-blocking-{len(self._threads)}", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:
                if not self._threads:  # with one at least, work waits its turn
                    raise HostLacking("not even one thread can be started", hint=PROCESSES) from error
            else:
                self._threads.append(thread)
        call = Call(function)
        self._calls.put(call)
        return call

    def _work(self) -> None:
        while True:
            call = self._calls.get()
            if call is None:
                return
            call.perform()
            del call
            if len(self._threads) < self._count:
                self._idle.release()

    def close(self) -> None:
        """Let the threads finish what they have, and end them."""
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
