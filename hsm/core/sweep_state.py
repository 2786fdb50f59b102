"""SweepState: every task of a sweep, what is counted of them, and what can be asked of both.

The tracker changes it, event by event; everybody else reads.
"""

from __future__ import annotations

from collections import Counter, deque

from hsm.core import events as ev
from hsm.core.intake import ReadyQueue
from hsm.core.model import Outcome, Task
from hsm.core.scoring import score
from hsm.core.spec import SweepSpec
from hsm.core.states import SweepStatus, TaskStatus
from hsm.core.table import TaskTable
from hsm.core.tallies import Best, FailureGroup, Generation, SourceState

MIN_FINISHED = 10
"""So many tasks must be finished before a failure rate means anything."""

KEPT_SNAPSHOTS = 2
"""So many durable snapshots are kept: what the older one needs of the ledger stays where it is."""

PACE_EVENTS = 256
"""So many of the latest endings tell the present pace."""


class SweepState:
    """Every task of a sweep and what can be counted of them."""

    def __init__(self, spec: SweepSpec) -> None:
        self.spec = spec
        self.tasks = TaskTable()
        self.counts: Counter[TaskStatus] = Counter()
        self.sources: dict[str, SourceState] = {}
        self.generations: list[Generation] = []
        self.failures: dict[tuple[str, str], FailureGroup] = {}
        self.cursors: dict[str, str] = {}
        self.hunt_ended = False
        self.ended_because = ""
        self.stopped = ""
        self.cancelled = False
        self.epoch = 0
        self.created: ev.SweepCreated | None = None
        self.engine: ev.EngineStarted | None = None
        self.last: ev.Event | None = None
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.retries = 0
        self.hindrance = ""
        self.snapshots: list[str] = []
        self.outcomes: Counter[TaskStatus] = Counter()
        self.improvements: list[Best] = []
        self.endings: deque[float] = deque(maxlen=PACE_EVENTS)
        self._ready = ReadyQueue()
        self._tokens: dict[str, tuple[int, int]] = {}
        self._presumed: dict[str, tuple[int, int]] = {}

    def task(self, index: int) -> Task:
        """Return the task with this index.

        Raises:
            KeyError: there is none.
        """
        return self.tasks.get(index)

    def by_token(self, token: str) -> tuple[Task, int] | None:
        """Return the task and the attempt number of a token of an attempt that is not proved to be over."""
        found = self._tokens.get(token) or self._presumed.get(token)
        return None if found is None else (self.task(found[0]), found[1])

    def strays(self) -> list[int]:
        """Return the final tasks that have an attempt of which something may still be heard, in order."""
        known = {index for index, _ in (*self._tokens.values(), *self._presumed.values())}
        return sorted(index for index in known if self.tasks.status(index - 1).is_final)

    def live(self) -> list[Task]:
        """Return the tasks that have an attempt which is not over, in order."""
        return [self.task(index) for index in sorted({index for index, _ in self._tokens.values()})]

    def waiting(self, limit: int) -> list[int]:
        """Return the indices of the first tasks, at most `limit`, that wait for an attempt."""
        return self._ready.first(limit, self._waits)

    def ready(self, limit: int) -> list[Task]:
        """Return the first tasks, at most `limit`, that wait for an attempt."""
        return [self.task(index) for index in self.waiting(limit)]

    def _waits(self, index: int) -> bool:
        return self.tasks.status(index - 1) is TaskStatus.RECEIVED

    def result_of(self, task: Task) -> Task:
        """Return the task whose result stands for this one."""
        return task if task.reuses is None else self.task(task.reuses)

    def outcome(self, task: Task) -> Outcome:
        """Return the verdict on a final task: its score, or why it has none."""
        return score(self.result_of(task), self.spec.hunt)

    @property
    def best(self) -> Best | None:
        """The best score so far."""
        return self.improvements[-1] if self.improvements else None

    @property
    def finished(self) -> int:
        """How many tasks are final."""
        return sum(count for status, count in self.counts.items() if status.is_final)

    @property
    def open(self) -> int:
        """How many tasks are not final."""
        return len(self.tasks) - self.finished

    @property
    def is_over(self) -> bool:
        """Whether nothing will ever happen any more: all tasks final, and no further generation."""
        return self.open == 0 and (self.hunt_ended or bool(self.stopped) or self.cancelled)

    @property
    def released(self) -> int:
        """The epoch whose engine let go in good order as the last thing that happened, else 0."""
        return self.last.epoch if isinstance(self.last, ev.EngineStopped) else 0

    def failure_rate(self) -> float:
        """Return the share of failed tasks among those that this engine finished; 0 while too few are."""
        failed = self.outcomes[TaskStatus.FAILED]
        finished = failed + self.outcomes[TaskStatus.SEALED]
        return failed / finished if finished >= MIN_FINISHED else 0.0

    def status(self, *, driven: bool) -> SweepStatus:
        """Return where the sweep stands; `driven` says whether an engine is at it."""
        if driven:
            return SweepStatus.RUNNING
        if self.cancelled and self.open == 0:
            return SweepStatus.CANCELLED
        if self.stopped:
            return SweepStatus.STOPPED
        if not self.is_over:
            return SweepStatus.PARTIAL
        return SweepStatus.FAILED if self.counts[TaskStatus.FAILED] else SweepStatus.COMPLETE
