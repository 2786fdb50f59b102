"""Notes: what is written into the ledger of a sweep that nobody drives, as an epoch of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hsm.core import control, snapshots, summary
from hsm.core import events as ev
from hsm.core.ledger import Ledger
from hsm.core.projection import Projector
from hsm.core.seal import sealed, write_seal
from hsm.core.segments import Mark
from hsm.core.spec import SweepSpec
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire.files import Files

Said = Callable[[SweepTracker], Sequence[ev.Event]]
LastWord = Callable[[int], ev.EngineStopped | ev.ArtifactsVerified]
"""The event that lets go of this epoch."""


async def note(world: World, tree: SweepTree, spec: SweepSpec, said: Said, last: LastWord) -> list[ev.Event]:
    """Commit what is to be said of the sweep as it stands, and return it; where that is nothing, do nothing.

    Raises:
        EngineRunning: an engine drives the sweep.
        LedgerError: the sweep cannot be written.
    """
    tracker, reader = await world.blocking(summary.replay, world.files, tree, spec)
    events = [*said(tracker)]
    if not events:
        return []
    socket = control.address_of(world, tree)  # nobody listens there; it says that this tree is no copy
    ledger = await world.blocking(Ledger.open, world, tree, reader, socket=socket, released=tracker.released)
    try:
        await ledger.commit(events)
        head = ledger.mark  # the last group may be said again by a successor, what is before it never
        events.append(last(ledger.claim.epoch))
        await ledger.commit(events[-1:])
        for event in events:
            tracker.fold(event)
        await world.blocking(_project, world.files, tree, tracker, events, (head, ledger.mark))
    finally:
        ledger.close()
    return events


def _project(
    files: Files, tree: SweepTree, tracker: SweepTracker, events: Sequence[ev.Event], marks: tuple[Mark, Mark]
) -> None:
    """Let the readable files say what is known now; they can be written anew at any time.

    `marks` are the head that a seal names, and the end of the ledger.
    """
    head, mark = marks
    projector = Projector(files, tree)
    for index in {event.task for event in events if isinstance(event, ev.TaskEvent)}:
        if files.is_directory(str(tree.task(index))):
            projector.write_status(tracker.task(index))
    projector.write_mapping(tracker)
    snapshots.save(files, tree, snapshots.freeze(tracker, mark))
    if any(isinstance(event, ev.SweepSealed) for event in events):
        write_seal(files, tree, tracker, head)


async def seal_if_due(world: World, tree: SweepTree, spec: SweepSpec) -> None:
    """Seal a sweep that is over, where its engine died before it came to that.

    Raises:
        EngineRunning, LedgerError: as `note` does.
    """
    due: list[ev.SweepSealed] = []

    def missing(tracker: SweepTracker) -> Sequence[ev.Event]:
        seal = sealed(tracker, tracker.last_at or 0.0)  # when it ended, not when somebody sealed it
        known = tracker.sealed
        if seal and not (known and (seal.root, seal.counts) == (known.root, dict(known.counts))):
            due.append(seal)
        return due

    def over(epoch: int) -> ev.EngineStopped:
        return ev.EngineStopped(epoch=epoch, status=due[0].status, reason="sealed", at=due[0].at)

    await note(world, tree, spec, missing, over)
