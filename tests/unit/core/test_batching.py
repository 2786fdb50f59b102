"""Batching: who may share a process, dealt evenly, and in halves after a process ended early."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from hsm.core.batching import LOOK_AHEAD, Sorter, loads, share
from hsm.core.dispatch import Ready, gather
from hsm.core.intake import ReadyQueue
from hsm.core.model import Attempt, Task
from hsm.core.spec import BatchSpec
from hsm.core.states import AttemptState, Cause

waiting = st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 16)), max_size=80).map(
    lambda found: [Ready(number, key, limit) for number, (key, limit) in enumerate(found, 1)]
)


def task(*attempts: Attempt, params: str = '{"n":1,"x":2}', spent: int = 0, index: int = 1) -> Task:
    return Task(
        index=index, config_hash="c", task_key="k", params_json=params, attempts=attempts, spent=spent
    )


def ended(members: int, cause: Cause | None, number: int = 1) -> Attempt:
    state = AttemptState.FAILED if cause else AttemptState.LOST
    return Attempt(
        number=number, token="t", source="local", state=state, cause=cause, batch="b", members=members
    )


@given(waiting, st.integers(0, 8))
def test_every_task_is_in_one_batch_of_its_like(ready: list[Ready], free: int) -> None:
    """Each task once, with others of its key alone, and never with more than any of them may."""
    batches = gather(ready, free)
    known = {one.task: one for one in ready}
    assert sorted(index for batch in batches for index in batch) == sorted(known)
    for batch in batches:
        assert batch == sorted(batch)
        assert len({known[index].key for index in batch}) == 1
        assert len(batch) <= min(known[index].limit for index in batch)
    assert batches == sorted(batches)


@given(st.integers(1, 100), st.integers(1, 8), st.integers(1, 32))
def test_tasks_are_dealt_evenly_over_free_slots(count: int, free: int, limit: int) -> None:
    """No slot is left without a batch while another has one that could have been shared out."""
    sizes = [len(batch) for batch in gather([Ready(n, "", limit) for n in range(count)], free)]
    assert max(sizes) == min(limit, ceil(count / free))
    assert len(sizes) >= min(free, count) or max(sizes) * len(sizes) - count < max(sizes)


@given(st.integers(1, 4096), st.integers(0, 20))
def test_a_crash_is_found_in_as_many_steps_as_there_are_halves(size: int, crashes: int) -> None:
    """After every process that ended early a task shares one with half as many, until it is alone."""
    attempts: list[Attempt] = []
    for number in range(1, crashes + 1):
        attempts.append(ended(share(task(*attempts), size), Cause.BATCH, number))
    expected = size
    for _ in range(crashes):
        expected = ceil(expected / 2)
    assert share(task(*attempts), size) == expected
    assert crashes < 12 or expected == 1


def test_only_a_process_that_ended_early_makes_batches_smaller() -> None:
    """Losses of other kinds say nothing of the task, and one that was reopened begins anew."""
    assert share(task(ended(8, Cause.LOST), ended(8, None)), 8) == 8
    assert share(task(ended(8, Cause.BATCH), ended(8, Cause.LOST)), 8) == 4
    assert share(task(ended(8, Cause.BATCH), spent=1), 8) == 8


def test_tasks_share_a_process_that_agree_in_what_was_named_and_in_their_limits() -> None:
    """Values that are told apart elsewhere are told apart here: 1 is not 1.0."""
    sorter = Sorter(BatchSpec(size=4, by=("n",)), 10.0)
    key = sorter.ready(task(), 10.0).key
    assert key == sorter.ready(task(index=2, params='{"n":1,"x":3}'), 10.0).key
    assert key != sorter.ready(task(index=3, params='{"n":1.0,"x":2}'), 10.0).key
    assert key != sorter.ready(task(ended(4, Cause.TIME)), 20.0).key


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3), st.booleans()), max_size=30))
def test_what_was_read_of_a_waiting_task_says_the_same_as_reading_it_anew(
    looks: list[tuple[int, int, bool]],
) -> None:
    """However often it was looked at, and whatever it has been through in between."""
    batch = BatchSpec(size=8, by=("n",))
    sorter = Sorter(batch, 10.0)
    for index, crashes, is_forgotten in looks:
        attempts = [ended(8 >> number, Cause.BATCH, number) for number in range(crashes)]
        known = task(*attempts, index=index, params=f'{{"n":{index % 2}}}')
        limits = 10.0 + 5.0 * (crashes == 2)
        anew = Sorter(batch, 10.0).ready(known, limits)
        assert sorter.ready(known, limits) == anew
        if not attempts:
            assert sorter.fresh(index) == anew
        if is_forgotten:
            sorter.forget(index)
            assert sorter.fresh(index) is None


def test_a_waiting_task_is_read_once() -> None:
    """One that never had an attempt is known from then on without being made again."""
    sorter = Sorter(BatchSpec(size=4, by=("n",)), 10.0)
    assert sorter.fresh(1) is None
    read = sorter.ready(task(), 10.0)
    assert sorter.fresh(1) is read


def test_tasks_of_a_key_find_one_another_across_others() -> None:
    """Where the parameter that tells batches apart changes fastest, batches are as full as elsewhere."""
    sorter = Sorter(BatchSpec(size=8, by=("n",)), None)
    waiting = [task(index=index, params=f'{{"n":{index % 16}}}') for index in range(1, 5000)]
    seen = [sorter.ready(one, None) for one in waiting[: sorter.span(2)]]
    assert len(seen) == LOOK_AHEAD
    assert {len(batch) for batch in gather(seen, 2)} == {8}
    assert sorter.span(0) == 0
    assert Sorter(BatchSpec(size=8), None).span(2) == 16


@given(st.lists(st.tuples(st.sampled_from(["extend", "add", "take", "first"]), st.integers(1, 12))))
def test_what_waits_is_met_in_order_and_once(acts: list[tuple[str, int]]) -> None:
    """Whatever is added, begun and added again, the first that wait are the lowest of those that do."""
    queue, waiting, count = ReadyQueue(), {1, 2, 3}, 3
    queue.extend(sorted(waiting))
    is_ready: Callable[[int], bool] = waiting.__contains__
    for act, number in acts:
        match act:
            case "extend":
                queue.extend(range(count + 1, count + number + 1))
                waiting.update(range(count + 1, count + number + 1))
                count += number
            case "add":
                queue.add(number % count + 1)
                waiting.add(number % count + 1)
            case "take":
                waiting.difference_update(queue.first(number, is_ready))
            case _:
                assert queue.first(number, is_ready) == sorted(waiting)[:number]
    assert queue.first(count, is_ready) == sorted(waiting)


def test_a_batch_takes_one_slot_as_long_as_one_of_it_may_run() -> None:
    """Members count once; what has ended counts no more."""
    runs = ended(2, None)
    running = [
        task(
            Attempt(number=1, token=token, source="local", state=state, batch=batch, members=2),
        )
        for token, state, batch in (
            ("t1", AttemptState.RUNNING, "b1"),
            ("t2", AttemptState.INTENT, "b1"),
            ("t3", AttemptState.EXITED, "b2"),
            ("t4", AttemptState.RUNNING, ""),
        )
    ]
    assert loads([*running, task(runs)]) == {"local": 2}
