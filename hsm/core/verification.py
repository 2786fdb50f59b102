"""Verifying what is at rest: every byte of sealed attempts, read again and compared with the ledger.

Looking changes nothing, and can be done while an engine drives the sweep. What is found is recorded only
where it is news, and only when no engine is at the sweep: an epoch is taken that only says so.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from hsm.core import events as ev
from hsm.core import summary
from hsm.core.archive import pruned_before
from hsm.core.ledger_reader import LedgerReader
from hsm.core.machine import step
from hsm.core.model import Attempt, Task
from hsm.core.notes import note
from hsm.core.projection import Projector
from hsm.core.seal import CLOSED, SealCheck, check_seal, leaves, merkle_root
from hsm.core.spec import SweepSpec
from hsm.core.states import AttemptState, Cause
from hsm.core.sweep_state import SweepState
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.core.world import BLOCKING_THREADS, World
from hsm.wire import manifest
from hsm.wire.files import Files

TOLD = 5
"""So many faults of an attempt are told in the ledger; all of them are in what `verify` prints."""
BATCH = 8
"""So many attempts are read between two looks at the progress."""
LOOKS = 3
"""An attempt's directory may be moved while it is read: so often it is looked for anew."""
EVIDENCE = frozenset({AttemptState.SEALED, AttemptState.CORRUPT, AttemptState.FAILED})


class FindingKind(StrEnum):
    """What is wrong with a file. One that is extra harms nothing."""

    DAMAGED = "damaged"
    MISSING = "missing"
    EXTRA = "extra"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A file that is not as it was sealed; `path` is within the attempt's directory, empty for itself."""

    path: str
    kind: FindingKind
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which sealed attempts are read: a random `share` of them, and of those every `of`-th task's."""

    share: float = 1.0
    part: int = 1
    of: int = 1

    def chosen(self, every: Sequence[Evidence], rng: Random) -> list[Evidence]:
        """Return those that are to be read, in their order; at least one where there is any."""
        sliced = [one for one in every if (one.task.index - self.part) % self.of == 0]
        count = math.ceil(self.share * len(sliced))
        return sorted(rng.sample(sliced, count), key=lambda one: (one.task.index, one.attempt.number))


@dataclass(frozen=True, slots=True)
class Evidence:
    """An attempt whose files are sealed: a result, or the evidence of a failure."""

    task: Task
    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One attempt as it was found."""

    task: int
    attempt: int
    is_result: bool
    files: int
    bytes: int
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> list[Finding]:
        """What is damaged or missing."""
        return [finding for finding in self.findings if finding.kind is not FindingKind.EXTRA]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a verification found. `sealed` attempts were there to be read."""

    sealed: int
    checked: tuple[Checked, ...]
    seal: SealCheck

    @property
    def damaged(self) -> list[Checked]:
        """The attempts with files that are damaged or missing."""
        return [one for one in self.checked if one.faults]

    @property
    def is_sound(self) -> bool:
        """Whether everything that was looked at is as it was sealed."""
        return not self.damaged and not self.seal.faults


@dataclass(frozen=True, slots=True)
class Survey:
    """A sweep as its ledger has it, and its seals, each with the root of the results as they were then."""

    tracker: SweepTracker
    seals: Sequence[tuple[ev.SweepSealed, str]]


Tell = Callable[[int, int, int], None]
"""Is told how many attempts have been read, of how many, and how many bytes."""


