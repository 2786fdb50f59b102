"""Threads: one that does one thing after another and wakes the loop, and one that does a single thing."""

from __future__ import annotations

import queue
import signal
import threading
from typing import Any, Callable, List, Optional


class Worker:
    """Runs submitted functions in order. A function that raises ends the thread and is raised in `done`."""

    def __init__(self, name: str, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._work: queue.SimpleQueue[Optional[Callable[[], Any]]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._submitted = 0
        self._collected = 0
        self._queued = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, function: Callable[[], Any]) -> None:
        """Queue a function."""
        self._submitted += 1
        self._work.put(function)

    def submit_once(self, function: Callable[[], Any]) -> None:
        """Queue a function unless one waits already that has not begun and will do the same."""
        with self._lock:
            if self._queued:
                return
            self._queued += 1

        def work() -> Any:
            with self._lock:
                self._queued -= 1
            return function()

        self.submit(work)

    def done(self) -> List[Any]:
        """Return the results since the last call.

        Raises:
            Exception: whatever a function raised.
        """
        results = []
        while not self._done.empty():
            result = self._done.get()
            self._collected += 1
            if isinstance(result, Exception):
                raise result
            results.append(result)
        return results

    @property
    def idle(self) -> bool:
        """Whether everything submitted has been done and collected."""
        return self._submitted == self._collected

    def join(self) -> None:
        """Let the thread finish what it has, and end it."""
        self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        # Signals are for the loop: each child that ends would wake this thread first, only to hand it on.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            function = self._work.get()
            if function is None:
                return
            try:
                result = function()
            except Exception as error:  # noqa: BLE001 - handed to the loop, which raises it
                result = error
            self._done.put(result)
            self._wake()


class Errand:
    """One function that runs in a thread of its own, which ends with the process if nobody waits for it."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._outcome: Any = None
        self._thread = threading.Thread(target=self._run, name="errand", daemon=True)
        self._thread.start()

    def wait(self, limit_s: float) -> bool:
        """Wait so long at most; tell whether it is done."""
        self._thread.join(limit_s)
        return not self._thread.is_alive()

    def result(self) -> Any:
        """Return what the function returned, once it is done.

        Raises:
            Exception: whatever it raised.
        """
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def _run(self) -> None:
        try:
            self._outcome = self._function()
        except Exception as error:  # noqa: BLE001 - handed to who asks for the result
            self._outcome = error
