"""Ledgers written by hand, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hsm.core import events as ev
from hsm.core.model import Exit, Proposal
from hsm.core.plan import write_plan
from hsm.core.states import Cause
from hsm.core.tree import SweepTree
from hsm.wire.files import Files
from tests.unit.core.worlds import Process, open_ledger


def ended(task: int, attempt: int, *, failed: bool = False, **metrics: float) -> list[ev.Event]:
    who: dict[str, Any] = {"task": task, "attempt": attempt}
    end = Exit(code=int(failed), wall_s=0.5)
    last: ev.Event = ev.AttemptSealed(**who, metrics={"f": 1.0, **metrics}, at=4.0)
    if failed:
        last = ev.AttemptFailed(**who, cause=Cause.APPLICATION, reason="=bad", at=4.0)
    return [
        ev.AttemptIntended(**who, token=f"{task}-{attempt}", source="local", at=1.0),
        ev.AttemptExited(**who, exit=end, manifest="m" * 64, started_at=2.0, at=3.0),
        last,
    ]


async def write(tree: SweepTree, groups: Sequence[Sequence[ev.Event]], *, count: int = 3) -> None:
    """Write one epoch for each group."""
    for epoch, group in enumerate(groups, 1):
        world = Process()
        _, ledger = open_ledger(world, tree)
        opening: list[ev.Event] = [
            ev.EngineStarted(epoch=epoch, host="here", pid=1, version="0", at=0.0),
        ]
        if epoch == 1:
            proposals = [Proposal(params={"k": at}) for at in range(1, count + 1)]
            name, _ = write_plan(Files(), tree.plans, proposals, "program")
            opening.append(ev.GenerationPlanned(generation=1, plan=name, first=1, count=count, at=0.5))
        stopped = ev.EngineStopped(epoch=epoch, status="partial", at=9.0)  # type: ignore[arg-type]
        await ledger.commit([*opening, *group, stopped])
        ledger.close()
        Process.dead.add((world.identity().host, world.identity().pid))
        world.close()
