"""Every way in which submit, look-up and taking over can interleave, for two tasks and two engines.

The machine is the real one; engines, source and time are as small as they can be. Searched is every state
that can be reached with one crash and one lost reply: the engine that crashed may also be a zombie, whose
orders come in late.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from hsm.core import events as ev
from hsm.core import resolver
from hsm.core.machine import step
from hsm.core.model import Exit, Task
from hsm.core.resolver import DOUBTFUL
from hsm.core.states import AttemptState, Cause, TaskStatus

TASKS = 2
NO_BUDGET: dict[Cause, int] = {}  # a transport fault may cost no attempt of any cause


@dataclass(frozen=True)
class State:
    """Everything there is: what is durable, what is in the world, what an engine remembers."""

    tasks: tuple[Task, ...]
    world: tuple[tuple[str, str], ...] = ()  # token to hidden, queued, running, exited
    ran: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()  # intended and not yet handed over
    zombie: tuple[str, ...] = ()  # the same, of the engine that was superseded
    doubts: tuple[tuple[str, int], ...] = ()
    losses: int = 1
    crashes: int = 1

    @property
    def key(self) -> object:
        told = tuple((task.status, tuple(a.state for a in task.attempts)) for task in self.tasks)
        return told, self.world, self.ran, self.orders, self.zombie, self.doubts, self.losses, self.crashes

    def fold(self, event: ev.TaskEvent, **changes: object) -> State:
        after, _ = step(self.tasks[event.task - 1], event, NO_BUDGET)
        tasks = tuple(after if task.index == event.task else task for task in self.tasks)
        return replace(self, tasks=tasks, **changes)  # type: ignore[arg-type]

    def put(self, token: str, stage: str) -> tuple[tuple[str, str], ...]:
        return tuple(sorted({**dict(self.world), token: stage}.items()))

    def without_doubt(self, token: str) -> tuple[tuple[str, int], ...]:
        return tuple(doubt for doubt in self.doubts if doubt[0] != token)


def place(token: str) -> dict[str, Any]:
    task, _, attempt = token.partition(".")
    return {"task": int(task), "attempt": int(attempt)}


def state_of(state: State, token: str) -> AttemptState:
    where = place(token)
    return state.tasks[where["task"] - 1].attempts[where["attempt"] - 1].state


@dataclass(frozen=True)
class Rules:
    """The protocol, or one that is wrong in one point."""

    negatives: int = resolver.NEGATIVES
    is_fenced: bool = True
    resubmits: bool = False


def following(state: State, rules: Rules) -> Iterator[State]:
    """Yield every state that may come next."""
    yield from _engine(state, rules)
    yield from _world(state)
    if state.zombie:  # its order comes in behind the place where its inbox counts
        token, *rest = state.zombie
        world = state.world if rules.is_fenced else state.put(token, "queued")
        yield replace(state, zombie=tuple(rest), world=world)
    if state.crashes:
        doubts = tuple(
            (f"{task.index}.{attempt.number}", 0)
            for task in state.tasks
            for attempt in task.attempts
            if attempt.state in DOUBTFUL
        )
        yield replace(state, orders=(), zombie=state.orders, doubts=doubts, crashes=state.crashes - 1)


def _engine(state: State, rules: Rules) -> Iterator[State]:
    for task in state.tasks:
        if task.status is TaskStatus.RECEIVED:
            number = len(task.attempts) + 1
            token = f"{task.index}.{number}"
            intent = ev.AttemptIntended(task=task.index, attempt=number, token=token, source="s", at=0.0)
            yield state.fold(intent, orders=(*state.orders, token))
    if state.orders:
        yield from _hand_over(state, rules)
    for token, negatives in state.doubts:
        yield from _ask(state, token, negatives, rules)
    for token, stage in state.world:
        yield from _observe(state, token, stage)


def _observe(state: State, token: str, stage: str) -> Iterator[State]:
    known = state_of(state, token)
    if stage == "running" and known in DOUBTFUL | {AttemptState.SUBMITTED}:
        yield state.fold(ev.AttemptStarted(**place(token), at=0.0))
    if stage == "exited" and (known.is_live and known is not AttemptState.EXITED):
        end = Exit(code=0)
        yield state.fold(ev.AttemptExited(**place(token), exit=end, manifest="m", started_at=0.0, at=0.0))
    if known is AttemptState.EXITED:
        yield state.fold(ev.AttemptSealed(**place(token), at=0.0))


def _hand_over(state: State, rules: Rules) -> Iterator[State]:
    token, *rest = state.orders
    left = tuple(rest)
    yield replace(state, orders=left, world=state.put(token, "queued"))
    if not state.losses:
        return
    lost = ev.AttemptUnconfirmed(**place(token), reason="", at=0.0)
    if rules.resubmits:
        void = ev.AttemptVoided(**place(token), at=0.0)
        yield state.fold(void, orders=left, world=state.put(token, "hidden"), losses=0)
        return
    doubts = (*state.without_doubt(token), (token, 0))
    yield state.fold(lost, orders=left, world=state.put(token, "hidden"), doubts=doubts, losses=0)
    yield state.fold(lost, orders=left, doubts=doubts, losses=0)


def _ask(state: State, token: str, negatives: int, rules: Rules) -> Iterator[State]:
    stage = dict(state.world).get(token)
    rest = state.without_doubt(token)
    if state_of(state, token) not in DOUBTFUL:
        yield replace(state, doubts=rest)
    elif stage is not None and stage != "hidden":
        yield state.fold(ev.AttemptSubmitted(**place(token), ref=token), doubts=rest)
    elif negatives + 1 < rules.negatives:
        yield replace(state, doubts=(*rest, (token, negatives + 1)))
    elif stage is None or rules.negatives == 1:  # for what is hidden, the settling time is over by then
        yield state.fold(ev.AttemptVoided(**place(token), at=0.0), doubts=rest)


def _world(state: State) -> Iterator[State]:
    after = {"hidden": "queued", "queued": "running", "running": "exited"}
    for token, stage in state.world:
        if stage in after:
            ran = (*state.ran, token) if stage == "queued" else state.ran
            yield replace(state, world=state.put(token, after[stage]), ran=tuple(sorted(ran)))


def check(state: State) -> None:
    """Check what must hold in every state."""
    for task in state.tasks:
        sealed = [attempt for attempt in task.attempts if attempt.state is AttemptState.SEALED]
        assert len(sealed) <= 1, "two results"
        assert all(attempt.cause is None for attempt in task.attempts), "charged"
    begun = [token.partition(".")[0] for token in state.ran]
    assert len(begun) == len(set(begun)), f"a task ran twice: {state.ran}"
    for token, _ in state.world:
        assert state_of(state, token) is not AttemptState.VOID, f"{token} is void and there"


def explore(rules: Rules) -> int:
    """Visit every state that can be reached, and return how many there are."""
    tasks = tuple(
        Task(index=index, config_hash="", task_key="", params_json="{}") for index in range(1, TASKS + 1)
    )
    first = State(tasks)
    seen, frontier = {first.key}, [first]
    while frontier:
        state = frontier.pop()
        check(state)
        is_last = True
        for after in following(state, rules):
            is_last = False
            if after.key not in seen:
                seen.add(after.key)
                frontier.append(after)
        if is_last:
            assert all(task.status is TaskStatus.SEALED for task in state.tasks), "stuck"
    return len(seen)


@pytest.mark.slow
def test_no_interleaving_runs_a_task_twice_or_loses_one() -> None:
    """One crash, one lost reply, a zombie: each task runs once and is sealed once, and nothing gets stuck."""
    assert explore(Rules()) > 5000


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        (Rules(negatives=1), "void and there"),
        (Rules(is_fenced=False), "void and there|ran twice"),
        (Rules(resubmits=True), "void and there"),
    ],
    ids=["one no is enough", "no fence for zombies", "a lost reply is taken for a no"],
)
def test_the_search_finds_what_is_wrong(rules: Rules, what: str) -> None:
    """The same search over protocols that are wrong in one point."""
    with pytest.raises(AssertionError, match=what):
        explore(rules)
