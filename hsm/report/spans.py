"""When attempts waited, ran and were brought home, from what the ledger says of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hsm.core.model import Attempt, Task
from hsm.core.states import AttemptState
from hsm.wire import names


class Span(NamedTuple):
    """One attempt in time, in seconds since the epoch, never running backwards.

    Clocks of two machines may differ: where a later moment is told as an earlier one, it is taken for the
    one before. What has not ended yet lasts until the last event of the sweep. Those of a `batch` shared a
    process. A tuple, because a large
    sweep has so many of them that making them costs more than all the rest.
    """

    task: int
    number: int
    source: str
    state: AttemptState
    has_started: bool
    intended_at: float
    started_at: float
    ended_at: float
    collected_at: float | None
    batch: str = ""

    @property
    def task_id(self) -> str:
        """The name of the task."""
        return names.task_id(self.task)


def spans(tasks: Iterable[Task], until: float) -> Iterator[Span]:
    """Yield every attempt whose beginning is known, in task order; `until` is the end of what has none."""
    for task in tasks:
        for attempt in task.attempts:
            intended = attempt.intended_at or attempt.started_at
            if intended:
                yield _span(task.index, attempt, intended, until)


def _span(index: int, attempt: Attempt, intended: float, until: float) -> Span:
    started, end = attempt.started_at, _end(attempt, until)
    begin = max(intended, end if started is None else started)
    end = max(begin, end)
    home = attempt.collected_at
    return Span(
        index,
        attempt.number,
        attempt.source,
        attempt.state,
        started is not None,
        intended,
        begin,
        end,
        None if home is None else max(end, home),
        attempt.batch,
    )


def _end(attempt: Attempt, until: float) -> float:
    """Return when the program ended: its own wall time counts, not when the end was heard of."""
    if attempt.exit is not None and attempt.started_at is not None:
        return attempt.started_at + attempt.exit.wall_s
    if attempt.ended_at is not None:
        return attempt.ended_at
    return until if attempt.state.is_live else attempt.started_at or 0.0
