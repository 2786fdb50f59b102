"""Contour means: the coefficients of exponential integrators, exact at every complex z.

These coefficients are entire functions of z = hL with a removable singularity at 0. They are evaluated as the
mean over a circle around z, which is exact for such functions and avoids their cancellation near 0. L is
complex here, so the circle must be full and the mean complex: the usual half circle with a real part is right
for real L only, and silently lowers the order to one.

Reference: A.-K. Kassam and L. N. Trefethen, SIAM J. Sci. Comput. 26, 1214 (2005).
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import factorial

import numpy as np

from hsm.physics.grid import ComplexField

CONTOUR_POINTS = 32
DIRECTIONS = np.exp(2j * np.pi * (np.arange(CONTOUR_POINTS) + 0.5) / CONTOUR_POINTS)
AT_ONCE = 1 << 14  # numbers that a function is evaluated at together


def circle_mean(function: Callable[[ComplexField], ComplexField], z: ComplexField) -> ComplexField:
    """Return the mean of an entire function over a full circle of 32 points around each z: its value at z."""
    (mean,) = circle_means(lambda w: (function(w),), z)
    return mean


def circle_means(
    functions: Callable[[ComplexField], Sequence[ComplexField]], z: ComplexField
) -> list[ComplexField]:
    """Return the means of several functions, which are evaluated together since they share their parts.

    The radius is 1, or 2 where 1/2 < |z| < 3/2: the circle then keeps a distance of at least 1/2 from w = 0,
    where the quotients cancel (a unit circle around |z| = 1 would pass through it).
    """
    points, place = np.unique(z, return_inverse=True)  # k² takes few values: a tenth of the work, or less
    size = np.abs(points)
    radius = np.where((size > 0.5) & (size < 1.5), 2.0, 1.0)
    totals: list[ComplexField] = []
    at_once = max(1, AT_ONCE // max(points.size, 1))
    for begun in range(0, CONTOUR_POINTS, at_once):
        found = functions(points + radius * DIRECTIONS[begun : begun + at_once, None])
        totals = totals or [np.zeros_like(points) for _ in found]
        for total, values in zip(totals, found, strict=True):
            for row in values:  # in this order, however many are evaluated at once: sums differ by rounding
                np.add(total, row, out=total)
    return [(total / CONTOUR_POINTS)[place].reshape(z.shape) for total in totals]


def phi(count: int, w: ComplexField) -> list[ComplexField]:
    """Return φ_1 to φ_count, φ_k(w) = (e^w − Σ_{j<k} w^j/j!)/w^k, for |w| not small."""
    grown, power, series = np.exp(w), w**0, np.zeros_like(w)
    found: list[ComplexField] = []
    for order in range(1, count + 1):
        series = series + power / factorial(order - 1)
        power = w**order
        found.append((grown - series) / power)
    return found


def adams_bashforth_weights(z: ComplexField) -> ComplexField:
    """Return β_0 to β_3 of ETDAB4 (see `etdab4`), shape (4, …)."""
    p1, p2, p3, p4 = circle_means(partial(phi, 4), z)
    g0, g1, g2, g3 = p1, p2, p2 / 2 + p3, p2 / 3 + p3 + p4
    return np.stack([g0 + g1 + g2 + g3, -(g1 + 2 * g2 + 3 * g3), g2 + 3 * g3, -g3])
