"""Following an engine of this process: live lines on a terminal, plain ones elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from hsm.cli import words
from hsm.cli.ages import aged
from hsm.cli.console import Console, Line, Tone, line
from hsm.cli.screen import Scene, counts, lines_of
from hsm.cli.workspace import params_line
from hsm.core import events as ev
from hsm.core.monitor import progress
from hsm.core.story import is_engine_matter, line_of
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.core.world import World

if TYPE_CHECKING:
    from hsm.results.analysed import Analysed

Analyses: TypeAlias = "Callable[[], Sequence[Analysed]]"
RECENT = 5
PULSE_S = 10.0
BURST_LINES = 20
LINES_PER_S = 1.0


def none() -> Sequence[Analysed]:
    """Return no analyses."""
    return ()


class Following(Protocol):
    """Shows what an engine does."""

    def listen(self, events: Sequence[ev.Event], tracker: SweepTracker) -> None:
        """Take in what has just become durable."""

    def start(self) -> None:
        """Begin to show; an event loop runs."""

    def stop(self) -> None:
        """Show no more."""


def following(console: Console, world: World, tree: SweepTree, analyses: Analyses = none) -> Following:
    """Return what suits the console."""
    if console.quiet:
        return Silent()
    return Screen(console, world, tree, analyses) if console.is_live else Plain(console, world)


class Silent:
    """Shows nothing."""

    def listen(self, events: Sequence[ev.Event], tracker: SweepTracker) -> None:
        """Take nothing in."""

    def start(self) -> None:
        """Begin nothing."""

    def stop(self) -> None:
        """End nothing."""


class Plain:
    """Writes a line for what matters; endings of single tasks only as long as they come slowly."""

    def __init__(self, console: Console, world: World) -> None:
        self._console = console
        self._world = world
        self._credit = float(BURST_LINES)
        self._credited_at = world.monotonic()
        self._pulsed_at = self._credited_at
        self._held_back = 0
        self._failures: dict[str, str] = {}

    def listen(self, events: Sequence[ev.Event], tracker: SweepTracker) -> None:
        """Write what matters of these events."""
        for event in events:
            if isinstance(event, ev.SourceOpened | ev.SourceFailed | ev.SourceHindered):
                self._tell_source(event, tracker)
                continue
            text = line_of(event, tracker)
            if text and (is_engine_matter(event) or self._affords()):
                self._console.say(_stamped(event, text))
            elif text:
                self._held_back += 1
        now = self._world.monotonic()
        if self._held_back and now - self._pulsed_at >= PULSE_S:
            self._pulse(tracker, now)

    def _tell_source(
        self, event: ev.SourceOpened | ev.SourceFailed | ev.SourceHindered, tracker: SweepTracker
    ) -> None:
        """Tell how a source is, and what to do; once, while it fails for the same reason again and again."""
        before = self._failures.pop(event.source, "")
        if isinstance(event, ev.SourceFailed):
            self._failures[event.source] = event.reason
            if before == event.reason and event.paused:
                return
        self._console.say(_stamped(event, line_of(event, tracker)))
        if not isinstance(event, ev.SourceOpened) and event.hint:
            self._console.say(("hint: ", Tone.ACTIVE), event.hint)

    def start(self) -> None:
        """Nothing is to be prepared."""

    def stop(self) -> None:
        """Nothing is to be cleared away."""

    def _affords(self) -> bool:
        now = self._world.monotonic()
        earned = (now - self._credited_at) * LINES_PER_S
        self._credit = min(float(BURST_LINES), self._credit + earned)
        self._credited_at = now
        if self._credit < 1:
            return False
        self._credit -= 1
        return True

    def _pulse(self, tracker: SweepTracker, now: float) -> None:
        self._held_back, self._pulsed_at = 0, now
        state = progress(tracker, self._world.now(), driven=True)
        pieces = [f"{state.finished:,}/{state.expected:,} tasks", words.rate(state.rate_hz)]
        pieces.append(f"{words.eta(state.eta)} left" if state.eta else "")
        self._console.say("  ".join([*filter(None, pieces), ""]), *counts(state, self._console.glyphs))


class Screen:
    """Draws the scene again and again."""

    def __init__(self, console: Console, world: World, tree: SweepTree, analyses: Analyses = none) -> None:
        from hsm.cli.live import LiveScreen

        self._console = console
        self._world = world
        self._tree = tree
        self._analyses = analyses
        self._tracker: SweepTracker | None = None
        self._recent: deque[str] = deque(maxlen=RECENT)
        self._live = LiveScreen(console, self._lines)

    def listen(self, events: Sequence[ev.Event], tracker: SweepTracker) -> None:
        """Remember the tracker and the last events."""
        self._tracker = tracker
        for event in events[-200:]:
            text = line_of(event, tracker)
            if text:
                self._recent.append(_stamped(event, text))

    def start(self) -> None:
        """Begin to draw."""
        self._live.start()

    def stop(self) -> None:
        """Wipe the picture away."""
        self._live.stop()

    def _lines(self, width: int) -> Sequence[Line]:
        if self._tracker is None:
            return [line("starting")]
        is_driven = self._tracker.released != self._tracker.epoch  # else its analyses go on without it
        now = aged(self._world, self._tree, progress(self._tracker, self._world.now(), driven=is_driven))
        params = params_line(self._tree, self._tracker.spec, now.best.task) if now.best else ""
        scene = Scene(
            tree=self._tree,
            progress=now,
            best_params=params,
            recent=tuple(self._recent),
            analyses=self._analyses(),
        )
        return lines_of(scene, width, self._console.glyphs)


def _stamped(event: ev.Event, text: str) -> str:
    at = getattr(event, "at", None)
    return f"{words.clock(at)} {text}" if at is not None else text
