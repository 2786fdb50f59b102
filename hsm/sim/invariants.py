"""The invariants: what must hold whatever happens. Each says what broke it, and nothing when it holds.

The numbers are those of `docs/explanation/simulation.md`.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from hsm.core import events as ev
from hsm.core.model import Task
from hsm.core.states import AttemptState, TaskStatus
from hsm.core.tracker import SweepTracker
from hsm.sim.facts import Facts
from hsm.sim.truth import Execution, Truth
from hsm.wire import frames, names
from hsm.wire.manifest import REPORT

if TYPE_CHECKING:
    from hsm.sim.witness import Witness

_RANK = {
    AttemptState.INTENT: 1,
    AttemptState.UNCONFIRMED: 1,
    AttemptState.SUBMITTED: 2,
    AttemptState.RUNNING: 2,
    AttemptState.MISSING: 2,  # a listing may lack what runs, and have it again as waiting or running
    AttemptState.LOST: 4,
    AttemptState.ABANDONED: 4,
    AttemptState.EXITED: 5,
}
_LAST_RANK = 6
_RESULTS = (AttemptState.SEALED, AttemptState.CORRUPT)
_HEADER = re.compile(rb"L1 [0-9a-f]{16} (?P<length>[0-9a-f]{8}) (?P<crc>[0-9a-f]{8}) ")
QUIET_S = 30.0
"""Half of the time for which a counter must stand still."""


# While it runs


def intent_came_first(execution: Execution, ledger: Mapping[str, bytes]) -> list[str]:
    """I6: before a program runs, the intent to run it is durable."""
    token = execution.token.encode()
    if any(token in content for content in ledger.values()):
        return []
    return [f"I6: attempt {execution.attempt} of task {execution.task} runs without a durable intent"]


def a_token_runs_once(execution: Execution, truth: Truth, exited: AbstractSet[str]) -> list[str]:
    """I7: one attempt is executed once, whatever was handed over how often.

    Where a power cut took every trace of it, before it was known to have ended, it may be executed again.
    """
    before = truth.executions[execution.token][:-1]
    is_unknown = execution.token not in exited or truth.records_failed
    if is_unknown and all(run.began_at <= truth.cuts.get(run.host, -1.0) for run in before):
        return []
    return [f"I7: attempt {execution.attempt} of task {execution.task} was executed twice under one token"]


def ranks_never_fall(task: Task, ranks: dict[int, tuple[bool, int, int]]) -> list[str]:
    """I5: over every crash and replay, what is known of a task's attempts never becomes less.

    Which attempt is sealed first is the result, also when a later one has been intended meanwhile.
    """
    if task.attempt is None:
        return []
    state = task.attempt.state
    rank = (state in _RESULTS, task.attempt.number, _RANK.get(state, _LAST_RANK))
    before = ranks.get(task.index, (False, 0, 0))
    ranks[task.index] = max(rank, before)
    if rank >= before:
        return []
    return [f"I5: {task.task_id} fell from attempt and rank {before[1:]} to {rank[1:]}"]


def a_living_engine_stays(beat_age_s: float | None) -> list[str]:
    """I20: an engine whose heart beats loses its sweep only to somebody who asks for a take-over.

    `beat_age_s` is how long ago the engine that was thrown out last wrote its counter, None when none was.
    """
    if beat_age_s is None or beat_age_s > QUIET_S:
        return []
    return [f"I20: an engine that had beaten {beat_age_s:.1f} s ago was taken for dead"]


def nothing_leaks(files: Sequence[str], coroutines: Sequence[str]) -> list[str]:
    """I14: an engine that lets go leaves no file open and no coroutine behind."""
    leaks = [f"I14: left open: {path}" for path in sorted(set(files))]
    return leaks + [f"I14: left behind: {name}" for name in coroutines]


def live_state_is_the_ledgers(live: SweepTracker, facts: Facts) -> list[str]:
    """I12: the state of a running engine is the fold of its ledger."""
    replayed = facts.tracker
    wrongs = [
        f"I12: {mine.task_id} is {mine.status} live and {other.status} in the ledger"
        for mine, other in zip(live.tasks, replayed.tasks, strict=False)
        if mine != other
    ]
    if len(live.tasks) != len(replayed.tasks):
        wrongs.append(f"I12: {len(live.tasks)} tasks live, {len(replayed.tasks)} in the ledger")
    return wrongs[:3]


# Whenever the disk is looked at


def acknowledged_is_there(facts: Facts, witness: Witness) -> list[str]:
    """I3: everything that was ever acknowledged is in the ledger, in the order of the acknowledgements."""
    left = Counter(map(repr, facts.events))
    for words in witness.words:
        if not left[words]:
            return [f"I3: acknowledged and not in the ledger: {words[:200]}"]
        left[words] -= 1
    asked = [event for event in facts.events if isinstance(event, ev.CancelRequested)]
    for tasks in witness.cancels:
        if not any(set(tasks) <= set(event.tasks) or not event.tasks for event in asked):
            return [f"I3: the cancel of {tasks} was acknowledged and is not in the ledger"]
    return []


def sealed_bytes_are_the_programs(facts: Facts) -> list[str]:
    """I2: the bytes of a result are those that its program wrote, and those that its manifest lists."""
    wrongs: list[str] = []
    for task in facts.tracker.tasks:
        if task.status is TaskStatus.SEALED and task.attempt is not None:
            token = facts.tokens[task.index, task.attempt.number]
            wrong = _compare(facts, task, token)
            if wrong:
                wrongs.append(f"I2: {task.task_id}: {wrong}")
    return wrongs


def _compare(facts: Facts, task: Task, token: str) -> str:
    execution = facts.stage.truth.last(token)
    if execution is None:
        return "sealed, and never executed"
    tree, files, attempt = facts.stage.tree, facts.stage.observer, task.attempt
    name = names.attempt_dir(task.index, attempt.number if attempt else 0, token)
    places = [str(tree.task(task.index)), str(tree.work / name), str(tree.attempts / name)]
    for place in places:
        report = files.read(f"{place}/{REPORT}", 0)
        if attempt and sha256(report).hexdigest() == attempt.manifest:
            return _differs(facts, place, execution, report)
    return "its provenance report is not the one that was sealed, or gone"


def _differs(facts: Facts, place: str, execution: Execution, report: bytes) -> str:
    for path, data in execution.files.items():
        if facts.stage.observer.read(f"{place}/{path}", 0) != data:
            return f"{path} is not what the program wrote"
    for item in json.loads(report)["artifacts"]:
        data = facts.stage.observer.read(f"{place}/{item['path']}", 0)
        if sha256(data).hexdigest() != item["sha256"]:
            return f"{item['path']} is not what the manifest says"
    return ""


def accepted_bytes_never_change(facts: Facts, prefixes: dict[str, bytes]) -> list[str]:
    """I13: bytes of the ledger that were once accepted stay as they are, and its groups are whole."""
    wrongs: list[str] = []
    whole = _segments(facts)
    for name, before in prefixes.items():
        if not whole.get(name, b"").startswith(before):
            wrongs.append(f"I13: accepted bytes of {name} have changed")
    newest = max((name for name, data in whole.items() if _group_ends(data)), default="")
    committed = _committed(whole, newest)
    if committed != len(facts.events):
        wrongs.append(f"I13: {len(facts.events)} events were read, {committed} are committed")
    for name, data in whole.items():
        prev = _prev_of(data)
        if not prev.get("segment"):
            continue
        before = whole.get(prev["segment"], b"")
        if prev["length"] not in _group_ends(before):
            wrongs.append(f"I13: {name} goes on in the middle of a group of {prev['segment']}")
        prefixes[prev["segment"]] = before[: prev["length"]]
    prefixes[newest] = whole.get(newest, b"")[: last_group(whole.get(newest, b""))]  # the last is in doubt
    return wrongs


def _committed(whole: dict[str, bytes], name: str) -> int:
    """Count the records of whole groups, going back from a segment; headers are none."""
    count, limit = 0, len(whole.get(name, b""))
    while name:
        data = whole.get(name, b"")
        pending = 0
        for end, is_commit in _frames(data):
            if end > limit:
                break
            pending += not is_commit
            if is_commit:
                count, pending = count + pending, 0
        count -= 1  # the header
        prev = _prev_of(data)
        name, limit = prev.get("segment", ""), prev.get("length", 0)
    return count


def _segments(facts: Facts) -> dict[str, bytes]:
    """Return every segment by its name, those in the archive unpacked."""
    files, tree = facts.stage.observer, facts.stage.tree
    packed = files.matching(str(tree.archive), ".hsl.gz")
    whole = {path.rpartition("/")[2][:-3]: zlib.decompress(files.contents(path), 31) for path in packed}
    plain = files.matching(str(tree.ledger), ".hsl")
    return {**whole, **{path.rpartition("/")[2]: files.contents(path) for path in plain}}


def _group_ends(data: bytes) -> list[int]:
    """Return where the whole groups of a segment end. Its own reading of the format, on purpose."""
    return [end for end, is_commit in _frames(data) if is_commit]


@lru_cache(maxsize=256)
def _frames(data: bytes) -> Sequence[tuple[int, bool]]:
    """Return where each whole frame ends, and whether it closes a group; a power cut leaves holes in some."""
    found: list[tuple[int, bool]] = []
    at = 0
    while head := _HEADER.match(data, at):
        end = at + 38 + int(head["length"], 16) + 1
        crc = zlib.crc32(data[at + 3 : at + 29] + data[at + 38 : end - 1])
        if end > len(data) or crc != int(head["crc"], 16) or data[end - 1 : end] != b"\n":
            break
        found.append((end, data.startswith(b'{"t":"C",', at + 38)))
        at = end
    return found


def _prev_of(data: bytes) -> dict[str, Any]:
    """Return what a segment's header says of the one before, nothing without a header."""
    payload = frames.first_payload(data)
    found: dict[str, Any] = json.loads(payload)["prev"] if payload is not None else {}
    return found


def last_group(data: bytes) -> int:
    """Return where the last whole group of a segment begins."""
    ends = _group_ends(data)
    return ends[-2] if len(ends) > 1 else 0
