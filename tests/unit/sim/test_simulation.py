"""Whole simulated sweeps: they hold under faults, are the same twice, and a failure becomes small."""

from __future__ import annotations

from random import Random

import pytest

from hsm.sim.facts import read_facts
from hsm.sim.mutants import MUTANTS, mutated
from hsm.sim.scenario import Fault, FaultKind, Scenario, draw
from hsm.sim.shrink import shrink
from hsm.sim.simulation import simulate
from hsm.sim.stage import Stage

TASKS = 4


def test_a_quiet_sweep_comes_to_its_end() -> None:
    """Without faults nothing breaks, and two engines are enough: one runs it, one finds it done."""
    outcome = simulate(draw(1, tasks=TASKS).with_faults(()))
    assert not outcome.violations
    assert outcome.engines <= 2


def test_facts_that_go_on_from_earlier_ones_are_those_of_a_whole_replay() -> None:
    """The state at an epoch's end, gone on from to the end of the ledger, is what all events add up to."""
    compared: list[int] = []

    def look(stage: Stage) -> None:
        whole = read_facts(stage)
        for epoch in range(1, whole.tracker.epoch + 1):
            part = read_facts(stage, until=epoch)
            tasks, known = list(part.tracker.tasks), len(part.events)
            rest = read_facts(stage, before=part)
            assert rest.events == whole.events
            assert list(rest.tracker.tasks) == list(whole.tracker.tasks)
            assert (rest.tracker.counts, rest.tokens) == (whole.tracker.counts, whole.tokens)
            assert (rest.tracker.epoch, rest.tracker.last) == (whole.tracker.epoch, whole.tracker.last)
            again = read_facts(stage, until=epoch, before=rest)
            assert (again.events, list(again.tracker.tasks)) == (part.events, tasks)
            compared.append(known)
        assert compared[0] < len(whole.events)

    faults = tuple(Fault(0.2 * number, FaultKind.DETACH, number) for number in range(1, 4))
    assert not simulate(draw(2, tasks=TASKS).with_faults(faults), at_end=look).violations
    assert compared


@pytest.mark.parametrize("kind", list(FaultKind))
def test_every_fault_alone_breaks_nothing(kind: FaultKind) -> None:
    """A small sweep survives each kind of fault, twice."""
    faults = tuple(Fault(0.15 * number, kind, number) for number in range(1, 3))
    assert not simulate(draw(2, tasks=TASKS).with_faults(faults)).violations


def test_a_failure_is_made_as_small_as_it_gets() -> None:
    """Faults that are not needed for it go, then tasks."""
    guilty = {FaultKind.REBOOT, FaultKind.DETACH}
    rng = Random(1)
    faults = [Fault(float(number), rng.choice(list(FaultKind)), 0) for number in range(40)]
    faults += [Fault(40.0, kind, 0) for kind in guilty]

    def breaks(scenario: Scenario) -> bool:
        return guilty <= {fault.kind for fault in scenario.faults} and scenario.tasks >= 7

    small = shrink(draw(6, tasks=50).with_faults(tuple(faults)), breaks)
    assert len(small.faults) == 2
    assert small.tasks == 7


def test_every_planted_bug_names_its_invariant() -> None:
    """Each mutant says which invariant must break; none may be found by chance alone."""
    assert all(mutant.caught_by and mutant.patches for mutant in MUTANTS.values())
    for name in MUTANTS:
        with mutated(name):
            pass
