"""The spectrum of the density by the length of the wave vector, its background, its peaks and its null.

Shell j holds the modes with round(|m|) = j, 1 ≤ j ≤ N/4. P_j is the mean of |ρ̂|² over its n_j modes, and k_j
the mean of their |k|. y_j = ln P_j − the running median of 11 shells, in nats. A peak is a local maximum of y
with a prominence of at least 0.1 nats; its place is refined by a parabola.

The spectrum null. For a Gaussian field without structure P_j is its expectation times χ²/n_j with n_j
degrees of freedom (a real field has n_j/2 independent modes of two each). A draw multiplies the background
that was found by such numbers.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hsm.physics.measure.chance import NotComputable, Stream

Numbers = NDArray[np.floating]
WINDOW = 11  # shells of the running median
PROMINENCE = 0.1  # nats
ROUNDING = 10  # what is not this many times stronger than rounding in the field is taken for nothing
FEWEST_SHELLS = 8
QUANTILES = 9  # of a normal: numbers of 53 bits reach 8.3
KNOTS_PER_UNIT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Shells:
    """The shells of a grid of N^d points.

    of_mode: the shell of each mode in the layout of a real transform; length: its |m|; weight: 2 where it
    stands for its conjugate too; modes: n_j; radius: mean |m| of a shell, both from j = 0 to N/4.
    """

    of_mode: NDArray[np.intp]
    length: Numbers
    weight: Numbers
    modes: Numbers
    radius: Numbers


@lru_cache(maxsize=8)
def shells(points: int, dimension: int) -> Shells:
    """Return the shells of a grid."""
    whole, half = np.fft.fftfreq(points, 1 / points), np.fft.rfftfreq(points, 1 / points)
    axes = [*[whole] * (dimension - 1), half]
    lengths = np.sqrt(reduce(np.add.outer, [axis**2 for axis in axes]))
    twice = np.where((half > 0) & (half < points / 2), 2.0, 1.0)
    weight, length = np.broadcast_to(twice, lengths.shape).ravel(), lengths.ravel()
    last = points // 4
    of_mode = np.minimum(np.rint(length).astype(np.intp), last + 1)
    modes: Numbers = np.bincount(of_mode, weight, last + 2)[: last + 1].astype(float)
    radius = np.bincount(of_mode, weight * length, last + 2)[: last + 1] / modes
    return Shells(of_mode=of_mode, length=length, weight=weight, modes=modes, radius=radius)


def shell_means(rho: Numbers) -> Numbers:
    """Return P_j of a density (N, …) for 1 ≤ j ≤ N/4, density²."""
    parts = shells(rho.shape[0], rho.ndim)
    means: Numbers = _sums(parts, power_of_modes(rho)) / parts.modes[1:]
    return means


def power_of_modes(rho: Numbers) -> Numbers:
    """Return |ρ̂|² of each mode of the layout of a real transform, with its weight, flat."""
    amplitudes = np.fft.rfftn(rho - rho.mean()).ravel() / rho.size
    power: Numbers = shells(rho.shape[0], rho.ndim).weight * (amplitudes.real**2 + amplitudes.imag**2)
    return power


def _sums(parts: Shells, values: Numbers) -> Numbers:
    sums: Numbers = np.bincount(parts.of_mode, values, parts.modes.size + 1)[1:-1].astype(float)
    return sums


def excess(log_power: Numbers) -> Numbers:
    """Return y of spectra ln P, shape (…, shells), nats."""
    half = WINDOW // 2
    width = [(0, 0)] * (log_power.ndim - 1) + [(half, half)]
    windows = sliding_window_view(np.pad(log_power, width, mode="reflect"), WINDOW, axis=-1)
    above: Numbers = log_power - np.median(windows, axis=-1)
    return above


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """The spectrum of one density, from j = 1 on.

    log_power: ln P_j; k: k_j, and centre: the mean of |k| weighted by the power, 1/length; modes: n_j.
    """

    log_power: Numbers
    k: Numbers
    centre: Numbers
    modes: Numbers

    @cached_property
    def above(self) -> Numbers:
        """y_j."""
        return excess(self.log_power)

    def null(self, stream: Stream, count: int) -> Numbers:
        """Return ln P of draws of the spectrum null, shape (count, shells)."""
        uniform = stream.uniforms(count, self.modes.size)
        background = self.log_power - self.above  # a median, so the median of the draws
        drawn: Numbers = background + log_chance(tuple(self.modes.tolist()), uniform)
        return drawn


def log_chance(modes: tuple[float, ...], uniform: Numbers) -> Numbers:
    """Return ln(χ²/median of χ²) for n_j degrees of freedom at probabilities (count, shells).

    It is exact to 1e-6 from eight degrees of freedom on, which is what two dimensions have, and to 1e-4 for
    two. By interpolation, since the inverse itself takes as long as a tenth of a small run. The cube
    root of χ² is nearly normal (E. B. Wilson and M. M. Hilferty, PNAS 17, 684, 1931), so over the quantiles
    of a normal it is nearly a straight line, and a cubic through four knots follows it.
    """
    from scipy import special  # not needed by most runs, and slow to import

    roots = _roots(modes)
    place = special.ndtri(uniform)
    place += QUANTILES
    place *= KNOTS_PER_UNIT
    knot = place.astype(np.intp)
    place -= knot
    knot += np.arange(len(modes)) * roots.shape[1]
    before, here, there, after = (roots.ravel()[knot + offset] for offset in (-1, 0, 1, 2))
    t, s = place, 1 - place
    bends = (before - 2 * here + there) * (1 + s) + (here - 2 * there + after) * (1 + t)
    root = here * s + there * t - t * s / 6 * bends
    found: Numbers = 3 * np.log(root)
    return found


@lru_cache(maxsize=8)
def _roots(modes: tuple[float, ...]) -> Numbers:
    """Return (χ²/median)^(1/3) at equally distant quantiles of a normal, shape (shells, knots)."""
    from scipy import special

    low = special.ndtr(np.arange(-QUANTILES, 1 / KNOTS_PER_UNIT / 2, 1 / KNOTS_PER_UNIT))
    half = np.array(modes)[:, None] / 2
    rising = special.gammaincinv(half, low)
    falling = special.gammainccinv(half, low[-2::-1])
    found: Numbers = np.cbrt(np.concatenate([rising, falling], axis=-1) / rising[:, -1:])
    return found


def spectrum(rho: Numbers, length: float, epsilon: float) -> Spectrum:
    """Return the spectrum of a density (N, …) in a box of side `length`.

    epsilon: the relative precision of the field that it comes from. What rounding leaves is no structure.

    Raises:
        NotComputable: the density is uniform, or there are too few shells.
    """
    # rounding may be alike along an axis, and is then in N times fewer modes than if it were white
    floor = ROUNDING * epsilon**2 * float(np.mean(rho**2)) / rho.shape[0]
    parts, power = shells(rho.shape[0], rho.ndim), power_of_modes(rho)
    means = _sums(parts, power) / parts.modes[1:]
    if means.size < FEWEST_SHELLS:
        raise NotComputable(f"{means.size} shells of wave vectors are too few for a spectrum: N is too small")
    if not means.max() > floor:
        raise NotComputable("the density is uniform: its spectrum is rounding")
    unit, total = 2 * np.pi / length, means + floor
    centre = (_sums(parts, power * parts.length) / parts.modes[1:] + floor * parts.radius[1:]) / total
    return Spectrum(
        log_power=np.log(total), k=unit * parts.radius[1:], centre=unit * centre, modes=parts.modes[1:]
    )


def are_peaks(above: Numbers) -> NDArray[np.bool_]:
    """Return where spectra y, shape (…, shells), have a peak; never at either end.

    As `scipy.signal.find_peaks` with a prominence, for all rows at once and without that import of a second.
    """
    inner = np.zeros(above.shape, bool)
    top = above[..., 1:-1]
    inner[..., 1:-1] = (top > above[..., :-2]) & (top >= above[..., 2:])
    base = np.maximum(_base(above), _base(above[..., ::-1])[..., ::-1])
    found: NDArray[np.bool_] = inner & (above - base >= PROMINENCE)
    return found


def _base(above: Numbers) -> Numbers:
    """Return the lowest y to the right of each shell before a higher one."""
    base, open_ = above.copy(), np.ones(above.shape, bool)
    for ahead in range(1, above.shape[-1]):
        here, there = np.s_[..., :-ahead], np.s_[..., ahead:]
        open_[here] &= above[there] <= above[here]
        base[here] = np.where(open_[here], np.minimum(base[here], above[there]), base[here])
    return base


def lowest_peaks(above: Numbers, count: int) -> Numbers:
    """Return the places of the lowest `count` peaks of spectra y, shape (rows, shells), in shells from 0.

    Places lie between whole numbers; a row that has fewer peaks is NaN.
    """
    mask = are_peaks(above)
    places = np.full((len(above), count), np.nan)
    rank = np.cumsum(mask, axis=-1)
    enough = rank[:, -1] >= count
    row, at = np.nonzero(mask & (rank <= count) & enough[:, None])
    left, top, right = above[row, at - 1], above[row, at], above[row, at + 1]
    places[enough] = (at + 0.5 * (left - right) / (left - 2 * top + right)).reshape(-1, count)
    return places
