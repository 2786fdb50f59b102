"""The invariants: what must hold whatever happens. Each says what broke it, and nothing when it holds.

The numbers are those of `docs/explanation/simulation.md`.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING, Any

from hsm.core import events as ev
from hsm.core import summary
from hsm.core.errors import LedgerError, MachineError
from hsm.core.model import Attempt, History, HuntOver, Task, TaskResult
from hsm.core.plan import write_plan
from hsm.core.projection import Projector
from hsm.core.states import AttemptState, Cause, TaskStatus
from hsm.core.tracker import SweepTracker
from hsm.sim.facts import Facts, read_facts
from hsm.sim.truth import Execution, Truth
from hsm.wire import frames, names
from hsm.wire.manifest import REPORT

if TYPE_CHECKING:
    from hsm.sim.witness import Witness

_RANK = {
    AttemptState.INTENT: 1,
    AttemptState.UNCONFIRMED: 1,
    AttemptState.SUBMITTED: 2,
    AttemptState.RUNNING: 3,
    AttemptState.MISSING: 3,
    AttemptState.LOST: 4,
    AttemptState.ABANDONED: 4,
    AttemptState.EXITED: 5,
}
_LAST_RANK = 6
CHARGED = frozenset({Cause.LOST, Cause.APPLICATION, Cause.TIME, Cause.MEMORY})


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
    if is_unknown and all(run.began_at <= truth.last_cut_at for run in before):
        return []
    return [f"I7: attempt {execution.attempt} of task {execution.task} was executed twice under one token"]


def ranks_never_fall(task: Task, ranks: dict[int, tuple[int, int]]) -> list[str]:
    """I5: over every crash and replay, what is known of a task's attempts never becomes less."""
    if task.attempt is None:
        return []
    rank = (task.attempt.number, _RANK.get(task.attempt.state, _LAST_RANK))
    before = ranks.get(task.index, (0, 0))
    ranks[task.index] = max(rank, before)
    if rank >= before:
        return []
    return [f"I5: {task.task_id} fell from attempt and rank {before} to {rank}"]


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
    for event in witness.acknowledged:
        if isinstance(event, ev.RecordingHindered | ev.RecordingResumed):
            continue  # told before they can be recorded, because that is what they tell
        words = repr(event)
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
    newest = max(whole, default="")
    for name, data in whole.items():
        prev = _prev_of(data)
        if not prev.get("segment"):
            continue
        before = whole.get(prev["segment"], b"")
        if prev["length"] not in _group_ends(before):
            wrongs.append(f"I13: {name} goes on in the middle of a group of {prev['segment']}")
        prefixes[prev["segment"]] = before[: prev["length"]]
    prefixes[newest] = whole.get(newest, b"")[: _last_group(whole.get(newest, b""))]  # the last is in doubt
    return wrongs


def _segments(facts: Facts) -> dict[str, bytes]:
    """Return every segment by its name, those in the archive unpacked."""
    files, tree = facts.stage.observer, facts.stage.tree
    packed = files.matching(str(tree.archive), ".hsl.gz")
    whole = {path.rpartition("/")[2][:-3]: zlib.decompress(files.contents(path), 31) for path in packed}
    plain = files.matching(str(tree.ledger), ".hsl")
    return {**whole, **{path.rpartition("/")[2]: files.contents(path) for path in plain}}


def _group_ends(data: bytes) -> list[int]:
    """Return where the whole groups of a segment end. Its own reading of the format, on purpose."""
    ends, at = [], 0
    while data[at : at + 3] == b"L1 " and len(data) >= at + 38:
        end = at + 38 + int(data[at + 20 : at + 28], 16) + 1
        if end > len(data):
            break
        if data[at + 38 :].startswith(b'{"t":"C",'):
            ends.append(end)
        at = end
    return ends


def _prev_of(data: bytes) -> dict[str, Any]:
    """Return what a segment's header says of the one before, nothing without a header."""
    payload = frames.first_payload(data)
    found: dict[str, Any] = json.loads(payload)["prev"] if payload is not None else {}
    return found


# At the end


