"""Everything that can happen to a sweep, as facts in the past tense. The ledger holds nothing else.

What a reader does with an event is in `hsm.core.machine` (tasks) and `hsm.core.tracker` (the sweep). The
format of the ledger is bound to this file: a field may be added with a default, nothing may be renamed.
Times (`at`) are seconds since the epoch, for show; order is the order in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, ClassVar, TypeAlias, TypeGuard, get_args

from hsm.core import recording
from hsm.core.layout import Layout
from hsm.core.model import Exit, Metrics
from hsm.core.states import Cause, Hindrance, SweepStatus
from hsm.wire.log import Record

SnapshotTaken = recording.SnapshotTaken
RecordingHindered = recording.RecordingHindered
RecordingResumed = recording.RecordingResumed


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepCreated:
    """The sweep exists: its configuration is frozen."""

    kind: ClassVar[str] = "sweep_created"
    sweep_id: str
    name: str
    config_digest: str
    program_digest: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStarted:
    """An engine took the sweep, as this epoch."""

    kind: ClassVar[str] = "engine_started"
    epoch: int
    host: str
    pid: int
    version: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStopped:
    """The engine let go of the sweep in good order."""

    kind: ClassVar[str] = "engine_stopped"
    epoch: int
    status: SweepStatus
    reason: str = ""
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOpened:
    """A compute source is ready to take attempts."""

    kind: ClassVar[str] = "source_opened"
    source: str
    slots: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFailed:
    """A compute source cannot be reached or used; what runs there goes on.

    Where `paused` it is tried again, and `source_opened` says when it is back. Where it `lacks` something,
    room on its disk for instance, it can be reached.
    """

    kind: ClassVar[str] = "source_failed"
    source: str
    reason: str
    hint: str = ""
    paused: bool = False
    lacks: bool = False
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHindered:
    """A compute source lacks something, so that it begins nothing; it tries again by itself.

    Without a `reason` it lacks nothing any more. `hint` says what can be done.
    """

    kind: ClassVar[str] = "source_hindered"
    source: str
    reason: str
    hint: str = ""
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ZombieFound:
    """An engine that had been superseded went on writing, behind the place that counts in its segment.

    `tokens` are those of the attempts that it intended there: they are no part of the sweep.
    """

    kind: ClassVar[str] = "zombie_found"
    segment: str
    offset: int
    bytes: int
    tokens: Sequence[str] = ()
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorMoved:
    """The observations of a source have been taken in up to here."""

    kind: ClassVar[str] = "cursor_moved"
    source: str
    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationPlanned:
    """A generation's tasks are in the plan file `plan`; they get the indices from `first` on.

    `forbidden` proposals were left out, because they met a rule of `forbid`.
    """

    kind: ClassVar[str] = "generation_planned"
    generation: int
    plan: str
    first: int
    count: int
    forbidden: int = 0
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HuntEnded:
    """No further generation is asked for; `reason` says why, and is empty for a grid."""

    kind: ClassVar[str] = "hunt_ended"
    generation: int
    reason: str = ""
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested:
    """Somebody asked that these tasks (all that are open when empty) come to an end."""

    kind: ClassVar[str] = "cancel_requested"
    tasks: Sequence[int] = ()
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksReopened:
    """Somebody asked that these failed or cancelled tasks be tried again."""

    kind: ClassVar[str] = "tasks_reopened"
    tasks: Sequence[int]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepStopped:
    """No new attempt is begun, because too many tasks failed."""

    kind: ClassVar[str] = "sweep_stopped"
    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReused:
    """The work of this task is that of task `of`; it is not run."""

    kind: ClassVar[str] = "task_reused"
    task: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptIntended:
    """An attempt will be handed to a source. Durable before anything is done.

    Those of one `batch` (`members` of them) are to share a process; without one it has its own.
    """

    kind: ClassVar[str] = "attempt_intended"
    task: int
    attempt: int
    token: str
    source: str
    batch: str = ""
    members: int = 1
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSubmitted:
    """The source took the attempt and calls it `ref`."""

    kind: ClassVar[str] = "attempt_submitted"
    task: int
    attempt: int
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptUnconfirmed:
    """The attempt was handed over, but the reply was lost."""

    kind: ClassVar[str] = "attempt_unconfirmed"
    task: int
    attempt: int
    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptDuplicated:
    """The source has the attempt more than once: `ref` is kept, `others` are cancelled."""

    kind: ClassVar[str] = "attempt_duplicated"
    task: int
    attempt: int
    ref: str
    others: Sequence[str]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRejected:
    """The source definitely refused the attempt."""

    kind: ClassVar[str] = "attempt_rejected"
    task: int
    attempt: int
    cause: Cause = Cause.APPLICATION
    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptVoided:
    """It is proved that the attempt never began; it is charged to no budget."""

    kind: ClassVar[str] = "attempt_voided"
    task: int
    attempt: int
    reason: str = ""
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted:
    """The attempt's program runs."""

    kind: ClassVar[str] = "attempt_started"
    task: int
    attempt: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptMissed:
    """A listing that worked lacks the attempt. It proves nothing."""

    kind: ClassVar[str] = "attempt_missed"
    task: int
    attempt: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptExited:
    """The attempt's exit record is known. `cause` is None when the program succeeded."""

    kind: ClassVar[str] = "attempt_exited"
    task: int
    attempt: int
    exit: Exit
    manifest: str | None
    cause: Cause | None = None
    reason: str = ""
    agent: str = ""
    started_at: float
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLost:
    """The attempt vanished without an exit record.

    Where it is not `charged`, that is through no fault of its task.
    """

    kind: ClassVar[str] = "attempt_lost"
    task: int
    attempt: int
    cause: Cause = Cause.LOST
    reason: str
    agent: str = ""
    charged: bool = True
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptAbandoned:
    """Somebody gave the attempt up without knowing what became of it; it is charged to no budget."""

    kind: ClassVar[str] = "attempt_abandoned"
    task: int
    attempt: int
    reason: str = ""
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptCancelled:
    """The attempt was observed gone after a cancel."""

    kind: ClassVar[str] = "attempt_cancelled"
    task: int
    attempt: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSealed:
    """The attempt is the task's result: its artifacts are home, verified and durable."""

    kind: ClassVar[str] = "attempt_sealed"
    task: int
    attempt: int
    metrics: Metrics | None = None
    notes: Sequence[str] = ()
    files: int = 0
    bytes: int = 0
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed:
    """The attempt ended badly and its evidence is home. `signature` is the line that groups like failures."""

    kind: ClassVar[str] = "attempt_failed"
    task: int
    attempt: int
    cause: Cause
    reason: str
    signature: str = ""
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSuperseded:
    """Another attempt is the task's result; this one is kept beside it."""

    kind: ClassVar[str] = "attempt_superseded"
    task: int
    attempt: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsDiverged:
    """A further attempt ended with other results than attempt `of`; `files` are the first that differ."""

    kind: ClassVar[str] = "results_diverged"
    task: int
    attempt: int
    of: int
    files: Sequence[str]
    count: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactsDamaged:
    """Files that had been sealed with the attempt are not what they were; `faults` are the first of them."""

    kind: ClassVar[str] = "artifacts_damaged"
    task: int
    attempt: int
    faults: Sequence[str]
    count: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactsRestored:
    """Files of the attempt that had been found damaged are again what was sealed."""

    kind: ClassVar[str] = "artifacts_restored"
    task: int
    attempt: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactsVerified:
    """What stands before it in this epoch was found by reading `attempts` sealed attempts anew.

    It is the last word of the epoch: whoever found it lets go of the sweep.
    """

    kind: ClassVar[str] = "artifacts_verified"
    epoch: int
    attempts: int
    damaged: int
    restored: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSealed:
    """The sweep is over for now, and these are its results: `root` is the root of the tree over them."""

    kind: ClassVar[str] = "sweep_sealed"
    status: SweepStatus
    counts: Mapping[str, int]
    results: int
    root: str
    at: float


