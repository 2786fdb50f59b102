"""A deterministic event loop: virtual time, a seeded choice of what runs next, no real input or output.

Nothing waits: when nothing is ready, the clock jumps to the next timer. That nothing is ready and no timer
is set is a deadlock, and too many steps are a livelock; both are errors. Work for threads runs inline, some
virtual time after it was handed over, and its result arrives some time after that.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import count
from math import log
from random import Random
from typing import Any, TypeVar

from hsm.sim.network import Network
from hsm.sim.process import IN_THREAD, PROCESS, Killed, SimProcess
from hsm.sim.trace import Trace

T = TypeVar("T")
MAX_STEPS = 3_000_000
MAX_NESTING = 12


class Order(StrEnum):
    """Which of the ready handles runs next."""

    FIFO = "fifo"
    RANDOM = "random"
    NEWEST = "newest"


class Deadlock(RuntimeError):
    """Nothing is ready and no timer is set."""


class Livelock(RuntimeError):
    """More steps than any sweep takes."""


class SimTask(asyncio.Task[T]):
    """A task whose place in a set follows from when it was made, not from where it lies in memory.

    A task group ends its tasks in the order of a set.
    """

    def __init__(self, number: int, coroutine: Coroutine[Any, Any, T], **more: Any) -> None:
        self._number = number
        super().__init__(coroutine, **more)

    def __hash__(self) -> int:
        return self._number


class _Handle(asyncio.Handle):
    """A handle that is made at once: the loop is never in debug mode."""

    __slots__ = ()

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: SimLoop,
        context: contextvars.Context | None,
    ) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


class _Timer(asyncio.TimerHandle, _Handle):
    """A timer that is made at once."""

    __slots__ = ()

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: SimLoop,
        context: contextvars.Context | None,
    ) -> None:
        _Handle.__init__(self, callback, args, loop, context)
        self._when = when
        self._scheduled = False


class _Due(float):
    """When a timer is due, as an entry of the heap: floats are compared without a call of Python."""

    __slots__ = ("timer",)
    timer: asyncio.TimerHandle


class SimLoop(asyncio.BaseEventLoop):
    """The loop."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[_Due]

    def __init__(
        self,
        rng: Random,
        *,
        order: Order = Order.RANDOM,
        trace: Trace | None = None,
        latency_s: float = 0.002,
    ) -> None:
        super().__init__()
        self.steps = 0
        self.trace = trace or Trace()
        self.latency_s = latency_s
        self.network = Network(self, rng)
        self.defects: list[str] = []
        self._rng = rng
        self._draw_bits = rng.getrandbits
        self._order = order
        self._now = 0.0
        self._nesting = 0
        self._numbers = count(1)
        self.max_steps = MAX_STEPS
        self.set_task_factory(lambda _loop, coroutine, **more: self._task_of_process(coroutine, **more))
        self.set_exception_handler(_note_defect)

    # What asyncio asks of a loop

    def time(self) -> float:
        return self._now

    def _process_events(self, _events: object) -> None:
        raise AssertionError("there is no input or output here")

    def _write_to_self(self) -> None:
        """Wake nobody: the loop never sleeps."""

    def _asyncgen_finalizer_hook(self, _generator: object) -> None:
        """Leave generators of dead processes alone."""

    def run_in_executor(self, _executor: object, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """Run a function inline after a while, and deliver its result after another one."""
        future: asyncio.Future[T] = self.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

        def work() -> None:
            if future.cancelled():
                return
            result, error = None, None
            IN_THREAD.set(True)  # in the context of this handle alone
            try:
                result = function(*args)
            except Killed:
                return  # there is nobody left to tell
            except Exception as caught:  # noqa: BLE001 - it is raised where the result is awaited
                error = caught
            self.call_later(self.latency(), settle, result, error)

        self.call_later(self.latency(), work)
        return future

    def latency(self) -> float:
        """Return how long it takes a thread to begin, or its result to arrive."""
        return -log(1.0 - self._rng.random()) / (1 / self.latency_s)  # as `Random.expovariate` draws it

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Call what a thread wants to be called, some time later."""
        return self.call_later(self.latency(), callback, *args, context=context)

    async def create_unix_server(self, protocol_factory: Any, path: Any = None, **_kwargs: Any) -> Any:
        return self.network.serve(str(path), protocol_factory)

    async def create_unix_connection(self, protocol_factory: Any, path: Any = None, **_kwargs: Any) -> Any:
        return await self.network.connect(str(path), protocol_factory)

    def _task_of_process(self, coroutine: Coroutine[Any, Any, T], **more: Any) -> asyncio.Task[T]:
        """Make a task, and note whose it is."""
        context = more.get("context")
        process = PROCESS.get() if context is None else context.get(PROCESS)
        task = SimTask(next(self._numbers), coroutine, loop=self, **more)
        if process is not None:
            process.tasks.append(task)
        return task

    # Steps. There are thousands in a sweep, so these do without what asyncio checks and notes for others.

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        if self._closed:  # type: ignore[attr-defined]
            self._check_closed()  # type: ignore[attr-defined]
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self._schedule(_Timer(self._now + delay, callback, args, self, context))

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self._schedule(_Timer(when, callback, args, self, context))

    def _schedule(self, timer: asyncio.TimerHandle) -> asyncio.TimerHandle:
        if self._closed:  # type: ignore[attr-defined]
            self._check_closed()  # type: ignore[attr-defined]
        due = _Due(timer._when)  # type: ignore[attr-defined]  # noqa: SLF001
        due.timer = timer
        heapq.heappush(self._scheduled, due)
        return timer

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled
        if not ready:
            self._jump()
        now = self._now
        while scheduled and scheduled[0] <= now:
            ready.append(heapq.heappop(scheduled).timer)
        handle = self._take()
        if handle._cancelled:  # noqa: SLF001
            return
        process: SimProcess | None = handle._context.get(PROCESS)  # type: ignore[attr-defined]  # noqa: SLF001
        if process is not None:
            if not process.alive:
                return
            if process.stopped:
                process.stash.append(handle)
                return
        self.steps += 1
        if self.steps > self.max_steps:
            raise Livelock(f"{self.steps} steps, at {self._now:.3f} s")
        handle._run()  # noqa: SLF001

    def _jump(self) -> None:
        scheduled = self._scheduled
        while scheduled and scheduled[0].timer.cancelled():
            heapq.heappop(scheduled)
        if not scheduled:
            raise Deadlock(f"nothing is ready and no timer is set, at {self._now:.3f} s")
        self.trace.now = self._now = max(self._now, float(scheduled[0]))

    def _take(self) -> asyncio.Handle:
        ready = self._ready
        waiting = len(ready)
        if waiting == 1 or self._order is Order.FIFO:
            return ready.popleft()
        if self._order is Order.NEWEST and self._rng.random() < 0.9:  # always would starve the oldest
            return ready.pop()
        place = self._below(waiting)
        ready.rotate(-place)
        handle = ready.popleft()
        ready.rotate(place)
        return handle

    def _below(self, limit: int) -> int:
        """Draw as `Random.randrange` does."""
        bits = limit.bit_length()
        drawn = self._draw_bits(bits)
        while drawn >= limit:
            drawn = self._draw_bits(bits)
        return drawn

    # Standing still inside of a call

    def stand_still(self, seconds: float) -> None:
        """Let everything else go on for a time, as when a call blocks; nested too deep, do not."""
        if self._nesting >= MAX_NESTING:
            return
        over: list[bool] = []
        self._schedule(_Timer(self._now + seconds, over.append, (True,), self, _ROOT))
        self._nesting += 1
        try:
            with _out_of_task(self):
                while not over:
                    self._run_once()
        finally:
            self._nesting -= 1

    def block(self, process: SimProcess, seconds: float) -> None:
        """Keep a call waiting: its thread alone, or the whole process where that has no other."""
        if IN_THREAD.get():
            self.stand_still(seconds)
            process.check()
        else:
            self.stop_inside(process, seconds)

    def stop_inside(self, process: SimProcess, seconds: float) -> None:
        """Stop a process in the middle of what it is just doing, and let it go on later."""
        process.stopped, process.is_inside = True, not IN_THREAD.get()
        self.stand_still(seconds)
        process.is_inside = False
        self.resume(process)
        process.check()

    def resume(self, process: SimProcess) -> None:
        """Let a stopped process go on; one whose loop is inside of a call does when that returns."""
        if process.is_inside:
            return
        process.stopped, process.resumed_at = False, self._now
        self._ready.extend(process.stash)
        process.stash.clear()

    def spawn(self, process: SimProcess, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine as the main task of a process."""
        context = _ROOT.copy()
        context.run(PROCESS.set, process)
        return self.create_task(coroutine, context=context)

    def call_in(
        self, process: SimProcess, delay_s: float, function: Callable[..., object], *args: Any
    ) -> None:
        """Call a function as a process, after a time."""
        context = _ROOT.copy()
        context.run(PROCESS.set, process)
        self.call_later(delay_s, function, *args, context=context)


_ROOT = contextvars.Context()


@contextmanager
def _out_of_task(loop: SimLoop) -> Iterator[None]:
    """Leave the task whose step this is for a while, so that others may have theirs."""
    task = asyncio.current_task(loop)
    if task is None:
        yield
        return
    asyncio._leave_task(loop, task)  # noqa: SLF001
    try:
        yield
    finally:
        asyncio._enter_task(loop, task)  # noqa: SLF001


def _note_defect(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Note what nobody caught; that a process was killed is no defect."""
    error = context.get("exception")
    if isinstance(error, Killed) or not isinstance(loop, SimLoop):
        return
    loop.defects.append(f"{context.get('message')}: {error!r}")