def sealed_once(facts: Facts) -> Iterator[str]:
    """I1: no task has two results, ever, over all epochs and crashes."""
    seals = Counter(event.task for event in facts.events if isinstance(event, ev.AttemptSealed))
    yield from (f"I1: task {task} was sealed {count} times" for task, count in seals.items() if count > 1)


def records_are_true(facts: Facts) -> Iterator[str]:
    """I4: every start, exit and result in the ledger happened in the world, with that exit status."""
    for event in facts.events:
        if not isinstance(event, ev.AttemptStarted | ev.AttemptExited | ev.AttemptSealed):
            continue
        execution = facts.stage.truth.last(facts.tokens.get((event.task, event.attempt), ""))
        if execution is None:
            yield f"I4: {event.kind} of task {event.task}, attempt {event.attempt}, which never ran"
        elif isinstance(event, ev.AttemptExited) and event.exit is not None:
            yield from _exit_differs(event, execution)


def _exit_differs(event: ev.AttemptExited, execution: Execution) -> Iterator[str]:
    told = event.exit.signal if event.exit.signal is not None else (event.exit.code or 0) << 8
    if execution.status is None:
        yield f"I4: task {event.task}, attempt {event.attempt} has exited, and runs"
    elif told != execution.status:
        yield f"I4: task {event.task} exited with {told}, the world knows {execution.status}"


def budgets_hold(facts: Facts) -> Iterator[str]:
    """I8: no task has more attempts for one cause than its budget allows."""
    for task in facts.tracker.tasks:
        causes = Counter(attempt.cause for attempt in task.attempts if attempt.cause is not None)
        for cause, count in causes.items():
            if count > facts.stage.spec.retry.get(cause, 0) + 1:
                yield f"I8: {task.task_id} has {count} attempts that ended by {cause}"
        for attempt in task.attempts:
            if attempt.cause in CHARGED and not _was_begun(facts, attempt):
                yield f"I8: {task.task_id} is charged attempt {attempt.number}, which never began"


def _was_begun(facts: Facts, attempt: Attempt) -> bool:
    return facts.stage.truth.last(attempt.token) is not None or "while it was being started" in attempt.reason


def plans_follow_from_outcomes(facts: Facts) -> Iterator[str]:
    """I9: each generation is planned once, and is what the hunter says to the outcomes in task order."""
    numbers = [event.generation for event in facts.events if isinstance(event, ev.GenerationPlanned)]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"I9: generations were planned as {numbers}"
    if facts.stage.spec.hunt is not None:
        yield from _replanned(facts)


def _replanned(facts: Facts) -> Iterator[str]:
    """Ask the hunter anew before each plan, with the state that the ledger had then."""
    stage = facts.stage
    tracker = summary.tracker_of(stage.observer, stage.tree, stage.spec)
    hunter = stage.scenario.make_hunter()
    for event in facts.events:
        is_plan = isinstance(event, ev.GenerationPlanned)
        if is_plan and event.plan != _plan_of(facts, hunter, tracker, event.generation):
            yield f"I9: generation {event.generation} is not what its outcomes lead to"
        tracker.fold(event)


def _plan_of(facts: Facts, hunter: object, tracker: SweepTracker, generation: int) -> str:
    from hsm.core.world import World  # noqa: PLC0415

    stage = facts.stage
    results = [
        TaskResult(
            index=task.index,
            generation=task.generation,
            params=json.loads(task.params_json),
            seed=task.seed,
            label=task.label,
            outcome=tracker.outcome(task),
        )
        for task in sorted(tracker.tasks, key=lambda task: task.index)
    ]
    history = History(generation=generation, results=results)
    rng = World().rng("hsm.hunt.v1", stage.scenario.seed, generation)
    scratch = stage.tree.root.parent / "scratch"
    stage.observer.make_directories(str(scratch))
    digest = tracker.created.program_digest if tracker.created else ""
    try:
        proposals = hunter.ask(history, rng)  # type: ignore[attr-defined]
    except HuntOver:
        return ""
    return write_plan(stage.observer, scratch, proposals, digest)[0]


