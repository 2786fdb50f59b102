"""The invariants that are looked at once, at the end of a simulation, when all is healed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from random import Random

from hsm.core import events as ev
from hsm.core import summary
from hsm.core.errors import LedgerError, MachineError
from hsm.core.model import Attempt, History, Hunter, HuntOver, TaskResult
from hsm.core.plan import write_plan
from hsm.core.projection import Projector
from hsm.core.states import Cause
from hsm.core.tracker import SweepTracker
from hsm.core.world import World
from hsm.sim.agents import SimAgent
from hsm.sim.facts import Facts, read_facts
from hsm.sim.invariants import last_group, sealed_bytes_are_the_programs
from hsm.sim.truth import Execution

CHARGED = frozenset({Cause.LOST, Cause.APPLICATION, Cause.TIME, Cause.MEMORY})


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


def companions_are_left_alone(facts: Facts) -> Iterator[str]:
    """I8: what was in a process that ended early goes again with half as many, until it is alone.

    And once where it was alone, in a process that had served batches before.
    """
    batch = facts.stage.spec.program.batch
    halves = max(1, (batch.size - 1).bit_length()) if batch else 0
    for task in facts.tracker.tasks:
        count = sum(attempt.cause is Cause.BATCH for attempt in task.attempts[task.spent :])
        if count > halves:
            yield f"I8: {task.task_id} was taken down with its batch {count} times, more than {halves}"


def _was_begun(facts: Facts, attempt: Attempt) -> bool:
    if facts.stage.truth.last(attempt.token) is not None:
        return True
    # Nobody can tell of these whether they began: claimed by an agent that died, or lost by a batch system.
    return any(words in attempt.reason for words in ("while it was being started", "it vanished"))


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
    left = sum(isinstance(event, ev.GenerationPlanned) for event in facts.events)
    for event in facts.events:
        if isinstance(event, ev.GenerationPlanned):
            yield from _plan_differs(facts, hunter, tracker, event)
            left -= 1
        tracker.fold(event)
        if not left:
            return  # what follows leads to no plan


def _plan_differs(
    facts: Facts, hunter: Hunter, tracker: SweepTracker, event: ev.GenerationPlanned
) -> Iterator[str]:
    if event.plan != _plan_of(facts, hunter, tracker, event.generation):
        yield f"I9: generation {event.generation} is not what its outcomes lead to"


def _plan_of(facts: Facts, hunter: Hunter, tracker: SweepTracker, generation: int) -> str:
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
        proposals = hunter.ask(history, rng)
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
            if program.token and not is_out_of_reach(stage.agents, machine.name, program.token):
                yield f"I10: {program.name} {program.pid} still runs on {machine.name}"
    jobs = stage.cluster.open_jobs if stage.cluster is not None else 0
    if jobs:
        yield f"I10: {jobs} jobs are still with the batch system"
    for agent in stage.agents:
        if agent.process.alive:
            yield f"I10: agent {agent.process.pid} still runs"


def is_out_of_reach(agents: Sequence[SimAgent], machine: str, token: str) -> bool:
    """Tell whether what is left of a batch's process can be ended by nobody who is there.

    Its agent was killed, none of its source has begun on that machine since, and one has on another.
    """
    serving = [agent for agent in agents if agent.has_begun and token.startswith(agent.mark)]
    here = [agent for agent in serving if agent.machine == machine]
    if not here or serving[-1] is here[-1]:
        return False
    return token.startswith(here[-1].own_mark) and not here[-1].has_left


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
            if name.endswith(".part") and not name.endswith(".beat.part"):  # of a counter that nobody reads
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
    at = rng.randrange(len(whole.rstrip(b"\0")))  # not among the zeros that are laid out for what comes
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
    if again.events == facts.events or at + width > last_group(whole):
        return []
    return [f"I18: damage at byte {at} of {path.rpartition('/')[2]} passed unseen"]


CHECKS: tuple[Callable[[Facts], Iterator[str]], ...] = (
    sealed_once,
    records_are_true,
    budgets_hold,
    companions_are_left_alone,
    plans_follow_from_outcomes,
    everything_ended,
    cancel_wins,
    summary_is_the_ledgers,
    nothing_is_left_over,
    final_bytes,
)
