"""What is said of a ledger of the corpus: its state in words that later versions keep, or its error."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from hsm.core.audit import audit
from hsm.core.errors import LedgerError
from hsm.core.spec import SweepSpec
from hsm.core.summary import glance, replay
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from hsm.wire.files import Files
from tests.unit.core.worlds import hunt_spec, sweep_spec

PLACE = Path(__file__).parent
GRID = sweep_spec()
HUNT = hunt_spec()


def spec_of(name: str) -> SweepSpec:
    """Return the configuration of a sweep of the corpus."""
    return HUNT if name in {"mid_hunt", "snapshot_and_archive"} else GRID


def state_of(tracker: SweepTracker) -> dict[str, Any]:
    """Return the state of a sweep in words. Later versions may know more; this they must say for ever."""
    return {
        "tasks": [
            {
                "config_hash": task.config_hash,
                "status": str(task.status),
                "reason": task.reason,
                "reuses": task.reuses,
                "metrics": None if task.metrics is None else dict(task.metrics),
                "attempts": [
                    [a.number, a.token, a.source, str(a.state), str(a.cause or ""), a.reason, a.ended_at]
                    for a in task.attempts
                ],
            }
            for task in tracker.tasks
        ],
        "counts": {str(status): count for status, count in sorted((+tracker.counts).items())},
        "generations": [[g.number, g.first, g.count, g.open] for g in tracker.generations],
        "failures": sorted([*key, group.count] for key, group in tracker.failures.items()),
        "cursors": tracker.cursors,
        "epoch": tracker.epoch,
        "over": [tracker.hunt_ended, tracker.cancelled, tracker.stopped, tracker.released],
    }


def read(tree: SweepTree, spec: SweepSpec) -> dict[str, Any]:
    """Return what reading a ledger gives: the hash of its state in every way, or the error."""
    sound = audit(Files(), tree).is_sound
    try:
        ways = [replay(Files(), tree, spec)[0], glance(Files(), tree, spec)[0]]
    except LedgerError as error:
        found = re.search(r"([0-9-]+\.hsl): (damaged at byte \d+)", error.message)
        return {"sound": sound, "error": error.code, "where": " ".join(found.groups()) if found else ""}
    (state,) = {json.dumps(state_of(tracker), sort_keys=True) for tracker in ways}
    counts = state_of(ways[0])["counts"]
    return {"sound": sound, "counts": counts, "state": hashlib.sha256(state.encode()).hexdigest()}