def survey(files: Files, tree: SweepTree, spec: SweepSpec) -> Survey:
    """Fold the whole ledger, and work out the root of the results at each of its seals.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    if pruned_before(files, tree):
        return _survey_of_what_is_left(files, tree, spec)
    tracker, seals = summary.tracker_of(files, tree, spec), []
    for event in LedgerReader(files, tree).events():
        tracker.fold(event)
        if isinstance(event, ev.SweepSealed):
            seals.append((event, merkle_root(leaves(tracker))))
    return Survey(tracker, seals)


def _survey_of_what_is_left(files: Files, tree: SweepTree, spec: SweepSpec) -> Survey:
    """Return what the newest snapshot of a pruned ledger tells.

    Of its seals that is the last, whose root can be worked out anew unless the sweep was opened again since.
    """
    tracker, _ = summary.replay(files, tree, spec)
    if tracker.sealed is None:
        return Survey(tracker, ())
    is_closed = tracker.status(driven=False) in CLOSED
    root = merkle_root(leaves(tracker)) if is_closed else tracker.sealed.root
    return Survey(tracker, [(tracker.sealed, root)])


def evidence(state: SweepState) -> Iterator[Evidence]:
    """Yield every attempt whose files were found whole and sealed, but damaged results that were replaced."""
    for task in state.tasks:
        for attempt in task.attempts:
            is_whole = attempt.state in EVIDENCE and attempt.cause is not Cause.TRANSFER
            is_replaced = attempt.state is AttemptState.CORRUPT and attempt is not task.attempt
            if is_whole and not is_replaced and attempt.manifest not in (None, manifest.NO_FILES):
                yield Evidence(task, attempt)


async def verify(world: World, tree: SweepTree, found: Survey, scope: Scope, tell: Tell) -> Verification:
    """Read the attempts of a scope in parallel, and compare seal and ledger."""
    every = list(evidence(found.tracker))
    chosen = scope.chosen(every, world.rng(world.token()))
    batches = (chosen[start : start + BATCH] for start in range(0, len(chosen), BATCH))
    checked: list[Checked] = []

    async def read_on() -> None:
        for batch in batches:
            checked.extend(await world.blocking(_check_all, world.files, tree, batch))
            tell(len(checked), len(chosen), sum(one.bytes for one in checked))

    async with asyncio.TaskGroup() as group:
        for _ in range(BLOCKING_THREADS):
            group.create_task(read_on())
    return Verification(
        sealed=len(every),
        checked=tuple(sorted(checked, key=lambda one: (one.task, one.attempt))),
        seal=await world.blocking(check_seal, world.files, tree, found.tracker, found.seals),
    )


def _check_all(files: Files, tree: SweepTree, batch: Sequence[Evidence]) -> list[Checked]:
    return [check(files, tree, one) for one in batch]


def check(files: Files, tree: SweepTree, one: Evidence) -> Checked:
    """Read every byte of one attempt. Blocks."""
    projector = Projector(files, tree)
    place = projector.directory(one.task, one.attempt)
    checked = _check_at(files, str(place), one)
    for _ in range(LOOKS):
        now = projector.directory(one.task, one.attempt)
        if not checked.findings or now == place:
            break  # it was there all the time
        place, checked = now, _check_at(files, str(now), one)
    return checked


def _check_at(files: Files, directory: str, one: Evidence) -> Checked:
    sizes: list[int] = []
    return Checked(
        findings=tuple(_findings(files, directory, one.attempt, sizes)),
        task=one.task.index,
        attempt=one.attempt.number,
        is_result=one.attempt.state is not AttemptState.FAILED,
        files=len(sizes),
        bytes=sum(sizes),
    )


def _findings(files: Files, directory: str, attempt: Attempt, sizes: list[int]) -> Iterator[Finding]:
    if not files.is_directory(directory):
        yield Finding(path="", kind=FindingKind.MISSING, reason="its directory is gone")
        return
    listed = manifest.read(files, directory, attempt.manifest or "")
    if isinstance(listed, manifest.Mismatch):
        yield _finding(listed)
        return
    sizes.extend(entry.size for entry in listed.entries)
    yield from map(_finding, manifest.mismatches(files, directory, listed.entries))
    try:
        names = manifest.extras(files, directory, listed)
    except OSError as error:
        yield Finding(path="", kind=FindingKind.MISSING, reason=f"it cannot be listed: {error.strerror}")
        return
    for path in names:
        yield Finding(path=path, kind=FindingKind.EXTRA, reason="it is in no manifest")


def _finding(mismatch: manifest.Mismatch) -> Finding:
    kind = FindingKind.MISSING if mismatch.is_missing else FindingKind.DAMAGED
    return Finding(path=mismatch.path, kind=kind, reason=mismatch.reason)


# Recording what was found


def news(state: SweepState, checked: Iterable[Checked], at: float) -> list[ev.TaskEvent]:
    """Return what the ledger does not know yet of attempts that have been read."""
    events: list[ev.TaskEvent] = []
    for one in checked:
        event: ev.TaskEvent = ev.ArtifactsRestored(task=one.task, attempt=one.attempt, at=at)
        if one.faults:
            said = tuple(f"{fault.path or 'it'}: {fault.reason}" for fault in one.faults[:TOLD])
            event = ev.ArtifactsDamaged(
                task=one.task, attempt=one.attempt, faults=said, count=len(one.faults), at=at
            )
        task = state.task(one.task)
        if step(task, event, {})[0] is not task:
            events.append(event)
    return events


async def record(world: World, tree: SweepTree, spec: SweepSpec, found: Verification) -> list[ev.Event]:
    """Write down what is news, as an epoch of its own, and return it; without news nothing is written.

    Raises:
        EngineRunning: an engine drives the sweep.
        LedgerError: the sweep cannot be written.
    """
    told: list[ev.TaskEvent] = []

    def said(tracker: SweepTracker) -> Sequence[ev.Event]:
        told.extend(news(tracker, found.checked, world.now()))
        return told

    def last(epoch: int) -> ev.ArtifactsVerified:
        return ev.ArtifactsVerified(
            epoch=epoch,
            attempts=len(found.checked),
            damaged=sum(isinstance(event, ev.ArtifactsDamaged) for event in told),
            restored=sum(isinstance(event, ev.ArtifactsRestored) for event in told),
            at=world.now(),
        )

    return await note(world, tree, spec, said, last)
