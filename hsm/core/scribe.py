"""The scribe: logs and task mapping of a running sweep, each as often as it costs little."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from hsm.core import events as ev
from hsm.core.projection import Projector, mapping_lines, moment
from hsm.core.seal import write_seal
from hsm.core.segments import Mark
from hsm.core.story import is_engine_matter, line_of
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire.log import NO_ROOM

SHARE = 0.02
"""No projection that is written again and again may cost more than this share of the run."""


class Pace:
    """When a job that repeats is due: at most every `interval_s`, and at most its share of the time."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._due = 0.0

    def is_due(self, now: float) -> bool:
        """Tell whether the job may be done again."""
        return now >= self._due

    def done(self, began: float, now: float) -> None:
        """Note that the job was done."""
        self._due = now + max(self._interval_s, (now - began) / SHARE)


class Scribe:
    """Writes what people read while the sweep runs."""

    def __init__(self, world: World, tree: SweepTree) -> None:
        self._world = world
        self._tree = tree
        self._sweep_lines: list[str] = []
        self._engine_lines: list[str] = []
        self._logs = Pace(0.5)
        self._mapping = Pace(5.0)

    async def note(self, events: Sequence[ev.Event], tracker: SweepTracker) -> None:
        """Take in events that are durable, and write what is due."""
        self._gather(events, tracker)
        await self._if_due(self._logs, self._write_logs)
        tasks = tracker.tasks.frozen() if self._mapping.is_due(self._world.monotonic()) else None
        if tasks is not None:
            await self._if_due(self._mapping, lambda: self._write_mapping("".join(mapping_lines(tasks))))

    async def close(
        self, events: Sequence[ev.Event], tracker: SweepTracker, mark: Mark, projector: Projector
    ) -> None:
        """Write everything for the last time."""
        self._gather(events, tracker)

        def write() -> None:
            self._write_logs()
            projector.write_mapping(tracker)
            projector.write_errors(tracker)
            if any(isinstance(event, ev.SweepSealed) for event in events):
                write_seal(self._world.files, self._tree, tracker, mark)

        # Another engine that takes the sweep over may put its own in place under our hands: then that stands.
        with contextlib.suppress(FileNotFoundError):
            await self._world.blocking(write)

    async def _if_due(self, pace: Pace, job: Callable[[], None]) -> None:
        began = self._world.monotonic()
        if pace.is_due(began):
            try:
                await self._world.blocking(job)
            except OSError as error:
                if error.errno not in NO_ROOM and not isinstance(error, FileNotFoundError):
                    raise
            pace.done(began, self._world.monotonic())

    def _gather(self, events: Sequence[ev.Event], tracker: SweepTracker) -> None:
        for event in events:
            line = line_of(event, tracker)
            if line:
                text = f"{moment(getattr(event, 'at', None)) or ''} {line}\n"
                self._sweep_lines.append(text)
                if is_engine_matter(event):
                    self._engine_lines.append(text)

    def _write_logs(self) -> None:
        for name, lines in (("sweep.log", self._sweep_lines), ("engine.log", self._engine_lines)):
            if lines:
                self._world.files.append(str(self._tree.logs / name), "".join(lines).encode("utf-8"))
                lines.clear()

    def _write_mapping(self, text: str) -> None:
        self._world.files.replace(str(self._tree.mapping), (text or "{}\n").encode("utf-8"))
