"""log_prime_sse: do the rings of the density spectrum lie at the logarithms of the primes?

The lowest n = 5 peaks of the spectrum (`spectrum`), in order, at x_1 < … < x_5 in 1/length; targets
t_i = ln 2, ln 3, ln 5, ln 7, ln 11; one scale a = Σxt/Σx²; sse = ⟨(a x_i − t_i)²⟩, no dimension. No choice of
peaks, no second scale, and no score where there are fewer than n peaks.

A small sse means nothing by itself: five rising numbers are never far from five others after scaling. Three
nulls say what chance reaches, each with the same pipeline:

- A, spectrum: a field with this smooth background and no rings (`spectrum.Spectrum.null`).
- B, targets: the rings are there, the targets are not special: first and last target stay, the gaps between
  are uniform (Dirichlet).
- C, field: the phases of ψ̂ are drawn anew and ρ = |ψ|² follows; this keeps |ψ̂|². Drawing the phases of ρ̂
  would keep the spectrum of ρ exactly, and could never reject.

The p-value is the largest of the three: all must be beaten, and the largest is a p-value of that claim.
"""

from collections.abc import Mapping

import numpy as np

from hsm.physics.draws import Purpose
from hsm.physics.measure.chance import Compared, NotComputable, Stream, compare
from hsm.physics.measure.spectrum import Numbers, Spectrum, are_peaks, excess, lowest_peaks
from hsm.physics.measure.surrogates import Surrogates

TARGETS = np.log([2.0, 3.0, 5.0, 7.0, 11.0])
DRAWS = 9_999  # of A and B where chance hardly ever reaches the score
BLOCK = 500  # draws of A at once, to bound the memory


def misfit(x: Numbers, targets: Numbers = TARGETS) -> Numbers:
    """Return sse of peaks x, shape (…, n), against targets that broadcast with them; NaN where x is NaN."""
    scale = np.sum(x * targets, axis=-1) / np.sum(x**2, axis=-1)
    sse: Numbers = np.mean((scale[..., None] * x - targets) ** 2, axis=-1)
    return sse


def peak_count(found: Spectrum) -> int:
    """Return the number of peaks of a spectrum."""
    return int(np.count_nonzero(are_peaks(found.above)))


def score(found: Spectrum) -> float:
    """Return log_prime_sse.

    Raises:
        NotComputable: there are fewer peaks than targets.
    """
    places = _places(found)
    if np.isnan(places).any():
        count, needed = peak_count(found), TARGETS.size
        raise NotComputable(f"too few peaks: the spectrum of the density has {count}, {needed} are needed")
    return float(misfit(places)[0])


def nulls(found: Spectrum, surrogates: Surrogates, key: int) -> Mapping[str, Compared]:
    """Return the score beside the nulls A, B and C, by these letters.

    Raises:
        NotComputable: there is no score, or a null has hardly ever one.
    """
    sse = score(found)
    spectra, targets = Stream(key, Purpose.SPECTRUM_NULL), Stream(key, Purpose.TARGET_NULL)

    def spectrum_null(count: int) -> Numbers:
        blocks = [min(BLOCK, count - begun) for begun in range(0, count, BLOCK)]
        return np.concatenate([_scores(found.k, excess(found.null(spectra, size))) for size in blocks])

    def target_null(count: int) -> Numbers:
        return misfit(_places(found), drawn_targets(targets.uniforms(count, TARGETS.size - 2)))

    def field_null(count: int) -> Numbers:
        return _scores(found.k, excess(surrogates.density_spectra(count)))

    return {
        "A": compare(sse, spectrum_null, DRAWS, low_is_good=True),
        "B": compare(sse, target_null, DRAWS, low_is_good=True),
        "C": compare(sse, field_null, surrogates.most, low_is_good=True),
    }


def drawn_targets(uniforms: Numbers) -> Numbers:
    """Return targets whose ends are those of the primes, the others uniform between them, rising."""
    first, last = TARGETS[0], TARGETS[-1]
    inner = np.sort(first + (last - first) * uniforms, axis=-1)
    ends = np.ones((len(inner), 1))
    return np.concatenate([first * ends, inner, last * ends], axis=-1)


def _places(found: Spectrum) -> Numbers:
    return _in_k(found.k, lowest_peaks(found.above[None], TARGETS.size))


def _scores(k: Numbers, above: Numbers) -> Numbers:
    return misfit(_in_k(k, lowest_peaks(above, TARGETS.size)))


def _in_k(k: Numbers, places: Numbers) -> Numbers:
    """Return places in shells as wave numbers."""
    return np.interp(places, np.arange(k.size), k)
