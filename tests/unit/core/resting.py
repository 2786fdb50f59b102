"""Sweeps at rest: a ledger and the files that it speaks of, as an engine leaves them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsm.core import events as ev
from hsm.core.ledger import Ledger
from hsm.core.model import Exit, Proposal
from hsm.core.plan import write_plan
from hsm.core.seal import sealed, write_seal
from hsm.core.states import Cause
from hsm.core.summary import replay
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.wire import manifest
from hsm.wire.files import Files
from hsm.wire.hashing import sha256_hex
from tests.unit.core.worlds import Process, new_tree, sweep_spec

FILES = Files()
SPEC = sweep_spec()


def leave(directory: Path, **files: bytes) -> str:
    """Write an attempt's files and the report on them as the agent does, and return the report's digest."""
    (directory / "results").mkdir(parents=True)
    for name, data in {"stdout.log": b"", "params.yaml": b"k: 1\n", **files}.items():
        (directory / name).write_bytes(data)
    entries = manifest.build(FILES, str(directory), manifest.find(FILES, str(directory)))
    report = json.dumps({"artifacts": [entry._asdict() for entry in entries]}).encode()
    (directory / manifest.REPORT).write_bytes(report)
    return sha256_hex(report)


@dataclass(frozen=True)
class Resting:
    """A sweep that no engine drives."""

    tree: SweepTree
    world: Process

    def tracker(self) -> SweepTracker:
        return replay(FILES, self.tree, SPEC)[0]

    def engine(self, *groups: Sequence[ev.Event], dies: bool = False) -> SweepTracker:
        """Let an engine commit these groups, close the sweep if it is over, and leave, unless it dies."""
        tracker, reader = replay(FILES, self.tree, SPEC)
        ledger = Ledger.open(self.world, self.tree, reader, socket="", released=tracker.released)
        started = ev.EngineStarted(epoch=ledger.claim.epoch, host="h", pid=1, version="0", at=10.0)
        self._commit(ledger, tracker, [started])
        for group in groups:
            self._commit(ledger, tracker, group)
        if dies:
            ledger.close()
            return tracker
        seal = sealed(tracker, 20.0)
        status = tracker.status(driven=False)
        stopped = ev.EngineStopped(epoch=ledger.claim.epoch, status=status, at=20.0)
        if seal:
            self._commit(ledger, tracker, [seal])
        head = ledger.mark
        self._commit(ledger, tracker, [stopped])
        if seal:
            write_seal(FILES, self.tree, tracker, head)
        ledger.close()
        return tracker

    def _commit(self, ledger: Ledger, tracker: SweepTracker, events: Sequence[ev.Event]) -> None:
        for event in events:
            tracker.fold(event)
        asyncio.run(ledger.commit(events))


def ending(tree: SweepTree, task: int, number: int = 1, *, cause: Cause | None = None) -> list[ev.Event]:
    """Leave the files of an attempt in the task's place, and return the events of its whole life."""
    who: dict[str, Any] = {"task": task, "attempt": number}
    digest = leave(
        tree.task(task), **{"metrics.json": b'{"f": %d}' % task, "results/x.bin": b"%d" % task * 99}
    )
    exit_ = Exit(code=0 if cause is None else 1)
    token, at = f"{task:016x}{number:016x}", 12.0
    verdict: ev.Event = ev.AttemptSealed(**who, metrics={"f": float(task)}, files=4, bytes=9, at=13.0)
    if cause is not None:
        verdict = ev.AttemptFailed(**who, cause=cause, reason="exit code 1", at=13.0)
    return [
        ev.AttemptIntended(**who, token=token, source="local", at=at),
        ev.AttemptExited(**who, exit=exit_, manifest=digest, cause=cause, started_at=at, at=at),
        verdict,
    ]


def resting(root: Path, tasks: int = 3, *, failed: Sequence[int] = ()) -> Resting:
    """Make a grid of so many tasks, all of them run."""
    found = Resting(new_tree(root), Process())
    created = ev.SweepCreated(
        sweep_id=found.tree.sweep_id, name="demo", config_digest="c" * 64, program_digest="p", at=9.0
    )
    proposals = [Proposal(params={"k": number}) for number in range(tasks)]
    name, count = write_plan(FILES, found.tree.plans, proposals, "p")
    planned = ev.GenerationPlanned(generation=1, plan=name, first=1, count=count, at=11.0)
    over = ev.HuntEnded(generation=2, at=11.0)
    runs = [
        ending(found.tree, task, cause=Cause.APPLICATION if task in failed else None)
        for task in range(1, tasks + 1)
    ]
    found.engine([created, planned, over], *runs)
    return found
