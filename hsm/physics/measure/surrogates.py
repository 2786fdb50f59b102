"""Fields with the spectrum of a given one and phases of chance: the field null.

The phases of all modes of ψ̂ are drawn anew, independently. What the spectrum |ψ̂|² alone makes, such fields
have too; what they do not reach, needs the phases of the run. A field whose power is in one mode is its own
surrogate: of a plane wave this null can say nothing.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from hsm.physics.draws import Purpose
from hsm.physics.measure.chance import Stream
from hsm.physics.measure.spectrum import Numbers, shell_means

WORK = 9_999 * 128**2  # draws × grid points of the rare null that is drawn in full: some 20 s on one core
FIRST_WORK = 199 * 128**2  # … and of the one that every run pays: some 0.4 s
FEWEST = 19
AT_ONCE = 1 << 15  # grid points of the surrogates that are drawn together: they stay in the cache


class Surrogates:
    """The surrogates of one field (N, …)."""

    def __init__(self, psi: NDArray[np.complexfloating], key: int) -> None:
        self._modulus = np.abs(np.fft.fftn(psi)).astype(np.float32)
        self._key = key
        self._spectra = self.fields(Purpose.FIELD_NULL)

    @property
    def most(self) -> int:
        """How many draws may be asked for: fewer of large fields, so that the time is bounded."""
        return max(FEWEST, min(9_999, WORK // self._modulus.size))

    @property
    def usual(self) -> int:
        """How many draws every run can afford."""
        return max(FEWEST, min(99, FIRST_WORK // self._modulus.size))

    def fields(self, purpose: Purpose) -> Iterator[NDArray[np.complexfloating]]:
        """Yield surrogates without end, in single precision."""
        stream = Stream(self._key, purpose)
        while True:
            yield from self._drawn(stream, self._at_once)

    def density_spectra(self, count: int) -> Numbers:
        """Return ln P of the density of the next `count` surrogates, shape (count, shells)."""
        drawn = [shell_means(_density(next(self._spectra))) for _ in range(count)]
        return np.log(np.maximum(drawn, np.finfo(float).tiny))

    def scores(self, measures: Callable[[NDArray[np.complexfloating]], Numbers]) -> Numbers:
        """Return what is measured on the usual number of surrogates, one row each.

        `measures` is given some at a time, shape (count, N, …), and returns a row for each.
        """
        stream, count = Stream(self._key, Purpose.COHERENCE_NULL), self.usual
        sizes = [min(self._at_once, count - begun) for begun in range(0, count, self._at_once)]
        return np.concatenate([measures(self._drawn(stream, size)) for size in sizes])

    @property
    def _at_once(self) -> int:
        return max(1, AT_ONCE // self._modulus.size)

    def _drawn(self, stream: Stream, count: int) -> NDArray[np.complexfloating]:
        """Return the next surrogates, shape (count, N, …)."""
        from scipy import fft  # transforms many small fields several times faster than numpy; slow to import

        angle = (2 * np.pi * stream.uniforms(count, *self._modulus.shape)).astype(np.float32)
        modes = np.empty(angle.shape, np.complex64)
        np.multiply(self._modulus, np.cos(angle), out=modes.real)
        np.multiply(self._modulus, np.sin(angle), out=modes.imag)
        drawn: NDArray[np.complexfloating] = fft.ifftn(modes, axes=range(1, modes.ndim), overwrite_x=True)
        return drawn


def _density(psi: NDArray[np.complexfloating]) -> Numbers:
    density: Numbers = psi.real**2 + psi.imag**2
    return density
