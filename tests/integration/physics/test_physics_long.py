"""Long runs: accepted steps are stable, larger ones are found out, runs in company are runs alone."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from hsm.physics.parameters import Integrator, Params, read_params
from hsm.physics.plan import plan
from hsm.physics.schedule import Schedule
from hsm.physics.simulate import Segment, segments
from hsm.physics.stability import largest_step
from hsm.physics.status import Status
from tests.unit.physics.solving import Figure

pytestmark = pytest.mark.integration
REGIMES = [(2.0, -1.0), (0.0, 1.5), (1.0, -2.0), (-3.5, 0.7)]
LONG = 200.0


def rough(**more: object) -> Params:
    return read_params({"N": 64, "L": 32, "init_amp": 0.3, "T": LONG, "save_every": 50, **more})


def ran(p: Params, h: float, duration: float = LONG) -> Segment:
    """Run with a step that need not be an accepted one; return the last segment."""
    chunks = max(1, round(duration / h / 50))
    cuts = Schedule(frames=1, chunks_per_frame=chunks, steps_per_chunk=50, h=h)
    return list(segments(replace(plan(p), schedule=cuts, tail_limit=1.0, error_limit=math.inf)))[-1]


def status(segment: Segment) -> Status:
    assert segment.ending is not None
    return segment.ending.status


@pytest.mark.parametrize("integrator", list(Integrator))
@pytest.mark.parametrize(("b", "c"), REGIMES)
def test_largest_accepted_step_is_stable_in_a_long_run(
    b: float, c: float, integrator: Integrator, figure: Figure
) -> None:
    """T = 200 from rough noise, in four regimes, with each integrator."""
    p = rough(b=b, c=c, integrator=integrator.value)
    h = largest_step(p)
    figure(f"largest accepted step, {integrator.value}, b = {b}, c = {c}", f"{h:.3f}")
    assert status(ran(p, h)) is Status.OK


ACCEPTED: list[dict[str, object]] = [
    {"dim": 1, "N": 64, "L": 24},
    {"dim": 1, "N": 512, "L": 192, "b": -3.5, "c": 0.7},
    {"N": 32, "L": 12},
    {"N": 128, "L": 64, "b": 1, "c": -2},
    {"dim": 3, "N": 24, "L": 10, "b": 2, "c": -1},
    {"N": 48, "L": 24, "kappa": 1, "seed": 2},  # vortices annihilate at t = 30 …
    {"N": 64, "L": 24, "kappa": 1, "seed": 3},  # … and at 53
    {"N": 96, "L": 32, "kappa": 1, "dtype": "f64", "init_amp": 0.05},  # … and at 78
    {"N": 32, "L": 12, "kappa": 3, "b": 1, "c": -2},
    {"N": 32, "L": 16, "kappa": 1, "b": -3.5, "c": 0.7},
    {"N": 48, "L": 24, "kappa": 0.3, "b": 0, "c": 1.5},
    {"N": 48, "L": 24, "kappa": 1, "metric": "stage", "seed": 2},
    {"dim": 3, "N": 24, "L": 12, "kappa": 1, "b": 1, "c": -2},
    {"dim": 3, "N": 24, "L": 10, "kappa": 0.3},
]


@pytest.mark.parametrize("given", ACCEPTED, ids=lambda given: " ".join(f"{k}={v}" for k, v in given.items()))
def test_largest_accepted_step_is_stable_in_every_box(given: dict[str, object]) -> None:
    """T = 200 over sides, resolutions, couplings and dimensions; steps may be inexact, but nothing else."""
    p = rough(**{"b": 2, "c": -1, "save_every": 10, **given})
    *_, last = segments(replace(plan(replace(p, h=largest_step(p))), error_limit=math.inf))
    assert status(last) is Status.OK
    assert last.t == pytest.approx(LONG)


def test_step_that_looks_fine_at_first_is_found_out_later() -> None:
    """ETDAB4 at twice its limit is quiet for four units of time and has blown up by 200: it is refused."""
    p = rough(b=2, c=-1, integrator="etdab4")
    assert status(ran(p, 0.2, 4.0)) is Status.OK
    late = ran(p, 0.2)
    assert status(late) is Status.BLOWN_UP
    assert late.t > 4
    assert largest_step(p) < 0.2


def test_blow_up_of_the_multistep_scheme_is_located(figure: Figure) -> None:
    """The step that is named is the first bad one, and what was saved before is kept."""
    p = rough(b=-3.5, c=0.7, integrator="etdab4")
    last = ran(p, 0.3)
    assert last.ending is not None
    assert (last.ending.status, last.ending.bad_step) == (Status.BLOWN_UP, last.step + 1)
    assert last.ending.reason is not None
    assert "last good t" in last.ending.reason
    assert np.all(np.isfinite(last.checkpoint().arrays["v"]))


@pytest.mark.parametrize("kappa", [0.1, 1.0])
def test_curved_run_stays_stable(kappa: float, figure: Figure) -> None:
    """T = 100 of vortices at the largest accepted step, with the metric extrapolated."""
    p = rough(b=2, c=-1, kappa=kappa, dtype="f64", T=100, save_every=20, N=96)
    p = replace(p, h=largest_step(p))
    parts = list(segments(replace(plan(p), error_limit=math.inf)))
    norms = [part.frame.figures.h_norm for part in parts if part.frame is not None and part.t > 0]
    assert status(parts[-1]) is Status.OK
    worst = max(norm for norm in norms if norm is not None)
    share = parts[-1].checkpoint().alpha
    figure(f"kappa = {kappa}, T = 100: largest h_norm, last alpha", f"{worst:.1e}, {share:.2f}")


POPULATION = """
import jax, numpy as np
from hsm.physics import backend
from hsm.physics.population import advance_all, host_devices, stacked
backend.allow_double_precision()
host_devices(2)
from hsm.physics.parameters import read_params
from hsm.physics.plan import loaded, plan
from hsm.physics.simulate import advance
for kappa in (0.0, 0.2):
    given = {"N": 32, "L": 16, "T": 4, "save_every": 1, "init_amp": 0.3, "kappa": kappa, "metric": "stage"}
    members = enumerate((0.0, 1.0, 2.0, 3.0))
    plans = [plan(read_params({**given, "b": b, "seed": seed})) for seed, b in members]
    starts = [ready.first() for ready in plans]
    steppers = [ready.program(start.alpha).main for ready, start in zip(plans, starts)]
    states = [loaded(start) for start in starts]
    together, _, _ = advance_all(stacked(steppers), stacked(states), np.int64(0), np.int64(30))
    for index, (stepper, state) in enumerate(zip(steppers, states)):
        alone, _, _ = advance(stepper, state, np.int64(0), np.int64(30))
        same = np.array_equal(np.asarray(alone.v), np.asarray(together.v[index]))
        print(len(together.v.sharding.device_set), same)
"""


def test_members_of_a_population_are_the_runs_that_they_are_alone() -> None:
    """Value for value, flat and curved, spread over two devices."""
    command = [sys.executable, "-c", POPULATION]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.splitlines() == ["2 True"] * 8


@pytest.mark.parametrize("more", [{"integrator": "etdab4"}, {"kappa": 0.6, "h": 0.1}])
def test_run_that_remembers_goes_on_bit_for_bit(more: dict[str, object]) -> None:
    """What a multistep scheme and an extrapolated metric remember is part of the checkpoint, and so is α."""
    p = read_params({"N": 32, "L": 16, "T": 6, "save_every": 1, "init_amp": 0.3, **more})
    whole = list(segments(plan(p)))
    for kept in (whole[1], whole[len(whole) // 2]):
        rest = list(segments(plan(p), kept.checkpoint()))
        assert rest[-1].step == whole[-1].step
        one, other = (parts[-1].checkpoint() for parts in (whole, rest))
        assert one.alpha == other.alpha
        assert {name: array.tobytes() for name, array in one.arrays.items()} == {
            name: array.tobytes() for name, array in other.arrays.items()
        }
