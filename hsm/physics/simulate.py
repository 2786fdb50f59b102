"""One run: chunks of compiled steps, saved frames, and the watch for what ends it early.

`segments` yields after every chunk. Who iterates decides what to do with frames, when to keep a checkpoint
and whether to go on: leaving the loop stops the run.

step_error of a frame: the next step is taken twice, once as it is and once in two halves. Of a scheme of
order four 16/15 of the difference is the error of the whole step; it is given relative to ψ (rms) and per
unit time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import jax
import numpy as np
from jax import Array

from hsm.physics import balance, outcome
from hsm.physics.balance import Ledger
from hsm.physics.exponential import State, Stepper, Toll
from hsm.physics.gravity import Curved, due, observed, planned, untenable
from hsm.physics.hamiltonian import violation
from hsm.physics.metrics import Diagnostics, Field, diagnose
from hsm.physics.outcome import Ending
from hsm.physics.parameters import MetricMode
from hsm.physics.plan import Checkpoint, Plan, Program, loaded, saved
from hsm.physics.status import Status
from hsm.physics.transforms import to_points, upright

DEAD_BELOW = 1e-6  # mean density
VIOLATED_ABOVE = 1e-3  # h_norm
WATCHED = 10  # every so many frames step_error is looked at, and at the last
SOLVED = frozenset({MetricMode.STAGE, MetricMode.EXTRAPOLATED})  # the others are comparisons: they run on


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The field at a saved time and what was measured on it.

    psi has shape (N, …) and the precision of the run; omega is Ω of the metric g = Ω²δ, None in flat space.
    """

    t: float
    step: int
    psi: Field
    omega: np.ndarray | None
    figures: Diagnostics


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A run after one more chunk; the first has t = 0, the last one has an `ending`.

    frame: at saved times, else None. iterations: of the constraint solver in the chunk. balance: time,
    mass and its rate over the last steps of a run that reached its end, else nothing (see `balance`).
    """

    t: float
    step: int
    frame: Frame | None
    ending: Ending | None
    iterations: int
    balance: tuple[tuple[float, float, float], ...]
    _state: State
    _alpha: float

    def checkpoint(self) -> Checkpoint:
        """Copy the state from the device: the run can go on from here, in this process or another."""
        return saved(self._state, self.step, self._alpha)


@jax.jit
def advance(stepper: Stepper, state: State, step: Array, count: Array) -> tuple[State, Array, Toll]:
    """Advance by `count` steps from number `step`; return also the gauged field on the points.

    The count is traced: one compilation serves chunks of every length.
    """

    def one(index: Array, carry: tuple[State, Toll]) -> tuple[State, Toll]:
        state, toll = carry
        state, more = stepper.step(state, (step + index) * stepper.h)
        return state, toll + more

    state, toll = jax.lax.fori_loop(0, count, one, (state, Toll.nothing()))
    return state, to_points(state.v, stepper.points), toll


def segments(plan: Plan, start: Checkpoint | None = None) -> Iterator[Segment]:
    """Run to the end, or to what ends it early; from t = 0, or from a checkpoint of the same parameters."""
    begin = start or plan.first()
    run = _Run(plan, begin)
    if start is None:
        frame = run.frame()
        yield run.segment(frame, run.constrained(frame))
    while run.ending is None:
        yield run.chunk()


class _Run:
    """The mutable course of one run."""

    def __init__(self, plan: Plan, begin: Checkpoint) -> None:
        self._plan = plan
        self._alpha = begin.alpha
        self._program: Program = plan.program(begin.alpha)
        self._fine: Stepper | None = None  # takes half steps
        self._state = loaded(begin)
        self._step = begin.step
        self._closing: list[State] = []
        self.ending: Ending | None = None

    @property
    def _t(self) -> float:
        return self._step * self._plan.schedule.h

    def segment(self, frame: Frame | None, ending: Ending | None, iterations: int = 0) -> Segment:
        self.ending = ending
        return Segment(
            t=self._t,
            step=self._step,
            frame=frame,
            ending=ending,
            iterations=iterations,
            balance=self._balanced() if ending and ending.status is Status.OK else (),
            _state=self._state,
            _alpha=self._alpha,
        )

    def frame(self) -> Frame:
        """Return the frame of the state in hand."""
        grid = self._plan.grid
        psi = grid.field(np.asarray(self._state.v)).astype(self._plan.complex)
        violated = omega = None
        if (x := self._metric(self._state)) is not None:
            omega = (np.exp(x) if x.ndim == 2 else x**2).astype(self._plan.real)
            violated = violation(self._plan.params, psi, x)
        error = self._step_error() if self._is_watched() else None
        figures = diagnose(psi, grid.reach, violated, error)
        return Frame(t=self._t, step=self._step, psi=psi, omega=omega, figures=figures)

    def chunk(self) -> Segment:
        """Advance to the next end of a chunk; on failure stay at the last good step."""
        cuts = self._plan.schedule
        target = min((self._step // cuts.steps_per_chunk + 1) * cuts.steps_per_chunk, cuts.steps)
        iterations = 0
        self._note()
        while self._step < target:
            stepper, count = self._next(target)
            ahead, psi, toll = _advanced(stepper, self._state, self._step, count)
            if self._bad(psi, toll):
                return self.segment(None, self._locate(stepper, count))
            steepest = float(toll.steepest)
            if untenable(steepest, self._alpha):
                self._replan(steepest)
                continue
            self._state, self._step = ahead, self._step + count
            iterations += int(toll.iterations)
            self._note()
            if due(steepest, self._alpha):
                self._replan(steepest)
        saves = self._step % cuts.steps_per_frame == 0
        frame = self.frame() if saves else None
        return self.segment(frame, self._verdict(frame), iterations)

    def _replan(self, steepest: float) -> None:
        self._alpha = planned(steepest)
        self._program = self._plan.program(self._alpha)
        self._fine = None

    def _is_watched(self) -> bool:
        cuts = self._plan.schedule
        number = self._step // cuts.steps_per_frame
        return self._step == cuts.steps or (number > 0 and number % WATCHED == 0)

    def _step_error(self) -> float:
        """Return the relative error of the step that would come next, per unit time."""
        h = self._plan.schedule.h
        if self._fine is None:
            halves = replace(self._plan, schedule=replace(self._plan.schedule, h=h / 2)).program(self._alpha)
            self._fine = halves.starter or halves.main  # it needs no past
        whole, _, _ = _advanced(self._next(self._step + 1)[0], self._state, self._step, 1)
        halved, _, _ = _advanced(self._fine, self._state, 2 * self._step, 2)
        once, twice = np.asarray(whole.v), np.asarray(halved.v)
        with np.errstate(all="ignore"):
            apart = np.linalg.norm(once - twice) / np.linalg.norm(twice)
        return float(np.nan_to_num(16 / 15 * apart / h, nan=np.inf))

    def _next(self, target: int) -> tuple[Stepper, int]:
        """Return what takes the next steps, and how many."""
        program = self._program
        count = target - self._step
        if target == self._plan.schedule.steps:
            count = max(1, count - balance.STEPS)  # the last steps one by one: they are balanced
        if program.starter is not None and self._step < program.starting:
            return program.starter, min(count, program.starting - self._step)
        return program.main, count

    def _note(self) -> None:
        """Keep the states of the last chunk that are balanced, from its own start on."""
        cuts = self._plan.schedule
        if self._step >= cuts.steps - min(balance.STEPS, cuts.steps_per_chunk):
            self._closing.append(self._state)

    def _balanced(self) -> tuple[tuple[float, float, float], ...]:
        ledger, h = Ledger(params=self._plan.params), self._plan.schedule.h
        first = self._step - len(self._closing) + 1
        return tuple(
            ledger.row((first + at) * h, np.asarray(state.v), self._metric(state))
            for at, state in enumerate(self._closing)
        )

    def _metric(self, state: State) -> np.ndarray | None:
        """Return the metric field of a state (N, …): ln Ω in 2-D, √Ω in 3-D; None in flat space."""
        main = self._program.main
        if not isinstance(main, Curved):
            return None
        x = upright(np.asarray(observed(main, state))).astype(np.float64)
        return x if x.ndim == 2 else 1 + x

    def _bad(self, psi: Array, toll: Toll) -> bool:
        return int(toll.failures) > 0 or not max_density(psi) <= self._plan.rho_limit

    def _locate(self, stepper: Stepper, count: int) -> Ending:
        """Repeat steps that went wrong one at a time, from their good start, to find the first bad one."""
        last = self._step + count - 1
        while True:
            ahead, psi, toll = _advanced(stepper, self._state, self._step, 1)
            if self._step == last or self._bad(psi, toll):
                break
            self._state, self._step = ahead, self._step + 1
        if int(toll.failures):
            return outcome.metric_failed(self._t, self._step)
        return outcome.blown_up(self._t, self._step, max_density(psi))

    def _verdict(self, frame: Frame | None) -> Ending | None:
        """Return what ends the run at this frame, if anything does."""
        if frame is None:
            return None
        limit = self._plan.tail_limit
        if frame.figures.spectral_tail > limit:
            return outcome.underresolved(frame.t, frame.step, frame.figures.spectral_tail, limit)
        if (broken := self.constrained(frame)) is not None:
            return broken
        error, most = frame.figures.step_error or 0, self._plan.error_limit
        if error > most and self._plan.params.metric in SOLVED:
            return outcome.too_coarse(frame.t, frame.step, error, most)
        if self._step < self._plan.schedule.steps:
            return None
        if frame.figures.mean_rho < DEAD_BELOW:
            return outcome.dead(frame.t, frame.step, frame.figures.mean_rho, DEAD_BELOW)
        return outcome.completed(frame.t, frame.step)

    def constrained(self, frame: Frame) -> Ending | None:
        """Return the ending of a run whose metric breaks its constraint; a comparison may, until its end."""
        compared, norm = self._plan.params.metric not in SOLVED, frame.figures.h_norm or 0
        if norm <= VIOLATED_ABOVE or (compared and self._step < self._plan.schedule.steps):
            return None
        return outcome.violated(frame.t, frame.step, norm, VIOLATED_ABOVE, compared=compared)


def _advanced(stepper: Stepper, state: State, step: int, count: int) -> tuple[State, Array, Toll]:
    result: tuple[State, Array, Toll] = advance(stepper, state, np.int64(step), np.int64(count))
    return result


def max_density(psi: Array) -> float:
    """Return max |ψ|², which is nan or inf where the field is not finite."""
    host = np.asarray(psi)
    with np.errstate(all="ignore"):
        return float(np.max(host.real**2 + host.imag**2))
