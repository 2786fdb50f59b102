"""Making a failure small: first fewer faults, then fewer tasks, as long as the same invariant breaks."""

from __future__ import annotations

from collections.abc import Callable

from hsm.sim.scenario import Fault, Scenario
from hsm.sim.simulation import simulate

Breaks = Callable[[Scenario], bool]


def invariant_of(violation: str) -> str:
    """Return the name of the invariant that a violation is about."""
    return violation.partition(":")[0]


def breaks_like(scenario: Scenario) -> Breaks | None:
    """Return the question whether another scenario breaks the same invariant; None when nothing breaks."""
    found = simulate(scenario).violations
    if not found:
        return None
    name = invariant_of(found[0])
    return lambda other: any(invariant_of(violation) == name for violation in simulate(other).violations)


def shrink(scenario: Scenario, breaks: Breaks) -> Scenario:
    """Return a scenario that still breaks, of which no chunk of faults can be taken out."""
    return _fewer_tasks(_fewer_faults(scenario, breaks), breaks)


def _fewer_faults(scenario: Scenario, breaks: Breaks) -> Scenario:
    """Take out chunks of faults, half of them at first, then smaller ones."""
    size = max(1, len(scenario.faults) // 2)
    while True:
        smaller = _without_a_chunk(scenario, size, breaks)
        if smaller is not None:
            scenario = smaller
        elif size == 1:
            return scenario
        else:
            size = max(1, size // 2)


def _without_a_chunk(scenario: Scenario, size: int, breaks: Breaks) -> Scenario | None:
    faults = scenario.faults
    for start in range(0, len(faults), size):
        left: tuple[Fault, ...] = faults[:start] + faults[start + size :]
        candidate = scenario.with_faults(left)
        if breaks(candidate):
            return candidate
    return None


def _fewer_tasks(scenario: Scenario, breaks: Breaks) -> Scenario:
    step = scenario.tasks // 2
    while step:
        candidate = scenario.with_tasks(scenario.tasks - step)
        if candidate.tasks > 0 and breaks(candidate):
            scenario = candidate
            step = min(step, scenario.tasks // 2)
        else:
            step //= 2
    return scenario
