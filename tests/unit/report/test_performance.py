"""What a sweep cost: spans that never run backwards, quantiles, use against request, and the YAML of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hsm.core.model import Attempt, Exit, Task
from hsm.core.spec import Resources
from hsm.core.states import AttemptState, TaskStatus
from hsm.report import ReportView
from hsm.report.performance import as_yaml, spread
from hsm.report.spans import spans
from tests.unit.report.sweeps import STARTED, attempt, hunt_spec, task, view

TIMES = st.one_of(st.none(), st.floats(1.0, 1e9))


def timed(index: int, wait_s: float, run_s: float, home_s: float, source: str = "local") -> Task:
    made = attempt(index, wall_s=run_s, source=source)
    begun = made.started_at or 0.0
    made = replace(made, intended_at=begun - wait_s, collected_at=begun + run_s + home_s)
    return task(index, {"b": float(index)}, {"pcs": 1.0}, attempts=(made,))


def measured(folder: Path) -> ReportView:
    resources = Resources(cpus=2, memory_bytes=800 << 20, walltime_s=100.0)
    tasks = [timed(i, 1.0, 5.0, 0.25) for i in range(10)]
    return view(
        folder,
        spec=hunt_spec(resources=resources, timeout_s=60.0),
        tasks=tasks,
        slots={"local": 2},
        started_at=STARTED,
        ended_at=STARTED + 50.0,
    )


def test_times_and_slots_are_counted_from_the_ledger(tmp_path: Path) -> None:
    """Waiting, running, collecting, throughput and the share of slots in use are what the events say."""
    cost = measured(tmp_path).performance
    (source,) = cost.sources
    assert cost.rate_hz == pytest.approx(0.2)
    assert source.waiting_s is not None
    assert source.collecting_s is not None
    assert source.waiting_s.p50 == pytest.approx(1.0)
    assert source.collecting_s.p90 == pytest.approx(0.25)
    assert source.span_s == pytest.approx(51.0)
    assert source.utilisation == pytest.approx(50.0 / 102.0)
    assert source.overhead_s == pytest.approx(5.2)


def test_attempts_that_share_a_process_take_one_slot(tmp_path: Path) -> None:
    """The time of a batch counts once, from its beginning to its last end."""
    tasks = []
    for index, (batch, run_s) in enumerate([("a", 2.0), ("a", 6.0), ("b", 4.0), ("", 3.0)], 1):
        made = replace(attempt(index, wall_s=run_s), started_at=STARTED, intended_at=STARTED, batch=batch)
        tasks.append(task(index, {"b": float(index)}, {"pcs": 1.0}, attempts=(made,)))
    (source,) = view(tmp_path, tasks=tasks, slots={"local": 3}).performance.sources
    assert source.busy_s == pytest.approx(6.0 + 4.0 + 3.0)
    assert source.utilisation == pytest.approx(13.0 / 18.0)
    assert source.running_s is not None
    assert source.running_s.highest == pytest.approx(6.0)


def test_use_is_set_against_the_request(tmp_path: Path) -> None:
    """The tighter of two time limits counts; processors are processor time by wall time."""
    wall, processors, memory = measured(tmp_path).performance.uses
    assert wall.requested == 60.0
    assert wall.highest_share == pytest.approx(5 / 60)
    assert processors.used is not None
    assert processors.used.p50 == pytest.approx(0.9)
    assert memory.highest_share == pytest.approx(0.5)


def test_the_yaml_names_its_units_and_can_be_read(tmp_path: Path) -> None:
    """Every reader of YAML gets the numbers; keys say the unit; unknown is null."""
    text = as_yaml(measured(tmp_path).performance)
    content = yaml.safe_load(text)
    assert content["finished_tasks_per_s"] == 0.2
    assert content["sources"]["local"]["running_s"]["p50"] == 5.0
    assert content["sources"]["local"]["overhead_per_attempt_s"] == 5.2
    assert content["resources"]["memory_bytes"]["requested"] == 800 << 20
    empty = yaml.safe_load(as_yaml(view(tmp_path, tasks=[], ended_at=None).performance))
    assert empty["sources"] == {}
    assert empty["elapsed_s"] is None


def test_hostile_source_names_stay_keys(tmp_path: Path) -> None:
    """A source named like YAML is one key with its numbers."""
    evil = 'x: y\n- "z" #'
    text = as_yaml(view(tmp_path, tasks=[timed(1, 0.0, 1.0, 0.0, evil)]).performance)
    assert list(yaml.safe_load(text)["sources"]) == [evil]


@given(
    times=st.tuples(TIMES, TIMES, TIMES, TIMES), wall_s=st.floats(0, 1e6), state=st.sampled_from(AttemptState)
)
def test_spans_never_run_backwards(
    times: tuple[float | None, float | None, float | None, float | None], wall_s: float, state: AttemptState
) -> None:
    """Whatever the clocks of two machines say, an attempt waits, runs and comes home in this order."""
    intended, started, ended, home = times
    one = Attempt(
        number=1,
        token="t",
        source="s",
        state=state,
        intended_at=intended or 0.0,
        started_at=started,
        ended_at=ended,
        collected_at=home,
        exit=Exit(code=0, wall_s=wall_s) if started else None,
    )
    entry = Task(index=1, config_hash="", task_key="", params_json="{}", attempts=(one,))
    for span in spans([replace(entry, status=TaskStatus.RUNNING)], 1e9):
        assert span.intended_at <= span.started_at <= span.ended_at
        assert span.collected_at is None or span.ended_at <= span.collected_at


@given(values=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50))
def test_quantiles_are_values_in_order(values: list[float]) -> None:
    """Each quantile is one of the values, and they do not cross."""
    found = spread(values)
    assert found is not None
    assert found.p10 <= found.p50 <= found.p90 <= found.highest == max(values)
    assert {found.p10, found.p50, found.p90} <= set(values)
