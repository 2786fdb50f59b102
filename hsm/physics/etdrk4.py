"""ETDRK4: the exponential time differencing Runge-Kutta scheme of order four.

    a = e^{z/2} v + Q N(v, t)
    b = e^{z/2} v + Q N(a, t + h/2)
    c = e^{z/2} a + Q (2N(b, t + h/2) − N(v, t))
    v ← e^z v + f1 N(v, t) + 2 f2 (N(a, t + h/2) + N(b, t + h/2)) + f3 N(c, t + h)

    Q  = h ⟨(e^{w/2} − 1)/w⟩
    f1 = h ⟨(−4 − w + e^w (4 − 3w + w²))/w³⟩
    f2 = h ⟨(2 + w + e^w (w − 2))/w³⟩
    f3 = h ⟨(−4 − 3w − w² + e^w (4 − w))/w³⟩

with z = hL and ⟨⟩ the contour mean of `contour`.

References: S. M. Cox and P. C. Matthews, J. Comput. Phys. 176, 430 (2002); A.-K. Kassam and L. N. Trefethen,
SIAM J. Sci. Comput. 26, 1214 (2005).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import jax
import numpy as np
from jax import Array

from hsm.physics.contour import circle_means
from hsm.physics.exponential import State, Toll
from hsm.physics.grid import ComplexField
from hsm.physics.rates import Rates

M = TypeVar("M")
Evaluate = Callable[[Array, Array, int, M], tuple[Array, M]]
"""(v, t, number of the stage, memory) -> (N(v, t), memory for the next stage)."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["whole", "half", "q", "f1", "f2_twice", "f3", "h"],
    meta_fields=[],
)
@dataclass(frozen=True, slots=True, kw_only=True)
class Etdrk4:
    """Coefficients for one linear symbol and one step h: arrays of the symbol's shape (h: scalar, time)."""

    whole: Array
    half: Array
    q: Array
    f1: Array
    f2_twice: Array
    f3: Array
    h: Array

    def advance(self, v: Array, t: Array, evaluate: Evaluate[M], memory: M) -> tuple[Array, M]:
        """Advance v from t to t + h; `memory` goes from stage to stage."""
        middle = t + self.h / 2
        n_v, memory = evaluate(v, t, 0, memory)
        carried = self.half * v
        a = carried + self.q * n_v
        n_a, memory = evaluate(a, middle, 1, memory)
        b = carried + self.q * n_a
        n_b, memory = evaluate(b, middle, 2, memory)
        c = self.half * a + self.q * (2 * n_b - n_v)
        n_c, memory = evaluate(c, t + self.h, 3, memory)
        return self.whole * v + self.f1 * n_v + self.f2_twice * (n_a + n_b) + self.f3 * n_c, memory


def etdrk4(symbol: ComplexField, active: np.ndarray, h: float, real: np.dtype[np.floating]) -> Etdrk4:
    """Build the scheme for a linear symbol (1/time) and a step h (time).

    Coefficients are computed in double precision and rounded once; those of N are zero where a mode is not
    active, which is how products are truncated.
    """
    z, kind = h * symbol, np.result_type(real, np.complex64)
    means = [np.where(active, h * mean, 0) for mean in circle_means(_quotients, z)]
    numbers = [np.exp(z), np.exp(z / 2), *means]
    whole, half, q, f1, f2_twice, f3, step = jax.device_put(
        [*(values.astype(kind) for values in numbers), np.float64(h)]
    )
    return Etdrk4(whole=whole, half=half, q=q, f1=f1, f2_twice=f2_twice, f3=f3, h=step)


def _quotients(w: ComplexField) -> tuple[ComplexField, ...]:
    """Return what Q, f1, 2 f2 and f3 are means of, each over h."""
    grown, square, cube = np.exp(w), w**2, w**3
    return (
        (np.exp(w / 2) - 1) / w,
        (-4 - w + grown * (4 - 3 * w + square)) / cube,
        2 * (2 + w + grown * (w - 2)) / cube,
        (-4 - 3 * w - square + grown * (4 - w)) / cube,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RungeKutta:
    """What steppers that use this scheme have in common: its coefficients and what it steps explicitly."""

    scheme: Etdrk4
    rates: Rates

    @property
    def h(self) -> Array:
        return self.scheme.h

    @property
    def points(self) -> int:
        return self.rates.points


@partial(jax.tree_util.register_dataclass, data_fields=["scheme", "rates"], meta_fields=[])
@dataclass(frozen=True, slots=True, kw_only=True)
class FlatRungeKutta(RungeKutta):
    """ETDRK4 in flat space; it remembers nothing."""

    def step(self, state: State, t: Array) -> tuple[State, Toll]:
        v, _ = self.scheme.advance(state.v, t, lambda v, t, _stage, none: (self.rates(v, t), none), None)
        return State(v=v, past=state.past), Toll.nothing()
