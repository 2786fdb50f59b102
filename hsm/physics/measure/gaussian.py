"""What theory says of Gaussian fields: a yardstick for defects and for the topology of densities.

For a complex Gaussian field with the spectrum |ψ̂_k|², the zeros per unit area are sqrt(det C)/2π, C the
covariance of k over the spectrum; ⟨k²⟩/4π where it is isotropic (M. V. Berry and M. R. Dennis, Proc. R. Soc.
A 456, 2059, 2000). For a real one with variance 1, the Euler characteristic of {f > ν} has the mean
⟨k²⟩/2 (2π)^{−3/2} ν e^{−ν²/2} per unit area (R. J. Adler, The Geometry of Random Fields, 1981).
"""

import math

import numpy as np
from numpy.typing import NDArray

from hsm.physics.grid import Grid
from hsm.physics.metrics import Field

Numbers = NDArray[np.floating]


def zero_density(psi: Field, grid: Grid) -> float:
    """Return the zeros per unit area of Gaussian fields with the spectrum of ψ, 1/length²; two dimensions."""
    share = grid.spectrum(psi).ravel()
    share = share / share.sum()
    k = 2 * np.pi * np.fft.fftfreq(grid.points, grid.length / grid.points)
    waves = np.stack([axis.ravel() for axis in np.meshgrid(k, k, indexing="ij")])
    centred = waves - (waves @ share)[:, None]
    covariance = (share * centred) @ centred.T
    return float(np.sqrt(np.linalg.det(covariance)) / (2 * np.pi))


def euler_density(level: float, mean_k_squared: float) -> float:
    """Return the mean Euler characteristic per unit area of {f > level}, f of variance 1, 1/length²."""
    return mean_k_squared / 2 / math.sqrt(2 * math.pi) ** 3 * level * math.exp(-(level**2) / 2)


def euler_characteristic(field: Numbers, level: float) -> int:
    """Return the Euler characteristic of {f > level} on the torus: cells minus edges plus vertices.

    The grid points are the top cells of a cubical complex: neighbours share a face, also at a corner.
    """
    above = field > level
    total, sign = 0, 1
    faces = [above]
    for axis in range(field.ndim):
        faces += [face | np.roll(face, 1, axis) for face in faces]
    for number, face in enumerate(faces):
        sign = -1 if number.bit_count() % 2 else 1
        total += sign * int(np.count_nonzero(face))
    return total if field.ndim % 2 == 0 else -total
