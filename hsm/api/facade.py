"""`Sweep`: what `AsyncSweep` does, for callers that wait; and `hsm.run` and `hsm.open`, which give one.

Nothing is done twice: each method hands the work to the portal's loop. It works in scripts, and inside a
running loop such as a notebook's, where it blocks the cell.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from hsm.api.driving import Described, Order
from hsm.api.portal import PORTAL
from hsm.api.sweep import AsyncSweep, find
from hsm.core import events as ev
from hsm.core.monitor import Progress
from hsm.core.spec import SweepSpec
from hsm.core.states import SweepStatus
from hsm.results import Results

if TYPE_CHECKING:
    from hsm.api.plots import Plot


class Sweep:
    """One sweep. `with` waits for answers; `async with` gives the `AsyncSweep`, whose answers are awaited."""

    def __init__(self, inner: AsyncSweep) -> None:
        self._inner = inner

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> AsyncSweep:
        return await self._inner.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._inner.__aexit__(kind, error, trace)

    def close(self) -> None:
        """Let go of threads. The sweep goes on, and this object can be used again."""
        self._inner.close()

    @property
    def id(self) -> str:
        """The sweep's id."""
        return self._inner.id

    @property
    def name(self) -> str:
        """The name in its configuration."""
        return self._inner.name

    @property
    def path(self) -> Path:
        """Its directory."""
        return self._inner.path

    @property
    def spec(self) -> SweepSpec:
        """What it was made from, as frozen when it began."""
        return self._inner.spec

    def status(self) -> SweepStatus:
        """Return where it stands: `running` while an engine drives it, here or elsewhere."""
        return PORTAL.call(self._inner.status)

    def progress(self) -> Progress:
        """Return how it gets on: counts, pace, sources, failures, the best so far."""
        return PORTAL.call(self._inner.progress)

    def results(self) -> Results:
        """Return a row for each task that has been planned, failed and open ones included."""
        return PORTAL.call(self._inner.results)

    def analyse(self, name: str) -> Mapping[str, Any] | str:
        """Return what an analysis of the group `hsm.analyses` says of the results.

        Raises:
            PluginError: there is no such analysis, or its plug-in is broken.
        """
        return PORTAL.call(lambda: self._inner.analyse(name))

    def plot(self, name: str) -> Plot:
        """Return a plot of the report, such as `convergence` or `importance`. A notebook shows it.

        Raises:
            SweepError: there is no such plot; the hint has their names.
        """
        return PORTAL.call(lambda: self._inner.plot(name))

    def events(self) -> Iterator[ev.Event]:
        """Yield what has happened since the sweep began, and what happens until nobody drives it any more."""
        events = self._inner.events()
        try:
            while (event := PORTAL.call(lambda: _next(events))) is not None:
                yield event
        finally:
            PORTAL.call(lambda: _close(events))

    def wait(self) -> SweepStatus:
        """Wait until no engine drives it any more, and return where it stands then."""
        return PORTAL.call(self._inner.wait)

    def complete(
        self,
        *,
        sources: str | Sequence[str] = (),
        retry_failed: bool = False,
        takeover: bool = False,
        max_tasks: int | None = None,
        abandon: Sequence[str] = (),
    ) -> SweepStatus:
        """Go on with it in this process, to its end: adopt what runs, run what is missing.

        Raises:
            EngineRunning: an engine drives it.
            HsmError: it cannot be run.
        """
        return PORTAL.call(
            lambda: self._inner.complete(
                sources=listed(sources),
                retry_failed=retry_failed,
                takeover=takeover,
                max_tasks=max_tasks,
                abandon=abandon,
            )
        )

    def cancel(self, tasks: Sequence[str | int] = ()) -> None:
        """End these tasks, or all that are open and the sweep's analyses; durable when this returns.

        Raises:
            HsmError: there is no such task, or it cannot be done.
        """
        PORTAL.call(lambda: self._inner.cancel(tasks))

    def __repr__(self) -> str:
        return f"<Sweep {self.id}>"

    def _repr_html_(self) -> str:
        return self._inner._repr_html_()


async def _next(events: AsyncGenerator[ev.Event, None]) -> ev.Event | None:
    return await anext(events, None)


async def _close(events: AsyncGenerator[ev.Event, None]) -> None:
    await events.aclose()


def listed(words: str | Sequence[str]) -> tuple[str, ...]:
    """Return several words; one alone may be given as it is."""
    return (words,) if isinstance(words, str) else tuple(words)


def open_sweep(reference: str | PathLike[str], *, outputs: str | PathLike[str] | None = None) -> Sweep:
    """Return any sweep, running, dead or finished: by its path, its id, the first letters of it, or `last`.

    Ids are looked for in `outputs`, by default the directory of sweeps of the project around this folder.

    Raises:
        HsmError: there is none, or it cannot be read.
    """
    where = None if outputs is None else Path(outputs)
    return Sweep(AsyncSweep(find(str(reference), outputs=where)))


def order(
    what: str | PathLike[str] | Mapping[str, Any],
    *,
    overrides: str | Sequence[str] = (),
    sources: str | Sequence[str] = (),
    outputs: str | PathLike[str] | None = None,
    project: str | PathLike[str] | None = None,
    max_tasks: int | None = None,
) -> Order:
    """Return an order for a sweep that a file, or a mapping of the same shape, describes.

    `overrides` are in Hydra's grammar (`timeout=2m`), `sources` such as `local:4` stand in place of the
    file's, `project` is the folder that `{project}` means (default: the one around the current folder).
    """
    described: Described = what if isinstance(what, Mapping) else Path(what)
    return Order(
        what=described,
        overrides=listed(overrides),
        sources=listed(sources),
        outputs=None if outputs is None else Path(outputs),
        project=None if project is None else Path(project),
        max_tasks=max_tasks,
    )


def run(
    what: str | PathLike[str] | Mapping[str, Any],
    *,
    overrides: str | Sequence[str] = (),
    sources: str | Sequence[str] = (),
    outputs: str | PathLike[str] | None = None,
    project: str | PathLike[str] | None = None,
    max_tasks: int | None = None,
) -> Sweep:
    """Run a new sweep to its end and return it; the arguments are those of `order`.

    Failed tasks raise nothing: they stay in the results, with their reasons. Ctrl-C leaves the sweep in good
    order: what runs goes on, and `hsm.open("last").complete()` takes it up.

    Raises:
        HsmError: it cannot be run, with every problem of its configuration at once.
    """
    wanted = order(
        what, overrides=overrides, sources=sources, outputs=outputs, project=project, max_tasks=max_tasks
    )
    return Sweep(PORTAL.call(lambda: AsyncSweep.run(wanted)))
