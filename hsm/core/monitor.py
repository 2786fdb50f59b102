"""The monitor: how a sweep gets on, worked out from its tracker. Pure: the time of day is an argument.

Terminal, hub and reports show what stands here. What cannot be known is None with a reason, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hsm.core.errors import bare
from hsm.core.states import Cause, SweepStatus, TaskStatus
from hsm.core.tallies import Best, SourceState
from hsm.core.tracker import SweepTracker

MIN_ENDINGS = 2
"""So many attempts must have ended before a time to go is told."""

SPREAD = 1.28
"""Standard deviations on either side of the likely value: about 80 % lie between."""

REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        Cause.APPLICATION: "the program failed by itself: `hsm logs TASK --stderr` shows its last words",
        Cause.TIME: "raise `timeout` (or `resources.walltime`) in the sweep file",
        Cause.MEMORY: "raise `resources.memory` in the sweep file",
        Cause.NODE: "the machine failed: `hsm sweep complete ID --retry-failed` tries again",
        Cause.PREEMPTED: "the machine was taken away: `hsm sweep complete ID --retry-failed` tries again",
        Cause.TRANSFER: "results did not come home whole: look at disk space and at the link, then retry",
        Cause.LOST: "the attempt vanished: see logs/sources/, then `hsm sweep complete ID --retry-failed`",
        Cause.PROTOCOL: "the agent broke its contract: look into logs/sources/",
        Cause.BATCH: "they go again with fewer in a process until the task that ends it is alone and fails: "
        "look at that one, or raise `retry.batch` where it ran out",
    }
)
"""What can be done about each cause of failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eta:
    """How long it will still take, in s: likely, and the ends of a range that holds it with about 80 %.

    It is an extrapolation of the pace of the last `endings` endings to `remaining` tasks.
    """

    likely_s: float
    low_s: float
    high_s: float
    endings: int
    remaining: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast attempts end at present: so many in so long a time."""

    endings: int
    span_s: float

    @property
    def rate_hz(self) -> float | None:
        """Endings per second, None while too few are known."""
        return self.endings / self.span_s if self.endings >= MIN_ENDINGS and self.span_s > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneProgress:
    """One source. `rate_hz` is its share of the present pace, by what it has finished.

    `heard_s` is how long ago it last told something of an attempt, None where it never did. `shown_s` is how
    old that is which is shown of its attempts, None where that is as good as nothing.
    """

    name: str
    is_open: bool
    reason: str
    slots: int
    running: int
    queued: int
    finished: int
    failed: int
    rate_hz: float | None
    heard_s: float | None = None
    shown_s: float | None = None
    is_paused: bool = False
    """Whether it cannot be reached now, and is tried again and again."""
    lacks: bool = False
    """Whether it could be reached, and begins nothing for now because it lacks something."""
    hint: str = ""
    """What can be done about its `reason`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Attempts that failed alike. `tasks` are the first of them; `remedy` says what can be done.

    `final` of them were the end of their tasks; the others were tried again.
    """

    cause: str
    signature: str
    count: int
    final: int
    tasks: tuple[int, ...]
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How a sweep gets on at one moment.

    `planned` tasks exist; `expected` counts those of later generations too, as far as the hunt may go.
    `eta` is None when `eta_reason` says why. `age_s` is the time since the last event; `trend` holds the best
    scores in order, each better than the one before; `diverged` attempts ended with other results than the
    one that counts. `ended_because` says why a hunt proposes nothing more, `hindrance` why nothing can be
    recorded for now.
    """

    status: SweepStatus
    counts: Mapping[TaskStatus, int]
    planned: int
    expected: int
    finished: int
    retries: int
    generation: int
    generations: int
    elapsed_s: float | None
    age_s: float | None
    rate_hz: float | None
    eta: Eta | None
    eta_reason: str
    metric: str
    best: Best | None
    improvements: int
    lanes: tuple[LaneProgress, ...]
    failures: tuple[Failures, ...]
    stopped: str
    diverged: int = 0
    trend: tuple[Best, ...] = ()
    ended_because: str = ""
    hindrance: str = ""


def progress(tracker: SweepTracker, now: float, *, driven: bool) -> Progress:
    """Return how the sweep gets on at `now` (seconds since the epoch); `driven` tells of a live engine."""
    pace = pace_of(tracker, now)
    expected = expected_tasks(tracker)
    eta, reason = forecast(tracker, pace, expected, driven=driven)
    hunt = tracker.spec.hunt
    return Progress(
        status=tracker.status(driven=driven),
        counts={status: tracker.counts[status] for status in TaskStatus},
        planned=len(tracker.tasks),
        expected=expected,
        finished=tracker.finished,
        retries=tracker.retries,
        generation=tracker.generations[-1].number if tracker.generations else 0,
        generations=hunt.generations if hunt else 1,
        elapsed_s=_elapsed(tracker, now, driven=driven),
        age_s=None if tracker.last_at is None else max(0.0, now - tracker.last_at),
        rate_hz=pace.rate_hz if driven else None,
        eta=eta,
        eta_reason=reason,
        metric=hunt.objective.metric if hunt else "",
        best=tracker.best,
        improvements=len(tracker.improvements),
        lanes=lanes_of(tracker, pace if driven else Pace(endings=0, span_s=0.0), now),
        failures=failures_of(tracker),
        stopped=tracker.stopped,
        diverged=tracker.diverged,
        trend=tuple(tracker.improvements),
        ended_because=tracker.ended_because if hunt else "",
        hindrance=tracker.hindrance if driven else "",
    )


