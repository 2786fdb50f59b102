"""The plug-in interface of compute sources: what the engine asks of any place where attempts can run.

The engine owns this interface, `hsm.compute` implements it, and `hsm.compute.testing` checks any
implementation. Methods are plural, raise instead of returning False, and may be cancelled at any await
without leaving anything half done.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from hsm.core.model import Exit
from hsm.core.spec import Resources
from hsm.core.states import AttemptState, Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepContext:
    """What a source must know of the sweep that it is opened for.

    `program` is what every provenance report says about the code; `epoch` fences older engines. `adopted` are
    the tokens that were handed to this source before and that the sweep still counts on; None: any may be.
    """

    sweep_id: str
    sweep_dir: Path
    project: Path
    epoch: int
    resources: Resources
    variables: Mapping[str, str]
    grace_s: float
    program: Mapping[str, object]
    adopted: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a source can do, as data.

    `slots` attempts run at a time; `pushes` when observations arrive by themselves, else they are polled
    no more often than every `poll_floor_s`; `prefetches` when attempts may be handed over before a slot is
    free, as many as last for `ahead_s`: more than it takes to hear of an end and to hand over the next.
    What was handed over may stay invisible to `find` for `settle_s`, 0 where `find` reads what `submit`
    wrote. An attempt that listings lack is given up after at least three of them, over at least `missing_s`.
    Where it knows `batches`, attempts of one share a process and a slot.
    """

    slots: int
    prefetches: bool = True
    ahead_s: float = 0.5
    pushes: bool = True
    poll_floor_s: float = 0.0
    settle_s: float = 0.0
    missing_s: float = 600.0
    arrays: bool = False
    gpus: int = 0
    batches: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptOrder:
    """One attempt to be run. `directory` is relative to the sweep; the token names the attempt for ever.

    Those with the same `batch` have the same `argv`, and are handed over together, to share a process.
    """

    task: int
    attempt: int
    token: str
    directory: str
    argv: tuple[str, ...]
    params_json: str
    seed: int
    config_hash: str
    task_key: str
    timeout_s: float | None = None
    resources: Resources = field(default_factory=Resources)
    batch: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """The source has the attempt and calls it `ref`."""

    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The source will never run the attempt as ordered."""

    reason: str
    cause: Cause = Cause.APPLICATION


SubmitOutcome: TypeAlias = Submitted | Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a source saw of an attempt.

    `state` is one of SUBMITTED, RUNNING, EXITED, LOST, VOID, CANCELLED, MISSING. With EXITED come `exit`,
    `manifest` (SHA-256 of the provenance report, None when there is none and `manifest.NO_FILES` where
    attempts leave no files at all), `started_at`, and `cause` and `reason` unless the program succeeded.
    MISSING comes with every listing that worked and lacks the attempt. `agent` names who had it, where known;
    a LOST one is charged to its task's budget unless it is not `charged`.
    """

    token: str
    state: AttemptState
    at: float
    exit: Exit | None = None
    manifest: str | None = None
    cause: Cause | None = None
    reason: str = ""
    started_at: float = 0.0
    native_state: str = ""
    agent: str = ""
    charged: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """What was seen since the last batch; reading may begin again after `cursor`.

    `hindrance` is what the source lacks, so that it begins nothing: empty when it lacks nothing any more,
    None when nothing is new. `hint` says what can be done about it.
    """

    seen: tuple[Observation, ...]
    cursor: str
    hindrance: str | None = None
    hint: str = ""


class CancelOutcome(StrEnum):
    """What became of the wish to end an attempt. Whether it is gone, only an observation tells."""

    REQUESTED = "requested"
    ALREADY_ENDED = "already_ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An attempt that has ended and is to be brought to `dest`.

    `directory` is where it ran, relative to the sweep, as its order said. `report` is the SHA-256 of its
    provenance report as it was observed: None where it has none, `manifest.NO_FILES` without any files.
    """

    ref: str
    directory: str
    report: str | None
    dest: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why an attempt can never come home whole: it has failed for this cause."""

    cause: Cause
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionResult:
    """What there is of an attempt is at `directory`; with a `fault` that is less than its report tells.

    `files` and `bytes` tell what had to be moved, 0 where all was there.
    """

    directory: Path
    files: int
    bytes: int
    fault: Fault | None = None


