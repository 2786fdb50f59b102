"""The peak of the structure factor: at which wave number the density is patterned, and against what chance.

structure_peak_k: the mean |k| of the shell with the largest P_j (`spectrum`), weighted by power, 1/length.
structure_peak_excess: its y, the height above the running median, nats. Its null is the spectrum null: the
same background without peaks, in whose draws the largest P_j is looked for in the same way.

There is no peak where the largest P_j is that of the longest waves: the spectrum then falls from there.
"""

from collections.abc import Mapping

import numpy as np

from hsm.physics.draws import Purpose
from hsm.physics.measure.chance import Compared, NotComputable, Stream, compare
from hsm.physics.measure.spectrum import Numbers, Spectrum, excess

DRAWS = 1_999


def peak(found: Spectrum) -> Mapping[str, float]:
    """Return structure_peak_k and structure_peak_excess.

    Raises:
        NotComputable: the spectrum has no peak within its ends.
    """
    at = int(np.argmax(found.log_power))
    if at in (0, found.k.size - 1):
        end = "longest" if at == 0 else "shortest"
        raise NotComputable(f"the density varies most at the {end} waves: its spectrum has no peak")
    return {"structure_peak_k": float(found.centre[at]), "structure_peak_excess": float(found.above[at])}


def peak_null(found: Spectrum, key: int) -> Compared:
    """Return the excess beside the spectrum null.

    Raises:
        NotComputable: there is no peak.
    """
    height, stream = peak(found)["structure_peak_excess"], Stream(key, Purpose.STRUCTURE_NULL)

    def draw(count: int) -> Numbers:
        return heights(found.null(stream, count))

    return compare(height, draw, DRAWS, low_is_good=False)


def heights(log_power: Numbers) -> Numbers:
    """Return the excess at the largest P of spectra (rows, shells); NaN where that is at an end."""
    at = np.argmax(log_power, axis=-1)
    above = np.take_along_axis(excess(log_power), at[:, None], -1)[:, 0]
    return np.where((at > 0) & (at < log_power.shape[-1] - 1), above, np.nan)
