"""What a sweep cost: throughput, waiting and running, slots used, resources used against those requested.

`performance_analysis.yaml` and a section of the completion report show the same numbers. Every time is in
seconds and comes from the ledger; what is not known is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import overload

from hsm.core.model import Exit, Task
from hsm.core.spec import SweepSpec
from hsm.core.states import AttemptState
from hsm.report.spans import Span
from hsm.wire.yaml_text import yaml_lines

FILE_NAME = "performance_analysis.yaml"
DIGITS = 6
_BAD = (AttemptState.FAILED, AttemptState.LOST, AttemptState.REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How some numbers are distributed: n, mean and quantiles (nearest rank)."""

    n: int
    mean: float
    p10: float
    p50: float
    p90: float
    highest: float

    @property
    def record(self) -> dict[str, float]:
        """The numbers as they are written."""
        names = ("mean", "p10", "p50", "p90")
        numbers = {name: tidy(getattr(self, name)) for name in names}
        return {"count": self.n, **numbers, "max": tidy(self.highest)}


def spread(values: Sequence[float]) -> Spread | None:
    """Return the distribution of some numbers, None of none."""
    if not values:
        return None
    ordered = sorted(values)
    last = len(ordered) - 1
    low, middle, high = (ordered[round(last * share)] for share in (0.1, 0.5, 0.9))
    mean = sum(ordered) / len(ordered)
    return Spread(n=len(ordered), mean=mean, p10=low, p50=middle, p90=high, highest=ordered[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCost:
    """What one compute source did. `busy_s` is the running time of all its programs together, a batch's one.

    `span_s` is the time from its first intent to its last end; `overhead_s` is the time of its slots in
    that span in which no program ran, for each attempt: HSM's own cost, and waiting for work.
    """

    name: str
    slots: int
    attempts: int
    sealed: int
    ended_badly: int
    span_s: float
    busy_s: float
    waiting_s: Spread | None
    running_s: Spread | None
    collecting_s: Spread | None

    @property
    def utilisation(self) -> float | None:
        """The share of the time of its slots in which a program ran."""
        room = self.slots * self.span_s
        return self.busy_s / room if room > 0 else None

    @property
    def overhead_s(self) -> float | None:
        """The time of slots without a program, per attempt."""
        room = self.slots * self.span_s
        return max(0.0, room - self.busy_s) / self.attempts if room > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One resource: what an attempt asked for, None for no limit, and what the attempts used."""

    name: str
    unit: str
    requested: float | None
    used: Spread | None

    @property
    def highest_share(self) -> float | None:
        """The largest use as a share of the request."""
        return self.used.highest / self.requested if self.used and self.requested else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What a whole sweep cost."""

    tasks: int
    finished: int
    attempts: int
    made_again: int
    elapsed_s: float | None
    sources: tuple[SourceCost, ...]
    uses: tuple[Use, ...]

    @property
    def rate_hz(self) -> float | None:
        """Finished tasks per second."""
        return self.finished / self.elapsed_s if self.elapsed_s else None


def measure(
    spec: SweepSpec,
    tasks: Sequence[Task],
    spans: Iterable[Span],
    slots: Mapping[str, int],
    elapsed_s: float | None,
) -> Performance:
    """Return what a sweep cost, as far as the ledger knows; `slots` are those of each source."""
    by_source: dict[str, list[Span]] = {}
    for span in spans:
        by_source.setdefault(span.source, []).append(span)
    counts = [len(task.attempts) for task in tasks]
    return Performance(
        tasks=len(tasks),
        finished=sum(task.status.is_final for task in tasks),
        attempts=sum(counts),
        made_again=sum(count - 1 for count in counts if count > 1),
        elapsed_s=elapsed_s,
        sources=tuple(
            _source(name, slots.get(name, 0), entries) for name, entries in sorted(by_source.items())
        ),
        uses=_uses(spec, tasks),
    )


def _source(name: str, slots: int, entries: Sequence[Span]) -> SourceCost:
    ran = [span.ended_at - span.started_at for span in entries if span.has_started]
    begun = [span for span in entries if span.has_started]
    return SourceCost(
        name=name,
        slots=slots,
        attempts=len(entries),
        sealed=sum(span.state is AttemptState.SEALED for span in entries),
        ended_badly=sum(span.state in _BAD for span in entries),
        span_s=max(span.ended_at for span in entries) - min(span.intended_at for span in entries),
        busy_s=_busy_s(begun),
        waiting_s=spread([span.started_at - span.intended_at for span in begun]),
        running_s=spread(ran),
        collecting_s=spread(
            [span.collected_at - span.ended_at for span in begun if span.collected_at is not None]
        ),
    )


def _busy_s(begun: Iterable[Span]) -> float:
    """Return how long programs ran: each attempt its own time, those of a batch the time of their process."""
    alone, shared = 0.0, dict[str, tuple[float, float]]()
    for span in begun:
        if not span.batch:
            alone += span.ended_at - span.started_at
            continue
        first, last = shared.get(span.batch, (span.started_at, span.ended_at))
        shared[span.batch] = min(first, span.started_at), max(last, span.ended_at)
    return alone + sum(last - first for first, last in shared.values())


def _uses(spec: SweepSpec, tasks: Iterable[Task]) -> tuple[Use, ...]:
    asked = spec.resources
    exits = [attempt.exit for task in tasks for attempt in task.attempts if attempt.exit]
    walls = [limit for limit in (spec.timeout_s, asked.walltime_s) if limit is not None]
    memory = [float(end.max_rss_bytes) for end in exits if end.max_rss_bytes]
    processors = [_processors(end) for end in exits if end.wall_s >= 0.05]
    return (
        Use(
            name="wall time",
            unit="s",
            requested=min(walls, default=None),
            used=spread([end.wall_s for end in exits]),
        ),
        Use(name="processors", unit="cpus", requested=float(asked.cpus), used=spread(processors)),
        Use(
            name="memory",
            unit="bytes",
            requested=None if asked.memory_bytes is None else float(asked.memory_bytes),
            used=spread(memory),
        ),
    )


def _processors(end: Exit) -> float:
    return (end.cpu_user_s + end.cpu_system_s) / end.wall_s


def as_yaml(cost: Performance, compilation: Mapping[str, object] | None = None) -> str:
    """Return the content of `performance_analysis.yaml`, with what programs tell of compiling."""
    sources = {
        source.name: {
            "slots": source.slots,
            "attempts": source.attempts,
            "sealed": source.sealed,
            "ended_badly": source.ended_badly,
            "span_s": tidy(source.span_s),
            "busy_s": tidy(source.busy_s),
            "slot_utilisation": tidy(source.utilisation),
            "overhead_per_attempt_s": tidy(source.overhead_s),
            "waiting_s": source.waiting_s and source.waiting_s.record,
            "running_s": source.running_s and source.running_s.record,
            "collecting_s": source.collecting_s and source.collecting_s.record,
        }
        for source in cost.sources
    }
    head = {
        "tasks": cost.tasks,
        "finished_tasks": cost.finished,
        "attempts": cost.attempts,
        "further_attempts": cost.made_again,
        "elapsed_s": tidy(cost.elapsed_s),
        "finished_tasks_per_s": tidy(cost.rate_hz),
    }
    resources = {
        f"{use.name.replace(' ', '_')}_{use.unit}": {
            "requested": tidy(use.requested),
            "used": use.used and use.used.record,
        }
        for use in cost.uses
    }
    told = f"compilation:\n{_nested(compilation)}" if compilation else ""
    return f"{yaml_lines(head)}resources:\n{_nested(resources)}{told}sources:{_block(sources)}"


def _block(entries: Mapping[str, Mapping[str, object]]) -> str:
    if not entries:
        return " {}\n"
    lines = partial(_indented, by="    ")
    keys = {name: yaml_lines({name: 0}).removesuffix(" 0\n") for name in entries}
    return "\n" + "".join(f"  {keys[name]}\n{lines(yaml_lines(entry))}" for name, entry in entries.items())


def _nested(entries: Mapping[str, object]) -> str:
    return _indented(yaml_lines(entries), by="  ")


def _indented(text: str, *, by: str) -> str:
    return "".join(f"{by}{line}\n" for line in text.splitlines())


@overload
def tidy(value: None) -> None: ...


@overload
def tidy(value: float) -> float: ...


def tidy(value: float | None) -> float | None:
    """Return a whole number as it is and any other to six digits: times are not known better."""
    if value is None or isinstance(value, int):
        return value
    return int(value) if value.is_integer() else float(f"{value:.{DIGITS}g}")