class Health(StrEnum):
    """How one check went."""

    PASS = "pass"  # noqa: S105 - not a password
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at, and how to mend it."""

    name: str
    health: Health
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """Everything that `hsm source check` looked at."""

    source: str
    checks: tuple[Check, ...]

    @property
    def health(self) -> Health:
        """The worst of the checks."""
        order = list(Health)
        return max((check.health for check in self.checks), key=order.index, default=Health.PASS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CleaningWish:
    """What is to be removed of what HSM left where a source runs.

    One sweep, everything there is, or (neither) what no sweep uses. By force, agents that run are ended
    first; a dry wish removes nothing, and tells what it would.
    """

    sweep: str | None = None
    is_all: bool = False
    is_forced: bool = False
    is_dry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Remnant:
    """Something that HSM left where a source runs: removed, or `kept_because` of something."""

    path: str
    files: int
    bytes: int
    kept_because: str = ""


class SourceSession(ABC):
    """A source opened for one sweep by one engine.

    Concurrency: one caller per method at a time, but for `fetch`: a few may call it, for different attempts.
    """

    capabilities: Capabilities

    @abstractmethod
    async def submit(self, orders: Sequence[AttemptOrder]) -> Sequence[SubmitOutcome]:
        """Hand attempts over, in order; one outcome each.

        Raises:
            SourceError: the hand-over failed as a whole; which attempts arrived is not known and `find`
                tells. An attempt handed over twice under one token is run once.
        """

    @abstractmethod
    def observations(self, cursor: str = "") -> AsyncIterator[Observations]:
        """Yield what is seen, from after `cursor` on (from the very beginning when empty), without end.

        An observation may come twice; it is never left out.
        """

    @abstractmethod
    async def find(self, tokens: Iterable[str]) -> Mapping[str, Sequence[str]]:
        """Return the refs of those attempts that the source has or had, by token.

        More than one ref says that the attempt got in more than once: the first one is kept, the others are
        cancelled.

        Raises:
            SourceError: it could not be asked; nothing is known.
        """

    @abstractmethod
    async def cancel(self, refs: Sequence[str]) -> Mapping[str, CancelOutcome]:
        """Ask that attempts come to an end, running or not."""

    @abstractmethod
    async def recall(self, refs: Sequence[str]) -> None:
        """Ask for attempts back that have not begun; a VOID observation tells which those are."""

    @abstractmethod
    async def fetch(self, wanted: Sequence[Wanted]) -> Mapping[str, CollectionResult]:
        """Bring attempts home, and return what became of each by its ref.

        What is there already and whole is not moved again. What is missing from
        the answer did not come now, and is asked for again.

        Raises:
            SourceError: the source failed; what came stays, and the next call goes on from there.
            OSError: there is no room at home (`wire.log.NO_ROOM`); likewise.
        """

    @abstractmethod
    async def release(self) -> None:
        """Say that the sweep needs nothing more: whatever runs for it may leave once it is idle."""

    async def clear(self, *, keeps_checkpoints: bool) -> None:  # noqa: B027 - most leave nothing elsewhere
        """Remove what the sweep left where it ran, now that it is over, released, and all of it is home.

        Checkpoints are kept where tasks did not succeed, which may be tried again. A source that runs
        attempts in their place in the sweep's tree leaves nothing elsewhere.
        """


class ComputeSource(ABC):
    """Somewhere attempts run."""

    name: str

    @abstractmethod
    def session(self, context: SweepContext) -> AbstractAsyncContextManager[SourceSession]:
        """Connect, prepare and verify; on exit disconnect, leaving alone what runs.

        Raises:
            SourceError: it cannot be used; nothing is left half open.
        """

    @abstractmethod
    async def checks(self) -> HealthReport:
        """Look at everything that an attempt will need."""

    def project(self, project: Path) -> Path:
        """Return where attempts find the project: `{project}` in their commands, `HSM_PROJECT`.

        Known for sure once a session is open.
        """
        return project

    @abstractmethod
    def argv(self, argv: Sequence[str]) -> tuple[str, ...]:
        """Return the command as this source will run it, its interpreter and program resolved."""

    async def clean(self, wish: CleaningWish) -> Sequence[Remnant]:
        """Remove what HSM left where this source runs, and nothing else.

        A source that leaves nothing outside of the sweeps' own directories has nothing to remove.

        Raises:
            SourceError: it cannot be reached, or what is wished would disturb what runs.
        """
        return ()
