"""Everything a run needs, computed in double precision on the host and rounded once."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from hsm.physics import etdab4, gravity
from hsm.physics.elliptic import constraint
from hsm.physics.etdab4 import AdamsBashforthStarter, adams_bashforth
from hsm.physics.etdrk4 import Etdrk4, FlatRungeKutta, etdrk4
from hsm.physics.exponential import State, Stepper
from hsm.physics.gravity import Curved, bending
from hsm.physics.grid import ComplexField, Grid
from hsm.physics.initial import initial_band
from hsm.physics.parameters import Integrator, MetricMode, Params, Precision
from hsm.physics.rates import rates
from hsm.physics.schedule import Schedule, schedule

REAL: Mapping[Precision, np.dtype[np.floating]] = {
    Precision.F32: np.dtype(np.float32),
    Precision.F64: np.dtype(np.float64),
}
TAIL_LIMIT: Mapping[Precision, float] = {Precision.F32: 1e-5, Precision.F64: 1e-6}

ERROR_LIMIT = 1e-2  # 1/time


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

    alpha: the share of the diffusion that is stepped implicitly (1 in flat space); arrays: `v` and `past`
    (see `exponential.State`), in the precision of the run.
    """

    step: int
    alpha: float
    arrays: Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run that is ready to start.

    rho_limit: denser than this is a blow-up; tail_limit, error_limit: more than this of `spectral_tail` and
    of `step_error` is a loss of resolution.
    """

    params: Params
    grid: Grid
    schedule: Schedule
    start: ComplexField
    rho_limit: float
    tail_limit: float
    error_limit: float = ERROR_LIMIT
    _built: dict[float, Program] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def real(self) -> np.dtype[np.floating]:
        """The real type of the precision of the run."""
        return REAL[self.params.dtype]

    @property
    def complex(self) -> np.dtype[np.complexfloating]:
        """The complex type of the precision of the run."""
        return np.dtype(np.result_type(self.real, np.complex64))

    def program(self, alpha: float) -> Program:
        """Return the steppers for a share alpha of the diffusion that is stepped implicitly.

        The last that were asked for are kept.
        """
        if alpha not in self._built:
            self._built.clear()
            self._built[alpha] = self._program(alpha)
        return self._built[alpha]

    def _program(self, alpha: float) -> Program:
        p = self.params
        if p.kappa:
            return self._curved_program(alpha)
        scheme, terms = self._scheme(alpha), rates(p, self.real)
        if p.integrator is Integrator.ETDRK4:
            return Program(main=FlatRungeKutta(scheme=scheme, rates=terms))
        h, symbol, active = self.schedule.h, self._symbol(alpha), self.grid.active()
        return Program(
            main=adams_bashforth(symbol, active, h, terms, self.real),
            starter=AdamsBashforthStarter(scheme=scheme, rates=terms),
            starting=etdab4.REMEMBERED,
        )

    def _curved_program(self, alpha: float) -> Program:
        main = self._curved(alpha)
        if main.mode is not MetricMode.EXTRAPOLATED:
            return Program(main=main)
        starter = replace(main, trust=jax.device_put(np.asarray(-1, self.real)))
        return Program(main=main, starter=starter, starting=gravity.REMEMBERED[main.mode])

    def _curved(self, alpha: float) -> Curved:
        p = self.params
        return Curved(
            scheme=self._scheme(alpha),
            rates=rates(p, self.real),
            bending=bending(p, alpha, self.real),
            constraint=constraint(p, self.grid, self.real),
            power=jax.device_put(np.asarray(p.algebraic_power, self.real)),
            trust=jax.device_put(np.asarray(gravity.TRUST, self.real)),
            mode=p.metric,
        )

    def _scheme(self, alpha: float) -> Etdrk4:
        return etdrk4(self._symbol(alpha), self.grid.active(), self.schedule.h, self.real)

    def _symbol(self, alpha: float) -> ComplexField:
        equation, grid = self.params.equation, self.grid
        symbol = equation.linear_symbol(grid)
        return symbol if alpha == 1 else symbol + (1 - alpha) * equation.diffusion * grid.k_squared()

    def structure(self) -> str:
        """Return what distinguishes the compiled code of this run from that of another, beside shapes."""
        program = self.program(self.first().alpha)
        return str(jax.tree_util.tree_structure((program.main, program.starter)))

    def first(self) -> Checkpoint:
        """Return the state at t = 0, with its metric, which says what share of the diffusion is implicit."""
        v = self.start.astype(self.complex)
        if not self.params.kappa:
            count = etdab4.REMEMBERED if self.params.integrator is Integrator.ETDAB4 else 0
            return Checkpoint(
                step=0, alpha=1.0, arrays={"v": v, "past": np.zeros((count, *v.shape), v.dtype)}
            )
        y = np.asarray(gravity.initial_metric(self._curved(1.0), jax.device_put(v)))
        past = np.repeat(y[None], gravity.REMEMBERED[self.params.metric], axis=0)
        return Checkpoint(step=0, alpha=gravity.planned(gravity.steepest(y)), arrays={"v": v, "past": past})


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
    past = tuple(jax.device_put(field) for field in checkpoint.arrays["past"])
    return State(v=jax.device_put(checkpoint.arrays["v"]), past=past)


def saved(state: State, step: int, alpha: float) -> Checkpoint:
    """Return a state as arrays of the host."""
    v = np.asarray(state.v)
    past = (
        np.stack([np.asarray(field) for field in state.past])
        if state.past
        else np.zeros((0, *v.shape), v.dtype)
    )
    return Checkpoint(step=step, alpha=alpha, arrays={"v": v, "past": past})
