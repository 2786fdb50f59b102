"""Everything a run needs, computed in double precision on the host and rounded once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from hsm.physics.etdrk4 import FlatRungeKutta, etdrk4
from hsm.physics.exponential import State, Stepper
from hsm.physics.grid import ComplexField, Grid
from hsm.physics.initial import initial_band
from hsm.physics.parameters import Params, Precision
from hsm.physics.rates import rates
from hsm.physics.schedule import Schedule, schedule

REAL: Mapping[Precision, np.dtype[np.floating]] = {
    Precision.F32: np.dtype(np.float32),
    Precision.F64: np.dtype(np.float64),
}
TAIL_LIMIT: Mapping[Precision, float] = {Precision.F32: 1e-5, Precision.F64: 1e-6}


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The compiled part of a run, as traced numbers: `starter` takes the first `starting` steps.

    What is compiled depends only on shapes, the precision, the integrator, the metric mode and which terms
    are on.
    """

    main: Stepper
    starter: Stepper | None = None
    starting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The state of a run between two chunks: a run that goes on from it ends as if it had never stopped.

    Bit for bit, under the same parameters and versions.

    alpha: the share of the diffusion that is stepped implicitly (1 in flat space); arrays: `v` and, where the
    stepper remembers something, `past`, in the precision of the run.
    """

    step: int
    alpha: float
    arrays: Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run that is ready to start. rho_limit: denser than this is a blow-up."""

    params: Params
    grid: Grid
    schedule: Schedule
    start: ComplexField
    rho_limit: float
    tail_limit: float

    @property
    def real(self) -> np.dtype[np.floating]:
        """The real type of the precision of the run."""
        return REAL[self.params.dtype]

    def program(self, alpha: float) -> Program:
        """Build the steppers for a share alpha of the diffusion that is stepped implicitly."""
        p, real = self.params, self.real
        scheme = etdrk4(p.equation.linear_symbol(self.grid), self.grid.active(), self.schedule.h, real)
        return Program(main=FlatRungeKutta(scheme=scheme, rates=rates(p, real)))

    def structure(self) -> str:
        """Return what distinguishes the compiled code of this run from that of another, beside shapes."""
        return str(jax.tree_util.tree_structure(self.program(self.first().alpha)))

    def first(self) -> Checkpoint:
        """Return the state at t = 0."""
        return Checkpoint(
            step=0, alpha=1.0, arrays={"v": self.start.astype(np.result_type(self.real, np.complex64))}
        )


def plan(p: Params) -> Plan:
    """Prepare a run."""
    grid = p.grid
    start = initial_band(p, grid)
    peak = float(np.max(np.abs(grid.field(start)) ** 2))
    return Plan(
        params=p,
        grid=grid,
        schedule=schedule(p),
        start=start,
        # a field this dense has left the attractor for good: the saturation that bounds it has failed
        rho_limit=max(100 * max(1.0, p.equation.density, p.source_density), 4 * peak),
        tail_limit=TAIL_LIMIT[p.dtype],
    )


def loaded(checkpoint: Checkpoint) -> State:
    """Return a state on the device."""
    return State(**{name: jax.device_put(array) for name, array in checkpoint.arrays.items()})


def saved(state: State, step: int, alpha: float) -> Checkpoint:
    """Return a state as arrays of the host."""
    past = {} if state.past is None else {"past": np.asarray(state.past)}
    return Checkpoint(step=step, alpha=alpha, arrays={"v": np.asarray(state.v), **past})
