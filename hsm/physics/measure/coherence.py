"""How far the phase is in order: over the whole box, over a stated range, and down to what distance.

- pcs: the share of e^{iθ} in its strongest plane wave (`metrics.phase_coherence`), 1/n to 1, no dimension.
- pcs_local: ⟨|G_ℓ∗e^{iθ}|²⟩ with the normalised Gaussian of range ℓ = 2 length units, 0 to 1, no dimension. 1
  where the phase is uniform over the range, exp(−ℓ²q²) for a plane wave of wave number q, and
  dx^d/(2√π ℓ)^d for independent random phases.
- correlation_length: the first distance r at which the mean of |⟨ψ*(x) ψ(x+r)⟩|/⟨ρ⟩ over all directions is
  below 1/e, length.

The null of the first two is the field null (`surrogates`): an order that the spectrum of ψ has by itself is
reached by fields with phases of chance. defect_density_null is the mean number of defects of those fields.
"""

from functools import lru_cache, reduce
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from hsm.physics.grid import Grid
from hsm.physics.measure.chance import NotComputable
from hsm.physics.metrics import Field, defects, unit_phases

Numbers = NDArray[np.floating]
RANGE = 2.0  # ℓ, length
WIDEST = 1 / 8  # ℓ, at most this share of the box


def local_coherence(psi: Field, grid: Grid) -> float:
    """Return pcs_local.

    Raises:
        NotComputable: the range does not fit between the spacing and the box.
    """
    if why := misfit_of_range(grid):
        raise NotComputable(why)
    power = np.abs(np.fft.fftn(unit_phases(psi)) / psi.size) ** 2
    return float(np.sum(power * weights(grid)))


def misfit_of_range(grid: Grid) -> str | None:
    """Return why the range does not fit between the spacing and the box; None: it does."""
    if WIDEST * grid.length < RANGE:
        return f"the box is too small for the range {RANGE:g}: L must be {RANGE / WIDEST:g}"
    if grid.length / grid.points > RANGE:
        return f"the grid is too coarse for the range {RANGE:g}: L/N must be at most that"
    return None


@lru_cache(maxsize=8)
def weights(grid: Grid) -> Numbers:
    """Return |Ĝ_ℓ|² of each mode, shape (N, …)."""
    found: Numbers = np.exp(-(RANGE**2) * grid.k_squared_full())
    return found


def correlation_length(psi: Field, grid: Grid) -> float:
    """Return the distance at which the field forgets itself, length.

    Raises:
        NotComputable: it is not between the grid spacing and half the box.
    """
    spacing = grid.length / grid.points
    radius, correlation = correlation_by_distance(psi)
    for near, far in pairwise(range(radius.size)):
        high, low = correlation[near], correlation[far]
        if low < 1 / np.e:
            share = (high - 1 / np.e) / (high - low)
            found = float(radius[near] + share * (radius[far] - radius[near]))
            if found < 1:
                raise NotComputable(f"the field forgets itself within one grid spacing, {spacing:.3g}")
            return spacing * found
    raise NotComputable("the field remembers itself over half the box: use a larger L")


def correlation_by_distance(psi: Field) -> tuple[Numbers, Numbers]:
    """Return distances up to half the box, in grid spacings, and |⟨ψ*(x)ψ(x+r)⟩|/⟨ρ⟩ there."""
    power = np.abs(np.fft.fftn(psi)) ** 2
    correlation = np.abs(np.fft.ifftn(power))
    step = np.fft.fftfreq(psi.shape[0], 1 / psi.shape[0])
    distance = np.sqrt(reduce(np.add.outer, [step**2] * psi.ndim))
    ring = np.rint(distance).astype(np.intp).ravel()
    last = psi.shape[0] // 2
    counts = np.bincount(ring)[: last + 1]
    means = np.bincount(ring, correlation.ravel())[: last + 1] / counts
    radius = np.bincount(ring, distance.ravel())[: last + 1] / counts
    return radius, means / correlation.flat[0]


def order_of(psi: Field, grid: Grid) -> Numbers:
    """Return pcs, pcs_local (NaN where it does not exist) and the number of defects of fields (count, N, …).

    Shape (count, 3). Both coherences come from one transform.
    """
    from scipy import fft  # as in `surrogates`

    space = tuple(range(1, psi.ndim))
    amplitudes = fft.fftn(unit_phases(psi), axes=space, overwrite_x=True).reshape(len(psi), -1)
    power = amplitudes.real**2 + amplitudes.imag**2
    scale = 1 / power.shape[1] ** 2
    local = np.nan if misfit_of_range(grid) else scale * np.einsum("ij,j->i", power, weights(grid).ravel())
    turning = sum(np.count_nonzero(defects(psi, axes), axis=space) for axes in combinations(space, 2))
    return np.stack(np.broadcast_arrays(scale * power.max(axis=-1), local, turning), axis=-1)
