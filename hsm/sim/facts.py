"""What a ledger says, read back by nobody in particular: the material of the invariants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hsm.core import events as ev
from hsm.core import summary
from hsm.core.ledger_reader import LedgerReader
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


def read_facts(stage: Stage, *, until: int | None = None) -> Facts:
    """Read and fold the whole ledger, or up to where the engine of an epoch let go.

    Raises:
        LedgerError: it cannot be read.
    """
    files, tree = stage.observer, stage.tree
    tracker = summary.tracker_of(files, tree, stage.spec)
    events: list[ev.Event] = []
    for event in LedgerReader(files, tree).events():
        tracker.fold(event)
        events.append(event)
        if isinstance(event, ev.EngineStopped) and event.epoch == until:
            break
    tokens = {
        (event.task, event.attempt): event.token for event in events if isinstance(event, ev.AttemptIntended)
    }
    return Facts(stage, events, tracker, tokens)
