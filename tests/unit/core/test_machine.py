"""The pure machine of one task, against a second, naive telling of the same rules."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from itertools import permutations
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm.core import events as ev
from hsm.core import machine
from hsm.core.errors import MachineError
from hsm.core.machine import Command, reopen, request_cancel, step
from hsm.core.model import Exit, Task
from hsm.core.states import FINAL, LIVE, TRANSITIONS, AttemptState, Cause, TaskStatus

BUDGET = {Cause.LOST: 2, Cause.NODE: 3, Cause.APPLICATION: 0}
TASK = Task(index=7, config_hash="c", task_key="k", params_json="{}")


# The naive model: what each event says of an attempt, and what may have been known of it before.

BEFORE = {
    ev.AttemptSubmitted: "intent unconfirmed missing",
    ev.AttemptUnconfirmed: "intent",
    ev.AttemptDuplicated: "intent unconfirmed missing",
    ev.AttemptStarted: "intent unconfirmed submitted missing",
    ev.AttemptMissed: "submitted running",
    ev.AttemptExited: "intent unconfirmed submitted running missing lost abandoned",
    ev.AttemptLost: "intent unconfirmed submitted running missing",
    ev.AttemptAbandoned: "intent unconfirmed submitted running missing",
    ev.AttemptRejected: "intent unconfirmed submitted",
    ev.AttemptVoided: "intent unconfirmed submitted missing",
    ev.AttemptCancelled: "intent unconfirmed submitted running missing exited",
    ev.AttemptSealed: "exited",
    ev.AttemptFailed: "exited",
    ev.AttemptSuperseded: "exited lost abandoned",
}
AFTER = {
    ev.AttemptSubmitted: "submitted",
    ev.AttemptUnconfirmed: "unconfirmed",
    ev.AttemptDuplicated: "submitted",
    ev.AttemptStarted: "running",
    ev.AttemptMissed: "missing",
    ev.AttemptExited: "exited",
    ev.AttemptLost: "lost",
    ev.AttemptAbandoned: "abandoned",
    ev.AttemptRejected: "rejected",
    ev.AttemptVoided: "void",
    ev.AttemptCancelled: "cancelled",
    ev.AttemptSealed: "sealed",
    ev.AttemptFailed: "failed",
    ev.AttemptSuperseded: "superseded",
}
KNOWLEDGE = [  # from little to much; what says less than is known is old news
    {"intent", "unconfirmed"},
    {"submitted"},
    {"running", "missing"},
    {"lost", "abandoned"},
    {"exited"},
    {"rejected", "void"},
    {"cancelled", "failed", "sealed", "superseded"},
]


def knowledge(state: str) -> int:
    return next(rank for rank, states in enumerate(KNOWLEDGE) if state in states)


class IllegalMoveError(Exception):
    """The model says that this cannot happen."""


@dataclass
class Model:
    """One task, told naively."""

    status: str = "received"
    states: list[str] = field(default_factory=list)
    causes: list[Cause | None] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    cancel: bool = False
    spent: int = 0

    def apply(self, event: Any) -> None:
        if isinstance(event, ev.TaskReused):
            self._only_if(not self.states and self.status == "received")
            self.status = "reused"
        elif isinstance(event, ev.AttemptIntended):
            self._only_if(self.status == "received" and event.attempt == len(self.states) + 1)
            self.states.append("intent")
            self.causes.append(None)
            self.agents.append("")
            self.status = "scheduled"
        else:
            self._evidence(event)

    def _only_if(self, condition: object) -> None:
        if not condition:
            raise IllegalMoveError

    def _evidence(self, event: Any) -> None:
        self._only_if(1 <= event.attempt <= len(self.states))
        at, after = event.attempt - 1, AFTER[type(event)]
        if self.states[at] not in BEFORE[type(event)].split():
            self._only_if(knowledge(after) <= knowledge(self.states[at]))
            return
        is_open = self.status in {"received", "scheduled", "running", "collecting"}
        if after == "sealed":
            self._only_if(is_open)
        if after == "superseded":
            self._only_if(not is_open)
        self.states[at] = after
        if "cause" in type(event).__dataclass_fields__:
            self.causes[at] = event.cause
        if "agent" in type(event).__dataclass_fields__:
            self.agents[at] = event.agent
        if is_open:
            self.status = self._status_after(at, after)

    def _live(self, start: int = 0) -> list[str]:
        return [state for state in self.states[start:] if AttemptState(state) in LIVE]

    def _status_after(self, at: int, after: str) -> str:
        live = self._live()
        if after == "sealed":
            return "sealed"
        if after == "running":
            return "running" if at == len(self.states) - 1 else self.status
        if after == "exited":
            return self.status if self._live(at + 1) else "collecting"
        if AttemptState(after) in LIVE or after == "superseded":
            return self.status
        if live:
            return "collecting" if live[-1] == "exited" else self.status
        if self.cancel or after == "cancelled":
            return "cancelled"
        if after in {"void", "abandoned"}:
            return "received"
        return "received" if self._may_go_on() else "failed"

    def _may_go_on(self) -> bool:
        every = list(zip(self.causes, self.agents, self.states, strict=True))
        counted = [
            (cause, agent)
            for cause, agent, state in every[self.spent :]
            if AttemptState(state) not in LIVE and cause is not None
        ]
        causes = [cause for cause, _ in counted]
        killed = {agent for cause, agent in counted if agent and cause in {Cause.NODE, Cause.LOST}}
        return len(killed) < 3 and all(causes.count(cause) <= BUDGET.get(cause, 0) for cause in causes)

    def ask_cancel(self) -> None:
        if self.status in {"sealed", "failed", "cancelled", "reused"} or self.cancel:
            return
        self.cancel = True
        if not self._live():
            self.status = "cancelled"

    def reopen(self) -> None:
        if self.status in {"failed", "cancelled"}:
            self.cancel, self.spent = False, len(self.states)
            self.status = "collecting" if self._live() else "received"


NOTES = {ev.ResultsDiverged, ev.ArtifactsDamaged, ev.ArtifactsRestored}  # see test_at_rest.py
ATTEMPT_EVENTS = [cls for cls in get_args(ev.TaskEvent) if cls is not ev.TaskReused and cls not in NOTES]
causes = st.sampled_from([Cause.LOST, Cause.NODE, Cause.APPLICATION])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "task": st.just(7),
    "attempt": st.sampled_from([0, 0, 0, 0, -1, -2, 1]),  # counted from the latest one
    "at": st.floats(0, 100),
    "started_at": st.floats(0, 100),
    "token": st.just("t"),
    "source": st.just("local"),
    "ref": st.just("r"),
    "reason": st.just("because"),
    "others": st.just(("r2",)),
    "agent": st.sampled_from(["", "a", "b", "c"]),
    "charged": st.just(True),
    "batch": st.just("b"),
    "members": st.just(2),
    "signature": st.sampled_from(["", "ValueError: #"]),
    "cause": causes,
    "exit": st.just(Exit(code=1)),
    "manifest": st.just("m"),
    "metrics": st.none() | st.just({"f": 1.0}),
    "notes": st.just(()),
    "files": st.just(1),
    "bytes": st.just(1),
    "of": st.just(1),
}


def event_of(cls: type) -> st.SearchStrategy[Any]:
    return st.builds(cls, **{item.name: FIELDS[item.name] for item in fields(cls)})


happenings = st.one_of(
    *[event_of(cls) for cls in ATTEMPT_EVENTS],
    *[event_of(ev.AttemptIntended)] * 6,  # more often: without it little happens
    *[event_of(cls) for cls in (ev.AttemptExited, ev.AttemptExited, ev.AttemptLost, ev.AttemptSealed)],
    st.sampled_from(["cancel", "reopen"]),
)


@given(st.lists(happenings, max_size=30))
@settings(max_examples=250)
def test_the_machine_does_what_the_rules_say(story: list[Any]) -> None:
    """Whatever happens in whatever order: accepted, old news or refused, exactly as the model has it."""
    task, model = TASK, Model()
    for happening in story:
        if happening == "cancel":
            task, _ = request_cancel(task)
            model.ask_cancel()
        elif happening == "reopen":
            task, _ = reopen(task)
            model.reopen()
        else:
            latest = len(task.attempts) + isinstance(happening, ev.AttemptIntended)
            task = both(task, model, replace(happening, attempt=latest + happening.attempt))
        assert str(task.status) == model.status
        assert [str(attempt.state) for attempt in task.attempts] == model.states
        assert task.cancel_requested == model.cancel


@pytest.mark.parametrize("seed", range(8))
def test_long_lives_go_as_the_rules_say(seed: int) -> None:
    """Walks that mostly keep to what may happen reach the corners that chance alone does not."""
    rng = Random(seed)
    for _ in range(40):
        task, model = TASK, Model()
        for _ in range(30):
            event = plausible(rng, task)
            if event is None:
                task, _ = reopen(task)
                model.reopen()
            else:
                task = both(task, model, event)
            assert (str(task.status), [str(a.state) for a in task.attempts]) == (model.status, model.states)


def plausible(rng: Random, task: Task) -> Any:
    """Return something that may well happen next, None for reopening the task."""
    if task.status in {TaskStatus.FAILED, TaskStatus.CANCELLED} and rng.random() < 0.5:
        return None
    count = len(task.attempts)
    if task.status is TaskStatus.RECEIVED and rng.random() < 0.7:
        return intend(count + 1)
    number = rng.choice([count, count, max(1, count - 1)]) if count else 1
    state = task.attempts[number - 1].state if count else "intent"
    fitting = [cls for cls, states in BEFORE.items() if state in states.split() or rng.random() < 0.1]
    cls = rng.choice(fitting or list(BEFORE))
    cause = rng.choice([Cause.LOST, Cause.NODE, Cause.APPLICATION])
    known = {"task": 7, "attempt": number, "cause": cause, "exit": Exit(code=1), "manifest": "m", "ref": "r"}
    wanted = {item.name for item in fields(cls)}
    known |= dict.fromkeys(("at", "started_at"), 2.0) | {"reason": "because", "others": ("r2",)}
    known |= {"agent": rng.choice(["", "a", "b", "c"])}
    return cls(**{name: value for name, value in known.items() if name in wanted})


def both(task: Task, model: Model, event: Any) -> Task:
    before = knowledge_of(task)
    try:
        after, commands = step(task, event, BUDGET)
    except MachineError as refused:
        tells_the_story(str(refused), task)
        with pytest.raises(IllegalMoveError):
            model.apply(event)
        return task
    model.apply(event)
    check(before, after, commands)
    if not isinstance(event, (ev.AttemptIntended, ev.TaskReused)):
        assert step(after, event, BUDGET) == (after, ()), "the same evidence again changes nothing"
    return after


def tells_the_story(message: str, task: Task) -> None:
    """Check that an error says to whom it happened, and everything that had happened before."""
    assert "task_0007" in message
    assert all(f"{attempt.number}:{attempt.state}" in message for attempt in task.attempts)


def knowledge_of(task: Task) -> list[tuple[int, str]]:
    return [(knowledge(attempt.state), str(attempt.state)) for attempt in task.attempts]


def check(before: list[tuple[int, str]], task: Task, commands: tuple[Command, ...]) -> None:
    """Check what must hold whatever happened."""
    for (rank, state), (now, _) in zip(before, knowledge_of(task), strict=False):
        assert now >= rank or state == "missing", "what is known is never unlearnt"
    sealed = [attempt for attempt in task.attempts if attempt.state is AttemptState.SEALED]
    assert len(sealed) <= 1
    assert (task.status is TaskStatus.SEALED) == bool(sealed)
    assert not sealed or task.attempt is sealed[0]
    running = [attempt for attempt in task.live_attempts if attempt.state is not AttemptState.EXITED]
    assert len(running) <= 1, "never two attempts of a task that may run"
    assert not running or running[0] is task.attempts[-1]
    if task.status is TaskStatus.RECEIVED:
        assert not task.live_attempts
    if task.status is TaskStatus.COLLECTING:
        assert task.live_attempts[-1].state is AttemptState.EXITED
    if Command.COLLECT in commands:
        assert any(attempt.state is AttemptState.EXITED for attempt in task.attempts)


@given(st.lists(st.tuples(causes, st.booleans()), max_size=12))
def test_each_cause_has_a_budget_of_its_own(endings: list[tuple[Cause, bool]]) -> None:
    """A task fails with the first ending that exceeds the budget of its cause, and not before."""
    task, counted = TASK, dict.fromkeys(Cause, 0)
    for number, (cause, is_loss) in enumerate(endings, 1):
        task, _ = step(task, intend(number), BUDGET)
        if is_loss:
            task, commands = step(task, lost(number, cause), BUDGET)
        else:
            task, _ = step(task, exited(number, cause), BUDGET)
            task, commands = step(task, failed(number, cause), BUDGET)
        counted[cause] += 1
        if counted[cause] > BUDGET[cause]:
            assert task.status is TaskStatus.FAILED
            assert commands == (Command.PLACE,)
            return
        assert task.status is TaskStatus.RECEIVED
        assert commands == (Command.ARCHIVE,)


def intend(number: int) -> ev.AttemptIntended:
    return ev.AttemptIntended(task=7, attempt=number, token=f"t{number}", source="local", at=1.0)


def lost(number: int, cause: Cause = Cause.LOST) -> ev.AttemptLost:
    return ev.AttemptLost(task=7, attempt=number, cause=cause, reason="gone", at=2.0)


def exited(number: int, cause: Cause | None = None) -> ev.AttemptExited:
    return ev.AttemptExited(
        task=7, attempt=number, exit=Exit(code=0), manifest="m", cause=cause, started_at=1.5, at=2.0
    )


def failed(number: int, cause: Cause) -> ev.AttemptFailed:
    return ev.AttemptFailed(task=7, attempt=number, cause=cause, reason="bad", at=3.0)


def run(*story: Any) -> Task:
    task = TASK
    for event in story:
        task, _ = step(task, event, BUDGET)
    return task


def test_there_is_no_success_after_a_cancel_was_observed() -> None:
    """An attempt that was seen gone after a cancel stays cancelled; a verdict on it is old news."""
    task, commands = request_cancel(run(intend(1)))
    assert commands == (Command.CANCEL,)
    task, _ = step(task, ev.AttemptCancelled(task=7, attempt=1, at=2.0), BUDGET)
    after, commands = step(task, ev.AttemptSealed(task=7, attempt=1, at=3.0), BUDGET)
    assert (after.status, commands) == (TaskStatus.CANCELLED, ())


def test_a_finished_attempt_may_win_against_a_cancel() -> None:
    """What had ended when the cancel came is a result all the same."""
    task, _ = request_cancel(run(intend(1), exited(1)))
    task, commands = step(task, ev.AttemptSealed(task=7, attempt=1, at=3.0), BUDGET)
    assert (task.status, commands) == (TaskStatus.SEALED, (Command.PLACE,))


def sealed(number: int) -> ev.AttemptSealed:
    return ev.AttemptSealed(task=7, attempt=number, at=3.0)


def test_whichever_attempt_is_sealed_first_is_the_result() -> None:
    """A late exit record of a lost attempt is collected beside its successor, which is then ended."""
    task = run(intend(1), lost(1), intend(2), ev.AttemptStarted(task=7, attempt=2, at=2.0))
    task, commands = step(task, exited(1), BUDGET)
    assert (task.status, commands) == (TaskStatus.RUNNING, (Command.COLLECT,))
    task, commands = step(task, sealed(1), BUDGET)
    assert (task.status, task.result, commands) == (TaskStatus.SEALED, 1, (Command.PLACE, Command.CANCEL))
    assert task.attempt is task.attempts[0]
    task, commands = step(task, exited(2), BUDGET)
    assert (task.status, commands) == (TaskStatus.SEALED, ())
    with pytest.raises(MachineError, match="1:sealed 2:exited"):
        step(task, sealed(2), BUDGET)
    after, _ = step(task, ev.AttemptSuperseded(task=7, attempt=2, at=4.0), BUDGET)
    assert [str(attempt.state) for attempt in after.attempts] == ["sealed", "superseded"]


def test_late_records_may_come_in_any_order() -> None:
    """Of a lost attempt and its successor: one result, whatever is told first, and nothing contradicts it."""
    story: list[Any] = [
        exited(1),
        ev.AttemptStarted(task=7, attempt=2, at=2.0),
        exited(2),
        lost(1),
        lost(2),
        sealed(1),
        sealed(2),
    ]
    ends = set()
    for order in permutations(story):
        task = run(intend(1), lost(1), intend(2))
        for event in order:
            try:
                task, _ = step(task, event, BUDGET)
            except MachineError:
                continue  # what cannot be true any more; the engine says that it is superseded
            check([], task, ())
        ends.add((task.status, task.result))
    assert {(TaskStatus.SEALED, 1), (TaskStatus.SEALED, 0)} <= ends
    assert all(
        status in {TaskStatus.SEALED, TaskStatus.COLLECTING, TaskStatus.RECEIVED} for status, _ in ends
    )


def test_a_task_under_which_three_agents_ended_is_not_tried_again() -> None:
    """Whatever its budgets; three times on one agent is not the same."""
    generous = {Cause.LOST: 9, Cause.NODE: 9}

    def after(*agents: str) -> Task:
        task = TASK
        for number, agent in enumerate(agents, 1):
            task, _ = step(task, intend(number), generous)
            cause = Cause.NODE if number % 2 else Cause.LOST
            task, _ = step(task, replace(lost(number, cause), agent=agent), generous)
        return task

    assert after("a", "a", "a", "b").status is TaskStatus.RECEIVED
    assert after("a", "", "", "b").status is TaskStatus.RECEIVED
    poison = after("a", "b", "c")
    assert poison.status is TaskStatus.FAILED
    assert poison.reason == "3 agents ended under it (a, b, c), so it is not tried again"
    assert reopen(poison)[0].status is TaskStatus.RECEIVED


def test_what_was_abandoned_may_still_be_the_result() -> None:
    """It is charged to nobody and tried elsewhere; its exit record counts when it comes in first."""
    abandoned = ev.AttemptAbandoned(task=7, attempt=1, reason="given up", at=2.0)
    task = run(intend(1), abandoned)
    assert task.status is TaskStatus.RECEIVED
    assert all(machine.charged(task, cause) == 0 for cause in Cause)
    task = run(intend(1), abandoned, intend(2), exited(1), sealed(1))
    assert (task.status, task.result) == (TaskStatus.SEALED, 1)


def test_a_cancel_is_said_again_to_an_attempt_that_turns_up() -> None:
    """Found by its token, or seen running: it may not have heard the first one."""
    asked, _ = request_cancel(run(intend(1), ev.AttemptUnconfirmed(task=7, attempt=1, reason="", at=2.0)))
    _, commands = step(asked, ev.AttemptSubmitted(task=7, attempt=1, ref="r"), BUDGET)
    assert commands == (Command.CANCEL,)
    _, commands = step(asked, ev.AttemptStarted(task=7, attempt=1, at=2.0), BUDGET)
    assert commands == (Command.CANCEL,)


def test_a_late_exit_record_beats_the_presumption_of_loss() -> None:
    """As long as no other attempt was begun, the exit record of a lost attempt is collected."""
    task = run(intend(1), lost(1))
    task, commands = step(task, exited(1), BUDGET)
    assert (task.status, commands) == (TaskStatus.COLLECTING, (Command.COLLECT,))


def test_an_attempt_that_never_began_is_charged_to_nobody() -> None:
    """However often attempts are taken back, the task stays as fresh as it was."""
    task = TASK
    for number in range(1, 9):
        task, _ = step(task, intend(number), BUDGET)
        task, _ = step(task, ev.AttemptVoided(task=7, attempt=number, at=2.0), BUDGET)
    assert task.status is TaskStatus.RECEIVED
    assert all(machine.charged(task, cause) == 0 for cause in Cause)


def test_a_reopened_task_gets_another_attempt() -> None:
    """Failed or cancelled tasks can be tried again; what was sealed cannot."""
    task = run(intend(1), exited(1, Cause.APPLICATION), failed(1, Cause.APPLICATION))
    assert task.status is TaskStatus.FAILED
    task, commands = reopen(task)
    assert (task.status, commands) == (TaskStatus.RECEIVED, (Command.ARCHIVE,))
    task = run(intend(1), exited(1), ev.AttemptSealed(task=7, attempt=1, at=3.0))
    assert reopen(task) == (task, ())


def test_it_is_kept_when_the_evidence_of_an_attempt_was_home() -> None:
    """Sealed or failed, the verdict has its moment beside the exit; what was lost never came home."""
    good = run(intend(1), exited(1), ev.AttemptSealed(task=7, attempt=1, at=9.0))
    bad = run(intend(1), exited(1, Cause.MEMORY), replace(failed(1, Cause.MEMORY), at=8.0))
    gone = run(intend(1), lost(1))
    assert [task.attempts[0].collected_at for task in (good, bad, gone)] == [9.0, 8.0, None]


def test_the_model_tells_the_table() -> None:
    """Model and transition table agree on every move but what befalls files at rest."""
    told = {(before, AFTER[cls]) for cls, states in BEFORE.items() for before in states.split()}
    table = {
        (str(before), str(after))
        for before, afters in TRANSITIONS.items()
        for after in afters
        if AttemptState.CORRUPT not in (before, after)
    }
    assert told == table


def test_the_table_ends() -> None:
    """Every attempt state has a row; the final ones lead nowhere, and every live one leads to an end."""
    assert set(TRANSITIONS) == set(AttemptState)
    ends = {state for state, after in TRANSITIONS.items() if not after}
    assert ends.isdisjoint(LIVE)
    for state in LIVE:
        reached, frontier = {state}, {state}
        while frontier:
            frontier = {after for one in frontier for after in TRANSITIONS[one]} - reached
            reached |= frontier
        assert AttemptState.SEALED in reached or state in ends
    assert {status for status in TaskStatus if status.is_final} == FINAL
