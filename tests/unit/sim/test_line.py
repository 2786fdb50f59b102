"""A simulated host behind a line: attempts run there, and every fault of the line is survived."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsm.sim.facts import read_facts
from hsm.sim.scenario import LINE, Fault, FaultKind, Scenario, draw
from hsm.sim.simulation import simulate
from hsm.sim.stage import Stage

TASKS = 8


def scenario(*faults: Fault) -> Scenario:
    """Return a small sweep with a host behind a line, with these faults and no others."""
    return replace(draw(3, tasks=TASKS), remote=True, batch=False, duration_s=1.0, faults=faults)


def test_attempts_run_on_the_host_and_their_results_come_home() -> None:
    """Without faults a share of the tasks is executed there, by the real agent, and sealed here."""
    sources: list[str] = []

    def look(stage: Stage) -> None:
        sources.extend(
            attempt.source for task in read_facts(stage).tracker.tasks for attempt in task.attempts
        )

    assert not simulate(scenario(), at_end=look).violations
    assert {"local", "ssh:host"} <= set(sources)


@pytest.mark.parametrize("kind", LINE)
def test_every_fault_of_the_line_fires_and_breaks_nothing(kind: FaultKind) -> None:
    """Each of them happens to a sweep that is under way, several times."""
    outcome = simulate(scenario(*(Fault(0.6 * number, kind, number) for number in range(1, 5))))
    assert not outcome.violations
    assert outcome.counts[kind]


def test_a_host_changes_nothing_in_how_a_seed_is_repeated() -> None:
    """The same seed with a host runs twice to the same last act."""
    faults = tuple(Fault(0.5 * number, kind, number) for number, kind in enumerate(LINE, 1))
    digests = {simulate(scenario(*faults), hashes=True).digest for _ in range(2)}
    assert len(digests) == 1
