"""ETDRK4: the exponential time differencing Runge-Kutta scheme of order four.

    a = e^{z/2} v + Q N(v, t)
    b = e^{z/2} v + Q N(a, t + h/2)
    c = e^{z/2} a + Q (2N(b, t + h/2) − N(v, t))
    v ← e^z v + f1 N(v, t) + 2 f2 (N(a, t + h/2) + N(b, t + h/2)) + f3 N(c, t + h)

    Q  = h ⟨(e^{w/2} − 1)/w⟩
    f1 = h ⟨(−4 − w + e^w (4 − 3w + w²))/w³⟩
    f2 = h ⟨(2 + w + e^w (w − 2))/w³⟩
    f3 = h ⟨(−4 − 3w − w² + e^w (4 − w))/w³⟩

with z = hL, and ⟨⟩ the mean over a circle of w around z, which is exact for these entire functions and avoids
their cancellation at z = 0. L is complex here, so the circle must be full and the mean complex: the usual
half circle with a real part is right for real L only, and silently lowers the order to one.

References: S. M. Cox and P. C. Matthews, J. Comput. Phys. 176, 430 (2002); A.-K. Kassam and L. N. Trefethen,
SIAM J. Sci. Comput. 26, 1214 (2005).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
from jax import Array

from hsm.physics.equation import Nonlinear
from hsm.physics.grid import Complex2D

CONTOUR_POINTS = 32


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["whole", "half", "q", "f1", "f2_twice", "f3", "h"],
    meta_fields=[],
)
@dataclass(frozen=True, slots=True, kw_only=True)
class Etdrk4:
    """The scheme for one linear symbol and one step h, as arrays of the symbol's shape (h: scalar, time)."""

    whole: Array
    half: Array
    q: Array
    f1: Array
    f2_twice: Array
    f3: Array
    h: Array

    def step(self, v: Array, t: Array, nonlinear: Nonlinear) -> Array:
        """Advance v from t to t + h."""
        middle = t + self.h / 2
        n_v = nonlinear(v, t)
        carried = self.half * v
        a = carried + self.q * n_v
        n_a = nonlinear(a, middle)
        b = carried + self.q * n_a
        n_b = nonlinear(b, middle)
        c = self.half * a + self.q * (2 * n_b - n_v)
        n_c = nonlinear(c, t + self.h)
        return self.whole * v + self.f1 * n_v + self.f2_twice * (n_a + n_b) + self.f3 * n_c


def etdrk4(symbol: Complex2D, h: float, real: np.dtype[np.floating]) -> Etdrk4:
    """Build the scheme for a linear symbol (1/time) and a step h (time).

    Coefficients are computed in double precision and rounded once.
    """
    z, kind = h * symbol, np.result_type(real, np.complex64)

    def cast(values: Complex2D) -> Array:
        array: Array = jax.device_put(values.astype(kind))
        return array

    return Etdrk4(
        whole=cast(np.exp(z)),
        half=cast(np.exp(z / 2)),
        q=cast(h * circle_mean(lambda w: (np.exp(w / 2) - 1) / w, z)),
        f1=cast(h * circle_mean(lambda w: (-4 - w + np.exp(w) * (4 - 3 * w + w**2)) / w**3, z)),
        f2_twice=cast(2 * h * circle_mean(lambda w: (2 + w + np.exp(w) * (w - 2)) / w**3, z)),
        f3=cast(h * circle_mean(lambda w: (-4 - 3 * w - w**2 + np.exp(w) * (4 - w)) / w**3, z)),
        h=jax.device_put(np.asarray(h, real)),
    )


def circle_mean(function: Callable[[Complex2D], Complex2D], z: Complex2D) -> Complex2D:
    """Return the mean of an entire function over a full circle of 32 points around each z: its value at z.

    The radius is 1, or 2 where 1/2 < |z| < 3/2: the circle then keeps a distance of at least 1/2 from w = 0,
    where the quotients cancel (a unit circle around |z| = 1 would pass through it).
    """
    size = np.abs(z)
    radius = np.where((size > 0.5) & (size < 1.5), 2.0, 1.0)
    directions = np.exp(2j * np.pi * (np.arange(CONTOUR_POINTS) + 0.5) / CONTOUR_POINTS)
    total = np.zeros_like(z)
    for direction in directions:  # one by one: 32 copies of a large grid would not fit in memory
        total += function(z + radius * direction)
    return total / CONTOUR_POINTS
