"""A solver for given steps and starts, shared by the physics tests."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from hsm.physics.grid import ComplexField
from hsm.physics.parameters import Params, read_params
from hsm.physics.plan import plan
from hsm.physics.schedule import Schedule
from hsm.physics.simulate import Frame, Segment, segments
from hsm.physics.sncgl import Sncgl

Figure = Callable[[str, str], None]


def sncgl(p: Params) -> Sncgl:
    assert isinstance(p.equation, Sncgl)
    return p.equation


def make(**given: object) -> Params:
    """Return validated parameters on a small grid, in double precision."""
    return read_params({"N": 32, "L": 16.0, "T": 10.0, "save_every": 1.0, "dtype": "f64", **given})


GRIDS: dict[int, dict[str, object]] = {
    1: {"N": 64, "L": 30.0},
    2: {"N": 32, "L": 14.0},
    3: {"N": 16, "L": 8.0},
}


def every_term(dimension: int, **given: object) -> Params:
    """Return parameters with every term on: all that are made here share one compiled program.

    The source is on but of no strength, unless one is given.
    """
    terms: dict[str, object] = {
        "b": 1,
        "c": -1.5,
        "eta": 0.3,
        "sigma": 1.0,
        "chi": 0.4,
        "d_chi": 2,
        "ell": 1.3,
    }
    source: dict[str, object] = {"source_kind": "uniform", "source_s0": 0}
    start: dict[str, object] = {"init_amp": 0.4, "metric_tol": 1e-11}
    return make(**{"dim": dimension, **GRIDS[dimension], **terms, **source, **start, **given})


def run(p: Params, h: float, steps: int, start: ComplexField | None = None) -> list[Segment]:
    """Take `steps` steps as one chunk; `start` is a physical field."""
    prepared = plan(p)
    cuts = Schedule(frames=1, chunks_per_frame=1, steps_per_chunk=steps, h=h)
    begin = prepared.start if start is None else prepared.grid.band(start)
    return list(segments(replace(prepared, schedule=cuts, start=begin)))


def last_frame(p: Params, h: float, steps: int, start: ComplexField | None = None) -> Frame:
    """Return the frame after `steps` steps."""
    frame = run(p, h, steps, start)[-1].frame
    assert frame is not None
    return frame


def solve(p: Params, h: float, steps: int, start: ComplexField | None = None) -> ComplexField:
    """Return ψ(x) after `steps` steps; with no steps, the initial field."""
    if steps == 0:
        return p.grid.field(plan(p).start)
    return last_frame(p, h, steps, start).psi


@lru_cache(maxsize=32)
def developed(p: Params, h: float, steps: int) -> ComplexField:
    """Return the field that a parameter set leads to; do not change it."""
    return solve(p, h, steps)


def order(steps: Sequence[float], errors: Sequence[float]) -> float:
    """Return the slope of log error against log step (least squares)."""
    return float(np.polyfit(np.log(steps), np.log(errors), 1)[0])


def relative(one: ComplexField, other: ComplexField) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


def convergence(
    p: Params, start: ComplexField, duration: float, counts: Sequence[int], reference: ComplexField | int
) -> tuple[float, list[float]]:
    """Return the measured order in time and the errors at `counts` steps, against a field or a finer run."""
    fine = reference if not isinstance(reference, int) else solve(p, duration / reference, reference, start)
    errors = [relative(solve(p, duration / count, count, start), fine) for count in counts]
    return order([duration / count for count in counts], errors), errors


def shown(errors: Sequence[float]) -> str:
    return ", ".join(f"{error:.1e}" for error in errors)