def everything_ended(facts: Facts) -> Iterator[str]:
    """I10: once all is healed every task becomes final, and nothing runs any more."""
    stage, tracker = facts.stage, facts.tracker
    if not tracker.is_over:
        yield f"I10: the sweep is not over: {dict(+tracker.counts)}"
    for machine in stage.machines.values():
        for program in machine.programs():
            if program.token:
                yield f"I10: {program.name} {program.pid} still runs on {machine.name}"
    for agent in stage.agents:
        if agent.process.alive:
            yield f"I10: agent {agent.process.pid} still runs"


def cancel_wins(facts: Facts) -> Iterator[str]:
    """I11: after its cancel no attempt of a task is begun, and a cancelled task gets no result."""
    asked: set[int] = set()
    gone: set[int] = set()
    known = 0
    for event in facts.events:
        if isinstance(event, ev.GenerationPlanned):
            known += event.count
        elif isinstance(event, ev.CancelRequested):
            asked |= set(event.tasks or range(1, known + 1))
        elif isinstance(event, ev.TasksReopened):
            asked -= set(event.tasks)
            gone -= set(event.tasks)
        elif isinstance(event, ev.AttemptCancelled):
            gone.add(event.task)
        elif isinstance(event, ev.AttemptIntended) and event.task in asked:
            yield f"I11: task {event.task} was begun again after its cancel"
        elif isinstance(event, ev.AttemptSealed) and event.task in gone:
            yield f"I11: task {event.task} got a result after it was cancelled"


def summary_is_the_ledgers(facts: Facts) -> Iterator[str]:
    """I12: what a quick look counts is what the whole ledger adds up to."""
    seen, _ = summary.glance(facts.stage.observer, facts.stage.tree, facts.stage.spec)
    if +seen.counts != +facts.tracker.counts:
        yield f"I12: the summary counts {dict(+seen.counts)}, the ledger {dict(+facts.tracker.counts)}"


def nothing_is_left_over(facts: Facts) -> Iterator[str]:
    """I14: no half-written file and no work directory of a task that is over stays behind."""
    files, tree = facts.stage.observer, facts.stage.tree
    Projector(files, tree).tidy(facts.tracker)  # as the next engine would begin
    for folder in (tree.hsm, tree.epochs, tree.plans, tree.ledger):
        for name in files.list(str(folder)):
            if name.endswith(".part"):
                yield f"I14: left over: {folder.name}/{name}"
    for name in files.list(str(tree.work)):
        yield f"I14: left over: .hsm/work/{name}"


def final_bytes(facts: Facts) -> Iterator[str]:
    """I2, at the end."""
    yield from sealed_bytes_are_the_programs(facts)


def damage_is_seen(facts: Facts, rng: Random) -> list[str]:
    """I18: a ledger that is damaged where it was acknowledged is refused, never read as something else."""
    stage = facts.stage
    paths = stage.observer.matching(str(stage.tree.ledger), ".hsl")
    path = rng.choice([path for path in paths if stage.observer.length(path)])
    inode = stage.shared.inode(path)
    whole = bytes(inode.content)
    at = rng.randrange(len(whole))
    width = rng.choice((1, 1, 16, 512))
    bit = rng.choice((1, 4, 0x80))
    damaged = bytes(byte ^ bit for byte in whole[at : at + 1]) if width == 1 else bytes(width)
    inode.content[at : at + len(damaged)] = damaged
    try:
        again = read_facts(stage)
    except (LedgerError, MachineError):
        return []
    except Exception as error:  # noqa: BLE001 - any other one means that it was not seen as damage
        return [f"I18: damage at byte {at} of {path.rpartition('/')[2]} led to {error!r}"]
    finally:
        inode.content = bytearray(whole)
    # The very last group may be taken for one that was never finished: nothing stands behind it.
    if again.events == facts.events or at + width > _last_group(whole):
        return []
    return [f"I18: damage at byte {at} of {path.rpartition('/')[2]} passed unseen"]


def _last_group(data: bytes) -> int:
    """Return where the last whole group of a segment begins."""
    ends = _group_ends(data)
    return ends[-2] if len(ends) > 1 else 0


AT_THE_END: tuple[Callable[[Facts], Iterator[str]], ...] = (
    sealed_once,
    records_are_true,
    budgets_hold,
    plans_follow_from_outcomes,
    everything_ended,
    cancel_wins,
    summary_is_the_ledgers,
    nothing_is_left_over,
    final_bytes,
)