TaskEvent: TypeAlias = (
    TaskReused
    | AttemptIntended
    | AttemptSubmitted
    | AttemptUnconfirmed
    | AttemptDuplicated
    | AttemptRejected
    | AttemptVoided
    | AttemptStarted
    | AttemptMissed
    | AttemptExited
    | AttemptLost
    | AttemptAbandoned
    | AttemptCancelled
    | AttemptSealed
    | AttemptFailed
    | AttemptSuperseded
    | ResultsDiverged
    | ArtifactsDamaged
    | ArtifactsRestored
)
SweepEvent: TypeAlias = (
    SweepCreated
    | EngineStarted
    | EngineStopped
    | SourceOpened
    | SourceFailed
    | SourceHindered
    | ZombieFound
    | CursorMoved
    | SnapshotTaken
    | RecordingHindered
    | RecordingResumed
    | GenerationPlanned
    | HuntEnded
    | CancelRequested
    | TasksReopened
    | SweepStopped
    | SweepSealed
    | ArtifactsVerified
)
Event: TypeAlias = TaskEvent | SweepEvent

EVENTS: Mapping[str, type[Event]] = {cls.kind: cls for cls in (*get_args(TaskEvent), *get_args(SweepEvent))}
_EXIT_FIELDS = tuple(field.name for field in fields(Exit))
_OF_TASKS = frozenset(get_args(TaskEvent))


