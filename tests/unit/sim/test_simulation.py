"""Whole simulated sweeps: they hold under faults, are the same twice, and a failure becomes small."""

from __future__ import annotations

from random import Random

import pytest

from hsm.sim.campaign import clock_jumps_change_nothing
from hsm.sim.mutants import MUTANTS, mutated, scenario_for
from hsm.sim.scenario import Fault, FaultKind, Scenario, draw
from hsm.sim.shrink import breaks_like, shrink
from hsm.sim.simulation import simulate

TASKS = 12


def test_a_quiet_sweep_comes_to_its_end() -> None:
    """Without faults nothing breaks, and two engines are enough: one runs it, one finds it done."""
    outcome = simulate(draw(1, tasks=TASKS).with_faults(()))
    assert not outcome.violations
    assert outcome.engines <= 2


@pytest.mark.parametrize("kind", list(FaultKind))
def test_every_fault_alone_breaks_nothing(kind: FaultKind) -> None:
    """A sweep survives each kind of fault, thrice."""
    faults = tuple(Fault(0.15 * number, kind, number) for number in range(1, 4))
    assert not simulate(draw(2, tasks=TASKS).with_faults(faults)).violations


def test_a_seed_is_the_same_twice_to_the_last_act() -> None:
    """What a seed stands for does not depend on what ran before it."""
    first = simulate(draw(3, tasks=TASKS), hashes=True)
    simulate(draw(4, tasks=TASKS))
    assert simulate(draw(3, tasks=TASKS), hashes=True).digest == first.digest
    assert simulate(draw(4, tasks=TASKS), hashes=True).digest != first.digest


def test_jumps_of_the_wall_clock_change_no_decision() -> None:
    """The same events in the same order, whatever the wall clock says."""
    assert not clock_jumps_change_nothing(draw(5, tasks=TASKS))


def test_a_failure_is_made_as_small_as_it_gets() -> None:
    """Faults that are not needed for it go, then tasks."""
    guilty = {FaultKind.REBOOT, FaultKind.DETACH}
    rng = Random(1)
    faults = [Fault(float(number), rng.choice(list(FaultKind)), 0) for number in range(40)]
    faults += [Fault(40.0, kind, 0) for kind in guilty]

    def breaks(scenario: Scenario) -> bool:
        return guilty <= {fault.kind for fault in scenario.faults} and scenario.tasks >= 7

    small = shrink(draw(6).with_faults(tuple(faults)), breaks)
    assert len(small.faults) == 2
    assert small.tasks == 7


def test_a_planted_bug_is_found_and_gone_afterwards() -> None:
    """The harness bites, and a mutant leaves nothing behind."""
    name = "act before the intent is durable"
    scenario = scenario_for(name, 0).with_tasks(TASKS)
    with mutated(name):
        breaks = breaks_like(scenario)
        assert breaks is not None
        assert breaks(scenario)
    assert breaks_like(scenario) is None


def test_every_planted_bug_names_its_invariant() -> None:
    """Each mutant says which invariant must break; none may be found by chance alone."""
    assert all(mutant.caught_by and mutant.patches for mutant in MUTANTS.values())
    for name in MUTANTS:
        with mutated(name):
            pass
