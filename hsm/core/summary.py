"""From disk to tracker: the newest snapshot that can be used, and what the ledger says since."""

from __future__ import annotations

from collections.abc import Iterable

from hsm.core import events as ev
from hsm.core.archive import check_unpruned
from hsm.core.errors import LedgerCorrupt, MachineError
from hsm.core.ledger_reader import LedgerReader
from hsm.core.plan import Plan, load_plan
from hsm.core.segments import is_on_ledger
from hsm.core.snapshots import SnapshotInvalid, kept, read_head, restore
from hsm.core.spec import SweepSpec
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.wire.files import Files

Replayed = tuple[SweepTracker, LedgerReader]


def tracker_of(files: Files, tree: SweepTree, spec: SweepSpec) -> SweepTracker:
    """Return an empty tracker that reads its plans from this tree."""

    def plan_reader(event: ev.GenerationPlanned) -> Plan:
        return load_plan(files, tree.plans, event.plan, generation=event.generation)

    return SweepTracker(spec, plan_reader)


def replay(files: Files, tree: SweepTree, spec: SweepSpec) -> Replayed:
    """Fold what came since the newest durable snapshot, the whole ledger where there is none.

    The reader can go on from there.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    return _newest(files, tree, spec, kept(files, tree)) or _whole(files, tree, spec)


def glance(files: Files, tree: SweepTree, spec: SweepSpec) -> Replayed:
    """Do as `replay` does, from the summary where that will do: for looking."""
    try:
        found = _newest(files, tree, spec, [str(tree.summary)])
    except (MachineError, LedgerCorrupt):
        found = None
    return found or replay(files, tree, spec)


def _newest(files: Files, tree: SweepTree, spec: SweepSpec, snapshots: Iterable[str]) -> Replayed | None:
    for path in snapshots:
        tracker = tracker_of(files, tree, spec)
        try:
            head = read_head(files, path)
            if not is_on_ledger(files, tree, head.mark):
                continue
            restore(files, tree, tracker, head)
        except SnapshotInvalid:
            continue
        return _folded(tracker, LedgerReader(files, tree, head.mark))
    return None


def _whole(files: Files, tree: SweepTree, spec: SweepSpec) -> Replayed:
    reader = LedgerReader(files, tree)
    check_unpruned(files, tree)
    return _folded(tracker_of(files, tree, spec), reader)


def _folded(tracker: SweepTracker, reader: LedgerReader) -> Replayed:
    for event in reader.events():
        tracker.fold(event)
    return tracker, reader
