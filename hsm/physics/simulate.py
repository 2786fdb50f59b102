"""One simulation: chunks of compiled steps, saved frames, the watch for blow-up and interruptions."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hsm.physics.equation import Nonlinear, Sncgl
from hsm.physics.etdrk4 import Etdrk4, etdrk4
from hsm.physics.grid import Grid, to_grid
from hsm.physics.initial import initial_band
from hsm.physics.metrics import Field
from hsm.physics.outcome import Ending
from hsm.physics.parameters import Params, Precision, SourceKind
from hsm.physics.schedule import Schedule, schedule
from hsm.physics.status import Status

REAL: Mapping[Precision, np.dtype[np.floating]] = {
    Precision.F32: np.dtype(np.float32),
    Precision.F64: np.dtype(np.float64),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The field at a saved time; psi has shape (N, N) and the precision of the run."""

    t: float
    step: int
    psi: Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything a run needs, ready for the device.

    What is compiled depends only on N, the precision, the steps per chunk and which terms are on.
    """

    grid: Grid
    schedule: Schedule
    stepper: Etdrk4
    nonlinear: Nonlinear
    start: Array
    first: Frame
    rho_limit: float

    def frame(self, step: int, psi: Array) -> Frame:
        """Return the frame of a gauged field."""
        return Frame(t=step * self.schedule.h, step=step, psi=self.grid.ungauged(np.asarray(psi)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Wall time in the solver; compile_s is what the first chunk took beyond a usual one, None if alone."""

    compile_s: float | None
    stepping_s: float


def plan(p: Params) -> Plan:
    """Prepare a run: everything is computed in double precision on the host, then rounded once."""
    grid, cuts, real = Grid(points=p.N, length=p.L), schedule(p), REAL[p.dtype]
    complex_ = np.result_type(real, np.complex64)
    equation = Sncgl(params=p, grid=grid)
    start = initial_band(p, grid)
    start_psi = grid.field(start)
    source_scale = abs(p.source_s0) ** (2 / 3) if p.source_kind is not SourceKind.NONE else 0.0
    return Plan(
        grid=grid,
        schedule=cuts,
        stepper=etdrk4(equation.linear_symbol(), cuts.h, real),
        nonlinear=equation.nonlinear(real),
        start=jax.device_put(start.astype(complex_)),
        first=Frame(t=0.0, step=0, psi=start_psi.astype(complex_)),
        # a field this dense has left the attractor for good: the saturation that bounds it has failed
        rho_limit=max(100 * max(1.0, p.mu, source_scale), 4 * float(np.max(np.abs(start_psi)) ** 2)),
    )


@partial(jax.jit, static_argnames="steps")
def advance(v: Array, t: Array, stepper: Etdrk4, nonlinear: Nonlinear, *, steps: int) -> tuple[Array, Array]:
    """Advance v by `steps` steps from time t; return the new band and its gauged field on the grid."""

    def one(state: Array, index: Array) -> tuple[Array, None]:
        return stepper.step(state, t + index * stepper.h, nonlinear), None

    v, _ = jax.lax.scan(one, v, jnp.arange(steps, dtype=stepper.h.dtype))
    return v, to_grid(v)


def simulate(
    prepared: Plan,
    on_frame: Callable[[Frame], None],
    interruption: Callable[[], Status | None] = lambda: None,
) -> tuple[Ending, Timing]:
    """Run to the end, to a blow-up or to an interruption; `on_frame` gets t = 0 and every saved time reached.

    `interruption` is asked before each chunk and returns the status to end with, or None.
    """
    cuts, v, step = prepared.schedule, prepared.start, 0
    chunk_s: list[float] = []
    on_frame(prepared.first)
    while step < cuts.steps:
        if (status := interruption()) is not None:
            return Ending(status=status, t=step * cuts.h, step=step), _timing(chunk_s)
        began = time.perf_counter()
        ahead, psi = _advance(prepared, v, step, cuts.steps_per_chunk)
        if not max_density(psi) <= prepared.rho_limit:
            return _locate_blow_up(prepared, v, step), _timing(chunk_s)
        chunk_s.append(time.perf_counter() - began)
        v, step = ahead, step + cuts.steps_per_chunk
        if step % cuts.steps_per_frame == 0:
            on_frame(prepared.frame(step, psi))
    return Ending(status=Status.OK, t=step * cuts.h, step=step), _timing(chunk_s)


def _advance(prepared: Plan, v: Array, step: int, steps: int) -> tuple[Array, Array]:
    t = jax.device_put(np.asarray(step * prepared.schedule.h, prepared.stepper.h.dtype))
    ahead: tuple[Array, Array] = advance(v, t, prepared.stepper, prepared.nonlinear, steps=steps)
    return ahead


def max_density(psi: Array) -> float:
    """Return max |ψ|², which is nan or inf where the field is not finite."""
    host = np.asarray(psi)
    with np.errstate(all="ignore"):
        return float(np.max(host.real**2 + host.imag**2))


def _locate_blow_up(prepared: Plan, v: Array, step: int) -> Ending:
    """Repeat a chunk that went wrong one step at a time, from its good start, to find the first bad step."""
    h, last = prepared.schedule.h, step + prepared.schedule.steps_per_chunk - 1
    while True:
        v, psi = _advance(prepared, v, step, 1)
        density = max_density(psi)
        if step == last or not density <= prepared.rho_limit:
            break
        step += 1
    max_rho = density if np.isfinite(density) else None
    return Ending(status=Status.BLOWN_UP, t=step * h, step=step, blow_up_step=step + 1, max_rho=max_rho)


def _timing(chunk_s: list[float]) -> Timing:
    if len(chunk_s) < 2:
        return Timing(compile_s=None, stepping_s=sum(chunk_s))
    usual = float(np.median(chunk_s[1:]))
    return Timing(compile_s=max(0.0, chunk_s[0] - usual), stepping_s=sum(chunk_s[1:]) + usual)
