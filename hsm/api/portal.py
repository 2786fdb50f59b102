"""The portal: one event loop in a thread of its own, for callers that have none or must not block it."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Portal:
    """Runs coroutines for callers that wait. It starts with the first call and ends with the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._running: dict[object, asyncio.Task[Any]] = {}

    def call(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine to its end and return what it returns, or raise what it raises.

        A process that was forked off after the first call has no such thread: it gets one of its own.

        When the caller is interrupted (Ctrl-C), the coroutine is cancelled and has ended before the
        interruption goes on; a second interruption does not wait for that.
        """
        loop = self._started()
        key = object()
        future = asyncio.run_coroutine_threadsafe(self._noted(key, function), loop)
        try:
            return future.result()
        finally:
            if not future.done():
                asyncio.run_coroutine_threadsafe(self._cancel(key), loop).result()

    async def _noted(self, key: object, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        task = asyncio.current_task()
        if task is not None:
            self._running[key] = task
        try:
            return await function()
        finally:
            self._running.pop(key, None)

    async def _cancel(self, key: object) -> None:
        """Cancel a call and wait until it has ended; calls begin in order, so it has begun."""
        task = self._running.get(key)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._thread is None or not self._thread.is_alive():
                ready = threading.Event()
                self._thread = threading.Thread(
                    target=self._serve, args=(ready,), name="hsm-portal", daemon=True
                )
                self._thread.start()
                ready.wait()
                atexit.register(self.close)
            assert self._loop is not None  # noqa: S101 - set before `ready`
            return self._loop

    def _serve(self, ready: threading.Event) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._until_stopped(ready))

    async def _until_stopped(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        ready.set()
        await self._stop.wait()

    def close(self) -> None:
        """End the loop and its thread; what still runs in it is cancelled."""
        with self._lock:
            loop, stop, thread = self._loop, self._stop, self._thread
            self._loop = self._stop = self._thread = None
        atexit.unregister(self.close)
        if loop is not None and stop is not None and thread is not None and thread.is_alive():
            loop.call_soon_threadsafe(stop.set)
            thread.join()


PORTAL = Portal()
"""The one portal of this process."""
