"""Contour means: the coefficients of exponential integrators, exact at every complex z.

These coefficients are entire functions of z = hL with a removable singularity at 0. They are evaluated as the
mean over a circle around z, which is exact for such functions and avoids their cancellation near 0. L is
complex here, so the circle must be full and the mean complex: the usual half circle with a real part is right
for real L only, and silently lowers the order to one.

Reference: A.-K. Kassam and L. N. Trefethen, SIAM J. Sci. Comput. 26, 1214 (2005).
"""

from collections.abc import Callable
from functools import partial
from math import factorial

import numpy as np

from hsm.physics.grid import ComplexField

CONTOUR_POINTS = 32
DIRECTIONS = np.exp(2j * np.pi * (np.arange(CONTOUR_POINTS) + 0.5) / CONTOUR_POINTS)
AT_ONCE = 1 << 14  # numbers that a function is evaluated at together


def circle_mean(function: Callable[[ComplexField], ComplexField], z: ComplexField) -> ComplexField:
    """Return the mean of an entire function over a full circle of 32 points around each z: its value at z.

    The radius is 1, or 2 where 1/2 < |z| < 3/2: the circle then keeps a distance of at least 1/2 from w = 0,
    where the quotients cancel (a unit circle around |z| = 1 would pass through it).
    """
    points, place = np.unique(z, return_inverse=True)  # k² takes few values: a tenth of the work, or less
    size = np.abs(points)
    radius = np.where((size > 0.5) & (size < 1.5), 2.0, 1.0)
    total, at_once = np.zeros_like(points), max(1, AT_ONCE // max(points.size, 1))
    for begun in range(0, CONTOUR_POINTS, at_once):
        for values in function(points + radius * DIRECTIONS[begun : begun + at_once, None]):
            total += values  # in this order, however many are evaluated at once: sums differ by rounding
    return (total / CONTOUR_POINTS)[place].reshape(z.shape)


def phi(order: int, w: ComplexField) -> ComplexField:
    """Return φ_k(w) = (e^w − Σ_{j<k} w^j/j!)/w^k, for |w| not small."""
    series = sum(w**j / factorial(j) for j in range(order))
    value: ComplexField = (np.exp(w) - series) / w**order
    return value


def adams_bashforth_weights(z: ComplexField) -> ComplexField:
    """Return β_0 to β_3 of ETDAB4 (see `etdab4`), shape (4, …)."""
    p1, p2, p3, p4 = (circle_mean(partial(phi, order), z) for order in (1, 2, 3, 4))
    g0, g1, g2, g3 = p1, p2, p2 / 2 + p3, p2 / 3 + p3 + p4
    return np.stack([g0 + g1 + g2 + g3, -(g1 + 2 * g2 + 3 * g3), g2 + 3 * g3, -g3])