def expected_tasks(tracker: SweepTracker) -> int:
    """Return how many tasks the sweep may come to have; for a hunt that goes on, an upper bound."""
    hunt, planned = tracker.spec.hunt, len(tracker.tasks)
    if hunt is None or tracker.hunt_ended or tracker.cancelled:
        return planned
    return max(planned, hunt.generations * hunt.population * tracker.spec.seeds)


def pace_of(tracker: SweepTracker, now: float) -> Pace:
    """Return the present pace: the endings that are remembered, of this engine only.

    The time runs to `now`, so that silence counts; it begins with the engine, or, when more endings came
    than are remembered, with the oldest of those.
    """
    began = tracker.engine.at if tracker.engine else 0.0
    endings = [at for at in tracker.endings if at >= began]
    if not endings:
        return Pace(endings=0, span_s=0.0)
    is_window = len(endings) == tracker.endings.maxlen
    start = endings[0] if is_window else began
    return Pace(endings=len(endings) - is_window, span_s=max(0.0, now - start))


def forecast(tracker: SweepTracker, pace: Pace, expected: int, *, driven: bool) -> tuple[Eta | None, str]:
    """Return the time to go, or None and the reason why it cannot be told."""
    remaining = expected - tracker.finished
    if not driven:
        return None, "no engine drives the sweep"
    if not tracker.generations:
        return None, "no task has been proposed yet"
    if remaining <= 0:
        return None, "nothing is left to run"
    eta = extrapolate(pace, remaining)
    return eta, "" if eta else "too few tasks have ended"


def extrapolate(pace: Pace, remaining: int) -> Eta | None:
    """Return how long `remaining` tasks take at this pace.

    Endings are taken for a Poisson process whose rate is estimated from `pace.endings` of them: the
    logarithm of the time then has a variance of about 1/endings + 1/remaining.
    """
    rate = pace.rate_hz
    if rate is None or remaining <= 0:
        return None
    likely = remaining / rate
    factor = math.exp(SPREAD * math.sqrt(1.0 / pace.endings + 1.0 / remaining))
    return Eta(
        likely_s=likely,
        low_s=likely / factor,
        high_s=likely * factor,
        endings=pace.endings,
        remaining=remaining,
    )


def lanes_of(tracker: SweepTracker, pace: Pace, now: float) -> tuple[LaneProgress, ...]:
    """Return every source in the order of its first use."""
    ended = sum(source.finished + source.failed for source in tracker.sources.values())
    rate = pace.rate_hz
    return tuple(
        LaneProgress(
            name=name,
            is_open=source.open,
            reason=_reason_of(source),
            is_paused=source.is_away,
            lacks=source.lacks or bool(source.hindrance),
            hint=source.hint,
            slots=source.slots,
            running=source.running,
            queued=max(0, source.in_flight - source.running),
            finished=source.finished,
            failed=source.failed,
            rate_hz=rate * (source.finished + source.failed) / ended if rate and ended else None,
            heard_s=None if source.heard_at is None else max(0.0, now - source.heard_at),
        )
        for name, source in tracker.sources.items()
    )


def _reason_of(source: SourceState) -> str:
    if source.is_away:
        return f"unreachable, is tried again: {bare(source.reason)}"
    lack = bare(source.reason) if source.paused else source.hindrance
    return f"begins nothing for now: {lack}" if lack else bare(source.reason)


def failures_of(tracker: SweepTracker) -> tuple[Failures, ...]:
    """Return the groups of like failures: those that tasks failed for before those that were tried again.

    Of each kind the largest first.
    """
    groups = sorted(
        tracker.failures.values(),
        key=lambda group: (group.final == 0, -group.count, group.cause, group.signature),
    )
    return tuple(
        Failures(
            cause=group.cause,
            signature=group.signature,
            count=group.count,
            final=group.final,
            tasks=tuple(group.tasks),
            remedy=REMEDIES.get(group.cause, ""),
        )
        for group in groups
    )


def _elapsed(tracker: SweepTracker, now: float, *, driven: bool) -> float | None:
    end = now if driven else tracker.last_at
    if tracker.first_at is None or end is None:
        return None
    return max(0.0, end - tracker.first_at)