def is_of_task(event: Event) -> TypeGuard[TaskEvent]:
    """Tell whether an event is of a task; to ask for the union itself takes eight times as long."""
    return type(event) in _OF_TASKS


class UnknownEvent(ValueError):
    """A record that this version cannot read."""


def to_record(event: Event) -> Record:
    """Return the ledger's record of an event. Fields that have their default are left out."""
    form = _form(event.kind)
    layout, defaults = form.layout, form.defaults
    record: Record = {"t": event.kind}
    for name, value in zip(layout.names, layout.values(event), strict=True):
        if name in defaults and value == defaults[name]:
            continue
        record[name] = _plain(value)
    return record


def _plain(value: Any) -> Any:
    if type(value) is Exit:
        return {name: getattr(value, name) for name in _EXIT_FIELDS if getattr(value, name) is not None}
    return list(value) if type(value) is tuple else value


def from_record(record: Record) -> Event:
    """Return the event of a ledger record.

    Raises:
        UnknownEvent: its kind or its fields are not those of this version.
    """
    try:
        form = _form(record.get("t", ""))
    except KeyError:
        raise UnknownEvent(f"event of unknown kind {record.get('t')!r}") from None
    try:
        return form.read(record)
    except (TypeError, ValueError) as error:
        raise UnknownEvent(f"{record.get('t')}: {error}") from error


_TYPES: Mapping[str, Callable[[Any], Any]] = {
    "exit": lambda value: Exit(**value),
    "cause": lambda value: None if value is None else Cause(value),
    "status": SweepStatus,
    "hindrance": Hindrance,
}


class _Form:
    """How the events of one kind stand in records: all of their fields, the defaults of some, and types."""

    def __init__(self, cls: type[Event]) -> None:
        self.layout: Layout[Event] = Layout(cls)
        self.defaults = {item.name: item.default for item in fields(cls) if item.default is not MISSING}
        self._cls = cls
        self._names = frozenset(self.layout.names)
        self._types = [(name, _TYPES[name]) for name in self.layout.names if name in _TYPES]

    def read(self, record: Record) -> Event:
        """Return the event of a record.

        Raises:
            TypeError: a field is missing, or not known.
            ValueError: a word is not known.
        """
        values = self.defaults | record
        del values["t"]
        for name, of_type in self._types:
            if name in record:
                values[name] = of_type(record[name])
        if values.keys() != self._names:
            return self._cls(**values)  # which says what is missing, or not known
        listed = [values[name] for name in self.layout.names]
        return self.layout.make([tuple(value) if type(value) is list else value for value in listed])


@cache
def _form(kind: str) -> _Form:
    """Return the form of a kind, made when the first event of it is read or written."""
    return _Form(EVENTS[kind])
