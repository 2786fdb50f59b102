"""Divergence: two attempts of one task are compared by their results alone."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from hsm.compute.testing.memory import Act, MemoryMachine
from hsm.core import events as ev
from hsm.core.divergence import differing, divergence
from hsm.core.standing import standing
from hsm.core.states import AttemptState
from hsm.core.world import World
from hsm.wire.manifest import Entry
from tests.unit.core.test_engine import Lab, drive, lab, until
from tests.unit.core.worlds import numbered


def entries(**files: str) -> list[Entry]:
    return [Entry(path.replace("__", "/").replace("_", "."), 1, digest) for path, digest in files.items()]


BASE = entries(metrics_json="m", results__a_h5="a", results__b_h5="b", stdout_log="s", params_yaml="p")


@pytest.mark.parametrize(
    ("other", "names"),
    [
        (entries(metrics_json="m", results__a_h5="a", results__b_h5="b", stdout_log="t", notes_txt="n"), []),
        (entries(metrics_json="x", results__a_h5="a", results__b_h5="b"), ["metrics.json"]),
        (entries(metrics_json="m", results__a_h5="x", results__b_h5="b"), ["results/a.h5"]),
        (entries(metrics_json="m", results__a_h5="a"), ["results/b.h5"]),
        (entries(results__a_h5="a", results__b_h5="b", results__c_h5="c"), ["metrics.json", "results/c.h5"]),
        ([], ["metrics.json", "results/a.h5", "results/b.h5"]),
    ],
)
def test_only_results_are_compared(other: list[Entry], names: list[str]) -> None:
    """Logs hold times, parameters are the same by definition; it makes no difference which comes first."""
    assert differing(BASE, other) == names
    assert differing(other, BASE) == names


def test_what_is_recorded_names_the_first_files_and_counts_all() -> None:
    """An event stays small; results that agree leave no event at all."""
    many = [Entry(f"results/{number:02d}", 1, "d") for number in range(20)]
    event = divergence(7, attempt=2, of=1, later=BASE, earlier=[*BASE, *many], at=3.0)
    assert event == ev.ResultsDiverged(
        task=7, attempt=2, of=1, files=tuple(f"results/{n:02d}" for n in range(5)), count=20, at=3.0
    )
    assert divergence(7, attempt=2, of=1, later=BASE, earlier=BASE, at=3.0) is None


def leaves(number: str) -> dict[str, bytes]:
    return {"metrics.json": b'{"f": %s}' % number.encode(), "results/x": number.encode(), "stdout.log": b""}


@pytest.mark.parametrize("again", ["1", "2"])
async def test_a_second_result_of_a_task_is_compared_and_the_difference_shown(
    tmp_path: Path, again: str
) -> None:
    """The first was taken for lost and ends after the second was sealed: kept aside, compared, told."""
    gate, here = threading.Event(), lab(tmp_path)
    acts = iter([Act(holds=lambda: not gate.is_set(), files=leaves(again)), Act(files=leaves("1"))])
    blocker = Act(holds=lambda: not gate.is_set(), files=leaves("1"))
    machine = MemoryMachine(
        World(), slots=3, files=True, missing_s=0.01, behave=lambda o: next(acts) if o.task == 1 else blocker
    )
    here = Lab(here.tree, machine, here.executed)
    running = asyncio.create_task(drive(here.job(numbered(2))))
    await until(lambda: len(here.kinds(ev.AttemptStarted)) == 2)
    token = here.tracker.task(1).attempts[0].token
    for times in (2, 1):
        for _ in range(times):
            machine.miss(token)
        await until(lambda: here.tracker.task(1).attempts[0].state is not AttemptState.RUNNING)
        later = World().monotonic() + 0.02
        await until(lambda: World().monotonic() > later)  # noqa: B023 - it is awaited here
    await until(lambda: here.kinds(ev.AttemptSealed))
    gate.set()
    machine.proceed()
    result = await running
    task = result.tracker.task(1)
    assert [attempt.state for attempt in task.attempts] == [AttemptState.SUPERSEDED, AttemptState.SEALED]
    assert (here.tree.task(1) / "results" / "x").read_bytes() == b"1"
    found = here.kinds(ev.ResultsDiverged)
    assert [(one.task, one.attempt, one.of, one.files) for one in found] == (
        [] if again == "1" else [(1, 1, 2, ("metrics.json", "results/x"))]
    )
    assert result.tracker.diverged == len(found)
    told = standing(task, result.tracker, driven=False).why
    assert ("attempt 1 has other results: metrics.json; results/x" in told) == bool(found)
