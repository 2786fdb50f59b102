"""What a ledger says, read back by nobody in particular: the material of the invariants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hsm.core import events as ev
from hsm.core import summary
from hsm.core.ledger_reader import LedgerReader
from hsm.core.plan import Plan, load_plan
from hsm.core.tracker import SweepTracker

if TYPE_CHECKING:
    from hsm.sim.stage import Stage


@dataclass(frozen=True, slots=True)
class Facts:
    """The events of a ledger in order, the state that they add up to, and the token of each attempt."""

    stage: Stage
    events: list[ev.Event]
    tracker: SweepTracker
    tokens: dict[tuple[int, int], str]


def read_facts(stage: Stage, *, until: int | None = None, before: Facts | None = None) -> Facts:
    """Read the whole ledger, or up to where the engine of an epoch let go, and fold it.

    Every byte of ledger and plans is read anew. Where the events begin with those of facts from `before`, the
    state that these add up to is gone on from, and those facts are of no use any more.

    Raises:
        LedgerError: it cannot be read.
    """
    files, tree = stage.observer, stage.tree
    events: list[ev.Event] = []
    plans: dict[str, Plan] = {}
    for event in LedgerReader(files, tree).events():
        events.append(event)
        if isinstance(event, ev.GenerationPlanned):
            plans[event.plan] = load_plan(files, tree.plans, event.plan, generation=event.generation)
        elif isinstance(event, ev.EngineStopped) and event.epoch == until:
            break
    known = len(before.events) if before is not None else 0
    if before is not None and before.events == events[:known]:
        tracker = before.tracker
    else:
        tracker, known = summary.tracker_of(files, tree, stage.spec), 0
    for event in events[known:]:
        if isinstance(event, ev.GenerationPlanned):
            tracker.preload(plans[event.plan])
        tracker.fold(event)
    tokens = {
        (event.task, event.attempt): event.token for event in events if isinstance(event, ev.AttemptIntended)
    }
    return Facts(stage, events, tracker, tokens)
