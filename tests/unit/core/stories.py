"""Random but legal stories of sweeps: the events that an engine could have committed."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from hsm.core import events as ev
from hsm.core.errors import MachineError
from hsm.core.model import Exit, Proposal
from hsm.core.plan import write_plan
from hsm.core.spec import SweepSpec
from hsm.core.states import AttemptState, Cause, SweepStatus, TaskStatus
from hsm.core.summary import tracker_of
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.wire.files import Files

CAUSES = (Cause.APPLICATION, Cause.LOST, Cause.NODE, Cause.TRANSFER)
SOURCES = ("local", "ssh:far")
Watcher = Callable[[ev.Event, SweepTracker], None]


def ignore(event: ev.Event, tracker: SweepTracker) -> None:
    """Watch nothing."""


class Story:
    """Tells a story step by step; `events` are what came of it, `tracker` folds them as it goes."""

    def __init__(self, rng: Random, tree: SweepTree, spec: SweepSpec, watch: Watcher = ignore) -> None:
        self.events: list[ev.Event] = []
        self.tracker = tracker_of(Files(), tree, spec)
        self._rng = rng
        self._tree = tree
        self._watch = watch
        self._clock = 1000.0

    def tell(self, steps: int) -> list[ev.Event]:
        self._take(
            ev.SweepCreated(sweep_id="s", name="s", config_digest="c", program_digest="p", at=self._at())
        )
        self._start()
        for _ in range(steps):
            self._rng.choice(_MOVES)(self)
        return self.events

    def _at(self) -> float:
        self._clock += self._rng.random()
        return round(self._clock, 3)

    def _take(self, event: ev.Event) -> None:
        index = getattr(event, "task", None)
        before = None if index is None else self.tracker.task(index)
        try:
            self.tracker.fold(event)
        except MachineError:
            return
        if index is None or self.tracker.task(index) is not before:
            self.events.append(event)
            self._watch(event, self.tracker)

    def _start(self) -> None:
        self._take(
            ev.EngineStarted(epoch=self.tracker.epoch + 1, host="h", pid=1, version="0", at=self._at())
        )
        for source in SOURCES:
            self._take(ev.SourceOpened(source=source, slots=2, at=self._at()))

    def restart(self) -> None:
        if self._rng.random() < 0.1:
            status = self._rng.choice(list(SweepStatus))
            self._take(ev.EngineStopped(epoch=self.tracker.epoch, status=status, at=self._at()))
            self._start()

    def plan(self) -> None:
        if self.tracker.open > 6:
            return
        generation, first = len(self.tracker.generations) + 1, len(self.tracker.tasks) + 1
        count = self._rng.randint(1, 5)
        proposals = [Proposal(params={"k": self._rng.randint(1, 12)}) for _ in range(count)]
        name, count = write_plan(Files(), self._tree.plans, proposals, "program")
        self._take(
            ev.GenerationPlanned(generation=generation, plan=name, first=first, count=count, at=self._at())
        )
        for reused in self.tracker.take_duplicates():
            self._take(reused)

    def intend(self) -> None:
        for task in self.tracker.ready(self._rng.randint(1, 3)):
            number, token = len(task.attempts) + 1, f"{self._rng.getrandbits(64):032x}"
            source = self._rng.choice(SOURCES)
            self._take(
                ev.AttemptIntended(task=task.index, attempt=number, token=token, source=source, at=self._at())
            )

    def go_on(self) -> None:
        """Let something happen to a task: usually to its latest attempt, now and then to an older one."""
        tasks = (
            self.tracker.live() if self._rng.random() < 0.9 else [t for t in self.tracker.tasks if t.attempts]
        )
        if not tasks:
            return
        task = self._rng.choice(tasks)
        latest = len(task.attempts)
        number = latest if self._rng.random() < 0.9 else self._rng.randint(1, latest)
        self._take(self._evidence(task.index, number, task.attempts[number - 1].state))

    def _evidence(self, task: int, attempt: int, state: AttemptState) -> Any:
        at, cause, rng = self._at(), self._rng.choice(CAUSES), self._rng
        who: dict[str, Any] = {"task": task, "attempt": attempt}
        if state is AttemptState.EXITED:
            if rng.random() < 0.3:
                signature = rng.choice(["", "ValueError: #"])
                return ev.AttemptFailed(**who, cause=cause, reason=f"bad {cause}", signature=signature, at=at)
            metrics = rng.choice([None, {"f": None}, {"f": round(rng.uniform(-5, 5), 2)}])
            return ev.AttemptSealed(**who, metrics=metrics, files=2, bytes=10, at=at)
        exited = ev.AttemptExited(
            **who, exit=Exit(code=0, wall_s=0.5), manifest="m" * 64, cause=None, started_at=at - 0.1, at=at
        )
        return rng.choice(
            [
                exited,
                exited,
                ev.AttemptSubmitted(**who, ref=f"job-{task}"),
                ev.AttemptUnconfirmed(**who, reason="no answer", at=at),
                ev.AttemptStarted(**who, at=at),
                ev.AttemptMissed(**who, at=at),
                ev.AttemptLost(
                    **who, cause=rng.choice([Cause.LOST, Cause.NODE]), reason="it vanished", at=at
                ),
                ev.AttemptRejected(**who, reason="too many GPUs", at=at),
                ev.AttemptVoided(**who, reason="never began", at=at),
                ev.AttemptCancelled(**who, at=at),
            ]
        )

    def ask(self) -> None:
        if self._rng.random() > 0.15 or not self.tracker.tasks:
            return
        some = tuple(sorted(self._rng.sample(range(1, len(self.tracker.tasks) + 1), 1)))
        reopened = [
            t.index for t in self.tracker.tasks if t.status in {TaskStatus.FAILED, TaskStatus.CANCELLED}
        ]
        wishes: list[ev.Event] = [
            ev.CancelRequested(tasks=some, at=self._at()),
            ev.TasksReopened(tasks=tuple(reopened), at=self._at()),
            ev.SweepStopped(reason="too many failures", at=self._at()),
            ev.SourceFailed(source="ssh:far", reason="cut off", at=self._at()),
        ]
        if self._rng.random() < 0.1:
            wishes = [ev.CancelRequested(at=self._at()), ev.HuntEnded(generation=9, at=self._at())]
        self._take(self._rng.choice(wishes))

    def look(self) -> None:
        source = self._rng.choice(SOURCES)
        self._take(ev.CursorMoved(source=source, cursor=f"1:{len(self.events)}"))


_MOVES: list[Callable[[Story], None]] = [
    Story.plan,
    Story.intend,
    Story.intend,
    *[Story.go_on] * 10,
    Story.ask,
    Story.look,
    Story.restart,
]
